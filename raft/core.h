/* SPDX-License-Identifier: Apache-2.0 */
/* core.h - one member of a group, without I/O: libraft's raft_step() and what
 * it lacks.
 *
 * Time, random seed, messages and finished jobs come in; messages, jobs and
 * calls of the state machine go out, through struct hti_core_ops and
 * ht_raft_machine.  It knows no socket, clock, thread or file, so that a whole
 * group runs in one thread from one seed (tests/sim).
 *
 * What libraft lacks and is done here: reads without a log write, snapshots in
 * pieces, learners that become voters, an identity for group and member, and
 * the checks without which libraft would assert on what a peer sends
 * (core_recv.c has them, with the reason of each).
 *
 * After an event that returns an error the member has failed: free it.
 * Thread: one at a time.  The ops must not call the core.
 */
#ifndef HTI_RAFT_CORE_H
#define HTI_RAFT_CORE_H

#include <hardtack/raft.h>

#include "raft/store.h"

struct hti_core;

struct hti_when {
    uint64_t us;      /* monotonic */
    uint64_t wall_ms; /* since 1970 */
};

struct hti_core_ops {
    /* Borrows data.  It may be lost.  id 0: whoever is on that node. */
    void (*send)(void *arg,
                 uint64_t id,
                 const char *node,
                 const uint8_t *data,
                 size_t len);
    /* Takes the job, which comes back by hti_core_done(). */
    void (*submit)(void *arg, struct hti_job *job);
    void (*log)(void *arg,
                ht_log_level level,
                const char *id,
                const char *text);
};

struct hti_core_config {
    const char *group; /* name */
    const char *node;  /* own name */
    uint32_t heartbeat_ms;
    uint32_t election_ms;
    uint32_t command_bytes_max;
    uint32_t pending_max;
    uint32_t snapshot_after_entries;
    uint32_t snapshot_after_bytes;
    uint32_t trailing_entries;
    uint32_t piece_bytes; /* of a snapshot on its way */
    unsigned seed;
};

/* Takes what is in boot on success.  Strings of config are copied, all else is
 * borrowed.  raft is handed to the machine's on_start. */
HT_MUSTUSE ht_err hti_core_new(const struct hti_core_config *config,
                               const struct hti_core_ops *ops,
                               void *ops_arg,
                               const ht_raft_machine *table,
                               void *machine,
                               struct hti_boot *boot,
                               struct hti_core **ret_core);
/* Answer everything that waits with HT_ECLOSED, and free. */
void hti_core_free(struct hti_core *core);

/* ---- events ------------------------------------------------------------ */

HT_MUSTUSE ht_err hti_core_start(struct hti_core *core, struct hti_when now);
/* Bytes from the member on that node; whatever they are. */
HT_MUSTUSE ht_err hti_core_receive(struct hti_core *core,
                                   struct hti_when now,
                                   const char *node,
                                   ht_bytes bytes);
HT_MUSTUSE ht_err hti_core_done(struct hti_core *core,
                                struct hti_when now,
                                struct hti_job *job);
HT_MUSTUSE ht_err hti_core_tick(struct hti_core *core, struct hti_when now);
/* The link to a node is gone. */
HT_MUSTUSE ht_err hti_core_lost(struct hti_core *core,
                                struct hti_when now,
                                const char *node);
/* The disk has no room, or has again. */
void hti_core_full(struct hti_core *core, bool full);
/* Do what calls since the last event left to do, all of it at once: owed after
 * hti_core_propose(), hti_core_read() and the changes. */
HT_MUSTUSE ht_err hti_core_flush(struct hti_core *core, struct hti_when now);
/* When hti_core_tick() is due, in us. */
uint64_t hti_core_deadline(const struct hti_core *core);
/* Why it failed, in words. */
const char *hti_core_failure(const struct hti_core *core);

/* ---- calls, as those of hardtack/raft.h -------------------------------- */

HT_MUSTUSE ht_err hti_core_propose(struct hti_core *core,
                                   struct hti_when now,
                                   ht_bytes command,
                                   ht_raft_done_fn done,
                                   void *arg);
HT_MUSTUSE ht_err hti_core_read(struct hti_core *core,
                                ht_raft_ready_fn ready,
                                void *arg);
HT_MUSTUSE ht_err hti_core_add(struct hti_core *core,
                               const char *node,
                               bool voter,
                               ht_raft_change_fn done,
                               void *arg);
HT_MUSTUSE ht_err hti_core_remove(struct hti_core *core,
                                  const char *node,
                                  ht_raft_change_fn done,
                                  void *arg);
HT_MUSTUSE ht_err hti_core_transfer(struct hti_core *core,
                                    const char *node,
                                    ht_raft_change_fn done,
                                    void *arg);
HT_MUSTUSE ht_err hti_core_snapshot(struct hti_core *core,
                                    ht_raft_change_fn done,
                                    void *arg);
/* Whether the member of that id is on that node, as far as is known. */
bool hti_core_knows(const struct hti_core *core, uint64_t id, const char *node);
/* Whether a member is on that node. */
bool hti_core_from_member(const struct hti_core *core, const char *node);
bool hti_core_leads(const struct hti_core *core);
/* "" if none is known; lent until the next event. */
const char *hti_core_leader(const struct hti_core *core, uint64_t *ret_id);
/* All but fsyncs, disk_full and failed, which are the owner's. */
void hti_core_status(const struct hti_core *core, ht_raft_status *ret_status);

/* For the simulation's checks. */
uint64_t hti_core_term(const struct hti_core *core);
uint64_t hti_core_id(const struct hti_core *core);
uint64_t hti_core_commit(const struct hti_core *core);
uint64_t hti_core_last(const struct hti_core *core);
uint64_t hti_core_applied(const struct hti_core *core);
/* Of an entry; 0: not in memory. */
uint64_t hti_core_term_at(const struct hti_core *core, uint64_t index);
const struct hti_entry *hti_core_entry(const struct hti_core *core,
                                       uint64_t index);

#endif /* HTI_RAFT_CORE_H */
