/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/watch.h"

#include <hardtack/args.h>
#include <hardtack/client.pb-c.h>
#include <hardtack/service.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "kv/changes.h"
#include "kv/check.h"
#include "kv/clock.h"
#include "kv/limits.h"
#include "kv/watch_json.h"

#define TICK_MS 1000u
/* A watcher without changes is told how far it is, so that it never has to go
 * on from a revision that is long compacted. */
#define PROGRESS_MS    10000u
#define EVENTS_AT_ONCE ((size_t)100)

struct hti_kv_watcher {
    TAILQ_ENTRY(hti_kv_watcher) link;
    struct hti_kv_filter filter;
    uint64_t from; /* of the next events */
    uint64_t told; /* what the watcher has heard of: everything before */
    /* An actor's. */
    uint64_t id; /* 0: a call */
    ht_ref ref;
    uint64_t monitor;
    uint64_t told_ms;
    bool client;  /* of a gateway */
    bool blocked; /* until HT_EVENT_WRITABLE, or the next tick */
    /* A call's. */
    ht_call call;
    uint64_t until_ms;
    uint32_t limit;
};

void hti_kv_watchers_init(struct hti_kv_watchers *watchers, size_t max)
{
    *watchers = (struct hti_kv_watchers){.max = max};
    TAILQ_INIT(&watchers->list);
}

static void drop(struct hti_kv_watchers *watchers,
                 struct hti_kv_watcher *watcher)
{
    if (watcher->monitor != 0) {
        (void)ht_demonitor(watchers->self, watcher->monitor);
    }
    TAILQ_REMOVE(&watchers->list, watcher, link);
    watchers->count--;
    hti_kv_filter_fini(&watcher->filter);
    free(watcher);
}

/* ---- telling ------------------------------------------------------------- */

static ht_err cast_typed(struct hti_kv_watchers *watchers,
                         ht_ref ref,
                         const char *method,
                         const ProtobufCMessage *message)
{
    ht_args args = HT_ARGS_INIT;

    ht_args_message(&args, message);
    return ht_args_cast(watchers->node, ref, method, &args);
}

/* As client.proto has it: those who speak protobuf read one field, those who
 * speak JSON the other. */
static ht_err
cast_client(struct hti_kv_watchers *watchers, ht_ref ref, const Events *events)
{
    Hardtack__Client__Delivery delivery = HARDTACK__CLIENT__DELIVERY__INIT;
    size_t len = hardtack__kv__events__get_packed_size(events);
    uint8_t *packed = malloc(len + 1);
    char *json = hti_kv_events_json(events);
    ht_err err = HT_ENOMEM;

    if (packed != NULL && json != NULL) {
        (void)hardtack__kv__events__pack(events, packed);
        delivery.method = (char *)(uintptr_t) "KvEvents";
        delivery.message.data = packed;
        delivery.message.len = len;
        delivery.json = json;
        err = cast_typed(watchers, ref, "HtDeliver", &delivery.base);
    }
    free(packed);
    free(json);
    return err;
}

static ht_err cast_events(struct hti_kv_watchers *watchers,
                          struct hti_kv_watcher *watcher,
                          const struct hti_kv_changes *changes,
                          const char *ended)
{
    Events events = HARDTACK__KV__EVENTS__INIT;
    ht_err err;

    events.watch = watcher->id;
    events.from_revision = watcher->told;
    events.next_revision = changes->next;
    events.events = changes->events;
    events.n_events = changes->count;
    events.ended = (char *)(uintptr_t)ended;
    err = watcher->client
              ? cast_client(watchers, watcher->ref, &events)
              : cast_typed(watchers, watcher->ref, "KvEvents", &events.base);
    if (err == HT_OK) {
        watcher->told = changes->next;
        watcher->told_ms = hti_kv_monotonic_ms();
    }
    return err;
}

static void end(struct hti_kv_watchers *watchers,
                struct hti_kv_watcher *watcher,
                enum hti_kv_error error,
                const char *why)
{
    char words[160];

    (void)snprintf(words, sizeof(words), "%s: %s", hti_kv_error_word(error),
                   why);
    if (watcher->id != 0) {
        const struct hti_kv_changes nothing = {.next = watcher->from};

        (void)cast_events(watchers, watcher, &nothing, words);
    } else if (hti_kv_refuse(&watchers->kv->answer, error, "%s", why) ==
               HT_OK) {
        (void)ht_reply_ok(watchers->self, watcher->call,
                          watchers->kv->answer.data, watchers->kv->answer.len);
    }
    drop(watchers, watcher);
}

/* False: the watcher is gone. */
static bool tell_actor(struct hti_kv_watchers *watchers,
                       struct hti_kv_watcher *watcher,
                       const struct hti_kv_changes *changes)
{
    ht_err err;

    watcher->from = changes->count == 0 ? changes->next : watcher->from;
    if (changes->count == 0) {
        return true;
    }
    err = cast_events(watchers, watcher, changes, "");
    if (err == HT_OK) {
        watcher->from = changes->next;
    } else if (err == HT_EBUSY) {
        watcher->blocked = true;
        (void)ht_notify_writable(watchers->self, watcher->ref);
    } else if (err == HT_ETOOBIG) {
        end(watchers, watcher, HTI_KV_TOO_BIG,
            "the changes of one revision do not fit into a message");
        return false;
    } else {
        drop(watchers, watcher); /* it is gone, or its node */
        return false;
    }
    return true;
}

static bool answer_call(struct hti_kv_watchers *watchers,
                        struct hti_kv_watcher *watcher,
                        const struct hti_kv_changes *changes)
{
    ChangesReply reply = HARDTACK__KV__CHANGES_REPLY__INIT;
    struct hti_kv_buf *answer = &watchers->kv->answer;

    watcher->from = changes->next;
    if (changes->count == 0 && hti_kv_monotonic_ms() < watcher->until_ms) {
        return true;
    }
    reply.events = changes->events;
    reply.n_events = changes->count;
    reply.next_revision = changes->next;
    if (hti_kv_answer(answer, &reply.base) == HT_OK) {
        (void)ht_reply_ok(watchers->self, watcher->call, answer->data,
                          answer->len);
    }
    drop(watchers, watcher);
    return false;
}

/* True: there is more for it at once. */
static bool serve(struct hti_kv_watchers *watchers,
                  struct hti_kv_watcher *watcher)
{
    struct hti_kv_changes changes;
    struct hti_kv_turn turn;
    bool more = false;
    ht_err err;

    if (hti_kv_turn_begin(&turn, watchers->kv) != HT_OK) {
        return false; /* the next change, or tick, tries again */
    }
    err = hti_kv_changes(&turn, &watcher->filter, watcher->from, watcher->limit,
                         &changes);
    if (err == HT_ENOENT) {
        end(watchers, watcher, HTI_KV_COMPACTED,
            "these changes are not kept any more");
    } else if (err == HT_OK) {
        bool stays = watcher->id != 0
                         ? tell_actor(watchers, watcher, &changes)
                         : answer_call(watchers, watcher, &changes);

        more = stays && !watcher->blocked && changes.more;
    }
    hti_kv_turn_end(&turn);
    return more;
}

static void flush(struct hti_kv_watchers *watchers)
{
    struct hti_kv_watcher *watcher = TAILQ_FIRST(&watchers->list);
    bool more = false;

    if (watchers->kv->restore != NULL) {
        return; /* woken when it is there */
    }
    while (watcher != NULL) {
        struct hti_kv_watcher *next = TAILQ_NEXT(watcher, link);

        if (!watcher->blocked && watcher->from <= watchers->kv->revision) {
            more |= serve(watchers, watcher);
        }
        watcher = next;
    }
    if (more) {
        hti_kv_watchers_wake(watchers);
    }
}

void hti_kv_watchers_wake(struct hti_kv_watchers *watchers)
{
    /* All the commands that are applied now are one flush. */
    if (watchers->count > 0 && watchers->flush_timer == 0 &&
        ht_timer_start(watchers->self, 0, 0, watchers,
                       &watchers->flush_timer) != HT_OK) {
        watchers->flush_timer = 0;
    }
}

/* ---- coming and going ---------------------------------------------------- */

static ht_err refuse(struct hti_kv_watchers *watchers,
                     ht_call call,
                     enum hti_kv_error error,
                     const char *why)
{
    struct hti_kv_buf *answer = &watchers->kv->answer;

    if (hti_kv_refuse(answer, error, "%s", why) != HT_OK) {
        return HT_ENOMEM;
    }
    (void)ht_reply_ok(watchers->self, call, answer->data, answer->len);
    return HT_OK;
}

/* NULL: it was refused. */
static struct hti_kv_watcher *
enter(struct hti_kv_watchers *watchers, uint64_t from, ht_call call)
{
    struct hti_kv_watcher *watcher;

    if (watchers->count >= watchers->max) {
        (void)refuse(watchers, call, HTI_KV_OVERLOAD,
                     "this member has as many watchers as it may");
        return NULL;
    }
    if (from != 0 && from <= watchers->kv->history.compacted) {
        (void)refuse(watchers, call, HTI_KV_COMPACTED,
                     "these changes are not kept any more");
        return NULL;
    }
    watcher = calloc(1, sizeof(*watcher));
    if (watcher == NULL) {
        (void)refuse(watchers, call, HTI_KV_OVERLOAD, "out of memory");
        return NULL;
    }
    watcher->from = from != 0 ? from : watchers->kv->revision + 1;
    watcher->told = watcher->from;
    TAILQ_INSERT_TAIL(&watchers->list, watcher, link);
    watchers->count++;
    if (watchers->tick_timer == 0 &&
        ht_timer_start(watchers->self, TICK_MS, TICK_MS, watchers,
                       &watchers->tick_timer) != HT_OK) {
        watchers->tick_timer = 0;
    }
    return watcher;
}

ht_err hti_kv_watch(struct hti_kv_watchers *watchers,
                    const WatchRequest *request,
                    ht_ref ref,
                    ht_call call)
{
    struct hti_kv_buf *answer = &watchers->kv->answer;
    WatchReply reply = HARDTACK__KV__WATCH_REPLY__INIT;
    struct hti_kv_watcher *watcher =
        enter(watchers, request->from_revision, call);

    if (watcher == NULL) {
        return HT_OK;
    }
    watcher->ref = ref;
    watcher->client = request->client != 0;
    watcher->limit = EVENTS_AT_ONCE;
    watcher->told_ms = hti_kv_monotonic_ms();
    randombytes_buf(&watcher->id, sizeof(watcher->id));
    watcher->id |= 1; /* not 0 */
    reply.watch = watcher->id;
    reply.from_revision = watcher->from;
    if (hti_kv_filter_watch(&watcher->filter, request) != HT_OK ||
        ht_monitor(watchers->self, ref, &watcher->monitor) != HT_OK ||
        hti_kv_answer(answer, &reply.base) != HT_OK) {
        drop(watchers, watcher);
        return refuse(watchers, call, HTI_KV_OVERLOAD,
                      "no memory, or no way to the watcher");
    }
    (void)ht_reply_ok(watchers->self, call, answer->data, answer->len);
    hti_kv_watchers_wake(watchers);
    return HT_OK;
}

ht_err hti_kv_wait(struct hti_kv_watchers *watchers,
                   const ChangesRequest *request,
                   ht_call call)
{
    struct hti_kv_watcher *watcher =
        enter(watchers, request->from_revision, call);

    if (watcher == NULL) {
        return HT_OK;
    }
    watcher->call = call;
    watcher->limit = request->limit > 0 ? request->limit : HTI_KV_RANGE_DEFAULT;
    watcher->until_ms = hti_kv_monotonic_ms() + request->wait_ms;
    if (hti_kv_filter_changes(&watcher->filter, request) != HT_OK) {
        drop(watchers, watcher);
        return refuse(watchers, call, HTI_KV_OVERLOAD, "out of memory");
    }
    (void)serve(watchers, watcher);
    return HT_OK;
}

bool hti_kv_unwatch(struct hti_kv_watchers *watchers, uint64_t id, ht_ref ref)
{
    struct hti_kv_watcher *watcher;

    TAILQ_FOREACH (watcher, &watchers->list, link) {
        if (watcher->id != 0 && watcher->id == id &&
            ht_ref_equal(watcher->ref, ref)) {
            drop(watchers, watcher);
            return true;
        }
    }
    return false;
}

void hti_kv_watchers_start(struct hti_kv_watchers *watchers,
                           ht_node *node,
                           ht_actor *self,
                           struct hti_kv *kv)
{
    watchers->node = node;
    watchers->self = self;
    watchers->kv = kv;
    watchers->flush_timer = 0;
    watchers->tick_timer = 0;
}

void hti_kv_watchers_end(struct hti_kv_watchers *watchers, const char *why)
{
    while (!TAILQ_EMPTY(&watchers->list)) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): each leaves the list */
        end(watchers, TAILQ_FIRST(&watchers->list), HTI_KV_UNKNOWN, why);
    }
}

/* ---- events -------------------------------------------------------------- */

static void tick(struct hti_kv_watchers *watchers)
{
    struct hti_kv_watcher *watcher = TAILQ_FIRST(&watchers->list);
    uint64_t now = hti_kv_monotonic_ms();

    while (watcher != NULL) {
        struct hti_kv_watcher *next = TAILQ_NEXT(watcher, link);

        watcher->blocked = false;
        if (watcher->id == 0 && now >= watcher->until_ms) {
            (void)serve(watchers, watcher);
        } else if (watcher->id != 0 && now - watcher->told_ms >= PROGRESS_MS &&
                   watcher->from > watchers->kv->revision) {
            const struct hti_kv_changes nothing = {.next = watcher->from};

            (void)cast_events(watchers, watcher, &nothing, "");
        }
        watcher = next;
    }
    flush(watchers);
    if (watchers->count == 0) {
        (void)ht_timer_cancel(watchers->self, watchers->tick_timer);
        watchers->tick_timer = 0;
    }
}

static bool on_timer(struct hti_kv_watchers *watchers, uint64_t timer)
{
    if (timer == watchers->flush_timer) {
        watchers->flush_timer = 0;
        flush(watchers);
    } else if (timer == watchers->tick_timer) {
        tick(watchers);
    }
    return true;
}

static bool on_down(struct hti_kv_watchers *watchers, uint64_t monitor)
{
    struct hti_kv_watcher *watcher;

    TAILQ_FOREACH (watcher, &watchers->list, link) {
        if (watcher->monitor == monitor) {
            watcher->monitor = 0;
            drop(watchers, watcher);
            return true;
        }
    }
    return false;
}

static void on_writable(struct hti_kv_watchers *watchers, ht_ref ref)
{
    struct hti_kv_watcher *watcher;

    TAILQ_FOREACH (watcher, &watchers->list, link) {
        watcher->blocked = watcher->blocked && !ht_ref_equal(watcher->ref, ref);
    }
    hti_kv_watchers_wake(watchers);
}

bool hti_kv_watchers_event(struct hti_kv_watchers *watchers,
                           const ht_event *event)
{
    switch (event->kind) {
    case HT_EVENT_TIMER:
        return event->u.timer.arg == watchers &&
               on_timer(watchers, event->u.timer.timer);
    case HT_EVENT_DOWN:
        return on_down(watchers, event->u.down.monitor);
    case HT_EVENT_WRITABLE:
        on_writable(watchers, event->u.writable.ref);
        return true;
    case HT_EVENT_EXIT:
    case HT_EVENT_GROUP:
    case HT_EVENT_NODE:
        break;
    }
    return false;
}
