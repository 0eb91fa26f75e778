/* SPDX-License-Identifier: Apache-2.0 */
/* sim.h - whole clusters in one thread, on simulated time and a simulated
 * network, from one seed.
 *
 * Every node is a real runtime and a real cluster layer with its sessions; what
 * is simulated is what lies below: the clock, randomness, and streams of bytes
 * that arrive late, are cut at any byte, go silent, or are refused.  The same
 * seed gives the same run: sim_signature() is a hash over everything that
 * happened, and a test checks that.
 */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include "cluster/cluster.h"

#define SIM_NODES_MAX   8
#define SIM_CLIENTS_MAX 2

struct sim_options {
    uint64_t seed;
    unsigned nodes;  /* 0: 2 to 8, from the seed */
    unsigned faults; /* how many; 0: from the seed */
    bool trace;      /* print every event */
};

struct sim;

struct sim *sim_new(const struct sim_options *options);
/* Ends every node first. */
void sim_free(struct sim *sim);

/* Let everything happen that happens within that time. */
void sim_run(struct sim *sim, uint64_t for_ms);
uint64_t sim_now(const struct sim *sim);
unsigned sim_nodes(const struct sim *sim);

/* Faults and their end. */
void sim_crash(struct sim *sim, unsigned node);   /* gone, without a word */
void sim_restart(struct sim *sim, unsigned node); /* a new incarnation */
/* In order: new actors are refused for a while; then actors end, links close.
 */
void sim_drain(struct sim *sim, unsigned node);
void sim_stop(struct sim *sim, unsigned node);
/* A hidden client comes, does what nodes do, and goes. */
void sim_client(struct sim *sim);
/* It stands still for so long; bytes wait for it. */
void sim_freeze(struct sim *sim, unsigned node, uint64_t for_ms);
void sim_cut(struct sim *sim);     /* a random connection */
void sim_silence(struct sim *sim); /* the same, no end of stream */
void sim_partition(struct sim *sim, unsigned a, unsigned b, bool on);
void sim_heal(struct sim *sim); /* all of it, and restart */
/* One random action of the workload on a random live node: spawn, end, join,
 * leave, call, cast, monitor, dial. */
void sim_act(struct sim *sim);

/* What must hold. Each prints what does not, with the seed, and returns false.
 * Groups are equal on all live nodes; one ready link a pair, and nothing left
 * of clients; no call in flight; no message out of order; every monitor has
 * told its end once, or its target is alive; whoever was refused has been told
 * once that it may go on. */
bool sim_check_settled(struct sim *sim);
bool sim_check_always(struct sim *sim);
uint64_t sim_signature(const struct sim *sim);
/* Connect every node to every other one, both ways round for some. */
void sim_connect_all(struct sim *sim);

#endif /* TESTS_SIM_SIM_H */
