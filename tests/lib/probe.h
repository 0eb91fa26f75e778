/* SPDX-License-Identifier: Apache-2.0 */
/* probe.h - an actor that notes what comes to it and does what a test says.
 *
 * It answers calls by variant: "echo" with its arguments, "fail" with an error,
 * "hold" not at all, "large" with as many bytes as its arguments say in
 * decimal; any other with "no such variant".
 */
#ifndef TESTS_LIB_PROBE_H
#define TESTS_LIB_PROBE_H

#include "tests/lib/pipe.h"

struct probe {
    ht_node *node;
    ht_ref ref;
    bool trap_exit, ended;
    /* what came, newest last */
    unsigned casts, calls, replies, downs, exits, ups, downs_of_nodes,
        writables;
    unsigned authenticated, opened;
    char variant[64];
    char args[256]; /* of the last cast or call, cut */
    size_t args_len;
    ht_ref from;
    ht_err reply_err;
    char reply_reason[128];
    char reply[256];
    size_t reply_len;
    ht_exit_kind down_kind, exit_kind;
    char down_text[128];
    ht_ref down_ref;
    char node_name[128];
    ht_err node_reason;
    ht_call held;
    uint64_t call_id, monitor_id;
};

/* Fills probe and spawns; name may be NULL. */
ht_err probe_spawn(struct pipe_node *node,
                   const char *name,
                   bool local_only,
                   struct probe *probe);
/* Runs fn in a turn of the probe, and returns what it returned. */
ht_err probe_run(struct pipe_node *node,
                 struct probe *probe,
                 ht_err (*fn)(ht_actor *self, struct probe *probe, void *arg),
                 void *arg);

/* The usual things to do in one. */
ht_err probe_call(struct pipe_node *node,
                  struct probe *probe,
                  ht_ref to,
                  const char *variant,
                  const char *args,
                  uint32_t timeout_ms);
ht_err probe_call_name(struct pipe_node *node,
                       struct probe *probe,
                       const char *node_name,
                       const char *name,
                       const char *variant,
                       const char *args);
ht_err probe_cast(struct pipe_node *node,
                  struct probe *probe,
                  ht_ref to,
                  const char *);
ht_err probe_monitor(struct pipe_node *node, struct probe *probe, ht_ref ref);
ht_err probe_demonitor(struct pipe_node *node, struct probe *probe);
ht_err probe_link(struct pipe_node *node, struct probe *probe, ht_ref ref);
ht_err probe_unlink(struct pipe_node *node, struct probe *probe, ht_ref ref);
ht_err probe_watch_nodes(struct pipe_node *node, struct probe *probe);
ht_err
probe_notify_writable(struct pipe_node *node, struct probe *probe, ht_ref ref);
ht_err probe_reply_held(struct pipe_node *node, struct probe *probe);

#endif /* TESTS_LIB_PROBE_H */
