/* SPDX-License-Identifier: Apache-2.0 */
/* server.h - NodeServer: what a running node consists of, for the files of this
 * folder.  It hangs in HTI_SLOT_SERVER of its ht_node.
 *
 * Made in this order and taken down in the reverse one: settings, keys, TLS,
 * loops, runtime, listeners (bound), cluster, threads, listeners (accepting),
 * seeds.
 *
 * Thread: fields say which.  Lifetime: the node's.
 */
#ifndef HTI_NODE_SERVER_H
#define HTI_NODE_SERVER_H

#include "cluster/cluster.h"
#include "node/config.h"
#include "node/loop.h"
#include "node/pending.h"
#include "node/resolve.h"
#include "node/tls.h"

struct hti_conn;
struct hti_dialer;
struct hti_listener;
TAILQ_HEAD(hti_conn_list, hti_conn);
TAILQ_HEAD(hti_dialer_list, hti_dialer);

#define HTI_WARM_MAX 16

/* Dials that could not even begin, until the cluster is told. */
#define HTI_UNDIALLED_MAX 64

/* What lives on one loop; only its thread touches it. */
struct hti_residents {
    struct hti_conn_list conns;
    /* Encrypted ones whose OpenSSL keeps its buffers, some 34 KiB each, the
     * last used last: making and freeing them costs as much as a small record,
     * and thousands of idle peers must not keep them. */
    struct hti_conn_list warm;
    unsigned warm_count;
    struct hti_dialer_list dialers;
    struct hti_task close_all;
    struct hti_server *server;
    struct hti_loop *loop;
};

struct hti_server {
    struct hti_settings *settings;
    struct hti_log log;
    ht_node *node;
    struct hti_cluster *cluster;
    struct hti_loop *loops; /* settings->scheds of them */
    struct hti_residents *residents;
    uint64_t incarnation;
    uint8_t instance[HTI_INSTANCE_BYTES];

    struct hti_listener *listeners;
    size_t listeners_count;
    int port; /* of the first TCP listener, 0: none */

    struct hti_keyring *peercred;
    struct hti_resolver *resolver;
    struct hti_pending pending;

    pthread_mutex_t lock; /* of tls, log limits; goes with changed */
    pthread_cond_t changed;
    uint64_t changes;
    struct hti_tls *tls;
    uint64_t
        rekey_bytes; /* 0: the usual; tests lower it before the first dial */
    struct hti_log_limit log_accept, log_handshake;

    uint64_t undialled[HTI_UNDIALLED_MAX]; /* loop 0's; see dialer.h */
    unsigned undialled_count;

    _Atomic uint64_t tick_at_ms; /* hti_cluster_tick() is due */
    _Atomic unsigned next_loop;  /* round robin */
    _Atomic size_t lodgers;      /* connections and dials not yet freed */
    _Atomic long unsent;         /* connections with something to write */
    _Atomic bool deaf;           /* no longer listening */
    _Atomic bool closing;        /* nothing new comes in or goes out */
    _Atomic unsigned waiters;    /* threads that wait for changed */
    _Atomic bool stopped;        /* ht_node_stop() */
    int stop_fd;
};

/* One stage of every round; returns when it wants the next, in ms. */
uint64_t hti_server_round(struct hti_server *server, struct hti_loop *loop);
/* The loop that the next connection lives on. */
struct hti_loop *hti_server_next_loop(struct hti_server *server);
/* NULL for a node that is no server (simulation). */
struct hti_server *hti_server_of(const ht_node *node);
uint64_t hti_server_now_ms(void);
struct hti_tls *hti_server_tls(struct hti_server *server); /* a reference */
struct hti_residents *hti_server_residents(struct hti_server *server,
                                           const struct hti_loop *loop);
/* A connection or dial began, ended. */
void hti_server_lodge(struct hti_server *server);
void hti_server_leave(struct hti_server *server);
/* A line that strangers can cause: at most a few a second. */
void hti_server_log_limited(struct hti_server *server,
                            struct hti_log_limit *limit,
                            ht_log_level level,
                            const char *id,
                            const char *format,
                            ...) __attribute__((format(printf, 5, 6)));

/* Remember the words for ht_start_error(); returns err. */
ht_err hti_start_fail(ht_err err, const char *text);

#endif /* HTI_NODE_SERVER_H */
