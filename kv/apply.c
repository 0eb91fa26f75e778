/* SPDX-License-Identifier: Apache-2.0 */
/* apply.c - a command, from its bytes to its answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kv/check.h"
#include "kv/limits.h"
#include "kv/turn.h"

#define HISTORY_DEFAULT       ((size_t)100000)
#define HISTORY_BYTES_DEFAULT ((size_t)64 * 1024 * 1024)
/* What a transaction may show. */
#define SHOWN_BYTES_MAX ((size_t)4 * 1024 * 1024)

/* ---- the state ----------------------------------------------------------- */

struct hti_kv *hti_kv_new(const struct hti_kv_opts *opts)
{
    struct hti_kv *kv = calloc(1, sizeof(*kv));

    if (kv == NULL) {
        return NULL;
    }
    RB_INIT(&kv->map.items);
    RB_INIT(&kv->leases.leases);
    RB_INIT(&kv->leases.timers);
    kv->history.count_max =
        opts->history_max > 0 ? opts->history_max : HISTORY_DEFAULT;
    kv->history.bytes_max = opts->history_bytes_max > 0
                                ? opts->history_bytes_max
                                : HISTORY_BYTES_DEFAULT;
    return kv;
}

void hti_kv_clear(struct hti_kv *kv)
{
    hti_kv_leases_fini(&kv->leases);
    hti_kv_map_fini(&kv->map);
    hti_kv_dedupe_fini(&kv->dedupe);
    hti_kv_history_reset(&kv->history, 0);
    kv->revision = 0;
    kv->time_ms = 0;
    kv->expired = 0;
}

void hti_kv_free(struct hti_kv *kv)
{
    if (kv == NULL) {
        return;
    }
    hti_kv_clear(kv);
    hti_kv_history_fini(&kv->history);
    hti_kv_buf_fini(&kv->answer);
    hti_kv_restore_drop(kv);
    free(kv);
}

uint64_t hti_kv_due_ms(const struct hti_kv *kv)
{
    const struct hti_kv_timer *timer = hti_kv_timers_first(&kv->leases);

    return timer == NULL ? UINT64_MAX : timer->due_ms;
}

/* ---- what ends ----------------------------------------------------------- */

/* Some of its keys, and itself with the last. */
static ht_err expire_lease(struct hti_kv_turn *turn,
                           struct hti_kv_lease *lease,
                           unsigned *budget)
{
    struct hti_kv_tie *tie;

    hti_kv_lease_end(&turn->kv->leases, lease);
    while (*budget > 0 && (tie = hti_kv_lease_first(lease)) != NULL) {
        if (hti_kv_take_away(turn, tie->item, HTI_KV_EXPIRED) != HT_OK) {
            return HT_ENOMEM;
        }
        turn->kv->expired++;
        (*budget)--;
    }
    if (hti_kv_lease_first(lease) == NULL) {
        hti_kv_lease_free(&turn->kv->leases, lease);
    }
    return HT_OK;
}

ht_err hti_kv_expire(struct hti_kv_turn *turn)
{
    struct hti_kv *kv = turn->kv;
    unsigned budget = HTI_KV_EXPIRE_MAX;
    struct hti_kv_timer *timer;
    ht_err err = HT_OK;

    while (err == HT_OK && budget > 0 &&
           (timer = hti_kv_timers_first(&kv->leases)) != NULL &&
           timer->due_ms <= kv->time_ms) {
        if (timer->lease != NULL) {
            budget--;
            err = expire_lease(turn, timer->lease, &budget);
        } else {
            budget--;
            kv->expired++;
            err = hti_kv_take_away(turn, hti_kv_timer_tie(timer)->item,
                                   HTI_KV_EXPIRED);
        }
    }
    hti_kv_turn_commit(turn);
    return err;
}

/* ---- leases -------------------------------------------------------------- */

static ht_err do_grant(struct hti_kv_turn *turn,
                       const LeaseGrantRequest *request,
                       LeaseReply *ret)
{
    struct hti_kv *kv = turn->kv;

    if (hti_kv_lease_add(&kv->leases, turn->revision, request->ttl_ms,
                         kv->time_ms + request->ttl_ms, false) == NULL) {
        return HT_ENOMEM;
    }
    turn->changed = true;
    ret->lease = turn->revision;
    ret->ttl_ms = request->ttl_ms;
    ret->remaining_ms = request->ttl_ms;
    ret->revision = turn->revision;
    return HT_OK;
}

static ht_err do_keep_alive(struct hti_kv_turn *turn,
                            const LeaseRequest *request,
                            LeaseReply *ret)
{
    struct hti_kv *kv = turn->kv;
    struct hti_kv_lease *lease = hti_kv_lease_find(&kv->leases, request->lease);

    hti_kv_lease_renew(&kv->leases, lease, kv->time_ms + lease->ttl_ms);
    ret->lease = lease->id;
    ret->ttl_ms = lease->ttl_ms;
    ret->remaining_ms = lease->ttl_ms;
    ret->revision = kv->revision;
    return HT_OK;
}

static ht_err do_revoke(struct hti_kv_turn *turn,
                        const LeaseRequest *request,
                        LeaseReply *ret)
{
    struct hti_kv *kv = turn->kv;
    struct hti_kv_lease *lease = hti_kv_lease_find(&kv->leases, request->lease);
    unsigned budget = HTI_KV_EXPIRE_MAX;

    ret->lease = lease->id;
    ret->ttl_ms = lease->ttl_ms;
    if (expire_lease(turn, lease, &budget) != HT_OK) {
        return HT_ENOMEM;
    }
    ret->revision = turn->changed ? turn->revision : kv->revision;
    return HT_OK;
}

/* ---- what only the state can tell ---------------------------------------- */

static bool
lease_there(const struct hti_kv *kv, uint64_t lease, struct hti_kv_fault *ret)
{
    if (lease == 0 || hti_kv_lease_find(&kv->leases, lease) != NULL) {
        return true;
    }
    ret->error = HTI_KV_NO_LEASE;
    (void)snprintf(ret->words, sizeof(ret->words),
                   "lease %llu has ended or never was",
                   (unsigned long long)lease);
    return false;
}

static size_t length_of(struct hti_kv *kv, const char *key)
{
    const struct hti_kv_item *item =
        hti_kv_map_find(&kv->map, key, strlen(key));

    return item == NULL ? 0 : item->now->value_len;
}

/* The key whose value a step shows; NULL: it shows none. */
static const char *shown_by(const Op *op)
{
    if (op->op_case == HARDTACK__KV__OP__OP_GET) {
        return op->get->key;
    }
    if (op->op_case == HARDTACK__KV__OP__OP_PUT && op->put->want_previous) {
        return op->put->key;
    }
    return op->op_case == HARDTACK__KV__OP__OP_DEL && op->del->want_previous
               ? op->del->key
               : NULL;
}

/* At most: what a step shows may have been put by one before it. */
static size_t bytes_shown(struct hti_kv *kv, Op *const *steps, size_t count)
{
    size_t largest = 0;
    size_t total = 0;

    for (size_t i = 0; i < count; i++) {
        if (steps[i]->op_case == HARDTACK__KV__OP__OP_PUT) {
            size_t len = hti_kv_put_value(steps[i]->put).len;

            largest = len > largest ? len : largest;
        }
    }
    for (size_t i = 0; i < count; i++) {
        const char *key = shown_by(steps[i]);

        if (key != NULL) {
            size_t len = length_of(kv, key);

            total += len > largest ? len : largest;
        }
    }
    return total;
}

static bool txn_possible(struct hti_kv *kv,
                         const TxnRequest *request,
                         struct hti_kv_fault *ret)
{
    bool held = hti_kv_txn_holds(kv, request);
    Op *const *steps = held ? request->then : request->otherwise;
    size_t count = held ? request->n_then : request->n_otherwise;
    size_t shown = bytes_shown(kv, steps, count);

    if (shown > SHOWN_BYTES_MAX) {
        ret->error = HTI_KV_TOO_BIG;
        (void)snprintf(ret->words, sizeof(ret->words),
                       "a transaction that shows up to %zu bytes, at most %zu",
                       shown, SHOWN_BYTES_MAX);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (steps[i]->op_case == HARDTACK__KV__OP__OP_PUT &&
            !lease_there(kv, steps[i]->put->lease, ret)) {
            return false;
        }
    }
    return true;
}

#define COMMAND(field) HARDTACK__KVLOG__COMMAND__OP_##field

/* Whether nothing can refuse it any more. */
static bool
possible(struct hti_kv *kv, const Command *command, struct hti_kv_fault *ret)
{
    if (!hti_kv_check_command(command, ret)) {
        return false;
    }
    switch (command->op_case) {
    case COMMAND(PUT):
        return lease_there(kv, command->put->lease, ret);
    case COMMAND(SWAP):
        return lease_there(kv, command->swap->lease, ret);
    case COMMAND(TXN):
        return txn_possible(kv, command->txn, ret);
    case COMMAND(KEEP_ALIVE):
    case COMMAND(REVOKE):
        if (command->keep_alive->lease == 0) {
            ret->error = HTI_KV_BAD_REQUEST;
            (void)snprintf(ret->words, sizeof(ret->words),
                           "a lease is missing");
            return false;
        }
        return lease_there(kv, command->keep_alive->lease, ret);
    case COMMAND(DEL):
    case COMMAND(GRANT):
    case COMMAND(TICK):
    case HARDTACK__KVLOG__COMMAND__OP__NOT_SET:
    case _HARDTACK__KVLOG__COMMAND__OP__CASE_IS_INT_SIZE:
        break;
    }
    return true;
}

/* ---- doing it ------------------------------------------------------------ */

static ht_err do_command(struct hti_kv_turn *turn, const Command *command)
{
    struct hti_kv_buf *answer = &turn->kv->answer;
    ht_err err = HT_OK;
    union {
        PutReply put;
        DelReply del;
        SwapReply swap;
        TxnReply txn;
        LeaseReply lease;
        Hardtack__Empty empty;
        ProtobufCMessage base;
    } reply;

    switch (command->op_case) {
    case COMMAND(PUT):
        hardtack__kv__put_reply__init(&reply.put);
        err = hti_kv_do_put(turn, command->put, &reply.put);
        break;
    case COMMAND(DEL):
        hardtack__kv__del_reply__init(&reply.del);
        err = hti_kv_do_del(turn, command->del, &reply.del);
        break;
    case COMMAND(SWAP):
        hardtack__kv__swap_reply__init(&reply.swap);
        err = hti_kv_do_swap(turn, command->swap, &reply.swap);
        break;
    case COMMAND(TXN):
        hardtack__kv__txn_reply__init(&reply.txn);
        err = hti_kv_do_txn(turn, command->txn, &reply.txn);
        break;
    case COMMAND(GRANT):
        hardtack__kv__lease_reply__init(&reply.lease);
        err = do_grant(turn, command->grant, &reply.lease);
        break;
    case COMMAND(KEEP_ALIVE):
        hardtack__kv__lease_reply__init(&reply.lease);
        err = do_keep_alive(turn, command->keep_alive, &reply.lease);
        break;
    case COMMAND(REVOKE):
        hardtack__kv__lease_reply__init(&reply.lease);
        err = do_revoke(turn, command->revoke, &reply.lease);
        break;
    case COMMAND(TICK):
    case HARDTACK__KVLOG__COMMAND__OP__NOT_SET:
    case _HARDTACK__KVLOG__COMMAND__OP__CASE_IS_INT_SIZE:
        hardtack__empty__init(&reply.empty);
        break;
    }
    hti_kv_turn_commit(turn);
    return err == HT_OK ? hti_kv_answer(answer, &reply.base) : err;
}

/* An answer too large to be kept is kept as an error that says so: the request
 * is not done twice all the same. */
static ht_err remember(struct hti_kv *kv, const RequestId *request)
{
    ht_bytes answer = {kv->answer.data, kv->answer.len};
    struct hti_kv_buf instead = {0};
    ht_err err;

    if (answer.len <= HTI_KV_ANSWER_MAX) {
        return hti_kv_dedupe_add(&kv->dedupe, request->client,
                                 request->sequence, request->settled != 0,
                                 answer);
    }
    err = hti_kv_refuse(&instead, HTI_KV_TOO_BIG,
                        "it was done, but its answer of %zu bytes is not "
                        "remembered",
                        answer.len - 1);
    if (err == HT_OK) {
        err = hti_kv_dedupe_add(&kv->dedupe, request->client, request->sequence,
                                request->settled != 0,
                                (ht_bytes){instead.data, instead.len});
    }
    hti_kv_buf_fini(&instead);
    return err;
}

static ht_err do_new(struct hti_kv_turn *turn,
                     const Command *command,
                     const RequestId *request)
{
    struct hti_kv *kv = turn->kv;
    struct hti_kv_fault fault;
    ht_err err;

    if (possible(kv, command, &fault)) {
        err = do_command(turn, command);
    } else {
        err = hti_kv_refuse(&kv->answer, fault.error, "%s", fault.words);
    }
    return err == HT_OK && request != NULL ? remember(kv, request) : err;
}

static ht_err do_once(struct hti_kv_turn *turn, const Command *command)
{
    const RequestId *request = hti_kv_command_request(command);
    struct hti_kv *kv = turn->kv;
    enum hti_kv_seen seen = HTI_KV_NEW;
    ht_bytes before;
    uint8_t *at;

    if (request != NULL && strlen(request->client) <= HTI_KV_CLIENT_MAX) {
        seen = hti_kv_dedupe_find(&kv->dedupe, request->client,
                                  request->sequence, &before);
    } else {
        request = NULL; /* too long a name: refused, and not remembered */
    }
    if (seen == HTI_KV_NEW) {
        return do_new(turn, command, request);
    }
    kv->repeated++;
    if (seen == HTI_KV_FORGOTTEN) {
        return hti_kv_refuse(&kv->answer, HTI_KV_OLD_REQUEST,
                             "request %llu of this client is older than those "
                             "remembered; it may have been done",
                             (unsigned long long)request->sequence);
    }
    kv->answer.len = 0;
    at = hti_kv_buf_add(&kv->answer, before.len);
    if (at == NULL) {
        return HT_ENOMEM;
    }
    memcpy(at, before.data, before.len);
    return HT_OK;
}

static ht_err apply(struct hti_kv_turn *turn, ht_bytes bytes)
{
    Command *command;
    ht_err err;

    if (bytes.len > HTI_KV_COMMAND_MAX) {
        return HT_EPROTO;
    }
    command = hardtack__kvlog__command__unpack(turn->allocator, bytes.len,
                                               bytes.data);
    if (command == NULL) {
        return hti_arena_starved(turn->arena) ? HT_ENOMEM : HT_EPROTO;
    }
    if (command->op_case == HARDTACK__KVLOG__COMMAND__OP__NOT_SET) {
        return HT_EPROTO; /* of a later version: to skip it would part us */
    }
    if (command->time_ms > turn->kv->time_ms) {
        turn->kv->time_ms = command->time_ms;
    }
    err = hti_kv_expire(turn);
    return err == HT_OK ? do_once(turn, command) : err;
}

ht_err hti_kv_apply(struct hti_kv *kv, ht_bytes command, ht_bytes *ret_answer)
{
    struct hti_kv_turn turn;
    ht_err err;

    if (hti_kv_turn_begin(&turn, kv) != HT_OK) {
        return HT_ENOMEM;
    }
    err = apply(&turn, command);
    hti_kv_turn_end(&turn);
    if (err == HT_OK) {
        *ret_answer = (ht_bytes){kv->answer.data, kv->answer.len};
    }
    return err;
}
