/* SPDX-License-Identifier: Apache-2.0 */
/* flight.c - calls in flight: type-stable records, one table a scheduler and
 * one for ordinary threads.
 *
 * A record is PENDING from before its message leaves until somebody claims it:
 * the reply, the deadline, a cancel, the node's end, the caller's end.  One
 * compare-and-exchange of {generation, phase} decides, so a call ends exactly
 * once whatever comes together.  Whoever claims it owns the result and posts
 * the record itself to the caller's mailbox: a reply cannot be lost to memory
 * or to a limit, and comes in order with the pair's other messages.
 *
 * A record, and its alarm, belong to the scheduler that made it; used up
 * elsewhere it goes back through that scheduler's queue.
 *
 * A tag is table:8 | generation:32 | slot:24.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "actor/internal.h"

#define WIRE_SENT    1u /* hti_remote_ops.call() has returned HT_OK */
#define WIRE_CLAIMED 2u

static uint64_t state_of(uint32_t generation, enum hti_flight_phase phase)
{
    return (uint64_t)generation << 2 | phase;
}

static uint32_t tag_generation(uint64_t tag)
{
    return (uint32_t)(tag >> 24);
}

static struct hti_flight_table *table_at(ht_node *node, unsigned table)
{
    return &node->flights[table == HTI_FLIGHT_THREADS ? HTI_SCHEDS_MAX : table];
}

static struct hti_flight *record_at(struct hti_flight_table *t, uint32_t slot)
{
    struct hti_flight *chunk = atomic_load_explicit(
        &t->chunks[slot / HTI_FLIGHT_CHUNK], memory_order_acquire);

    return &chunk[slot % HTI_FLIGHT_CHUNK];
}

uint64_t hti_flight_tag(const struct hti_flight *f)
{
    uint64_t state = atomic_load_explicit(&f->state, memory_order_relaxed);

    return (uint64_t)f->table << 56 | (state >> 2 & UINT32_MAX) << 24 | f->slot;
}

struct hti_flight *hti_flight_find(ht_node *node, uint64_t tag)
{
    unsigned table = (unsigned)(tag >> 56);
    uint32_t slot = (uint32_t)tag & 0xffffff;
    struct hti_flight_table *t;

    if (table >= node->scheds_count && table != HTI_FLIGHT_THREADS) {
        return NULL;
    }
    t = table_at(node, table);
    if (slot >= atomic_load_explicit(&t->count, memory_order_acquire)) {
        return NULL;
    }
    return record_at(t, slot);
}

/* ---- records --------------------------------------------------------------
 */

/* A record that never was.  By the table's owner. */
static ht_err
record_new(ht_node *node, unsigned table, struct hti_flight **ret_flight)
{
    struct hti_flight_table *t = table_at(node, table);
    uint32_t slot = atomic_load_explicit(&t->count, memory_order_relaxed);
    unsigned chunk_index = slot / HTI_FLIGHT_CHUNK;
    struct hti_flight *chunk;
    struct hti_flight *f;

    if (chunk_index == HTI_FLIGHT_CHUNKS_MAX) {
        return HT_EBUSY;
    }
    chunk = atomic_load_explicit(&t->chunks[chunk_index], memory_order_relaxed);
    if (chunk == NULL) {
        chunk = calloc(HTI_FLIGHT_CHUNK, sizeof(*chunk));
        if (chunk == NULL) {
            return HT_ENOMEM;
        }
        atomic_store_explicit(&t->chunks[chunk_index], chunk,
                              memory_order_release);
    }
    f = &chunk[slot % HTI_FLIGHT_CHUNK];
    f->item.kind = HTI_ITEM_REPLY;
    f->node = node;
    f->slot = slot;
    f->table = (uint8_t)table;
    atomic_store_explicit(&t->count, slot + 1, memory_order_release);
    *ret_flight = f;
    return HT_OK;
}

/* Before the free list of a scheduler is called empty, see what came back. */
static ht_err take_of_sched(struct hti_sched *s, struct hti_flight **ret_flight)
{
    if (s->free_flights == NULL) {
        hti_sched_take_back(s);
    }
    if (s->free_flights == NULL) {
        return record_new(s->node, s->index, ret_flight);
    }
    *ret_flight = s->free_flights;
    s->free_flights = s->free_flights->next_free;
    return HT_OK;
}

static ht_err take_of_threads(ht_node *node, struct hti_flight **ret_flight)
{
    ht_err err = HT_OK;

    pthread_mutex_lock(&node->threads_lock);
    if (node->threads_free != NULL) {
        *ret_flight = node->threads_free;
        node->threads_free = node->threads_free->next_free;
    } else {
        err = record_new(node, HTI_FLIGHT_THREADS, ret_flight);
    }
    pthread_mutex_unlock(&node->threads_lock);
    return err;
}

ht_err hti_flight_open(ht_node *node,
                       ht_actor *self,
                       const struct hti_flight_what *what,
                       struct hti_flight **ret_flight)
{
    struct hti_sched *here = self != NULL ? hti_here(node) : NULL;
    struct hti_flight *f;
    uint64_t state;
    uint32_t generation;
    ht_err err =
        here != NULL ? take_of_sched(here, &f) : take_of_threads(node, &f);

    if (err != HT_OK) {
        return err;
    }
    state = atomic_load_explicit(&f->state, memory_order_relaxed);
    generation = (uint32_t)(state >> 2) + 1;
    generation += generation == 0;
    atomic_store_explicit(&f->peer, what->to.node, memory_order_relaxed);
    atomic_store_explicit(&f->target, what->to.pid, memory_order_relaxed);
    atomic_store_explicit(&f->wire, 0, memory_order_relaxed);
    f->caller = self != NULL ? self->own_pid : 0;
    f->wait = what->wait;
    f->on_reply = what->on_reply;
    f->arg = what->arg;
    f->drop = what->drop;
    f->cancelled = false;
    f->listed = self != NULL;
    f->reply = (ht_reply){.reason = ""};
    if (self != NULL) {
        assert(here != NULL);
        LIST_INSERT_HEAD(&self->flights, f, entry);
        if (what->deadline_ns != UINT64_MAX) {
            hti_alarm_arm(here, &f->alarm, what->deadline_ns);
        } else {
            f->alarm.sched = (uint16_t)here->index;
        }
    }
    atomic_store_explicit(&f->state, state_of(generation, HTI_FLIGHT_PENDING),
                          memory_order_release);
    *ret_flight = f;
    return HT_OK;
}

void hti_flight_back(struct hti_sched *s, struct hti_flight *f)
{
    hti_alarm_disarm(s, &f->alarm);
    f->next_free = s->free_flights;
    s->free_flights = f;
}

void hti_flight_release(struct hti_flight *f)
{
    ht_node *node = f->node;
    uint64_t state = atomic_load_explicit(&f->state, memory_order_relaxed);

    ht_reply_fini(&f->reply);
    if (f->drop != NULL) {
        f->drop(f->arg);
        f->drop = NULL;
    }
    atomic_store_explicit(&f->state,
                          state_of((uint32_t)(state >> 2), HTI_FLIGHT_FREE),
                          memory_order_release);
    if (f->table == HTI_FLIGHT_THREADS) {
        pthread_mutex_lock(&node->threads_lock);
        f->next_free = node->threads_free;
        node->threads_free = f;
        pthread_mutex_unlock(&node->threads_lock);
    } else if (hti_here(node) == &node->scheds[f->table]) {
        hti_flight_back(&node->scheds[f->table], f);
    } else {
        hti_mpsc_push(&node->scheds[f->table].back, &f->alarm.back);
    }
}

/* ---- ends -----------------------------------------------------------------
 */

/* The peer's bound on calls counts this call until it is both on the wire and
 * ended; whichever comes second says so. */
static void wire_note(struct hti_flight *f, unsigned what)
{
    unsigned old =
        atomic_fetch_or_explicit(&f->wire, what, memory_order_acq_rel);
    const struct hti_remote_ops *remote = f->node->remote;
    uint64_t peer = atomic_load_explicit(&f->peer, memory_order_relaxed);

    if ((old | what) == (WIRE_SENT | WIRE_CLAIMED) && old != (old | what) &&
        remote->call_ended != NULL) {
        remote->call_ended(f->node->remote_arg, peer);
    }
}

void hti_flight_sent(struct hti_flight *f)
{
    wire_note(f, WIRE_SENT);
}

bool hti_flight_claim(struct hti_flight *f, uint64_t tag)
{
    uint64_t pending = state_of(tag_generation(tag), HTI_FLIGHT_PENDING);

    if (!atomic_compare_exchange_strong_explicit(
            &f->state, &pending,
            state_of(tag_generation(tag), HTI_FLIGHT_CLAIMED),
            memory_order_acq_rel, memory_order_relaxed)) {
        return false;
    }
    if (atomic_load_explicit(&f->peer, memory_order_relaxed) != 0) {
        wire_note(f, WIRE_CLAIMED);
    }
    return true;
}

/* Copy or keep the answer; one block, the data 16-byte aligned. */
static bool
set_result(ht_reply *reply, ht_bytes reason, ht_bytes data, struct hti_buf *own)
{
    bool keep = own != NULL && data.len > HTI_COPY_BYTES_MAX;
    size_t copied = keep ? 0 : data.len;
    struct hti_payload *p;

    if (reason.len == 0 && data.len == 0) {
        return true;
    }
    p = hti_alloc(sizeof(*p) + copied + reason.len + 1);
    if (p == NULL) {
        return false;
    }
    p->owner = keep ? hti_buf_ref(own) : NULL;
    if (copied > 0) {
        memcpy(p->data, data.data, copied);
    }
    if (reason.len > 0) {
        memcpy(p->data + copied, reason.data, reason.len);
    }
    p->data[copied + reason.len] = '\0';
    reply->reason = p->data + copied;
    reply->data = keep ? data.data : p->data;
    reply->len = data.len;
    reply->owner = p;
    return true;
}

void ht_reply_fini(ht_reply *reply)
{
    struct hti_payload *p;

    if (reply == NULL) {
        return;
    }
    p = reply->owner;
    if (p != NULL && p->owner != NULL) {
        hti_buf_unref(p->owner);
    }
    hti_free(p);
    *reply = (ht_reply){.reason = ""};
}

void hti_flight_finish(struct hti_flight *f,
                       ht_err err,
                       ht_bytes reason,
                       ht_bytes data,
                       struct hti_buf *owner)
{
    struct hti_call_wait *wait = f->wait;

    f->reply.err = err;
    if (!set_result(&f->reply, reason, data, owner)) {
        f->reply.err = HT_ENOMEM;
    }
    if (wait == NULL) {
        /* The caller may be ending and still have f in its list: f must not be
         * released, and used again, before it has let go of it. */
        hti_post_to_slot(f->node, f->caller, &f->item);
        return;
    }
    pthread_mutex_lock(&wait->lock);
    wait->done = true;
    pthread_cond_signal(&wait->done_cond);
    pthread_mutex_unlock(&wait->lock);
}

bool hti_flight_complete(ht_node *node,
                         uint64_t tag,
                         ht_err err,
                         ht_bytes reason,
                         ht_bytes data,
                         struct hti_buf *owner)
{
    struct hti_flight *f = hti_flight_find(node, tag);

    if (f == NULL || !hti_flight_claim(f, tag)) {
        return false;
    }
    hti_flight_finish(f, err, reason, data, owner);
    return true;
}

/* Tell the callee's node that nobody waits any more. */
static void cancel_remote(struct hti_flight *f, uint64_t tag)
{
    uint64_t peer = atomic_load_explicit(&f->peer, memory_order_relaxed);

    if (peer != 0 && f->node->remote->cancel != NULL) {
        f->node->remote->cancel(
            f->node->remote_arg, peer,
            atomic_load_explicit(&f->target, memory_order_relaxed), tag);
    }
}

void hti_flight_timeout(struct hti_flight *f)
{
    uint64_t tag = hti_flight_tag(f);

    if (hti_flight_claim(f, tag)) {
        cancel_remote(f, tag);
        hti_flight_finish(f, HT_ETIMEDOUT, (ht_bytes){0}, (ht_bytes){0}, NULL);
    }
}

bool hti_flight_give_up(struct hti_flight *f, uint64_t tag)
{
    if (!hti_flight_claim(f, tag)) {
        return false;
    }
    cancel_remote(f, tag);
    return true;
}

/* ---- the caller's side ----------------------------------------------------
 */

/* A record of another actor may change while we look, but never into a listed
 * one of ours with our generation: only we list our calls. */
bool hti_flight_is_of(const struct hti_flight *f,
                      uint64_t tag,
                      const ht_actor *self)
{
    const struct hti_flight *of_ours;

    LIST_FOREACH (of_ours, &self->flights, entry) {
        if (of_ours == f) {
            return hti_flight_tag(f) == tag;
        }
    }
    return false;
}

static void unlist(struct hti_flight *f)
{
    if (f->listed) {
        LIST_REMOVE(f, entry);
        f->listed = false;
    }
}

void hti_flight_run(ht_actor *self, struct hti_flight *f)
{
    unlist(f);
    if (!f->cancelled && f->on_reply != NULL) {
        f->on_reply(self, &f->reply, f->arg);
    }
    hti_flight_release(f);
}

void hti_flight_drop(ht_actor *self, struct hti_flight *f)
{
    (void)self;
    unlist(f);
    /* If somebody was first, the record is in our mailbox or on its way:
     * hti_flight_run() or the bounce releases it. */
    f->cancelled = true;
    if (hti_flight_give_up(f, hti_flight_tag(f))) {
        hti_flight_release(f);
    }
}

void hti_flight_end(ht_actor *self)
{
    struct hti_flight *f;

    while ((f = LIST_FIRST(&self->flights)) != NULL) {
        hti_flight_drop(self, f);
    }
}

/* ---- all calls to somebody ------------------------------------------------
 */

/* Count the calls that are pending to peer, to pid there unless it is NULL;
 * fail them unless that is NULL. */
static size_t each_pending(ht_node *node,
                           uint64_t peer,
                           const uint64_t *pid,
                           const ht_err *fail)
{
    size_t n = 0;

    for (unsigned i = 0; i <= HTI_SCHEDS_MAX; i++) {
        struct hti_flight_table *t = &node->flights[i];
        uint32_t count = atomic_load_explicit(&t->count, memory_order_acquire);

        for (uint32_t slot = 0; slot < count; slot++) {
            struct hti_flight *f = record_at(t, slot);
            uint64_t state =
                atomic_load_explicit(&f->state, memory_order_acquire);

            if ((state & 3) != HTI_FLIGHT_PENDING ||
                atomic_load_explicit(&f->peer, memory_order_relaxed) != peer ||
                (pid != NULL &&
                 atomic_load_explicit(&f->target, memory_order_relaxed) !=
                     *pid)) {
                continue;
            }
            n++;
            /* The generation in state is that of the peer we read: if the
             * record was used again meanwhile, the claim fails. */
            if (fail != NULL && hti_flight_claim(f, (state >> 2) << 24)) {
                hti_flight_finish(f, *fail, (ht_bytes){0}, (ht_bytes){0}, NULL);
            }
        }
    }
    return n;
}

void hti_rt_fail_calls(ht_node *node, uint64_t peer, ht_err err)
{
    if (peer != 0) {
        (void)each_pending(node, peer, NULL, &err);
    }
}

void hti_rt_fail_calls_to(ht_node *node, ht_ref target, ht_err err)
{
    if (target.node != 0) {
        (void)each_pending(node, target.node, &target.pid, &err);
    }
}

size_t hti_flights_pending(ht_node *node)
{
    size_t n = 0;

    for (unsigned i = 0; i <= HTI_SCHEDS_MAX; i++) {
        struct hti_flight_table *t = &node->flights[i];
        uint32_t count = atomic_load_explicit(&t->count, memory_order_acquire);

        for (uint32_t slot = 0; slot < count; slot++) {
            n += (atomic_load_explicit(&record_at(t, slot)->state,
                                       memory_order_relaxed) &
                  3) == HTI_FLIGHT_PENDING;
        }
    }
    return n;
}

size_t hti_rt_calls_in_flight(ht_node *node, uint64_t peer)
{
    return each_pending(node, peer == node->local_handle ? 0 : peer, NULL,
                        NULL);
}

/* ---- life -----------------------------------------------------------------
 */

ht_err hti_flights_new(ht_node *node)
{
    for (unsigned i = 0; i <= HTI_SCHEDS_MAX; i++) {
        if (i >= node->scheds_count && i < HTI_SCHEDS_MAX) {
            continue;
        }
        node->flights[i].chunks =
            calloc(HTI_FLIGHT_CHUNKS_MAX, sizeof(*node->flights[i].chunks));
        if (node->flights[i].chunks == NULL) {
            return HT_ENOMEM;
        }
    }
    return HT_OK;
}

void hti_flights_free(ht_node *node)
{
    for (unsigned i = 0; i <= HTI_SCHEDS_MAX; i++) {
        struct hti_flight_table *t = &node->flights[i];
        uint32_t count = atomic_load_explicit(&t->count, memory_order_relaxed);

        if (t->chunks == NULL) {
            continue;
        }
        for (uint32_t c = 0; c * HTI_FLIGHT_CHUNK < count; c++) {
            free(atomic_load_explicit(&t->chunks[c], memory_order_relaxed));
        }
        free(t->chunks);
        t->chunks = NULL;
    }
}
