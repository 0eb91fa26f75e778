/* SPDX-License-Identifier: Apache-2.0 */
/* raft_sim.h - groups of Raft members in one thread: the real core, log,
 * snapshots and jobs on simulated time, network and disks, from one seed.
 *
 * Messages are lost, late, doubled, out of order; members are cut off from
 * each other in one or both directions, stand still, crash and come back, with
 * a disk that has lost what was not synced, sector by sector; disks are slow,
 * full, or damaged where the damage must be found.  Members join, leave and
 * hand the lead over meanwhile.
 *
 * After every event of a member Raft's five safety properties are checked over
 * all of them, and that no answer was a lie: what was acknowledged is there,
 * reads see all that was answered before them.  A breach prints what and the
 * seed, and ends the process.
 *
 * The state machine and its clients are the program's: struct rsim_app.
 */
#ifndef TESTS_SIM_RAFT_SIM_H
#define TESTS_SIM_RAFT_SIM_H

#include "raft/core.h"

#define RSIM_MEMBERS_MAX 9 /* those that are never in at once included */

struct rsim;

struct rsim_app {
    const ht_raft_machine *table;
    /* A machine for a member's next life; it is empty. */
    void *(*machine_new)(void *app, unsigned member);
    void (*machine_free)(void *app, void *machine);
    /* Now and then, with a chance to propose and read on that member. */
    void (*act)(void *app, struct rsim *sim, unsigned member);
    /* At the end, when the faults are over and all members agree; prints and
     * returns false if something is wrong.  May be NULL. */
    bool (*settled)(void *app, struct rsim *sim);
};

struct rsim_options {
    uint64_t seed;
    unsigned members; /* 0: 3, 5 or 7 from the seed */
    bool trace;
    const struct rsim_app *app; /* NULL: a checked list of commands */
    void *app_arg;
};

struct rsim *rsim_new(const struct rsim_options *options);
void rsim_free(struct rsim *sim);

/* Live with faults for so long, then without, until all agree and a new
 * command is done everywhere.  False: they did not in time (printed). */
bool rsim_run(struct rsim *sim, uint64_t for_ms);
/* A hash over all that happened. */
uint64_t rsim_signature(const struct rsim *sim);

/* For an app. */
uint64_t rsim_random(struct rsim *sim, uint64_t below);
uint64_t rsim_now_us(const struct rsim *sim);
bool rsim_alive(const struct rsim *sim, unsigned member);
unsigned rsim_members(const struct rsim *sim);
void *rsim_machine(const struct rsim *sim, unsigned member);
bool rsim_leads(const struct rsim *sim, unsigned member);
/* As those of hardtack/raft.h; what is done in a callback is flushed by the
 * simulation. */
ht_err rsim_propose(struct rsim *sim,
                    unsigned member,
                    ht_bytes command,
                    ht_raft_done_fn done,
                    void *arg);
ht_err
rsim_read(struct rsim *sim, unsigned member, ht_raft_ready_fn ready, void *arg);
/* A breach: prints, with the seed and how to replay it, and ends the process.
 */
void rsim_breach(const struct rsim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

#endif /* TESTS_SIM_RAFT_SIM_H */
