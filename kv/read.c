/* SPDX-License-Identifier: Apache-2.0 */
/* read.c - what is there now. */
#include <string.h>

#include "kv/check.h"
#include "kv/limits.h"
#include "kv/turn.h"

ht_err hti_kv_do_get(struct hti_kv_turn *turn,
                     const GetRequest *request,
                     GetReply *ret)
{
    const struct hti_kv_item *item =
        hti_kv_map_find(&turn->kv->map, request->key, strlen(request->key));

    if (item != NULL) {
        ret->found = true;
        ret->kv = hti_kv_show(turn, item->now, request->as_text, false);
        if (ret->kv == NULL) {
            return HT_ENOMEM;
        }
    }
    ret->revision = turn->kv->revision;
    return HT_OK;
}

/* ---- ranges -------------------------------------------------------------- */

static bool has_prefix(const struct hti_kv_item *item, const char *prefix)
{
    size_t len = strlen(prefix);

    return item->key_len >= len && memcmp(item->key, prefix, len) == 0;
}

static struct hti_kv_item *first_of(const struct hti_kv_map *map,
                                    const RangeRequest *request)
{
    size_t prefix_len = strlen(request->prefix);
    size_t after_len = strlen(request->after);

    if (hti_kv_key_compare(request->after, after_len, request->prefix,
                           prefix_len) >= 0 &&
        after_len > 0) {
        return hti_kv_map_from(map, request->after, after_len, true);
    }
    return hti_kv_map_from(map, request->prefix, prefix_len, false);
}

static ht_err
do_range(struct hti_kv_turn *turn, const RangeRequest *request, RangeReply *ret)
{
    uint32_t limit = request->limit > 0 ? request->limit : HTI_KV_RANGE_DEFAULT;
    struct hti_kv_item *item = first_of(&turn->kv->map, request);
    size_t bytes = 0;

    ret->revision = turn->kv->revision;
    ret->kvs = hti_kv_turn_alloc(turn, limit * sizeof(KeyValue *));
    if (ret->kvs == NULL) {
        return HT_ENOMEM;
    }
    for (; item != NULL && has_prefix(item, request->prefix);
         item = hti_kv_map_next(item)) {
        size_t more =
            item->key_len + (request->keys_only ? 0u : item->now->value_len);

        /* One at least, or a reader would never come past a large one. */
        if (ret->n_kvs == limit ||
            (ret->n_kvs > 0 && bytes + more > HTI_KV_RANGE_BYTES_MAX)) {
            ret->more = true;
            ret->next = ret->kvs[ret->n_kvs - 1]->key;
            break;
        }
        bytes += more;
        ret->kvs[ret->n_kvs] =
            hti_kv_show(turn, item->now, request->as_text, request->keys_only);
        if (ret->kvs[ret->n_kvs++] == NULL) {
            return HT_ENOMEM;
        }
    }
    return HT_OK;
}

static ht_err do_lease_info(struct hti_kv_turn *turn,
                            const LeaseRequest *request,
                            LeaseReply *ret)
{
    const struct hti_kv_lease *lease =
        hti_kv_lease_find(&turn->kv->leases, request->lease);
    uint64_t now = turn->kv->time_ms;
    struct hti_kv_tie *tie;

    ret->lease = request->lease;
    ret->revision = turn->kv->revision;
    if (lease == NULL) {
        return HT_OK;
    }
    ret->ttl_ms = lease->ttl_ms;
    ret->remaining_ms =
        lease->timer.due_ms > now ? lease->timer.due_ms - now : 1;
    tie = request->want_keys ? hti_kv_lease_first(lease) : NULL;
    if (tie != NULL) {
        ret->keys = hti_kv_turn_alloc(turn, HTI_KV_RANGE_MAX * sizeof(char *));
        if (ret->keys == NULL) {
            return HT_ENOMEM;
        }
    }
    for (; tie != NULL && ret->n_keys < HTI_KV_RANGE_MAX;
         tie = hti_kv_lease_following(tie)) {
        ret->keys[ret->n_keys++] = tie->item->now->bytes;
    }
    return HT_OK;
}

/* ---- from outside -------------------------------------------------------- */

static ht_err finish(struct hti_kv_turn *turn,
                     ht_err err,
                     const ProtobufCMessage *reply,
                     ht_bytes *ret_answer)
{
    struct hti_kv_buf *answer = &turn->kv->answer;

    if (err == HT_OK) {
        err = hti_kv_answer(answer, reply);
    }
    hti_kv_turn_end(turn);
    if (err == HT_OK) {
        *ret_answer = (ht_bytes){answer->data, answer->len};
    }
    return err;
}

static ht_err refuse(struct hti_kv *kv,
                     const struct hti_kv_fault *fault,
                     ht_bytes *ret_answer)
{
    ht_err err = hti_kv_refuse(&kv->answer, fault->error, "%s", fault->words);

    if (err == HT_OK) {
        *ret_answer = (ht_bytes){kv->answer.data, kv->answer.len};
    }
    return err;
}

ht_err
hti_kv_get(struct hti_kv *kv, const GetRequest *request, ht_bytes *ret_answer)
{
    GetReply reply = HARDTACK__KV__GET_REPLY__INIT;
    struct hti_kv_fault fault;
    struct hti_kv_turn turn;

    if (!hti_kv_check_get(request, &fault)) {
        return refuse(kv, &fault, ret_answer);
    }
    if (hti_kv_turn_begin(&turn, kv) != HT_OK) {
        return HT_ENOMEM;
    }
    return finish(&turn, hti_kv_do_get(&turn, request, &reply), &reply.base,
                  ret_answer);
}

ht_err hti_kv_range(struct hti_kv *kv,
                    const RangeRequest *request,
                    ht_bytes *ret_answer)
{
    RangeReply reply = HARDTACK__KV__RANGE_REPLY__INIT;
    struct hti_kv_fault fault;
    struct hti_kv_turn turn;

    if (!hti_kv_check_range(request, &fault)) {
        return refuse(kv, &fault, ret_answer);
    }
    if (hti_kv_turn_begin(&turn, kv) != HT_OK) {
        return HT_ENOMEM;
    }
    return finish(&turn, do_range(&turn, request, &reply), &reply.base,
                  ret_answer);
}

ht_err hti_kv_lease_info(struct hti_kv *kv,
                         const LeaseRequest *request,
                         ht_bytes *ret_answer)
{
    LeaseReply reply = HARDTACK__KV__LEASE_REPLY__INIT;
    struct hti_kv_turn turn;

    if (hti_kv_turn_begin(&turn, kv) != HT_OK) {
        return HT_ENOMEM;
    }
    return finish(&turn, do_lease_info(&turn, request, &reply), &reply.base,
                  ret_answer);
}
