/* SPDX-License-Identifier: Apache-2.0 */
/* announced.h - what one peer has announced on one link: actors, and which
 * groups each is in.  A compact open-addressing table by pid; a group is known
 * by a keyed 64-bit hash of its scope and name.
 *
 * It serves two ends.  A ractor peer's messages may name only pids that it
 * announced.  And it is where the bound on what a peer may make us remember is
 * kept: every actor and every membership counts, exactly, whatever is repeated.
 *
 * Thread: its link's, or under its link's lock.  Lifetime: the link's.
 */
#ifndef HTI_CLUSTER_ANNOUNCED_H
#define HTI_CLUSTER_ANNOUNCED_H

#include <hardtack/base.h>

/* Actors and memberships together that a peer may announce on a link, and
 * groups that one actor may be in.  Above: the link is closed, HT_ETOOBIG. */
#define HTI_ANNOUNCED_MAX     (1u << 20)
#define HTI_ANNOUNCED_PER_PID 4096
/* Groups that all its actors together may be in: each is one more that the
 * directory has to hold, with its name. */
#define HTI_ANNOUNCED_GROUPS_MAX 65536

struct hti_announced_entry;
struct hti_announced_group;

struct hti_announced {
    uint64_t seed;
    struct hti_announced_entry *entries; /* cap of them, a power of two */
    size_t cap, actors, memberships;
    struct hti_announced_group *groups; /* with how many members each */
};

void hti_announced_init(struct hti_announced *announced, uint64_t seed);
void hti_announced_fini(struct hti_announced *announced);

/* Idempotent. HT_ETOOBIG, HT_ENOMEM. */
HT_MUSTUSE ht_err hti_announced_add(struct hti_announced *announced,
                                    uint64_t pid);
/* Adds the actor too. */
HT_MUSTUSE ht_err hti_announced_join(struct hti_announced *announced,
                                     uint64_t pid,
                                     uint64_t group);
/* Whether the actor was known. It stays. */
bool hti_announced_leave(struct hti_announced *announced,
                         uint64_t pid,
                         uint64_t group);
/* With all its memberships. Whether it was known. */
bool hti_announced_remove(struct hti_announced *announced, uint64_t pid);
bool hti_announced_has(const struct hti_announced *announced, uint64_t pid);
size_t hti_announced_groups(const struct hti_announced *announced,
                            uint64_t pid);

#endif /* HTI_CLUSTER_ANNOUNCED_H */
