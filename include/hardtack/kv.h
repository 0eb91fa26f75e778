/* SPDX-License-Identifier: Apache-2.0 */
/* hardtack/kv.h - the replicated key-value store: a member of it in this node,
 * and how programs use it.  Link with libhardtack-raft.
 *
 *   ht_kv_config config = {.directory = "/var/lib/app/kv"};
 *   ht_kv *kv = NULL;
 *   ht_err err = ht_kv_start(node, &config, &kv);
 *
 *   err = ht_kv_put(node, NULL, "motd", "Ahoy", 4, NULL, NULL);
 *
 * A *store* has a name, NULL meaning "kv", and a member on each of three to
 * seven nodes.  What it does and promises is in hardtack/kv.proto, whose
 * service is the whole of it: actors use its stubs over the ref of
 * ht_kv_front(), in turns, without blocking.  The functions below are for
 * threads.
 *
 * Every node has a front of its own, which finds the leader, sends what failed
 * again under one request id for as long as a call may take, and so makes a
 * write be done once however often members change.
 *
 * Any thread may call; what blocks says so.
 */
#ifndef HARDTACK_KV_H
#define HARDTACK_KV_H

#include <hardtack/actor.h>
#include <hardtack/base.h>
#include <hardtack/raft.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- a member -------------------------------------------------------------
 */

typedef struct ht_kv ht_kv;

/** Zero everywhere is the default.  Strings are copied. */
typedef struct ht_kv_config {
    size_t size;           /* sizeof(ht_kv_config) or 0 */
    const char *store;     /* NULL: "kv"; as ht_raft_config's group */
    const char *directory; /* as ht_raft_config's, all these */
    bool bootstrap;
    uint32_t heartbeat_ms;
    uint32_t election_ms;
    uint32_t segment_bytes;
    uint32_t snapshot_after_entries;
    uint32_t snapshot_after_bytes;
    uint32_t trailing_entries;
    /* Of this member.  Those of the leader count. */
    uint64_t bytes_max;          /* of keys and values; 0: 4 GiB */
    uint32_t leases_max;         /* 0: 100000 */
    uint32_t watchers_max;       /* of this member; 0: 4096 */
    uint32_t history_max;        /* changes kept for watchers; 0: 100000 */
    uint32_t history_bytes_max;  /* 0: 64 MiB */
    uint32_t requests_max;       /* under way here; 0: 16384 */
    uint32_t request_timeout_ms; /* tried for so long; 0: 4500 */
} ht_kv_config;

/**
 * Start the member of this node, and the actor that answers for it,
 * "hardtack.kv", or "hardtack.kv.NAME" for a store of another name.  Blocks and
 * fails as ht_raft_start(), HT_EEXIST also if the node has a front of that
 * store by ht_kv_front().
 */
HT_API HT_MUSTUSE ht_err ht_kv_start(ht_node *node,
                                     const ht_kv_config *config,
                                     ht_kv **ret_kv);
/** Stop and free.  NULL is fine.  Blocks; from an ordinary thread, before
 *  ht_node_free(). */
HT_API void ht_kv_free(ht_kv *kv);
/** For ht_raft_status_get(); lent. */
HT_API ht_raft *ht_kv_raft(ht_kv *kv);

/* ---- using a store ---------------------------------------------------------
 */

/**
 * The actor of this node that answers for a store, wherever its members are:
 * the service hardtack.kv.Store.  Made if there is none yet; it lives as long
 * as the node.  HT_EINVAL (the name), HT_ENOMEM, HT_ECLOSED.
 */
HT_API HT_MUSTUSE ht_err ht_kv_front(ht_node *node,
                                     const char *store,
                                     ht_ref *ret_ref);

/** Why the last function below failed in this thread, in the store's words
 *  ("no_leader: ..."), "" if they are not its.  Lent until the next. */
HT_API const char *ht_kv_reason(void);

typedef struct ht_kv_value {
    void *data; /* len bytes, and a NUL behind them */
    size_t len;
    uint64_t revision; /* when it was written */
    uint64_t create_revision;
    uint64_t version;
    uint64_t lease;
    uint64_t ttl_ms; /* left; 0: for ever */
} ht_kv_value;
/** Safe on a zeroed one, and twice. */
HT_API void ht_kv_value_fini(ht_kv_value *value);

/** Zero everywhere is the default. */
typedef struct ht_kv_put_opts {
    uint64_t lease;
    uint64_t ttl_ms;
} ht_kv_put_opts;

/*
 * These block, up to ht_kv_config's request_timeout_ms of the front (4500), and
 * are for ordinary threads.  They return HT_OK, what their comments say, or
 *   HT_EFAILED    see ht_kv_reason();
 *   HT_EARGS, HT_ETOOBIG, HT_EOVERLOAD   likewise, see kv.proto;
 *   HT_EINVAL     in a handler; HT_ETIMEDOUT; HT_ENOMEM; HT_ECLOSED.
 */

/** Read a key; stale as in kv.proto.  The caller frees *ret_value with
 *  ht_kv_value_fini().  HT_ENOENT. */
HT_API HT_MUSTUSE ht_err ht_kv_get(ht_node *node,
                                   const char *store,
                                   const char *key,
                                   bool stale,
                                   ht_kv_value *ret_value);
/** Write a key.  opts and ret_revision may be NULL. */
HT_API HT_MUSTUSE ht_err ht_kv_put(ht_node *node,
                                   const char *store,
                                   const char *key,
                                   const void *data,
                                   size_t len,
                                   const ht_kv_put_opts *opts,
                                   uint64_t *ret_revision);
/** Write a key whose revision is as expected, 0: that is not there.  HT_EEXIST:
 *  it is another. */
HT_API HT_MUSTUSE ht_err ht_kv_swap(ht_node *node,
                                    const char *store,
                                    const char *key,
                                    uint64_t expect_revision,
                                    const void *data,
                                    size_t len,
                                    const ht_kv_put_opts *opts,
                                    uint64_t *ret_revision);
/** Delete a key.  HT_ENOENT: it was not there. */
HT_API HT_MUSTUSE ht_err ht_kv_del(ht_node *node,
                                   const char *store,
                                   const char *key);

/* ---- names of the whole cluster ---------------------------------------------
 */

/** Zero everywhere is the default. */
typedef struct ht_global_config {
    size_t size;       /* sizeof(ht_global_config) or 0 */
    const char *store; /* that holds the names; NULL: "kv" */
    uint32_t lease_ms; /* until a dead node's names are free; 0: 10000; at least
                        * 1000 */
} ht_global_config;
/** Say how this node holds names, before it first does; HT_EEXIST: it has
 *  begun.  HT_EINVAL, HT_ENOMEM, HT_ECLOSED. */
HT_API HT_MUSTUSE ht_err ht_global_start(ht_node *node,
                                         const ht_global_config *config);

/**
 * Give a local actor a name that no other actor of the cluster has.  It is held
 * by a lease of this node: until the actor ends, the name is given back, or the
 * node has not reached the store for so long that the lease may have ended.
 * Then the actor is cast "HtGlobalLost" with the name (a string) and the token
 * (a u64), a fifth of the lease's time before anybody else can hold the name.
 *
 * *ret_token (may be NULL) is the fencing token: greater than that of every
 * holder before.  Who writes to something shared on behalf of the name gives
 * the token along, and what is shared refuses one that is less than it has
 * seen.
 *
 * HT_EEXIST: another actor has it.  HT_ENOPROC: the actor has ended, or is not
 * of this node.  Blocks and fails as ht_kv_put().  In a handler: the service
 * Names of kv.proto.
 */
HT_API HT_MUSTUSE ht_err ht_register_global(ht_node *node,
                                            const char *name,
                                            ht_ref ref,
                                            uint64_t *ret_token);
/** Give it back.  HT_ENOENT: this node does not hold it.  As above. */
HT_API ht_err ht_unregister_global(ht_node *node, const char *name);
/** Who has the name now, a linearizable read.  ret_token may be NULL.
 *  HT_ENOENT: nobody.  As above. */
HT_API HT_MUSTUSE ht_err ht_whereis_global(ht_node *node,
                                           const char *name,
                                           ht_ref *ret_ref,
                                           uint64_t *ret_token);

/** An actor of which the cluster has one. */
typedef struct ht_singleton_config {
    size_t size;                 /* sizeof(ht_singleton_config) or 0 */
    const char *name;            /* its global name; 1 to 200 bytes; required */
    const ht_behavior *behavior; /* of the instance; borrowed; required */
    void *arg;                   /* as ht_spawn()'s */
    ht_spawn_opts opts;          /* copied; name and link are not for here */
} ht_singleton_config;
/**
 * Let this node be one of those that may run the actor.  Called on several
 * nodes, one of them runs it, under its global name; when it ends it is started
 * again, and when its node dies, or is cut off from the store, another's takes
 * over, once the lease has ended.  A node that is cut off kills its instance
 * before that.  The instance is cast "HtGlobalHeld" with the name and the
 * fencing token once it has the name.  It runs until ht_singleton_stop() or the
 * end of the node.
 *
 * Returns HT_OK, HT_EEXIST (this node has one of that name), HT_EINVAL,
 * HT_ENOMEM, HT_ECLOSED.  Does not wait for the instance.
 */
HT_API HT_MUSTUSE ht_err ht_singleton_start(ht_node *node,
                                            const ht_singleton_config *config);
/** Stop running it here, and give it to another node.  Does not wait: it is
 * done when ht_whereis(node, "hardtack.singleton.NAME") is none.  HT_ENOENT. */
HT_API ht_err ht_singleton_stop(ht_node *node, const char *name);

#ifdef __cplusplus
}
#endif

#endif /* HARDTACK_KV_H */
