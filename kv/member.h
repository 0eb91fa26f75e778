/* SPDX-License-Identifier: Apache-2.0 */
/* member.h - the store at a member of its Raft group: the state machine, what
 * fronts ask of it (ask.proto), time, and watchers.
 *
 * The leader stamps commands with the store's time, refuses what the settings
 * forbid before it is proposed, and proposes a tick when something is due.
 *
 * Thread: turns of the member's actor, except where a comment says otherwise.
 */
#ifndef HTI_KV_MEMBER_H
#define HTI_KV_MEMBER_H

#include <hardtack/raft.h>

#include "kv/clock.h"
#include "kv/state.h"
#include "kv/watch.h"

#define HTI_KV_ASK       "HtKvAsk"
#define HTI_KV_ELSEWHERE 0xffu /* the first byte of an answer; ask.proto */

struct hti_kv_member_opts {
    struct hti_kv_opts state;
    uint64_t bytes_max; /* of keys and values */
    uint64_t leases_max;
    size_t watchers_max;
};

struct hti_kv_member {
    struct hti_kv_member_opts opts;
    struct hti_kv *kv;
    ht_raft *raft;
    ht_actor *self; /* NULL: it does not run */
    bool leads;
    bool of_group; /* else what is here is nobody's store */
    struct hti_kv_clock clock;
    struct hti_kv_watchers watchers;
    uint64_t due_timer; /* 0: none */
    uint64_t due_ms;    /* what it was set for */
    bool ticking;       /* a tick is on its way */
    struct {
        uint64_t writes, reads, stale_reads, refused;
    } counts;
};

/* HT_ENOMEM.  Any thread. */
HT_MUSTUSE ht_err hti_kv_member_init(struct hti_kv_member *member,
                                     const struct hti_kv_member_opts *opts);
void hti_kv_member_fini(struct hti_kv_member *member);
/* For ht_raft_start(), whose machine is the member. */
extern const ht_raft_machine hti_kv_machine;

/* status.c: of this member; HT_ENOMEM. */
HT_MUSTUSE ht_err hti_kv_member_status(struct hti_kv_member *member,
                                       uint64_t forwarded,
                                       uint64_t refused,
                                       uint64_t waiting);

#endif /* HTI_KV_MEMBER_H */
