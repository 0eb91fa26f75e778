/* SPDX-License-Identifier: Apache-2.0 */
/* redial.h - how long to wait before a peer is dialled again: doubling from a
 * least to a most, plus or minus half, so that the nodes of a cluster do not
 * all come back in the same millisecond.  Pure: no clock, randomness is an
 * argument.
 *
 * Thread: its owner's.  Lifetime: embedded.
 */
#ifndef HTI_CLUSTER_REDIAL_H
#define HTI_CLUSTER_REDIAL_H

#include <stdint.h>

struct hti_redial {
    uint32_t min_ms, max_ms;
    unsigned failures; /* in a row */
};

/* 0: 100 and 30000. */
void hti_redial_init(struct hti_redial *redial,
                     uint32_t min_ms,
                     uint32_t max_ms);
/* The peer was reached. */
void hti_redial_reset(struct hti_redial *redial);
/* From now on the longest wait. */
void hti_redial_slow(struct hti_redial *redial);
/* An attempt failed or a link was lost: how long to wait, from half to one and
 * a half of min * 2^failures, of max at most. */
uint32_t hti_redial_next(struct hti_redial *redial, uint64_t random);

#endif /* HTI_CLUSTER_REDIAL_H */
