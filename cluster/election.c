/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/election.h"

#include <string.h>

static void keep_direction(struct hti_candidate *c,
                           size_t count,
                           const char *self,
                           const char *peer)
{
    bool ours = false, theirs = false;
    int order = strcmp(self, peer);

    for (size_t i = 0; i < count; i++) {
        ours = ours || c[i].initiated;
        theirs = theirs || !c[i].initiated;
    }
    if (!ours || !theirs || order == 0) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        c[i].survives = c[i].initiated == (order > 0);
    }
}

static void keep_smallest_id(struct hti_candidate *c, size_t count)
{
    uint64_t least = 0;

    for (size_t i = 0; i < count; i++) {
        if (c[i].survives && c[i].connection_id != 0 &&
            (least == 0 || c[i].connection_id < least)) {
            least = c[i].connection_id;
        }
    }
    if (least == 0) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        c[i].survives = c[i].survives && c[i].connection_id == least;
    }
}

/* Only the accepting side breaks a tie: the initiating one would break it its
 * own way, and both might go. */
static void keep_oldest(struct hti_candidate *c, size_t count)
{
    const struct hti_candidate *oldest = NULL;

    for (size_t i = 0; i < count; i++) {
        if (!c[i].survives) {
            continue;
        }
        if (c[i].initiated) {
            return;
        }
        if (oldest == NULL || c[i].order < oldest->order) {
            oldest = &c[i];
        }
    }
    for (size_t i = 0; i < count; i++) {
        c[i].survives = &c[i] == oldest;
    }
}

void hti_elect(const char *self,
               const char *peer,
               struct hti_candidate *candidates,
               size_t count)
{
    for (size_t i = 0; i < count; i++) {
        candidates[i].survives = true;
    }
    keep_direction(candidates, count, self, peer);
    keep_smallest_id(candidates, count);
    keep_oldest(candidates, count);
}

enum hti_election hti_elect_newcomer(const char *self,
                                     const char *peer,
                                     struct hti_candidate *candidates,
                                     size_t count,
                                     size_t newcomer)
{
    uint64_t id = candidates[newcomer].connection_id;

    /* ractor lets a newcomer whose id is not unique go on, and decides when it
     * is authenticated. */
    for (size_t i = 0; i < count; i++) {
        if (i != newcomer && candidates[i].connection_id == id) {
            return HTI_ELECTION_ALONE;
        }
    }
    hti_elect(self, peer, candidates, count);
    if (!candidates[newcomer].survives) {
        return HTI_ELECTION_LOSES;
    }
    return count > 1 ? HTI_ELECTION_DISPLACES : HTI_ELECTION_ALONE;
}
