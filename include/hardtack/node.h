/* SPDX-License-Identifier: Apache-2.0 */
/* hardtack/node.h - a node: its configuration, its life, its peers.
 *
 * Any thread may call, handlers too, unless a comment says otherwise; nothing
 * blocks unless it says so.  Times are milliseconds, and 0 is the default.
 * ret_ outputs are written only on HT_OK.  HT_EINVAL and HT_ENOMEM are possible
 * wherever a function can fail.
 */
#ifndef HARDTACK_NODE_H
#define HARDTACK_NODE_H

#include <hardtack/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ht_log_level {
    HT_LOG_DEBUG = 1,
    HT_LOG_INFO,
    HT_LOG_WARN,
    HT_LOG_ERROR,
} ht_log_level;

/** One log line: id is stable ("HT-SESSION-AUTH"), text is key=value pairs.
 *  Any thread; must not call the node. */
typedef void (*ht_log_fn)(ht_log_level level,
                          const char *id,
                          const char *text,
                          void *arg);

/** How a connection is protected. Policy, never negotiated. */
typedef enum ht_encryption {
    HT_ENCRYPT_DEFAULT = 0, /* cookie */
    HT_ENCRYPT_COOKIE,      /* TLS 1.3 keyed by the cookie */
    HT_ENCRYPT_TLS,         /* TLS with certificates */
    HT_ENCRYPT_NONE,        /* plaintext */
} ht_encryption;
#define HT_ENCRYPT_BIT(e) (1u << (unsigned)(e))

typedef enum ht_peers {
    HT_PEERS_DEFAULT = 0, /* hardtack */
    HT_PEERS_HARDTACK,    /* only nodes that prove themselves Hardtack */
    HT_PEERS_ANY,         /* ractor_cluster nodes too */
} ht_peers;

typedef enum ht_client_cert {
    HT_CLIENT_CERT_DEFAULT = 0, /* required */
    HT_CLIENT_CERT_REQUIRED,
    HT_CLIENT_CERT_OPTIONAL, /* of ractor peers, which send none; Hardtack
                              * peers must have one all the same */
} ht_client_cert;

/** Any free port; ht_node_port() tells which. */
#define HT_PORT_ANY (-1)

/** Somewhere to listen. */
typedef struct ht_listener_config {
    const char *address;        /* NULL: dual stack; or an IP; or unix:/path */
    int port;                   /* HT_PORT_ANY, 1..65535; unused for unix: */
    unsigned encryption;        /* HT_ENCRYPT_BIT()s; 0: the node's own */
    ht_peers peers;             /* 0: the node's own */
    ht_client_cert client_cert; /* for HT_ENCRYPT_TLS */
    unsigned unix_mode;         /* 0: 0600 */
    bool admin; /* unix: peers of our uid are admitted without a cookie, for
                 * the hardtack program only */
} ht_listener_config;

/** A peer to dial, for as long as the node lives. */
typedef struct ht_peer_config {
    const char *address;      /* host:port, [v6]:port or unix:/path */
    const char *name;         /* name@host it must have; NULL: any */
    ht_encryption encryption; /* 0: the node's own */
    ht_peers peers;           /* 0: the node's own */
    const char *server_name;  /* TLS server name to ask for; a ractor peer's
                               * certificate must hold it, NULL: the host
                               * dialled.  A Hardtack peer's must hold
                               * URI:hardtack:name@host, whatever this says */
} ht_peer_config;

/** Zero everywhere is the default. Strings and arrays are copied. */
typedef struct ht_config {
    size_t size;          /* sizeof(ht_config) or 0 */
    const char *name;     /* the part before @; required */
    const char *hostname; /* the part after @; NULL: gethostname() */
    int port;             /* one listener on all addresses; 0: none */
    const ht_listener_config *listeners; /* more of them */
    size_t listeners_count;
    const char *advertise; /* host:port we tell peers; NULL: hostname:port */
    const ht_peer_config *peers_list; /* seeds, dialled for ever */
    size_t peers_list_count;

    const char *cookie;      /* the cookie itself */
    const char *cookie_file; /* one cookie a line; first is dialled with */
    const char *cookie_env;  /* name of an environment variable */
    const char *ractor_cookie_file; /* for ractor peers; NULL: none */
    const char *ractor_cookie;
    const char *cluster; /* salts the cookie; NULL: "hardtack" */
    bool weak_cookie;    /* accept one of less than 128 bits */
    bool fast_kdf;       /* cheap key derivation, for tests only */

    ht_encryption encryption;
    ht_peers peers;
    const char *tls_cert_file; /* PEM chain, key, CA */
    const char *tls_key_file;
    const char *tls_ca_file;

    bool transitive; /* dial the peers of our peers */
    bool hidden;     /* a client: not announced, owns no names */

    unsigned threads;      /* schedulers; 0: one a core */
    bool single_threaded;  /* driven by ht_node_poll() */
    unsigned pool_threads; /* for ht_block(); 0: 4 */
    uint32_t spin_us;      /* poll this long before sleeping; 0: 50;
                            * HT_INFINITE: do not poll */

    uint32_t connect_timeout_ms;   /* 0: 5000 */
    uint32_t handshake_timeout_ms; /* 0: 5000 */
    uint32_t heartbeat_ms;         /* 0: 1000 */
    uint32_t silence_ms;    /* a peer silent this long is dead; 0: 5000 */
    uint32_t redial_min_ms; /* 0: 100 */
    uint32_t redial_max_ms; /* 0: 30000 */
    uint32_t drain_ms;      /* 0: 30000 */
    uint32_t mailbox_messages_max;    /* 0: 4096 */
    uint32_t mailbox_bytes_max;       /* 0: 1 MiB */
    uint32_t outbox_bytes_max;        /* 0: 8 MiB */
    uint32_t calls_max;               /* in flight per link; 0: 65536 */
    uint32_t pending_max;             /* unauthenticated connections; 0: 64 */
    uint32_t pending_per_address_max; /* 0: 8 */
    uint32_t frame_bytes_max;         /* taken from a peer; 0: 16 MiB */
    uint32_t message_bytes_max;       /* of a fragmented message; 0: 64 MiB */

    ht_log_fn log; /* NULL: warnings and errors to stderr */
    void *log_arg;
    ht_log_level log_level; /* 0: info */
} ht_config;

/**
 * Start a node: read the cookie, open the listeners, start the schedulers,
 * begin to dial.  *ret_node is written only on success; end it with
 * ht_node_free().  Blocks for the key derivation (about 60 ms).  The process
 * keeps its signal handlers; several nodes may live in it.
 *
 * Returns HT_OK; HT_EINVAL or HT_ECONFIG (what and where is logged, and in
 * ht_start_error()); HT_EACCES, HT_ENOENT (files); HT_EADDRINUSE; HT_ETLS;
 * HT_EIO; HT_ENOMEM.
 */
HT_API HT_MUSTUSE ht_err ht_node_start(const ht_config *config,
                                       ht_node **ret_node);
/** What went wrong in this thread's last ht_node_start() or ht_node_reload(),
 *  in words; "" if nothing did. Lent until the next such call in this thread.
 *  Other functions leave it as it is. */
HT_API const char *ht_start_error(void);
/** Wait until ht_node_stop(), which may have come before; then it may be called
 *  again. From an ordinary thread, else HT_EINVAL. A single-threaded node is
 *  driven meanwhile. Nothing has ended when it returns: ht_node_drain() if that
 *  is wanted, and ht_node_free(). */
HT_API ht_err ht_node_run(ht_node *node);
/** Let ht_node_run() return. Any thread; also from a signal handler. */
HT_API void ht_node_stop(ht_node *node);
/** Refuse new actors and peers, let mailboxes and outboxes run empty, up to
 *  timeout_ms (0: the configured drain_ms). HT_ETIMEDOUT: something was left.
 *  Blocks; from an ordinary thread, else HT_EINVAL. There is no way back but
 *  ht_node_free(). */
HT_API ht_err ht_node_drain(ht_node *node, uint32_t timeout_ms);
/** End every actor (terminate hooks run), close every link, join every thread,
 *  free. Blocks for handlers that are running and jobs of ht_block(). NULL is
 *  fine. From an ordinary thread, and the last call for this node in any. */
HT_API void ht_node_free(ht_node *node);

/** Single-threaded nodes: a descriptor (the node's; only watch it) that turns
 *  readable when there is work, and the function that does it, waiting at most
 *  timeout_ms (0: not at all, HT_INFINITE: until there is some).  Handlers run
 *  in the thread that calls it, one thread at a time.  HT_EINVAL: the node has
 *  schedulers of its own, or this is a handler. */
HT_API int ht_node_fd(ht_node *node);
HT_API ht_err ht_node_poll(ht_node *node, uint32_t timeout_ms);

/** name@host; lent for the node's life. */
HT_API const char *ht_node_name(const ht_node *node);
/** Of the first TCP listener; 0 if there is none. */
HT_API int ht_node_port(const ht_node *node);
/** Distinguishes lives of a node of one name; grows with each start
 *  (microseconds since 1970, if the clock does). */
HT_API uint64_t ht_node_incarnation(const ht_node *node);

/** How to reach a peer; zero everywhere is the default. */
typedef struct ht_connect_opts {
    const char *name; /* as in ht_peer_config, all four */
    ht_encryption encryption;
    ht_peers peers;
    const char *server_name;
    uint32_t timeout_ms; /* 0: 5000 */
    bool once;           /* do not redial when the link is lost */
} ht_connect_opts;

/**
 * Dial and wait until the peer is ready, which means that its named and
 * grouped actors can be seen.  It is redialled from then on, unless opts say
 * otherwise; after an error it is not.  opts may be NULL; address and opts are
 * copied.  Blocks; from an ordinary thread, else HT_EINVAL.
 *
 * Returns HT_OK (also if it was connected already), HT_ERESOLVE, HT_ENOCONN
 * (refused or unreachable), HT_ETIMEDOUT, HT_EAUTH, HT_ETLS, HT_EPROTO,
 * HT_ESELF, HT_ENAME, HT_EDENIED, HT_EINVAL (the address too), HT_EBUSY (too
 * many are dialled), HT_ENOMEM.  Why in words is ht_peer_info's last_error and
 * in the log.
 */
HT_API HT_MUSTUSE ht_err ht_client_connect(ht_node *node,
                                           const char *address,
                                           const ht_connect_opts *opts);
/** The same without waiting: HT_OK means that it is dialled now, and again
 *  until it answers unless opts say once; node events tell what becomes of it.
 *  HT_EINVAL, HT_EBUSY, HT_ENOMEM. */
HT_API HT_MUSTUSE ht_err ht_connect(ht_node *node,
                                    const char *address,
                                    const ht_connect_opts *opts);
/** Close the link to the node of that name, "name@host", and do not redial.
 *  The peer may dial us again. HT_ENOENT: there is no link, and no dial of a
 *  peer known by that name. */
HT_API ht_err ht_disconnect(ht_node *node, const char *node_name);

/** Get HT_EVENT_NODE events in self from now on (ht_actor from actor.h), or no
 *  more; twice is once. Only for self, in a callback of its own. HT_EINVAL,
 *  HT_ENOMEM. */
HT_API HT_MUSTUSE ht_err ht_monitor_nodes(ht_actor *self, bool on);

typedef struct ht_peer_info {
    const char *name; /* "" while unknown; all strings lent for the call */
    const char *address;
    const char *state;      /* dialling handshake syncing ready waiting */
    const char *encryption; /* cookie tls none unix */
    const char *auth;       /* hardtack ractor admin, "" before */
    const char *last_error; /* why the last attempt failed, "" if it did not */
    bool initiated;         /* by us */
    bool hidden;
    uint64_t incarnation;
    uint64_t node;     /* the handle in refs to its actors; 0 if none */
    uint64_t since_ms; /* age of the state */
    uint64_t rtt_us;   /* of the last heartbeat; 0: none yet */
    uint64_t sent_frames, sent_bytes, received_frames, received_bytes;
    uint64_t outbox_bytes, outbox_refused; /* queued now; HT_EBUSY so far */
    uint64_t calls_in_flight;
    uint64_t dropped; /* inbound casts refused: mailbox full, no such actor */
    uint64_t calls_refused; /* HT_EBUSY at calls_max so far */
} ht_peer_info;
/** Call fn, in this thread, for every connection and every peer that is dialled
 *  or waits to be. A lock is held: fn must not call the node. */
HT_API void ht_peer_each(ht_node *node,
                         void (*fn)(const ht_peer_info *info, void *arg),
                         void *arg);

/** Accepted connections that have proved nothing yet, and what became of such
 *  ones at the limits. */
typedef struct ht_strangers {
    uint64_t waiting; /* now; at most pending_max */
    uint64_t evicted; /* so far: closed, as the oldest, to make room */
    uint64_t barred;  /* so far: refused at accept, since their address had
                       * failed to authenticate too often */
} ht_strangers;
HT_API void ht_node_strangers(ht_node *node, ht_strangers *ret_strangers);

/** Write a line to the node's log; id is stable and begins with "HT-" only in
 *  this library, format makes key=value pairs.  Any thread. */
HT_API void ht_node_log(ht_node *node,
                        ht_log_level level,
                        const char *id,
                        const char *format,
                        ...) __attribute__((format(printf, 4, 5)));

/** "<name@host.incarnation.pid>", cut to buf_len with its NUL (300 is enough
 *  for every ref); "?" for a node that is not known.  Returns buf. */
HT_API const char *
ht_ref_format(ht_node *node, ht_ref ref, char *buf, size_t buf_len);
/** The inverse. HT_EINVAL: not such a text; HT_ENOENT: no node of that name
 *  and incarnation is known. */
HT_API HT_MUSTUSE ht_err ht_ref_parse(ht_node *node,
                                      const char *text,
                                      ht_ref *ret_ref);
/** The name of the node an actor lives on, "" if unknown; lent until the next
 *  call in this thread. */
HT_API const char *ht_ref_node_name(ht_node *node, ht_ref ref);

/** Read cookie and certificate files again; new connections use them, those
 *  that are up stay. On an error, which is one of ht_node_start()'s,
 *  everything stays as it was. Blocks as ht_node_start(). */
HT_API ht_err ht_node_reload(ht_node *node);

#ifdef __cplusplus
}
#endif

#endif /* HARDTACK_NODE_H */
