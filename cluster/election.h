/* SPDX-License-Identifier: Apache-2.0 */
/* election.h - which of several connections to the same node is kept.  Both
 * ends apply the same rule to the same facts, so they keep the same one without
 * asking each other.  Pure.
 *
 *   1. A single one survives.
 *   2. If there are some in both directions, those that the node with the
 *      greater name (bytewise) initiated.
 *   3. Of these, if any has a connection id, the one with the smallest.
 *   4. Of these, if the other side initiated them all, the oldest here.
 *
 * Source: ractor-wire, section 3.7.
 */
#ifndef HTI_CLUSTER_ELECTION_H
#define HTI_CLUSTER_ELECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hti_candidate {
    bool initiated; /* by this node */
    uint64_t connection_id;
    uint64_t order; /* of creation on this node; unique */
    bool survives;  /* the answer */
};

void hti_elect(const char *self,
               const char *peer,
               struct hti_candidate *candidates,
               size_t count);

/* A new candidate names itself: the acceptor's answer, by the authenticated
 * ones (all of others[]) and the new one. */
enum hti_election {
    HTI_ELECTION_ALONE, /* nobody else is left */
    HTI_ELECTION_DISPLACES,
    HTI_ELECTION_LOSES,
};
enum hti_election hti_elect_newcomer(const char *self,
                                     const char *peer,
                                     struct hti_candidate *candidates,
                                     size_t count,
                                     size_t newcomer);

#endif /* HTI_CLUSTER_ELECTION_H */
