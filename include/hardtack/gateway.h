/* SPDX-License-Identifier: Apache-2.0 */
/* hardtack/gateway.h - WebSocket and HTTP clients of a node: browsers, phones
 * and scripts reach actors, and are reached.  Link with libhardtack-gateway.
 *
 *   ht_gateway_config config = {.port = 8080, .public_targets = targets};
 *   ht_gateway *gateway = NULL;
 *   ht_err err = ht_gateway_start(node, &config, &gateway);
 *
 * Every connected client is an actor of the node, with a name.
 */
#ifndef HARDTACK_GATEWAY_H
#define HARDTACK_GATEWAY_H

#include <hardtack/base.h>
#include <hardtack/node.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ht_gateway ht_gateway;

/** Clients that subscribe to a group are members of the group of that name in
 *  this scope: ht_group_cast(node, HT_GATEWAY_SCOPE, "news", ...) reaches them.
 *  hardtack/client.proto has what can be said to them. */
#define HT_GATEWAY_SCOPE "hardtack.clients"

/** Clients whose token has the claim may reach the target.  A target is an
 *  actor's name, `node@host:actor` or `group:name`; a `*` at its end matches
 *  any rest.  "send TARGET" is about calls and casts only, "subscribe TARGET"
 *  about subscriptions.  Actors and groups of Hardtack's own ("hardtack.") are
 *  matched by no `*`.  The claim "*" is any valid token. */
typedef struct ht_gateway_rule {
    const char *claim;
    const char *target;
} ht_gateway_rule;

/** Who sees the dashboard: the page /dashboard and the actor
 *  "hardtack.dashboard".  A token needs to be allowed that actor's name;
 *  one that is allowed "hardtack.operator" may act, too. */
typedef enum ht_dashboard {
    HT_DASHBOARD_OFF = 0, /* there is none */
    HT_DASHBOARD_TOKEN,   /* who has such a token */
    HT_DASHBOARD_LOCAL,   /* and who asks on this machine, by its name
                           * localhost or an address */
} ht_dashboard;

/** Zero everywhere is the default. Strings and arrays are copied. */
typedef struct ht_gateway_config {
    size_t size;             /* sizeof(ht_gateway_config) or 0 */
    const char *address;     /* an IP; NULL: dual stack */
    int port;                /* HT_PORT_ANY, 1..65535 */
    const char *certificate; /* PEM chain; NULL: plain */
    const char *private_key; /* PEM */

    /* Who may: by default nobody reaches anything. */
    const char *token_key_file;        /* made by `hardtack token key` */
    const char *const *public_targets; /* reached without a token */
    size_t public_targets_count;
    const ht_gateway_rule *rules;
    size_t rules_count;
    /* Origins of web pages ("https://example.org") that may connect; "*" is
     * any.  None: only pages that come from the host they connect to. */
    const char *const *origins;
    size_t origins_count;

    uint32_t connections_max;             /* 0: 16384 */
    uint32_t connections_per_address_max; /* 0: 1024 */
    uint32_t message_bytes_max;           /* from a client; 0: 64 KiB */
    uint32_t messages_per_second_max;     /* of a client; 0: 100 */
    uint32_t messages_burst_max;          /* at once; 0: 200 */
    uint32_t queued_bytes_max;            /* to a client; 0: 1 MiB */
    uint32_t resume_bytes_max;            /* kept for a resume; 0: 256 KiB */
    uint32_t resume_messages_max;         /* kept for a resume; 0: 1024 */
    uint32_t calls_max;                   /* of a client at once; 0: 64 */
    uint32_t subscriptions_max;           /* of a client; 0: 64 */
    uint32_t handshake_timeout_ms;        /* until a request; 0: 5000 */
    uint32_t idle_ms;  /* a client silent this long is closed; 0: 60000 */
    uint32_t grace_ms; /* how long a session waits for its client to come
                        * back; 0: 60000 */
    uint32_t call_timeout_ms; /* the longest a client may ask; 0: 30000 */
    bool deflate;             /* offer permessage-deflate */
    ht_dashboard dashboard;
    /* A directory: its files are pages, NAME as /NAME, index.html as / too.
     * They are read at the start and by ht_gateway_reload(). NULL: none. */
    const char *pages;
} ht_gateway_config;

/**
 * Open the port and serve, on all of the node's loops.  The gateway must be
 * freed before the node.  From an ordinary thread, or from the one that drives
 * a single-threaded node.
 *
 * Returns HT_OK; HT_EINVAL or HT_ECONFIG (what is logged, and in
 * ht_gateway_start_error()); HT_EADDRINUSE, HT_EACCES, HT_ENOENT, HT_ETLS,
 * HT_ENOMEM, HT_ECLOSED (the node is stopping).
 */
HT_API HT_MUSTUSE ht_err ht_gateway_start(ht_node *node,
                                          const ht_gateway_config *config,
                                          ht_gateway **ret_gateway);
/** What went wrong in this thread's last failed ht_gateway_start(); "" if
 *  nothing.  Lent until the next call in this thread. */
HT_API const char *ht_gateway_start_error(void);
/** The port it listens on. */
HT_API int ht_gateway_port(const ht_gateway *gateway);
/**
 * Serve a web page: GET path is answered with data from now on, whoever asks.
 * Copies everything; a page of that path is replaced, and removed if data is
 * NULL.  The gateway's own paths (/ws, /call/, /cast/, /events, /healthz,
 * /readyz, /metrics) come first.  Browsers are told to run only what this
 * gateway serves, no script or style within the page itself, and to ask each
 * time whether it has changed.  Any thread.
 *
 * Returns HT_OK; HT_EINVAL (a path without / at its beginning, or with a
 * character that a URL encodes; no type); HT_ETOOBIG (more than half of
 * queued_bytes_max); HT_EBUSY (256 pages); HT_ENOENT (nothing to remove).
 */
HT_API HT_MUSTUSE ht_err ht_gateway_page(ht_gateway *gateway,
                                         const char *path,
                                         const char *content_type,
                                         const void *data,
                                         size_t len);
/** Read the token keys, the certificate and the pages of the directory again;
 *  on an error everything stays as it was, but pages that were read. */
HT_API ht_err ht_gateway_reload(ht_gateway *gateway);
/** Take no more connections, and hint to every client, spread over spread_ms
 *  (0: 5000), that it connect elsewhere.  Does not wait. */
HT_API void ht_gateway_drain(ht_gateway *gateway, uint32_t spread_ms);
/** Close everything and free. NULL is fine. Before ht_node_free(). */
HT_API void ht_gateway_free(ht_gateway *gateway);

#ifdef __cplusplus
}
#endif

#endif /* HARDTACK_GATEWAY_H */
