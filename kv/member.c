/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/member.h"

#include <hardtack/args.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kv/ask.pb-c.h"
#include "kv/check.h"
#include "kv/limits.h"
#include "proto/arena.h"
#include "proto/pb.h"

#define ASK(field)     HARDTACK__KVLOG__ASK__WHAT_##field
#define COMMAND(field) HARDTACK__KVLOG__COMMAND__OP_##field

/* What decoding an ask may cost: a transaction of many steps is mostly
 * structures. */
#define ASK_MEMORY_MAX ((size_t)64 * 1024 * 1024)

typedef Hardtack__Kvlog__Ask Ask;

/* An ask under way. */
struct asked {
    struct hti_kv_member *member;
    ht_call call;
    struct hti_arena *arena;
    Ask *ask;
};

/* ---- answers ------------------------------------------------------------- */

static void answer(struct hti_kv_member *member, ht_call call, ht_bytes bytes)
{
    /* Nobody may wait any more. */
    (void)ht_reply_ok(member->self, call, bytes.data, bytes.len);
}

static void refuse(struct hti_kv_member *member,
                   ht_call call,
                   enum hti_kv_error error,
                   const char *words)
{
    struct hti_kv_buf *buf = &member->kv->answer;

    member->counts.refused++;
    if (hti_kv_refuse(buf, error, "%s", words) == HT_OK) {
        answer(member, call, (ht_bytes){buf->data, buf->len});
    }
}

static void send_elsewhere(struct hti_kv_member *member, ht_call call)
{
    ht_ref actor;
    const char *leader = ht_raft_leader(member->raft, &actor);
    uint8_t bytes[1 + HT_RAFT_NAME_MAX];
    size_t len = strlen(leader);

    bytes[0] = HTI_KV_ELSEWHERE;
    /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): bytes */
    memcpy(bytes + 1, leader, len);
    answer(member, call, (ht_bytes){bytes, 1 + len});
}

/* Why raft did not take, or did not do, something. */
static void refuse_err(struct hti_kv_member *member, ht_call call, ht_err err)
{
    switch ((int)err) {
    case HT_ENOTLEADER:
    case HT_ECANCELLED: /* not done, and never will be: ask the next leader */
        send_elsewhere(member, call);
        return;
    case HT_EUNKNOWN:
    case HT_ECLOSED:
        refuse(member, call, HTI_KV_UNKNOWN,
               "the leader changed while it was under way");
        return;
    case HT_ENOSPC:
        refuse(member, call, HTI_KV_DISK_FULL,
               "the disk of the leader, or of a majority, has no room");
        return;
    case HT_ETOOBIG:
        refuse(member, call, HTI_KV_TOO_BIG, "a command of more than 4 MiB");
        return;
    default:
        refuse(member, call, HTI_KV_OVERLOAD, "too much is under way");
        return;
    }
}

static struct asked *
asked_new(struct hti_kv_member *member, ht_call call, ht_bytes bytes)
{
    struct asked *asked = calloc(1, sizeof(*asked));

    if (asked == NULL) {
        return NULL;
    }
    asked->member = member;
    asked->call = call;
    asked->arena = hti_arena_new(ASK_MEMORY_MAX);
    if (asked->arena != NULL) {
        asked->ask = hardtack__kvlog__ask__unpack(
            hti_arena_allocator(asked->arena), bytes.len, bytes.data);
    }
    return asked;
}

static void asked_free(struct asked *asked)
{
    hti_arena_free(asked->arena);
    free(asked);
}

/* ---- time ---------------------------------------------------------------- */

static void arm(struct hti_kv_member *member);

static void on_ticked(void *arg, ht_err err, ht_bytes result, uint64_t index)
{
    struct hti_kv_member *member = arg;

    (void)err;
    (void)result;
    (void)index;
    member->ticking = false;
    arm(member);
}

static uint64_t store_now(const struct hti_kv_member *member)
{
    /* Raft takes proposals a little before it says that we lead: until then
     * time stands still, which is never too fast. */
    return member->leads
               ? hti_kv_clock_now(&member->clock, hti_kv_monotonic_ms())
               : member->kv->time_ms;
}

/* bytes, which have none, with the time behind. */
static ht_err propose(struct hti_kv_member *member,
                      ht_bytes bytes,
                      ht_raft_done_fn done,
                      void *arg)
{
    struct hti_kv_buf *buf = &member->kv->answer;
    uint8_t *at;

    buf->len = 0;
    at = hti_kv_buf_add(buf, bytes.len + 11);
    if (at == NULL) {
        return HT_ENOMEM;
    }
    memcpy(at, bytes.data, bytes.len);
    /* The last of a field counts: whatever the bytes say, the time is ours. */
    at = hti_pb_put_uint(at + bytes.len, HTI_PB_KEY(1, HTI_PB_VARINT),
                         store_now(member));
    return ht_raft_propose(member->raft,
                           (ht_bytes){buf->data, (size_t)(at - buf->data)},
                           done, arg);
}

static void tick(struct hti_kv_member *member)
{
    static const uint8_t command[] = {9 << 3 | HTI_PB_LEN, 0};

    if (member->ticking) {
        return;
    }
    member->ticking = propose(member, (ht_bytes){command, sizeof(command)},
                              on_ticked, member) == HT_OK;
    if (!member->ticking) {
        /* Full, or no leader any more: again a little later. */
        member->due_ms = store_now(member) + 1000;
        if (ht_timer_start(member->self, 1000, 0, member, &member->due_timer) !=
            HT_OK) {
            member->due_timer = 0; /* the next command tries again */
        }
    }
}

/* Wake when the next thing is due.  Only the leader's time counts. */
static void arm(struct hti_kv_member *member)
{
    uint64_t due = hti_kv_due_ms(member->kv);
    uint64_t now;

    if (!member->leads || member->ticking || due == UINT64_MAX ||
        (member->due_timer != 0 && member->due_ms <= due)) {
        return;
    }
    if (member->due_timer != 0) {
        (void)ht_timer_cancel(member->self, member->due_timer);
        member->due_timer = 0;
    }
    now = store_now(member);
    member->due_ms = due;
    if (ht_timer_start(member->self,
                       due <= now                   ? 0
                       : due - now > HTI_KV_TTL_MAX ? HTI_KV_TTL_MAX
                                                    : (uint32_t)(due - now),
                       0, member, &member->due_timer) != HT_OK) {
        member->due_timer = 0; /* the next command tries again */
    }
}

static void on_due(struct hti_kv_member *member)
{
    member->due_timer = 0;
    if (member->leads && hti_kv_due_ms(member->kv) <= store_now(member)) {
        tick(member);
    } else {
        arm(member);
    }
}

/* ---- writes -------------------------------------------------------------- */

static void on_done(void *arg, ht_err err, ht_bytes result, uint64_t index)
{
    struct asked *asked = arg;

    (void)index;
    if (err == HT_OK) {
        answer(asked->member, asked->call, result);
    } else {
        refuse_err(asked->member, asked->call, err);
    }
    asked_free(asked);
}

/* What a command may add; a bound, not a sum. */
static bool adds(const Command *command)
{
    return command->op_case == COMMAND(PUT) ||
           command->op_case == COMMAND(TXN) ||
           (command->op_case == COMMAND(SWAP) && !command->swap->remove);
}

/* What only this member's settings forbid. */
static bool allowed(struct hti_kv_member *member,
                    const Command *command,
                    size_t len,
                    struct hti_kv_fault *ret)
{
    const struct hti_kv *kv = member->kv;

    if (adds(command) && kv->map.bytes + len > member->opts.bytes_max) {
        ret->error = HTI_KV_FULL;
        (void)snprintf(ret->words, sizeof(ret->words),
                       "the store has %llu of %llu bytes",
                       (unsigned long long)kv->map.bytes,
                       (unsigned long long)member->opts.bytes_max);
        return false;
    }
    if (command->op_case == COMMAND(GRANT) &&
        kv->leases.count >= member->opts.leases_max) {
        ret->error = HTI_KV_FULL;
        (void)snprintf(ret->words, sizeof(ret->words),
                       "there are %zu leases, as many as may be",
                       kv->leases.count);
        return false;
    }
    return true;
}

static void do_write(struct asked *asked)
{
    struct hti_kv_member *member = asked->member;
    ht_bytes bytes = {asked->ask->command.data, asked->ask->command.len};
    struct hti_kv_fault fault = {HTI_KV_BAD_REQUEST, "it cannot be read"};
    const Command *command = hardtack__kvlog__command__unpack(
        hti_arena_allocator(asked->arena), bytes.len, bytes.data);
    ht_err err;

    /* It came from another node: the log must have nothing that is wrong. */
    if (command == NULL || command->op_case == COMMAND(TICK) ||
        !hti_kv_check_command(command, &fault) ||
        !allowed(member, command, bytes.len, &fault)) {
        refuse(member, asked->call, fault.error, fault.words);
        asked_free(asked);
        return;
    }
    err = bytes.len > HTI_KV_COMMAND_MAX - 16
              ? HT_ETOOBIG
              : propose(member, bytes, on_done, asked);
    if (err != HT_OK) {
        refuse_err(member, asked->call, err);
        asked_free(asked);
        return;
    }
    /* Raft has a copy; what was decoded may be many times that. */
    hti_arena_free(asked->arena);
    asked->arena = NULL;
    asked->ask = NULL;
    member->counts.writes++;
}

/* ---- reads --------------------------------------------------------------- */

static void read_now(struct asked *asked)
{
    struct hti_kv_member *member = asked->member;
    ht_bytes bytes;
    ht_err err = HT_EINVAL;

    if (asked->ask->what_case == ASK(GET)) {
        err = hti_kv_get(member->kv, asked->ask->get, &bytes);
    } else if (asked->ask->what_case == ASK(RANGE)) {
        err = hti_kv_range(member->kv, asked->ask->range, &bytes);
    } else if (asked->ask->what_case == ASK(LEASE_INFO)) {
        err = hti_kv_lease_info(member->kv, asked->ask->lease_info, &bytes);
    }
    if (err == HT_OK) {
        answer(member, asked->call, bytes);
    } else {
        refuse(member, asked->call, HTI_KV_OVERLOAD, "out of memory");
    }
    asked_free(asked);
}

static void on_ready(void *arg, ht_err err)
{
    struct asked *asked = arg;

    if (err == HT_OK) {
        asked->member->counts.reads++;
        read_now(asked);
        return;
    }
    /* A read that failed is nothing lost: ask whoever leads now. */
    refuse_err(asked->member, asked->call,
               err == HT_ECLOSED ? HT_ENOTLEADER : err);
    asked_free(asked);
}

static bool is_stale(const Ask *ask)
{
    return (ask->what_case == ASK(GET) && ask->get->stale) ||
           (ask->what_case == ASK(RANGE) && ask->range->stale);
}

static void do_read(struct asked *asked)
{
    ht_err err;

    if (is_stale(asked->ask)) {
        asked->member->counts.stale_reads++;
        read_now(asked);
        return;
    }
    err = ht_raft_read(asked->member->raft, on_ready, asked);
    if (err != HT_OK) {
        refuse_err(asked->member, asked->call, err);
        asked_free(asked);
    }
}

/* ---- watching ------------------------------------------------------------ */

static ht_ref watcher_of(const struct hti_kv_member *member, const Ask *ask)
{
    ht_reader reader = ht_reader_block(ask->watcher.data, ask->watcher.len);

    return ht_read_ref(&reader, ht_actor_node(member->self));
}

static void do_watch(struct asked *asked)
{
    struct hti_kv_member *member = asked->member;
    ht_ref ref = watcher_of(member, asked->ask);
    struct hti_kv_fault fault = {HTI_KV_BAD_REQUEST,
                                 "only actors can watch; see Changes"};

    if (ht_ref_is_none(ref) || !hti_kv_check_watch(asked->ask->watch, &fault)) {
        refuse(member, asked->call, fault.error, fault.words);
    } else if (hti_kv_watch(&member->watchers, asked->ask->watch, ref,
                            asked->call) != HT_OK) {
        refuse(member, asked->call, HTI_KV_OVERLOAD, "out of memory");
    }
    asked_free(asked);
}

static void do_changes(struct asked *asked)
{
    struct hti_kv_member *member = asked->member;
    struct hti_kv_fault fault;

    if (!hti_kv_check_changes(asked->ask->changes, &fault)) {
        refuse(member, asked->call, fault.error, fault.words);
    } else if (hti_kv_wait(&member->watchers, asked->ask->changes,
                           asked->call) != HT_OK) {
        refuse(member, asked->call, HTI_KV_OVERLOAD, "out of memory");
    }
    asked_free(asked);
}

/* A cast. */
static void do_unwatch(struct asked *asked)
{
    struct hti_kv_member *member = asked->member;

    (void)hti_kv_unwatch(&member->watchers, asked->ask->unwatch,
                         watcher_of(member, asked->ask));
    asked_free(asked);
}

static void do_status(struct asked *asked)
{
    struct hti_kv_member *member = asked->member;
    const Hardtack__Kvlog__FrontCounts none =
        HARDTACK__KVLOG__FRONT_COUNTS__INIT;
    const Hardtack__Kvlog__FrontCounts *counts =
        asked->ask->counts == NULL ? &none : asked->ask->counts;

    if (hti_kv_member_status(member, counts->forwarded, counts->refused,
                             counts->waiting) == HT_OK) {
        answer(member, asked->call,
               (ht_bytes){member->kv->answer.data, member->kv->answer.len});
    }
    asked_free(asked);
}

/* ---- the machine --------------------------------------------------------- */

static bool from_what_is_here(const Ask *ask)
{
    return is_stale(ask) || ask->what_case == ASK(WATCH) ||
           ask->what_case == ASK(CHANGES);
}

/* Half a state is none, not even a stale one.  And what a member that was
 * removed has grows old for ever: nobody would ever learn of a change. */
static bool has_store(const struct hti_kv_member *member)
{
    return member->of_group && member->kv->restore == NULL;
}

static ht_err
on_message(void *machine, ht_actor *self, const ht_msg *msg, ht_call call)
{
    struct hti_kv_member *member = machine;
    struct asked *asked;

    (void)self;
    if (strcmp(ht_msg_variant(msg), HTI_KV_ASK) != 0) {
        return HT_ENOVARIANT;
    }
    asked = asked_new(member, call, ht_msg_args(msg));
    if (asked == NULL || asked->ask == NULL ||
        (call.id == 0 && asked->ask->what_case != ASK(UNWATCH))) {
        if (asked != NULL) {
            asked_free(asked);
        }
        return HT_EARGS;
    }
    if (!has_store(member) && from_what_is_here(asked->ask)) {
        send_elsewhere(member, call);
        asked_free(asked);
        return HT_OK;
    }
    switch (asked->ask->what_case) {
    case ASK(COMMAND):
        do_write(asked);
        return HT_OK;
    case ASK(GET):
    case ASK(RANGE):
    case ASK(LEASE_INFO):
        do_read(asked);
        return HT_OK;
    case ASK(CHANGES):
        do_changes(asked);
        return HT_OK;
    case ASK(WATCH):
        do_watch(asked);
        return HT_OK;
    case ASK(UNWATCH):
        do_unwatch(asked);
        return HT_OK;
    case ASK(STATUS):
        do_status(asked);
        return HT_OK;
    case HARDTACK__KVLOG__ASK__WHAT__NOT_SET:
    case _HARDTACK__KVLOG__ASK__WHAT__CASE_IS_INT_SIZE:
        break;
    }
    asked_free(asked);
    return HT_EARGS;
}

static ht_err on_event(void *machine, ht_actor *self, const ht_event *event)
{
    struct hti_kv_member *member = machine;

    (void)self;
    if (event->kind == HT_EVENT_TIMER && event->u.timer.arg == member) {
        if (event->u.timer.timer == member->due_timer) {
            on_due(member);
        }
    } else {
        (void)hti_kv_watchers_event(&member->watchers, event);
    }
    return HT_OK;
}

static ht_err apply(void *machine,
                    uint64_t index,
                    uint64_t time_ms,
                    ht_bytes command,
                    ht_bytes *ret_result)
{
    struct hti_kv_member *member = machine;
    uint64_t before = member->kv->revision;
    ht_err err = hti_kv_apply(member->kv, command, ret_result);

    (void)index;
    (void)time_ms; /* a wall clock's: see clock.h */
    if (member->self != NULL) {
        if (member->kv->revision != before) {
            hti_kv_watchers_wake(&member->watchers);
        }
        arm(member);
    }
    return err;
}

static ht_err snapshot_open(void *machine, void **ret_cursor)
{
    struct hti_kv_member *member = machine;
    struct hti_kv_cursor *cursor;
    ht_err err = hti_kv_snapshot_open(member->kv, &cursor);

    if (err == HT_OK) {
        *ret_cursor = cursor;
    }
    return err;
}

static ht_err snapshot_read(
    void *machine, void *cursor, void *buf, size_t cap, size_t *ret_len)
{
    struct hti_kv_member *member = machine;

    return hti_kv_snapshot_read(member->kv, cursor, buf, cap, ret_len);
}

static void snapshot_close(void *machine, void *cursor)
{
    struct hti_kv_member *member = machine;

    hti_kv_snapshot_close(member->kv, cursor);
}

static ht_err restore(void *machine, ht_raft_restore what, ht_bytes piece)
{
    struct hti_kv_member *member = machine;
    ht_err err = HT_EINVAL;

    switch (what) {
    case HT_RAFT_RESTORE_BEGIN:
        return hti_kv_restore_begin(member->kv);
    case HT_RAFT_RESTORE_DATA:
        return hti_kv_restore_data(member->kv, piece);
    case HT_RAFT_RESTORE_END:
        err = hti_kv_restore_end(member->kv);
        if (err == HT_OK && member->self != NULL) {
            hti_kv_watchers_wake(&member->watchers);
        }
        break;
    }
    return err;
}

static void on_start(void *machine, ht_raft *raft, ht_actor *self)
{
    struct hti_kv_member *member = machine;

    member->raft = raft;
    member->self = self;
    member->leads = false;
    member->of_group = false;
    member->ticking = false;
    member->due_timer = 0;
    hti_kv_watchers_start(&member->watchers, ht_actor_node(self), self,
                          member->kv);
}

static void on_role(void *machine, ht_raft_role role, uint64_t term)
{
    struct hti_kv_member *member = machine;

    (void)term;
    member->leads = role == HT_RAFT_LEADER;
    if (member->leads) {
        hti_kv_clock_lead(&member->clock, member->kv->time_ms,
                          hti_kv_monotonic_ms());
        arm(member);
    }
}

static void on_member(void *machine, bool is)
{
    struct hti_kv_member *member = machine;

    member->of_group = is;
    if (!is) {
        hti_kv_watchers_end(&member->watchers,
                            "the member was removed from its group");
    }
}

static void on_stop(void *machine)
{
    struct hti_kv_member *member = machine;

    hti_kv_watchers_end(&member->watchers, "the member has stopped");
    member->leads = false;
    member->self = NULL;
}

const ht_raft_machine hti_kv_machine = {
    .apply = apply,
    .snapshot_open = snapshot_open,
    .snapshot_read = snapshot_read,
    .snapshot_close = snapshot_close,
    .restore = restore,
    .on_start = on_start,
    .on_role = on_role,
    .on_member = on_member,
    .on_message = on_message,
    .on_event = on_event,
    .on_stop = on_stop,
};

ht_err hti_kv_member_init(struct hti_kv_member *member,
                          const struct hti_kv_member_opts *opts)
{
    *member = (struct hti_kv_member){
        .opts = *opts,
        .kv = hti_kv_new(&opts->state),
    };
    hti_kv_watchers_init(&member->watchers, opts->watchers_max);
    return member->kv == NULL ? HT_ENOMEM : HT_OK;
}

void hti_kv_member_fini(struct hti_kv_member *member)
{
    hti_kv_free(member->kv);
    member->kv = NULL;
}
