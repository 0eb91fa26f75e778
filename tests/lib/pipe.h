/* SPDX-License-Identifier: Apache-2.0 */
/* pipe.h - whole nodes in one thread, joined by streams in memory.
 *
 * Each node is a real runtime and a real cluster layer; what is made up is the
 * clock, which stands still until there is nothing left to do, randomness,
 * which comes from a seed, and the streams.  A node listens at its own name's
 * address, "<name>:1".  One scheduler a node, turned by hand.
 *
 * Thread: one; others may send to remote refs meanwhile, and look.  A failed
 * expectation of the harness itself aborts.
 */
#ifndef TESTS_LIB_PIPE_H
#define TESTS_LIB_PIPE_H

#include "cluster/cluster.h"

struct pipe_world;
struct pipe_end;

/* Zero everywhere is the default. */
struct pipe_opts {
    const char *cookie;
    const char *ractor_cookie;
    const char *address; /* NULL: "<name>:1" */
    bool hidden, transitive, any_peer;
    uint32_t outbox_bytes_max, calls_max, frame_max, message_max;
    uint64_t incarnation; /* 0: one more than the last node's */
};

struct pipe_node {
    struct pipe_world *world;
    ht_node *node;
    struct hti_cluster *cluster;
    char name[128];
    char address[128];
    /* private */
    struct pipe_opts opts;
    struct hti_keyring *keys;
    _Atomic bool woken;
    bool up;
    uint64_t tick_ms;
    struct pipe_node *next;
};

struct pipe_world *pipe_new(uint64_t seed);
void pipe_free(struct pipe_world *world); /* NULL is fine; ends every node */

struct pipe_node *pipe_start(struct pipe_world *world,
                             const char *name,
                             const struct pipe_opts *opts);
/* In order: links are closed, actors ended. */
void pipe_stop(struct pipe_node *node);

/* Do everything there is to do now; then what is due within ms from now. */
void pipe_settle(struct pipe_world *world);
void pipe_run(struct pipe_world *world, uint64_t ms);
/* Until done(arg), at most within ms. */
bool pipe_until(struct pipe_world *world,
                bool (*done)(void *arg),
                void *arg,
                uint64_t ms);
uint64_t pipe_now_ms(const struct pipe_world *world);

/* New streams are as if encrypted by the cookie. */
void pipe_set_encrypted(struct pipe_world *world);
/* Bytes take this long. */
void pipe_set_latency(struct pipe_world *world, uint64_t ms);
/* Close every stream between the two. */
void pipe_cut(struct pipe_node *a, struct pipe_node *b);
/* Bytes from a to b stay where they are; a link of a's has a full outbox. */
void pipe_stall(struct pipe_node *a, struct pipe_node *b, bool on);
/* Refuse to connect to it. */
void pipe_set_listening(struct pipe_node *node, bool on);
size_t pipe_connections(struct pipe_world *world);
unsigned pipe_dials(const struct pipe_world *world); /* so far */

/* Dial it, to be kept; on_result may be NULL. */
ht_err pipe_connect(struct pipe_node *from,
                    const char *address,
                    const char *name,
                    bool once,
                    void (*on_result)(void *arg, ht_err err, const char *text),
                    void *arg);

/* A stream to a node with no node at its other end, for peers made by hand. */
struct pipe_end *pipe_raw(struct pipe_node *to);
void pipe_raw_send(struct pipe_end *end, const void *data, size_t len);
/* Takes frame. */
void pipe_raw_send_frame(struct pipe_end *end, struct hti_frame *frame);
/* The next whole payload that came, copied into buf; 0: none, -1: closed. */
long pipe_raw_receive(struct pipe_end *end, void *buf, size_t buf_len);
void pipe_raw_close(struct pipe_end *end);

#endif /* TESTS_LIB_PIPE_H */
