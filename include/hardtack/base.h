/* SPDX-License-Identifier: Apache-2.0 */
/* hardtack/base.h - the words every part of the public API uses: visibility,
 * errors, byte views, refs. */
#ifndef HARDTACK_BASE_H
#define HARDTACK_BASE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define HT_API     __attribute__((visibility("default")))
#define HT_MUSTUSE __attribute__((warn_unused_result))
#else
#define HT_API
#define HT_MUSTUSE
#endif

/* A timeout of 0 is the documented default, everywhere; this one is none. */
#define HT_INFINITE UINT32_MAX

/* The one table of errors: the enum, ht_strerror() and the table in README.md
 * are all generated from it, so they cannot disagree. */
#define HT_ERR_LIST(X)                                                         \
    X(HT_ENOMEM, -ENOMEM, "out of memory")                                     \
    X(HT_EINVAL, -EINVAL, "invalid argument")                                  \
    X(HT_EBUSY, -EBUSY, "queue is full, try again later")                      \
    X(HT_ETIMEDOUT, -ETIMEDOUT, "timed out")                                   \
    X(HT_EEXIST, -EEXIST, "name is taken")                                     \
    X(HT_ENOENT, -ENOENT, "not found")                                         \
    X(HT_EACCES, -EACCES, "access refused by the file's permissions")          \
    X(HT_EADDRINUSE, -EADDRINUSE, "address is in use")                         \
    X(HT_EIO, -EIO, "input or output failed")                                  \
    X(HT_ECLOSED, -2001, "object is closed")                                   \
    X(HT_ENOPROC, -2002, "no such actor")                                      \
    X(HT_ENOCONN, -2003, "node is not connected")                              \
    X(HT_ENODEDOWN, -2004, "node went down")                                   \
    X(HT_EPROTO, -2005, "peer broke the protocol")                             \
    X(HT_EAUTH, -2006, "authentication failed")                                \
    X(HT_ENOVARIANT, -2007, "actor has no such message")                       \
    X(HT_EARGS, -2008, "arguments do not fit the message")                     \
    X(HT_EOVERLOAD, -2009, "actor is overloaded")                              \
    X(HT_EFAILED, -2010, "handler failed")                                     \
    X(HT_EEXPIRED, -2011, "request expired before it was handled")             \
    X(HT_ECANCELLED, -2012, "cancelled")                                       \
    X(HT_EDENIED, -2013, "denied")                                             \
    X(HT_ETOOBIG, -2014, "message is too large")                               \
    X(HT_ECONFIG, -2015, "configuration is wrong")                             \
    X(HT_ETLS, -2016, "TLS failed")                                            \
    X(HT_ERESOLVE, -2017, "host name does not resolve")                        \
    X(HT_EDUPLICATE, -2018, "another connection to this node was kept")        \
    X(HT_ESELF, -2019, "that is this node itself")                             \
    X(HT_ENAME, -2020, "peer is not the node that was dialled")                \
    X(HT_EUNSUPPORTED, -2021, "peer does not support this")                    \
    X(HT_ENOSPC, -ENOSPC, "disk is full")                                      \
    X(HT_ENOTLEADER, -2022, "this member does not lead the group")             \
    X(HT_EUNKNOWN, -2023, "it may have been done or not")                      \
    X(HT_ECORRUPT, -2024, "stored data is damaged")

typedef enum ht_err {
    HT_OK = 0,
#define HT_ERR_ENUM(name, value, text) name = (value),
    HT_ERR_LIST(HT_ERR_ENUM)
#undef HT_ERR_ENUM
} ht_err;

/** One line of English for err; never NULL, static, any thread. */
HT_API const char *ht_strerror(ht_err err);
/** The enumerator's name, "HT_EBUSY"; "HT_E?" for a value not in the table. */
HT_API const char *ht_errname(ht_err err);

/** A borrowed view of bytes. data may be NULL when len is 0. */
typedef struct ht_bytes {
    const void *data;
    size_t len;
} ht_bytes;

/** A node of the cluster, an actor on it, and a local actor seen from inside
 *  its own handler. */
typedef struct ht_node ht_node;
typedef struct ht_actor ht_actor;

/**
 * The address of an actor, here or on another node.  A plain value: copy it,
 * compare it, keep it.  All zero is "none".  It is meaningful in the ht_node
 * that gave it out; use ht_args_ref() to send one to another node.  It stays
 * dead for ever once its actor or its node's incarnation has ended.
 */
typedef struct ht_ref {
    uint64_t node; /* slot and generation of the node, 0: none */
    uint64_t pid;
} ht_ref;

static inline bool ht_ref_is_none(ht_ref ref)
{
    return ref.node == 0 && ref.pid == 0;
}

static inline bool ht_ref_equal(ht_ref a, ht_ref b)
{
    return a.node == b.node && a.pid == b.pid;
}

/* How an actor, or the way to it, ended. */
typedef enum ht_exit_kind {
    HT_EXIT_NORMAL = 0,   /* it stopped by itself, or ht_stop() */
    HT_EXIT_SHUTDOWN,     /* its supervisor or its node is stopping */
    HT_EXIT_DRAINED,      /* ht_drain(): it handled all it had */
    HT_EXIT_KILLED,       /* ht_kill() */
    HT_EXIT_FAILED,       /* a handler returned an error; see text */
    HT_EXIT_NOPROC,       /* there was no such actor to begin with */
    HT_EXIT_NOCONNECTION, /* the link to its node is gone */
} ht_exit_kind;

typedef struct ht_exit {
    ht_exit_kind kind;
    const char *text; /* lent; never NULL */
} ht_exit;

/** "normal", "killed", ...; static. */
HT_API const char *ht_exit_name(ht_exit_kind kind);

/** Version of the library, "0.1.0". */
HT_API const char *ht_version(void);

#ifdef __cplusplus
}
#endif

#endif /* HARDTACK_BASE_H */
