/* SPDX-License-Identifier: Apache-2.0 */
/* sim_internal.h - shared by the simulator's parts: sim.c (time, nodes,
 * checks), sim_net.c (streams), sim_work.c (actors and what they do). */
#ifndef TESTS_SIM_SIM_INTERNAL_H
#define TESTS_SIM_SIM_INTERNAL_H

#include <sys/queue.h>

#include "tests/sim/sim.h"

#define SIM_MODE_BYTES 32

/* Bytes on their way, or the end of the stream (len 0). */
struct sim_chunk {
    TAILQ_ENTRY(sim_chunk) entry;
    uint64_t at_ms;
    size_t len;
    uint8_t data[];
};
TAILQ_HEAD(sim_chunks, sim_chunk);

struct sim_conn;

struct sim_end {
    struct sim_conn *conn;
    unsigned node;
    struct hti_link *link; /* NULL: closed */
    bool dirty;            /* has something to write */
    bool closing;
    ht_err close_why;
    uint64_t tick_ms;
    struct sim_chunks in; /* on their way to this end */
};

struct sim_conn {
    TAILQ_ENTRY(sim_conn) entry;
    uint64_t id;
    struct sim_end end[2]; /* 0: the initiator's */
    bool silent;           /* bytes go nowhere, and nobody is told */
    uint8_t exporter[HTI_EXPORTER_BYTES];
};
TAILQ_HEAD(sim_conns, sim_conn);

struct sim_dial {
    TAILQ_ENTRY(sim_dial) entry;
    uint64_t at_ms;
    uint64_t dial_id;
    unsigned from;
    unsigned to;
};
TAILQ_HEAD(sim_dials, sim_dial);

#define SIM_MONITORS_MAX 256
#define SIM_WAITS_MAX    64

struct sim_monitor {
    uint64_t id;
    ht_ref ref;
};

struct sim_node {
    struct sim *sim;
    unsigned index;
    uint64_t incarnation;
    char name[32];
    char address[32];
    ht_node *node; /* NULL: crashed */
    struct hti_cluster *cluster;
    uint64_t tick_ms;
    uint64_t timer_ms;
    uint64_t frozen_ms; /* stopped until then, as by SIGSTOP */
    ht_ref client;
    /* The workload's books. */
    uint64_t calls_started;
    uint64_t calls_ended;
    uint64_t casts;
    struct sim_monitor monitors[SIM_MONITORS_MAX]; /* not fired yet */
    size_t monitors_count;
    ht_ref waits[SIM_WAITS_MAX]; /* refused, and not told yet to go on */
    size_t waits_count;
    bool draining;
    bool hidden;
};

struct sim {
    struct sim_options options;
    uint64_t now_ms;
    uint64_t rng;
    uint64_t signature;
    unsigned nodes_count;
    unsigned all_count; /* with clients, which lie behind the nodes */
    struct sim_node nodes[SIM_NODES_MAX + SIM_CLIENTS_MAX];
    bool transitive; /* most are not dialled but heard of */
    uint32_t outbox_bytes_max;
    bool partitioned[SIM_NODES_MAX][SIM_NODES_MAX];
    struct sim_conns conns;
    struct sim_dials dials;
    uint64_t next_conn;
    unsigned latency_ms; /* at most */
    enum hti_session_mode mode;
    struct hti_keyring *keys;
    unsigned violations;
};

bool sim_is_frozen(const struct sim *sim, unsigned node);
uint64_t sim_random(struct sim *sim);
unsigned sim_below(struct sim *sim, unsigned n); /* 0 to n-1 */
void sim_note(struct sim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void sim_violation(struct sim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* sim_net.c */
extern const struct hti_cluster_io sim_cluster_io;
uint64_t sim_net_next(struct sim *sim); /* when something is due */
bool sim_net_step(struct sim *sim);     /* do what is due; false: nothing */
void sim_net_flush(struct sim *sim);    /* write what links have */
void sim_net_drop_node(struct sim *sim, unsigned node, bool tell_peers);
void sim_net_cut(struct sim *sim, struct sim_conn *conn);
struct sim_conn *sim_net_random(struct sim *sim);
void sim_net_free(struct sim *sim);

/* sim_work.c */
void sim_work_start(struct sim_node *n);
void sim_work_act(struct sim_node *n);
/* Every node is there and settled: whether its books balance. */
void sim_work_check(struct sim_node *n);

#endif /* TESTS_SIM_SIM_INTERNAL_H */
