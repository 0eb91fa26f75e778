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

#ifdef __cplusplus
}
#endif

#endif /* HARDTACK_KV_H */
