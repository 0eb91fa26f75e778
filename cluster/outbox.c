/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/outbox.h"

#include <assert.h>
#include <sched.h>
#include <string.h>

/* One word holds everything that producers and the loop must agree on, so that
 * one atomic operation takes credit, sees a closed outbox and counts the
 * producer as inside; and so that the loop's falling asleep and a producer's
 * last word on it are ordered by the word itself.
 *
 *   63       closed
 *   62       the loop is asleep: the next push calls on_busy
 *   61..42   producers inside hti_outbox_push()
 *   41..0    bytes queued
 */
#define CLOSED     (UINT64_C(1) << 63)
#define ASLEEP     (UINT64_C(1) << 62)
#define PUSHER     (UINT64_C(1) << 42)
#define PUSHERS    (((UINT64_C(1) << 20) - 1) << 42)
#define BYTES_MASK (PUSHER - 1)

/* Urgent frames may go this many times over the limit.  A peer that stops
 * reading must not make us keep its group changes for ever. */
#define URGENT_FACTOR 8

#define LANES         64

/* Frames popped from the queue wait here for their lane. */
struct lane {
    struct hti_frame *head, *tail; /* chained by node.next */
    size_t offset;     /* of head's payload, sent in pieces so far */
    struct lane *next; /* in the ring of busy lanes */
};

struct hti_outbox {
    _Atomic uint64_t state;
    struct hti_mpsc queue;
    _Atomic unsigned refs;
    _Atomic uint64_t refused;
    uint64_t bytes_max;
    void (*on_busy)(void *arg);
    void *arg;

    /* the loop's own */
    _Atomic uint64_t popped, popped_bytes; /* one writer */
    uint64_t unsettled; /* bytes released whose credit was not given back */
    uint64_t whole_max; /* larger payloads go in pieces */
    uint64_t unfinished_max; /* of those */
    uint64_t unfinished;     /* bytes of the frames begun and not finished */
    size_t fresh_bytes;      /* popped whole since the last piece of a lane */
    struct lane *busy_head, *busy_tail;
    struct lane lanes[LANES];
};

ht_err hti_outbox_new(size_t bytes_max,
                      void (*on_busy)(void *arg),
                      void *arg,
                      struct hti_outbox **ret_outbox)
{
    struct hti_outbox *outbox = hti_zalloc(sizeof *outbox);

    if (outbox == NULL) {
        return HT_ENOMEM;
    }
    /* Asleep from the start: the first push wakes the loop. */
    atomic_init(&outbox->state, ASLEEP);
    atomic_init(&outbox->refs, 1);
    hti_mpsc_init(&outbox->queue);
    outbox->bytes_max = bytes_max;
    outbox->whole_max = UINT64_MAX;
    outbox->on_busy = on_busy;
    outbox->arg = arg;
    *ret_outbox = outbox;
    return HT_OK;
}

struct hti_outbox *hti_outbox_ref(struct hti_outbox *outbox)
{
    atomic_fetch_add_explicit(&outbox->refs, 1, memory_order_relaxed);
    return outbox;
}

static struct hti_frame *lane_shift(struct lane *lane)
{
    struct hti_frame *frame = lane->head;

    lane->head = (struct hti_frame *)(void *)atomic_load_explicit(
        &frame->node.next, memory_order_relaxed);
    lane->offset = 0;
    return frame;
}

static void outbox_free(struct hti_outbox *outbox)
{
    struct hti_mpsc_node *node;

    while ((node = hti_mpsc_pop(&outbox->queue)) != NULL) {
        hti_frame_free((struct hti_frame *)(void *)node);
    }
    assert(hti_mpsc_is_empty(&outbox->queue));
    for (unsigned i = 0; i < LANES; i++) {
        while (outbox->lanes[i].head != NULL) {
            hti_frame_free(lane_shift(&outbox->lanes[i]));
        }
    }
    hti_free(outbox);
}

struct hti_outbox *hti_outbox_unref(struct hti_outbox *outbox)
{
    /* acq_rel: the last one out sees what all others did. */
    if (outbox != NULL && atomic_fetch_sub_explicit(
                              &outbox->refs, 1, memory_order_acq_rel) == 1) {
        outbox_free(outbox);
    }
    return NULL;
}

/* ---- producers ----------------------------------------------------------- */

void hti_outbox_enter(struct hti_outbox *outbox)
{
    atomic_fetch_add_explicit(&outbox->state, PUSHER, memory_order_acquire);
}

/* Whoever finds the loop asleep and clears the bit wakes it, and is still
 * inside then, so that nobody calls after close. */
void hti_outbox_leave(struct hti_outbox *outbox)
{
    uint64_t state = atomic_load_explicit(&outbox->state, memory_order_relaxed);

    /* Release, and after the push: a loop that sets ASLEEP later sees the
     * frame; one that set it earlier is seen here. */
    for (;;) {
        bool asleep = (state & (ASLEEP | CLOSED)) == ASLEEP;

        if (!atomic_compare_exchange_weak_explicit(
                &outbox->state, &state,
                asleep ? state & ~ASLEEP : state - PUSHER, memory_order_acq_rel,
                memory_order_relaxed)) {
            continue;
        }
        if (!asleep) {
            return;
        }
        outbox->on_busy(outbox->arg);
        state = atomic_load_explicit(&outbox->state, memory_order_relaxed);
    }
}

/* state: before charge was added to it, which is given back on failure. */
static ht_err take(struct hti_outbox *outbox,
                   struct hti_frame **frame,
                   bool urgent,
                   uint64_t state,
                   uint64_t charge)
{
    uint64_t len = (*frame)->len;
    uint64_t max =
        urgent ? URGENT_FACTOR * outbox->bytes_max : outbox->bytes_max;
    uint64_t bytes = state & BYTES_MASK;

    if ((state & CLOSED) != 0) {
        atomic_fetch_sub_explicit(&outbox->state, charge, memory_order_release);
        return HT_ENOCONN;
    }
    /* Refuse rather than grow.  A slow peer must slow its senders down; an
     * unbounded queue only moves the failure to the allocator, where nobody
     * can tell which peer caused it. */
    if (bytes != 0 && bytes + len > max) {
        atomic_fetch_add_explicit(&outbox->refused, 1, memory_order_relaxed);
        atomic_fetch_sub_explicit(&outbox->state, charge, memory_order_release);
        return HT_EBUSY;
    }
    hti_mpsc_push(&outbox->queue, &(*frame)->node);
    *frame = NULL;
    return HT_OK;
}

ht_err hti_outbox_push_inside(struct hti_outbox *outbox,
                              struct hti_frame **frame,
                              bool urgent)
{
    uint64_t charge = (*frame)->len;
    uint64_t old =
        atomic_fetch_add_explicit(&outbox->state, charge, memory_order_acquire);

    return take(outbox, frame, urgent, old, charge);
}

ht_err hti_outbox_push(struct hti_outbox *outbox,
                       struct hti_frame **frame,
                       bool urgent)
{
    uint64_t charge = PUSHER + (*frame)->len;
    uint64_t old =
        atomic_fetch_add_explicit(&outbox->state, charge, memory_order_acquire);
    ht_err err = take(outbox, frame, urgent, old, charge);

    if (err == HT_OK) {
        hti_outbox_leave(outbox);
    }
    return err;
}

void hti_outbox_close(struct hti_outbox *outbox)
{
    uint64_t state =
        atomic_fetch_or_explicit(&outbox->state, CLOSED, memory_order_acq_rel);

    /* Those inside are between two instructions or in on_busy. */
    while ((state & PUSHERS) != 0) {
        sched_yield();
        state = atomic_load_explicit(&outbox->state, memory_order_acquire);
    }
}

bool hti_outbox_is_writable(struct hti_outbox *outbox)
{
    uint64_t state = atomic_load(&outbox->state);

    return (state & BYTES_MASK) <= outbox->bytes_max / 2;
}

bool hti_outbox_has_batch(struct hti_outbox *outbox, size_t len)
{
    uint64_t state = atomic_load_explicit(&outbox->state, memory_order_relaxed);

    return (state & BYTES_MASK) % HTI_OUTBOX_BATCH_BYTES < len;
}

void hti_outbox_stats(struct hti_outbox *outbox, struct hti_outbox_stats *ret)
{
    uint64_t state = atomic_load_explicit(&outbox->state, memory_order_relaxed);

    ret->frames = atomic_load_explicit(&outbox->popped, memory_order_relaxed);
    ret->queued_bytes = state & BYTES_MASK;
    ret->bytes =
        atomic_load_explicit(&outbox->popped_bytes, memory_order_relaxed) +
        ret->queued_bytes;
    ret->refused = atomic_load_explicit(&outbox->refused, memory_order_relaxed);
}

/* ---- the loop ------------------------------------------------------------ */

void hti_outbox_fragment(struct hti_outbox *outbox,
                         uint64_t whole_max,
                         uint64_t unfinished_max)
{
    outbox->whole_max = whole_max;
    outbox->unfinished_max = unfinished_max;
}

static bool is_large(const struct hti_outbox *outbox,
                     const struct hti_frame *frame)
{
    return frame->len - HTI_FRAME_HEAD > outbox->whole_max;
}

static void ring_append(struct hti_outbox *outbox, struct lane *lane)
{
    lane->next = NULL;
    if (outbox->busy_head == NULL) {
        outbox->busy_head = lane;
    } else {
        outbox->busy_tail->next = lane;
    }
    outbox->busy_tail = lane;
}

static void lane_append(struct hti_outbox *outbox,
                        struct lane *lane,
                        struct hti_frame *frame)
{
    atomic_store_explicit(&frame->node.next, NULL, memory_order_relaxed);
    if (lane->head == NULL) {
        lane->head = frame;
        ring_append(outbox, lane);
    } else {
        atomic_store_explicit(&lane->tail->node.next, &frame->node,
                              memory_order_relaxed);
    }
    lane->tail = frame;
}

static void slice_whole(struct hti_frame *frame, struct hti_slice *ret)
{
    ret->head_len = 0;
    ret->data = frame->bytes;
    ret->len = frame->len;
    ret->frame = frame;
}

static void
slice_piece(struct hti_outbox *outbox, struct lane *lane, struct hti_slice *ret)
{
    struct hti_frame *frame = lane->head;
    size_t total = frame->len - HTI_FRAME_HEAD;
    size_t left = total - lane->offset;
    size_t len = left < HTI_FRAGMENT_BYTES ? left : HTI_FRAGMENT_BYTES;

    ret->head_len = hti_fragment_head(ret->head, frame->lane,
                                      lane->offset == 0 ? total : 0, len);
    ret->data = hti_frame_payload(frame) + lane->offset;
    ret->len = len;
    ret->frame = frame;
    if (lane->offset == 0) {
        outbox->unfinished += total;
    }
    lane->offset += len;
    if (lane->offset == total) {
        outbox->unfinished -= total;
        lane_shift(lane);
    }
}

/* Whether the lane may go on.  A peer holds only so many bytes of unfinished
 * messages, and ends the link of a node that begins more. */
static bool may_go_on(const struct hti_outbox *outbox, const struct lane *lane)
{
    return lane->offset != 0 || outbox->unfinished == 0 ||
           !is_large(outbox, lane->head) ||
           outbox->unfinished + lane->head->len - HTI_FRAME_HEAD <=
               outbox->unfinished_max;
}

/* The lane whose turn it is.  Those that may not begin keep their place behind
 * the others; one that has begun may always go on, so there is one. */
static struct lane *next_lane(struct hti_outbox *outbox)
{
    struct lane *lane = outbox->busy_head;

    while (!may_go_on(outbox, lane)) {
        outbox->busy_head = lane->next;
        ring_append(outbox, lane);
        lane = outbox->busy_head;
    }
    outbox->busy_head = lane->next;
    return lane;
}

/* The next piece, or small frame, of the lane whose turn it is. */
static void pop_lane(struct hti_outbox *outbox, struct hti_slice *ret)
{
    struct lane *lane = next_lane(outbox);

    if (is_large(outbox, lane->head) || lane->offset != 0) {
        slice_piece(outbox, lane, ret);
    } else {
        slice_whole(lane_shift(lane), ret);
    }
    if (lane->head != NULL) {
        ring_append(outbox, lane);
    }
}

bool hti_outbox_pop(struct hti_outbox *outbox, struct hti_slice *ret)
{
    /* Fresh small frames and the lanes with large ones get about as many bytes
     * each: a large message must delay others by no more than one piece, and
     * many small ones must not starve it. */
    while (outbox->busy_head == NULL ||
           outbox->fresh_bytes < HTI_FRAGMENT_BYTES) {
        struct hti_frame *frame =
            (struct hti_frame *)(void *)hti_mpsc_pop(&outbox->queue);
        struct lane *lane;

        if (frame == NULL) {
            break;
        }
        atomic_store_explicit(
            &outbox->popped,
            atomic_load_explicit(&outbox->popped, memory_order_relaxed) + 1,
            memory_order_relaxed);
        lane = &outbox->lanes[frame->lane % LANES];
        if (lane->head != NULL || is_large(outbox, frame)) {
            lane_append(outbox, lane, frame);
            continue;
        }
        outbox->fresh_bytes += frame->len;
        slice_whole(frame, ret);
        return true;
    }
    outbox->fresh_bytes = 0;
    if (outbox->busy_head == NULL) {
        return false;
    }
    pop_lane(outbox, ret);
    return true;
}

void hti_outbox_release(struct hti_outbox *outbox, struct hti_slice *slice)
{
    struct hti_frame *frame = slice->frame;
    uint32_t len = frame->len;

    slice->frame = NULL;
    if (slice->data + slice->len != frame->bytes + len) {
        return; /* more pieces follow */
    }
    hti_frame_free(frame);
    outbox->unsettled += len;
}

/* Once a batch, not a frame: one atomic operation, and one cache line that
 * producers want. */
void hti_outbox_settle(struct hti_outbox *outbox)
{
    uint64_t bytes = outbox->unsettled;

    if (bytes == 0) {
        return;
    }
    outbox->unsettled = 0;
    atomic_store_explicit(
        &outbox->popped_bytes,
        atomic_load_explicit(&outbox->popped_bytes, memory_order_relaxed) +
            bytes,
        memory_order_relaxed);
    /* Sequentially consistent, as the load in is_writable: whoever asks to be
     * told and whoever drains must not both miss the other. */
    atomic_fetch_sub(&outbox->state, bytes);
}

bool hti_outbox_sleep(struct hti_outbox *outbox)
{
    hti_outbox_settle(outbox);
    atomic_fetch_or_explicit(&outbox->state, ASLEEP, memory_order_acq_rel);
    if (outbox->busy_head == NULL && hti_mpsc_is_empty(&outbox->queue)) {
        return true;
    }
    atomic_fetch_and_explicit(&outbox->state, ~ASLEEP, memory_order_relaxed);
    return false;
}
