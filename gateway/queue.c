/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/frame.h"

#define CAP_MIN 4

static struct gw_frame **slot(const struct gw_queue *q, uint64_t n)
{
    return &q->ring[n & (q->cap - 1)];
}

void gw_queue_init(struct gw_queue *q)
{
    memset(q, 0, sizeof(*q));
    q->first = q->next = q->end = 1;
}

static void drop_first(struct gw_queue *q)
{
    struct gw_frame *frame = *slot(q, q->first);

    if (q->first == q->next) {
        q->waiting_bytes -= gw_frame_cost(frame);
        q->next++;
    } else {
        q->kept_bytes -= gw_frame_cost(frame);
    }
    q->first++;
    gw_frame_unref(frame);
    /* An idle client costs nothing. */
    if (q->first == q->end) {
        free(q->ring);
        q->ring = NULL;
        q->cap = 0;
    }
}

void gw_queue_fini(struct gw_queue *q)
{
    while (q->first < q->end) {
        drop_first(q);
    }
}

static ht_err grow(struct gw_queue *q)
{
    uint32_t cap = q->cap > 0 ? 2 * q->cap : CAP_MIN;
    struct gw_frame **ring;

    if (cap == 0) {
        return HT_ENOMEM;
    }
    ring = malloc(cap * sizeof(struct gw_frame *));
    if (ring == NULL) {
        return HT_ENOMEM;
    }
    for (uint64_t n = q->first; n < q->end; n++) {
        ring[n & (cap - 1)] = *slot(q, n);
    }
    free(q->ring);
    q->ring = ring;
    q->cap = cap;
    return HT_OK;
}

ht_err gw_queue_push(struct gw_queue *q, struct gw_frame *frame)
{
    if (q->end - q->first == q->cap && grow(q) != HT_OK) {
        return HT_ENOMEM;
    }
    *slot(q, q->end) = gw_frame_ref(frame);
    q->end++;
    q->waiting_bytes += gw_frame_cost(frame);
    return HT_OK;
}

struct gw_frame *gw_queue_peek(const struct gw_queue *q, uint64_t after)
{
    uint64_t n = q->next + after;

    return n < q->end ? *slot(q, n) : NULL;
}

void gw_queue_written(struct gw_queue *q, bool keep)
{
    struct gw_frame *frame = *slot(q, q->next);

    assert(q->next < q->end);
    if (!keep && q->first == q->next) {
        drop_first(q);
        return;
    }
    q->waiting_bytes -= gw_frame_cost(frame);
    q->kept_bytes += gw_frame_cost(frame);
    q->next++;
}

ht_err gw_queue_ack(struct gw_queue *q, uint64_t received)
{
    if (received >= q->next) {
        return HT_EINVAL;
    }
    while (q->first <= received) {
        drop_first(q);
    }
    return HT_OK;
}

void gw_queue_trim(struct gw_queue *q,
                   uint64_t upto,
                   uint64_t bytes_max,
                   uint64_t count_max)
{
    while (q->first < upto) {
        uint64_t bytes =
            q->kept_bytes + (upto > q->next ? q->waiting_bytes : 0);

        if (bytes <= bytes_max && upto - q->first <= count_max) {
            return;
        }
        drop_first(q);
    }
}

ht_err gw_queue_rewind(struct gw_queue *q, uint64_t received)
{
    if (received >= q->next) {
        return HT_EINVAL;
    }
    if (received + 1 < q->first) {
        return HT_ENOENT;
    }
    while (q->first <= received) {
        drop_first(q);
    }
    q->next = q->first;
    q->waiting_bytes += q->kept_bytes;
    q->kept_bytes = 0;
    return HT_OK;
}

ht_err gw_queue_restart(struct gw_queue *q)
{
    struct gw_queue again;

    gw_queue_init(&again);
    again.seen_kept = q->seen_kept;
    again.seen_waiting = q->seen_waiting;
    for (uint64_t n = q->next; n < q->end; n++) {
        if (gw_queue_push(&again, *slot(q, n)) != HT_OK) {
            gw_queue_fini(&again);
            return HT_ENOMEM;
        }
    }
    gw_queue_fini(q);
    *q = again;
    return HT_OK;
}
