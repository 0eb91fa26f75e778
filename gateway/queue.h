/* SPDX-License-Identifier: Apache-2.0 */
/* queue.h - the numbered messages of a client: those to be written, and those
 * that were written and are kept until the client says that it got them.
 *
 *      first                 next                    end
 *        | written, kept      | to be written         |
 *        v                    v                       v
 *   -----#####################%%%%%%%%%%%%%%%%%%%%%%%%-----
 *
 * Message n is the nth since the welcome, counted from 1.  Without keeping,
 * first is next.
 *
 * Thread: the client's loop.
 */
#ifndef GW_QUEUE_H
#define GW_QUEUE_H

#include <hardtack/base.h>

struct gw_frame;

struct gw_queue {
    struct gw_frame **ring; /* message n at n % cap; NULL while empty */
    uint32_t cap;           /* a power of two */
    uint64_t first, next, end;
    uint64_t kept_bytes;              /* of [first, next) */
    uint64_t waiting_bytes;           /* of [next, end) */
    uint64_t seen_kept, seen_waiting; /* when they were measured last */
};

void gw_queue_init(struct gw_queue *queue);
void gw_queue_fini(struct gw_queue *queue);
/* Keeps a reference. HT_ENOMEM. */
HT_MUSTUSE ht_err gw_queue_push(struct gw_queue *queue, struct gw_frame *frame);
/* The next to be written, without taking it; NULL if there is none. */
struct gw_frame *gw_queue_peek(const struct gw_queue *queue, uint64_t after);
/* The next one is written. keep: until it is acknowledged, else it is
 * dropped. */
void gw_queue_written(struct gw_queue *queue, bool keep);
/* The client has got `received` of them. HT_EINVAL: more than were written. */
HT_MUSTUSE ht_err gw_queue_ack(struct gw_queue *queue, uint64_t received);
/* Drop the oldest of [first, upto) until there are no more than these. */
void gw_queue_trim(struct gw_queue *queue,
                   uint64_t upto,
                   uint64_t bytes_max,
                   uint64_t count_max);
/* The client comes back, having got `received`: what it missed is to be written
 * again.  HT_ENOENT: something of it is not there any more; HT_EINVAL: it
 * cannot have got that many. */
HT_MUSTUSE ht_err gw_queue_rewind(struct gw_queue *queue, uint64_t received);
/* What waits is counted from 1. HT_ENOMEM. */
HT_MUSTUSE ht_err gw_queue_restart(struct gw_queue *queue);
/* How many numbered messages went before the next one to be written. */
static inline uint64_t gw_queue_before_next(const struct gw_queue *queue)
{
    return queue->next - 1;
}

#endif /* GW_QUEUE_H */
