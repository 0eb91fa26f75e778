/* SPDX-License-Identifier: Apache-2.0 */
/* cluster.h - a store on several real nodes of one process, on loopback and in
 * a directory that is removed. */
#ifndef TESTS_KV_CLUSTER_H
#define TESTS_KV_CLUSTER_H

#include <hardtack/kv.h>
#include <hardtack/service.h>

#include "kv/messages.h"
#include "tests/node/fixture.h"

#define CLUSTER_MAX 5u

struct member {
    ht_node *node; /* NULL: it is down */
    ht_kv *kv;     /* NULL: the node has no member */
    char name[16];
    int port; /* the same when it starts again */
};

struct cluster {
    char directory[64];
    struct member members[CLUSTER_MAX];
    size_t count;
    struct log log;
    ht_kv_config config; /* of the members; directory is the fixture's */
};

/* Nodes that know each other; a member on each, the first of which made the
 * group, all voters. */
void cluster_start(struct cluster *c, size_t count);
void cluster_stop(struct cluster *c);
/* One more node, without a member, connected to all. */
ht_node *cluster_client(struct cluster *c);
/* End a member and its node at once, and start it again from its directory. */
void cluster_down(struct cluster *c, size_t i);
void cluster_up(struct cluster *c, size_t i);
/* Out of the group; its node and its member go on. */
void cluster_remove(struct cluster *c, size_t i);
/* Which member leads; waits for one. */
size_t cluster_leader(struct cluster *c);

/* One call of a front from this thread: the reply, decoded anew and the
 * caller's; NULL: see cluster_error() and ht_kv_reason()'s like. */
ProtobufCMessage *cluster_call(ht_node *node,
                               const char *method,
                               const ProtobufCMessage *request);
ht_err cluster_error(void);
const char *cluster_reason(void);

#endif /* TESTS_KV_CLUSTER_H */
