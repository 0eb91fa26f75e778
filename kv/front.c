/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/front.h"

#include <hardtack/node.h>
#include <hardtack/service.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kv/clock.h"
#include "kv/limits.h"
#include "kv/member.h"

#define REQUESTS_DEFAULT   16384u
#define TIMEOUT_DEFAULT_MS 4500u
#define ASKS_BYTES_MAX     ((size_t)64 * 1024 * 1024)
#define SLOTS_MAX          1024u
/* What may be sent again is not waited for longer: its member may hang. */
#define ATTEMPT_MS  1500u
#define WAIT_MIN_MS 10u
#define WAIT_MAX_MS 200u
/* Sent on at once so often, before it waits like the others. */
#define HOPS_MAX 3u

struct hti_kv_slot {
    SLIST_ENTRY(hti_kv_slot) link;
    uint64_t sequence;
    char name[HTI_KV_CLIENT_MAX + 1];
};

struct hti_kv_front_ask {
    TAILQ_ENTRY(hti_kv_front_ask) link;
    struct hti_kv_front *front;
    const ProtobufCMessageDescriptor *reply;
    ProtobufCClosure closure;
    void *closure_data;
    struct hti_kv_slot *slot; /* NULL: none */
    uint8_t *bytes;
    size_t len;
    uint64_t deadline_ms;
    uint32_t more_ms; /* that an attempt may take */
    uint32_t wait_ms;
    unsigned hops;
    bool again, anywhere;
    bool writes;               /* under a request id */
    bool maybe_done;           /* an attempt before this one */
    char to[HT_RAFT_NAME_MAX]; /* the node it was sent to last */
};

/* ---- names --------------------------------------------------------------- */

bool hti_kv_store_name_valid(const char *store)
{
    size_t len = strlen(store);

    return len > 0 && len <= 64 &&
           strspn(store, "abcdefghijklmnopqrstuvwxyz"
                         "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == len;
}

void hti_kv_front_name(const char *store, char ret[80])
{
    bool usual = strcmp(store, "kv") == 0;

    (void)snprintf(ret, 80, "hardtack.kv%s%s", usual ? "" : ".",
                   usual ? "" : store);
}

/* ---- the end of an ask --------------------------------------------------- */

static void ask_free(struct hti_kv_front_ask *ask)
{
    struct hti_kv_front *front = ask->front;

    if (ask->slot != NULL) {
        SLIST_INSERT_HEAD(&front->slots, ask->slot, link);
    }
    TAILQ_REMOVE(&front->asks, ask, link);
    front->asks_count--;
    front->asks_bytes -= ask->len;
    free(ask->bytes);
    free(ask);
}

static void
fail(struct hti_kv_front_ask *ask, enum hti_kv_error error, const char *why)
{
    char words[160];

    ask->front->refused++;
    (void)snprintf(words, sizeof(words), "%s: %s", hti_kv_error_word(error),
                   why);
    ht_fail(ask->closure_data, hti_kv_error_code(error), words);
    ask_free(ask);
}

static void finish(struct hti_kv_front_ask *ask, ht_bytes packed)
{
    ProtobufCMessage *reply =
        protobuf_c_message_unpack(ask->reply, NULL, packed.len, packed.data);

    if (reply == NULL) {
        fail(ask, HTI_KV_UNKNOWN, "the member's answer cannot be read");
        return;
    }
    ask->closure(reply, ask->closure_data);
    protobuf_c_message_free_unpacked(reply, NULL);
    ask_free(ask);
}

/* In the store's own words. */
static void pass_on(struct hti_kv_front_ask *ask, ht_bytes answer)
{
    const uint8_t *bytes = answer.data;
    char words[320];

    (void)snprintf(words, sizeof(words), "%.*s", (int)answer.len - 1,
                   (const char *)bytes + 1);
    ht_fail(ask->closure_data, hti_kv_error_code((enum hti_kv_error)bytes[0]),
            words);
    ask_free(ask);
}

/* ---- attempts ------------------------------------------------------------ */

static void attempt(struct hti_kv_front_ask *ask);

static void time_is_up(struct hti_kv_front_ask *ask)
{
    if (ask->maybe_done) {
        fail(ask, HTI_KV_UNKNOWN, "no leader has answered in time");
    } else {
        fail(ask, HTI_KV_NO_LEADER, "no leader was found in time");
    }
}

static void wait_and_again(struct hti_kv_front_ask *ask)
{
    uint64_t timer;

    ask->hops = 0;
    ask->wait_ms = ask->wait_ms == 0                ? WAIT_MIN_MS
                   : ask->wait_ms * 2 > WAIT_MAX_MS ? WAIT_MAX_MS
                                                    : ask->wait_ms * 2;
    if (hti_kv_monotonic_ms() + ask->wait_ms >= ask->deadline_ms ||
        ht_timer_start(ask->front->self, ask->wait_ms, 0, ask, &timer) !=
            HT_OK) {
        time_is_up(ask);
    }
}

static void set_leader(struct hti_kv_front *front, const char *name, size_t len)
{
    (void)snprintf(front->leader, sizeof(front->leader), "%.*s", (int)len,
                   name);
}

/* A member of the group, another one each time; "" if none is seen. */
static void pick_member(struct hti_kv_front *front, char ret[HT_RAFT_NAME_MAX])
{
    ht_ref refs[HT_RAFT_MEMBERS_MAX];
    size_t count = ht_group_members(front->node, HTI_KV_SCOPE, front->store,
                                    refs, HT_RAFT_MEMBERS_MAX);

    ret[0] = '\0';
    count = count > HT_RAFT_MEMBERS_MAX ? HT_RAFT_MEMBERS_MAX : count;
    if (count > 0) {
        (void)snprintf(
            ret, HT_RAFT_NAME_MAX, "%s",
            ht_ref_node_name(front->node, refs[front->turn++ % count]));
    }
}

static void choose(struct hti_kv_front_ask *ask)
{
    struct hti_kv_front *front = ask->front;
    const char *own = ht_node_name(front->node);
    bool first = ask->to[0] == '\0';

    if (!ask->anywhere && front->leader[0] != '\0') {
        (void)snprintf(ask->to, sizeof(ask->to), "%s", front->leader);
    } else if (front->member && (first || strcmp(ask->to, own) != 0)) {
        (void)snprintf(ask->to, sizeof(ask->to), "%s", own);
    } else {
        /* Ours knows no leader: it may be alone, or not yet added. */
        pick_member(front, ask->to);
    }
}

/* It did not arrive, or was not taken: nothing was done. */
static bool certainly_not_done(ht_err err)
{
    return err == HT_ENOPROC || err == HT_EOVERLOAD || err == HT_ENOCONN ||
           err == HT_EBUSY;
}

static void on_failure(struct hti_kv_front_ask *ask, ht_err err)
{
    ask->front->leader[0] = '\0';
    if (err == HT_ETOOBIG) {
        fail(ask, HTI_KV_TOO_BIG, "more than the way to the leader takes");
        return;
    }
    if (!certainly_not_done(err)) {
        ask->maybe_done |= ask->writes || !ask->again;
        if (!ask->again) {
            fail(ask, HTI_KV_UNKNOWN, "the leader was lost meanwhile");
            return;
        }
    }
    wait_and_again(ask);
}

static void on_elsewhere(struct hti_kv_front_ask *ask, ht_bytes leader)
{
    struct hti_kv_front *front = ask->front;

    set_leader(front, leader.data, leader.len);
    if (front->leader[0] != '\0' && strcmp(front->leader, ask->to) != 0 &&
        ask->hops < HOPS_MAX) {
        ask->hops++;
        front->forwarded++;
        attempt(ask);
        return;
    }
    front->leader[0] = '\0';
    wait_and_again(ask);
}

static void on_reply(ht_actor *self, const ht_reply *reply, void *arg)
{
    struct hti_kv_front_ask *ask = arg;
    const uint8_t *bytes = reply->data;
    ht_bytes rest;

    (void)self;
    if (reply->err != HT_OK || reply->len == 0) {
        on_failure(ask, reply->err);
        return;
    }
    rest = (ht_bytes){bytes + 1, reply->len - 1};
    if (bytes[0] == HTI_KV_ELSEWHERE) {
        on_elsewhere(ask, rest);
    } else if (bytes[0] == HTI_KV_DONE) {
        finish(ask, rest);
    } else if (bytes[0] == HTI_KV_UNKNOWN && ask->again) {
        ask->maybe_done = true;
        wait_and_again(ask);
    } else if (ask->maybe_done &&
               (bytes[0] == HTI_KV_DISK_FULL || bytes[0] == HTI_KV_FULL ||
                bytes[0] == HTI_KV_OVERLOAD)) {
        /* True of this attempt: the one before may wait in a log, and be done
         * once there is room. */
        wait_and_again(ask);
    } else {
        pass_on(ask, (ht_bytes){bytes, reply->len});
    }
}

static void attempt(struct hti_kv_front_ask *ask)
{
    struct hti_kv_front *front = ask->front;
    uint64_t now = hti_kv_monotonic_ms();
    uint64_t left;
    ht_err err = HT_ENOCONN;

    if (now >= ask->deadline_ms) {
        time_is_up(ask);
        return;
    }
    left = ask->deadline_ms - now;
    if (ask->again && left > ATTEMPT_MS + ask->more_ms) {
        left = ATTEMPT_MS + ask->more_ms;
    }
    choose(ask);
    if (ask->to[0] != '\0') {
        err = ht_call_name_async(front->self, ask->to, front->member_name,
                                 HTI_KV_ASK, ask->bytes, ask->len,
                                 (uint32_t)left, on_reply, ask, NULL);
    }
    if (err != HT_OK) {
        on_failure(ask, err);
    }
}

/* ---- the beginning of an ask --------------------------------------------- */

struct hti_kv_front_ask *
hti_kv_front_begin(struct hti_kv_front *front,
                   const ProtobufCMessageDescriptor *reply,
                   ProtobufCClosure closure,
                   void *closure_data)
{
    struct hti_kv_front_ask *ask = NULL;

    if (front->asks_count < front->requests_max &&
        front->asks_bytes < ASKS_BYTES_MAX) {
        ask = calloc(1, sizeof(*ask));
    }
    if (ask == NULL) {
        front->refused++;
        ht_fail(closure_data, HT_EOVERLOAD,
                "overload: as many requests are under way as may be");
        return NULL;
    }
    ask->front = front;
    ask->reply = reply;
    ask->closure = closure;
    ask->closure_data = closure_data;
    TAILQ_INSERT_TAIL(&front->asks, ask, link);
    front->asks_count++;
    return ask;
}

static struct hti_kv_slot *slot_take(struct hti_kv_front *front)
{
    struct hti_kv_slot *slot = SLIST_FIRST(&front->slots);

    if (slot != NULL) {
        SLIST_REMOVE_HEAD(&front->slots, link);
        return slot;
    }
    if (front->slots_count == SLOTS_MAX) {
        return NULL;
    }
    slot = calloc(1, sizeof(*slot));
    if (slot != NULL) {
        (void)snprintf(slot->name, sizeof(slot->name), "%s.%u", front->prefix,
                       front->slots_count++);
    }
    return slot;
}

RequestId *hti_kv_front_identify(struct hti_kv_front_ask *ask,
                                 RequestId *given,
                                 RequestId *own)
{
    ask->writes = true;
    if (given != NULL && given->client[0] != '\0') {
        return given;
    }
    ask->slot = slot_take(ask->front);
    if (ask->slot == NULL) {
        return NULL;
    }
    hardtack__kv__request_id__init(own);
    own->client = ask->slot->name;
    own->sequence = ++ask->slot->sequence;
    own->settled = true;
    return own;
}

void hti_kv_front_send(struct hti_kv_front_ask *ask,
                       const ProtobufCMessage *message,
                       bool again,
                       bool anywhere,
                       uint32_t more_ms)
{
    struct hti_kv_front *front = ask->front;
    size_t len = protobuf_c_message_get_packed_size(message);

    ask->bytes = malloc(len + 1);
    if (ask->bytes == NULL) {
        fail(ask, HTI_KV_OVERLOAD, "out of memory");
        return;
    }
    ask->len = protobuf_c_message_pack(message, ask->bytes);
    front->asks_bytes += ask->len;
    ask->again = again;
    ask->anywhere = anywhere;
    ask->more_ms = more_ms;
    ask->deadline_ms = hti_kv_monotonic_ms() + front->timeout_ms + more_ms;
    attempt(ask);
}

void hti_kv_front_tell_all(struct hti_kv_front *front,
                           const ProtobufCMessage *message)
{
    ht_ref refs[HT_RAFT_MEMBERS_MAX];
    size_t count = ht_group_members(front->node, HTI_KV_SCOPE, front->store,
                                    refs, HT_RAFT_MEMBERS_MAX);
    uint8_t bytes[256];
    size_t len = protobuf_c_message_get_packed_size(message);

    if (len > sizeof(bytes)) {
        return; /* a number and a ref are less */
    }
    (void)protobuf_c_message_pack(message, bytes);
    for (size_t i = 0; i < count && i < HT_RAFT_MEMBERS_MAX; i++) {
        if (ht_cast_name(front->node, ht_ref_node_name(front->node, refs[i]),
                         front->member_name, HTI_KV_ASK, bytes, len) != HT_OK) {
            continue; /* its watch ends when it cannot be told */
        }
    }
}

/* ---- the actor ----------------------------------------------------------- */

static ht_err on_init(ht_actor *self, void *arg)
{
    struct hti_kv_front *front = arg;

    front->self = self;
    ht_set_state(self, front);
    return front->member ? ht_group_join_scoped(front->node, HTI_KV_SCOPE,
                                                front->store, ht_self(self))
                         : HT_OK;
}

static ht_err on_event(ht_actor *self, const ht_event *event)
{
    (void)self;
    if (event->kind == HT_EVENT_TIMER) {
        attempt(event->u.timer.arg);
    }
    return HT_OK;
}

static void on_terminate(ht_actor *self, const ht_exit *why)
{
    struct hti_kv_front *front = ht_state(self);
    struct hti_kv_slot *slot;

    (void)why;
    while (!TAILQ_EMPTY(&front->asks)) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): each leaves the list */
        fail(TAILQ_FIRST(&front->asks), HTI_KV_UNKNOWN, "the node is stopping");
    }
    while ((slot = SLIST_FIRST(&front->slots)) != NULL) {
        SLIST_REMOVE_HEAD(&front->slots, link);
        free(slot);
    }
    front->self = NULL;
    if (front->owned) {
        free(front);
    }
}

static const ht_behavior around = {
    .init = on_init,
    .on_event = on_event,
    .terminate = on_terminate,
};

ht_err hti_kv_front_start(struct hti_kv_front *front,
                          ht_node *node,
                          const struct hti_kv_front_opts *opts,
                          ht_ref *ret_ref)
{
    char name[80];
    const ht_spawn_opts spawn = {
        .name = name,
        .mailbox_messages_max = 16384,
        .mailbox_bytes_max = 64u * 1024 * 1024,
    };

    hti_kv_front_name(opts->store, name);
    hti_kv_front_fill_service(&front->service);
    front->node = node;
    front->member = opts->member;
    front->requests_max =
        opts->requests_max > 0 ? opts->requests_max : REQUESTS_DEFAULT;
    front->timeout_ms =
        opts->timeout_ms > 0 ? opts->timeout_ms : TIMEOUT_DEFAULT_MS;
    (void)snprintf(front->store, sizeof(front->store), "%s", opts->store);
    (void)snprintf(front->member_name, sizeof(front->member_name),
                   "hardtack.raft.%s", opts->store);
    (void)snprintf(front->prefix, sizeof(front->prefix), "~%08x%08x",
                   randombytes_random(), randombytes_random());
    TAILQ_INIT(&front->asks);
    SLIST_INIT(&front->slots);
    return ht_spawn_service_opts(node, &front->service.base, &around, front,
                                 &spawn, ret_ref);
}
