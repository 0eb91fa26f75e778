/* SPDX-License-Identifier: Apache-2.0 */
#include "order.h"

#include <stdlib.h>
#include <string.h>

#include "order_internal.h"
#include "wire.h"

/* ---- life ---------------------------------------------------------------- */

struct order *order_new(struct order_world self,
                        struct history *history,
                        const struct order_calls *calls,
                        void *arg)
{
    struct order *o = calloc(1, sizeof(*o));

    if (o != NULL) {
        o->self = self;
        o->history = history;
        o->calls = calls;
        o->arg = arg;
        TAILQ_INIT(&o->pending);
    }
    return o;
}

static void step_free(Chat__Step *step)
{
    if (step != NULL) {
        chat__step__free_unpacked(step, NULL);
    }
}

static void pending_free(struct order *o, struct pending *p)
{
    TAILQ_REMOVE(&o->pending, p, entry);
    o->pending_count--;
    chat__entry__free_unpacked(p->said, NULL);
    free(p);
}

void order_free(struct order *o)
{
    struct pending *p, *next;

    if (o == NULL) {
        return;
    }
    for (size_t i = 0; i < o->peers_count; i++) {
        step_free(o->peers[i].collected);
    }
    for (p = TAILQ_FIRST(&o->pending); p != NULL; p = next) {
        next = TAILQ_NEXT(p, entry);
        chat__entry__free_unpacked(p->said, NULL);
        free(p);
    }
    free(o);
}

/* ---- who is who ---------------------------------------------------------- */

static struct peer *peer_of(struct order *o, uint32_t world)
{
    for (size_t i = 0; i < o->peers_count; i++) {
        if (o->peers[i].who.world == world) {
            return &o->peers[i];
        }
    }
    return NULL;
}

static bool is_older(struct order_world a, struct order_world b)
{
    return a.born_ms != b.born_ms ? a.born_ms < b.born_ms : a.world < b.world;
}

uint32_t order_oldest(const struct order *o)
{
    struct order_world oldest = o->self;

    for (size_t i = 0; i < o->peers_count; i++) {
        if (is_older(o->peers[i].who, oldest)) {
            oldest = o->peers[i].who;
        }
    }
    return oldest.world;
}

bool order_is_open(const struct order *o)
{
    if (o->state == ORDER_LEAD) {
        return true;
    }
    return o->state == ORDER_FOLLOW && o->epoch.epoch != 0 &&
           id_compare_epoch(o->epoch, o->promised) == 0 &&
           peer_of((struct order *)(uintptr_t)o, o->epoch.world) != NULL;
}

bool order_knows(const struct order *o, struct id id)
{
    const struct entry *e = TAILQ_LAST(history_entries(o->history), entries);

    if (id_compare_epoch(id, o->epoch) == 0 ||
        id_compare(id, history_forgotten(o->history, "")) <= 0) {
        return true;
    }
    while (e != NULL && id_compare(e->id, id) > 0) {
        e = TAILQ_PREV(e, entries, all);
    }
    return e != NULL && id_compare(e->id, id) == 0;
}

/* ---- sending ------------------------------------------------------------- */

static void send_step(struct order *o,
                      uint32_t to,
                      Chat__Step__Kind kind,
                      struct id id,
                      Chat__Step *step)
{
    Chat__Step empty = CHAT__STEP__INIT;
    Chat__Id wire = wire_put_id(id);

    step = step != NULL ? step : &empty;
    step->kind = kind;
    step->id = &wire;
    o->calls->send(o->arg, to, step);
    step->id = NULL;
}

/* Without memory it is not sent, as if it were lost. */
static void send_everything(struct order *o,
                            uint32_t to,
                            Chat__Step__Kind kind,
                            struct id id)
{
    Chat__Step step = CHAT__STEP__INIT;

    if (history_export(o->history, &step) == HT_OK) {
        send_step(o, to, kind, id, &step);
        history_export_free(&step);
    }
}

/* The messages of this epoch from number on. false: some are forgotten. */
static bool send_from(struct order *o, uint32_t to, uint64_t number)
{
    const struct entry *e = TAILQ_LAST(history_entries(o->history), entries);
    Chat__Step step = CHAT__STEP__INIT;
    bool ok = true;

    while (e != NULL && id_compare_epoch(e->id, o->epoch) == 0 &&
           e->id.number > number) {
        e = TAILQ_PREV(e, entries, all);
    }
    if (e == NULL || id_compare_epoch(e->id, o->epoch) != 0 ||
        e->id.number != number) {
        return false;
    }
    for (; ok && e != NULL && step.n_entries < RESEND_MAX;
         e = TAILQ_NEXT(e, all)) {
        ok = wire_add_entry(&step, e, RESEND_MAX) == HT_OK;
    }
    send_step(o, to, CHAT__STEP__KIND__ENTRIES, o->epoch, &step);
    wire_step_fini(&step);
    return true;
}

/* ---- what our users get -------------------------------------------------- */

static void settle(struct order *o, const struct entry *e)
{
    struct pending *p, *next;

    for (p = TAILQ_FIRST(&o->pending); p != NULL; p = next) {
        next = TAILQ_NEXT(p, entry);
        if (strcmp(p->said->from, e->from) == 0 &&
            strcmp(p->said->key, e->key) == 0) {
            void *token = p->token;

            pending_free(o, p);
            o->calls->settled(o->arg, token, HT_OK, e->id);
        }
    }
}

/* Messages up to this one may be shown. */
static bool everybody_has(const struct order *o, const struct entry *e)
{
    if (o->state != ORDER_LEAD) {
        return true;
    }
    for (size_t i = 0; i < o->peers_count; i++) {
        const struct peer *p = &o->peers[i];

        if (!p->lags &&
            (!p->started || (id_compare_epoch(e->id, o->epoch) == 0 &&
                             p->acked < e->id.number))) {
            return false;
        }
    }
    return true;
}

static void deliver(struct order *o)
{
    struct entry *e = history_undelivered(o->history);

    while (e != NULL && (e->delivered || everybody_has(o, e))) {
        if (!e->delivered) {
            history_deliver(o->history, e);
            o->calls->deliver(o->arg, e);
            settle(o, e);
        }
        e = TAILQ_NEXT(e, all);
    }
}

/* ---- leading ------------------------------------------------------------- */

/* A peer has to answer. */
static void expect(struct peer *p, uint64_t now_ms)
{
    p->sent_ms = now_ms;
    if (p->waits_ms == 0) {
        p->waits_ms = now_ms;
    }
}

static void start(struct order *o, struct peer *p, uint64_t now_ms)
{
    expect(p, now_ms);
    send_everything(o, p->who.world, CHAT__STEP__KIND__START, o->epoch);
}

static uint64_t not_shown(struct order *o)
{
    const struct entry *e = history_undelivered(o->history);

    if (e == NULL) {
        return 0;
    }
    return id_compare_epoch(e->id, o->epoch) == 0
               ? o->epoch.number - e->id.number + 1
               : o->epoch.number + 1;
}

/* Give it the next number and send it, unless it has one or there is no room:
 * then it comes again. */
static void assign(struct order *o, const Chat__Entry *said, uint64_t now_ms)
{
    struct id id;
    Chat__Id wire;
    Chat__Entry numbered = *said;
    Chat__Entry *one = &numbered;

    if (history_find(o->history, said->from, said->key, &id, NULL) ||
        not_shown(o) >= ORDER_WINDOW_MAX) {
        return;
    }
    id = o->epoch;
    id.number++;
    wire = wire_put_id(id);
    numbered.id = &wire;
    if (history_add(o->history, &numbered) != HT_OK) {
        return;
    }
    o->epoch = id;
    for (size_t i = 0; i < o->peers_count; i++) {
        struct peer *p = &o->peers[i];
        Chat__Step step = CHAT__STEP__INIT;

        if (p->started) {
            step.entries = &one;
            step.n_entries = 1;
            expect(p, now_ms);
            send_step(o, p->who.world, CHAT__STEP__KIND__ENTRIES, o->epoch,
                      &step);
        }
    }
}

static void assign_pending(struct order *o, uint64_t now_ms)
{
    struct pending *p;

    TAILQ_FOREACH (p, &o->pending, entry) {
        assign(o, p->said, now_ms);
    }
    deliver(o);
}

static void lead(struct order *o, uint64_t now_ms)
{
    o->epoch = o->promised;
    o->epoch.number = 0;
    if (order_merge(o) != HT_OK) {
        /* What others have and we do not is theirs still: they are asked again
         * in the next epoch, which comes when there is memory. */
        o->heard_ms = now_ms;
        o->state = ORDER_FOLLOW;
        return;
    }
    o->state = ORDER_LEAD;
    for (size_t i = 0; i < o->peers_count; i++) {
        struct peer *p = &o->peers[i];

        p->told = p->collected != NULL;
        step_free(p->collected);
        p->collected = NULL;
        p->started = false;
        p->acked = 0;
        p->waits_ms = now_ms;
        p->lags = !p->told;
        if (p->told) {
            start(o, p, now_ms);
        }
    }
    assign_pending(o, now_ms);
}

/* ---- collecting ---------------------------------------------------------- */

static void lead_if_told(struct order *o, uint64_t now_ms)
{
    for (size_t i = 0; i < o->peers_count; i++) {
        if (o->peers[i].collected == NULL) {
            return;
        }
    }
    lead(o, now_ms);
}

static void collect(struct order *o, uint64_t now_ms)
{
    uint64_t epoch = o->promised.epoch + 1;

    /* After the whole cluster was gone nobody knows the last one: the clock
     * does. */
    if (epoch < now_ms / 1000) {
        epoch = now_ms / 1000;
    }
    o->promised = (struct id){.epoch = epoch, .world = o->self.world};
    o->state = ORDER_COLLECT;
    o->heard_ms = now_ms;
    for (size_t i = 0; i < o->peers_count; i++) {
        struct peer *p = &o->peers[i];

        step_free(p->collected);
        p->collected = NULL;
        p->sent_ms = now_ms;
        send_step(o, p->who.world, CHAT__STEP__KIND__COLLECT, o->promised,
                  NULL);
    }
    lead_if_told(o, now_ms);
}

/* ---- the view ------------------------------------------------------------ */

static bool has(const struct order_world *worlds, size_t count, uint32_t world)
{
    for (size_t i = 0; i < count; i++) {
        if (worlds[i].world == world) {
            return true;
        }
    }
    return false;
}

/* A world that has just begun has hardly looked for others yet.  If it spoke
 * alone, all that they have would need a new id. */
static bool may_not_be_alone(const struct order *o, uint64_t now_ms)
{
    return o->promised.epoch == 0 && o->peers_count == 0 &&
           now_ms < o->self.born_ms + ALONE_MS;
}

void order_view(struct order *o,
                const struct order_world *worlds,
                size_t count,
                uint64_t now_ms)
{
    size_t kept = 0;
    bool changed = o->promised.epoch == 0; /* the first view */

    for (size_t i = 0; i < o->peers_count; i++) {
        if (has(worlds, count, o->peers[i].who.world)) {
            o->peers[kept++] = o->peers[i];
        } else {
            step_free(o->peers[i].collected);
            changed = true;
        }
    }
    o->peers_count = kept;
    for (size_t i = 0; i < count && o->peers_count < ORDER_WORLDS_MAX; i++) {
        if (peer_of(o, worlds[i].world) == NULL) {
            o->peers[o->peers_count++] =
                (struct peer){.who = worlds[i], .waits_ms = now_ms};
            changed = true;
        }
    }
    if (changed && order_oldest(o) == o->self.world &&
        !may_not_be_alone(o, now_ms)) {
        collect(o, now_ms);
    } else if (o->state == ORDER_LEAD) {
        deliver(o);
    } else if (o->state == ORDER_COLLECT) {
        lead_if_told(o, now_ms);
    }
}

/* ---- following ----------------------------------------------------------- */

static void ack(struct order *o)
{
    send_step(o, o->epoch.world, CHAT__STEP__KIND__ACK, o->epoch, NULL);
}

/* A step of an epoch that is not older than what we promised: its world has the
 * lead. */
static void follow(struct order *o, struct id epoch, uint64_t now_ms)
{
    o->promised = (struct id){.epoch = epoch.epoch, .world = epoch.world};
    o->state = ORDER_FOLLOW;
    o->heard_ms = now_ms;
}

static void on_collect(struct order *o, struct id id, uint64_t now_ms)
{
    if (id_compare_epoch(id, o->promised) < 0) {
        send_step(o, id.world, CHAT__STEP__KIND__REFUSE, o->promised, NULL);
        return;
    }
    follow(o, id, now_ms);
    send_everything(o, id.world, CHAT__STEP__KIND__COLLECTED, id);
}

static void on_collected(struct order *o,
                         struct peer *p,
                         const Chat__Step *step,
                         uint64_t now_ms)
{
    if (id_compare_epoch(wire_id(step->id), o->promised) != 0) {
        return;
    }
    if (o->state == ORDER_COLLECT && p->collected == NULL) {
        p->collected = (Chat__Step *)wire_copy(&step->base);
        lead_if_told(o, now_ms);
    } else if (o->state == ORDER_LEAD && !p->told) {
        collect(o, now_ms); /* we were too impatient */
    }
}

/* Somebody knows a later epoch; ours has to be later still.  The next tick
 * begins it. */
static void on_refuse(struct order *o, struct id id)
{
    if (o->state != ORDER_FOLLOW && id_compare_epoch(id, o->promised) > 0) {
        o->promised.epoch = id.epoch;
        o->state = ORDER_FOLLOW;
        o->heard_ms = 0;
    }
}

static void send_pending(struct order *o, struct pending *p, uint64_t now_ms)
{
    Chat__Step step = CHAT__STEP__INIT;

    p->sent_ms = now_ms;
    step.entries = &p->said;
    step.n_entries = 1;
    send_step(o, o->epoch.world, CHAT__STEP__KIND__PUBLISH, o->epoch, &step);
}

static void on_start(struct order *o, const Chat__Step *step, uint64_t now_ms)
{
    struct id id = wire_id(step->id);
    struct pending *p;

    /* Another's was made without what we have: it has to collect that. */
    if (id_compare_epoch(id, o->promised) != 0) {
        return;
    }
    if (o->state == ORDER_FOLLOW && id_compare_epoch(id, o->epoch) == 0 &&
        o->epoch.number >= id.number) {
        ack(o);
        return;
    }
    for (size_t i = 0; i < step->n_entries; i++) {
        /* It is not acknowledged, and comes again. */
        if (order_place(o->history, step->entries[i],
                        wire_id(step->entries[i]->id)) != HT_OK) {
            return;
        }
    }
    for (size_t i = 0; i < step->n_forgotten; i++) {
        history_forget(o->history, step->forgotten[i]->channel,
                       wire_id(step->forgotten[i]->id));
    }
    follow(o, id, now_ms);
    o->epoch = id;
    deliver(o);
    ack(o);
    TAILQ_FOREACH (p, &o->pending, entry) {
        send_pending(o, p, now_ms);
    }
}

static void on_entries(struct order *o, const Chat__Step *step, uint64_t now_ms)
{
    if (o->state != ORDER_FOLLOW ||
        id_compare_epoch(wire_id(step->id), o->epoch) != 0 ||
        id_compare_epoch(o->epoch, o->promised) != 0) {
        return;
    }
    o->heard_ms = now_ms;
    for (size_t i = 0; i < step->n_entries; i++) {
        struct id id = wire_id(step->entries[i]->id);

        if (id_compare_epoch(id, o->epoch) != 0 ||
            id.number <= o->epoch.number) {
            continue;
        }
        if (id.number != o->epoch.number + 1 ||
            order_place(o->history, step->entries[i], id) != HT_OK) {
            break;
        }
        o->epoch.number = id.number;
    }
    deliver(o);
    ack(o);
}

static void
on_ack(struct order *o, struct peer *p, struct id id, uint64_t now_ms)
{
    if (o->state != ORDER_LEAD || id_compare_epoch(id, o->epoch) != 0 ||
        id.number > o->epoch.number) {
        return;
    }
    if (!p->started || id.number > p->acked) {
        p->waits_ms = now_ms;
    }
    p->started = true;
    p->lags = false;
    if (id.number > p->acked) {
        p->acked = id.number;
    }
    if (p->acked == o->epoch.number) {
        p->waits_ms = 0;
    }
    deliver(o);
}

static void on_publish(struct order *o, const Chat__Step *step, uint64_t now_ms)
{
    for (size_t i = 0; o->state == ORDER_LEAD && i < step->n_entries; i++) {
        assign(o, step->entries[i], now_ms);
    }
    if (o->state == ORDER_LEAD) {
        deliver(o);
    }
}

/* Only the world that began an epoch leads it. */
static bool speaks_as_leader(Chat__Step__Kind kind)
{
    return kind == CHAT__STEP__KIND__COLLECT ||
           kind == CHAT__STEP__KIND__START || kind == CHAT__STEP__KIND__ENTRIES;
}

void order_receive(struct order *o,
                   uint32_t from,
                   const Chat__Step *step,
                   uint64_t now_ms)
{
    struct peer *p = peer_of(o, from);
    struct id id = wire_id(step->id);

    if (p == NULL || id.epoch >= EPOCH_MAX ||
        (speaks_as_leader(step->kind) && id.world != from)) {
        return;
    }
    switch ((int)step->kind) {
    case CHAT__STEP__KIND__PUBLISH:
        on_publish(o, step, now_ms);
        break;
    case CHAT__STEP__KIND__COLLECT:
        on_collect(o, id, now_ms);
        break;
    case CHAT__STEP__KIND__COLLECTED:
        on_collected(o, p, step, now_ms);
        break;
    case CHAT__STEP__KIND__REFUSE:
        on_refuse(o, id);
        break;
    case CHAT__STEP__KIND__START:
        on_start(o, step, now_ms);
        break;
    case CHAT__STEP__KIND__ENTRIES:
        on_entries(o, step, now_ms);
        break;
    case CHAT__STEP__KIND__ACK:
        on_ack(o, p, id, now_ms);
        break;
    default: /* a later version's: it can do without our answer */
        break;
    }
}

/* ---- saying -------------------------------------------------------------- */

ht_err order_publish(struct order *o,
                     const Chat__Entry *said,
                     void *token,
                     uint64_t deadline_ms,
                     uint64_t now_ms)
{
    struct entry *e = NULL;
    struct pending *p;
    struct id id;

    if (history_find(o->history, said->from, said->key, &id, &e) &&
        (e == NULL || e->delivered)) {
        o->calls->settled(o->arg, token, HT_OK, id);
        return HT_OK;
    }
    if (o->pending_count == ORDER_PENDING_MAX) {
        return HT_EBUSY;
    }
    p = calloc(1, sizeof(*p));
    if (p != NULL) {
        p->said = (Chat__Entry *)wire_copy(&said->base);
    }
    if (p == NULL || p->said == NULL) {
        free(p);
        return HT_ENOMEM;
    }
    p->token = token;
    p->deadline_ms = deadline_ms;
    TAILQ_INSERT_TAIL(&o->pending, p, entry);
    o->pending_count++;
    if (o->state == ORDER_LEAD) {
        assign(o, p->said, now_ms);
        deliver(o);
    } else if (order_is_open(o)) {
        send_pending(o, p, now_ms);
    }
    return HT_OK;
}

/* ---- time ---------------------------------------------------------------- */

static void tick_pending(struct order *o, uint64_t now_ms)
{
    struct pending *p, *next;

    for (p = TAILQ_FIRST(&o->pending); p != NULL; p = next) {
        next = TAILQ_NEXT(p, entry);
        if (now_ms >= p->deadline_ms) {
            void *token = p->token;

            pending_free(o, p);
            o->calls->settled(o->arg, token, HT_ETIMEDOUT,
                              (struct id){0, 0, 0});
        } else if (o->state != ORDER_LEAD && order_is_open(o) &&
                   now_ms >= p->sent_ms + AGAIN_MS) {
            send_pending(o, p, now_ms);
        }
    }
    if (o->state == ORDER_LEAD) {
        assign_pending(o, now_ms);
    }
}

static void tick_leader(struct order *o, struct peer *p, uint64_t now_ms)
{
    if (p->started && p->acked == o->epoch.number) {
        return;
    }
    if (p->waits_ms != 0 && now_ms >= p->waits_ms + PATIENCE_MS) {
        p->lags = true;
        deliver(o);
    }
    if (!p->told && order_oldest(o) != o->self.world) {
        return;
    }
    if (now_ms < p->sent_ms + (p->started ? AGAIN_MS : START_AGAIN_MS)) {
        return;
    }
    p->sent_ms = now_ms;
    if (!p->told) {
        send_step(o, p->who.world, CHAT__STEP__KIND__COLLECT, o->epoch, NULL);
    } else if (!p->started || !send_from(o, p->who.world, p->acked + 1)) {
        send_everything(o, p->who.world, CHAT__STEP__KIND__START, o->epoch);
    }
}

void order_tick(struct order *o, uint64_t now_ms)
{
    for (size_t i = 0; i < o->peers_count; i++) {
        struct peer *p = &o->peers[i];

        if (o->state == ORDER_LEAD) {
            tick_leader(o, p, now_ms);
        } else if (o->state == ORDER_COLLECT && p->collected == NULL &&
                   now_ms >= p->sent_ms + AGAIN_MS) {
            p->sent_ms = now_ms;
            send_step(o, p->who.world, CHAT__STEP__KIND__COLLECT, o->promised,
                      NULL);
        }
    }
    tick_pending(o, now_ms);
    if (o->state == ORDER_COLLECT && now_ms >= o->heard_ms + PATIENCE_MS) {
        lead(o, now_ms);
    }
    if (o->state == ORDER_FOLLOW && order_oldest(o) == o->self.world &&
        !may_not_be_alone(o, now_ms) && now_ms >= o->heard_ms + QUIET_MS) {
        collect(o, now_ms);
    }
}
