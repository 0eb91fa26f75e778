/* SPDX-License-Identifier: Apache-2.0 */
/* gateway_internal.h - the seam between transport (what moves bytes) and
 * messages (what they mean).
 *
 * A *client* is an actor: its identity, its subscriptions, its calls, and what
 * was sent to it and not acknowledged yet.  A *connection* is a socket and the
 * protocol spoken over it.  A WebSocket client that said hello survives its
 * connection: for the grace time it has none, and then takes over the one
 * that resumes it.
 *
 *   connect --upgrade--> ATTACHED --connection lost--> DETACHED
 *                            ^                             |    \
 *                            +---------- resume -----------+     grace over
 *
 * Everything of one client happens on one loop, in turns of its actor or of
 * the loop's manager.  So nothing here is locked.
 *
 * Numbering is implicit: the nth numbered message since the welcome is number
 * n, on both sides, and never written into it; that is why one encoded message
 * serves every client of an encoding.
 *
 * Thread: that of the client's loop, unless said otherwise.
 */
#ifndef GW_GATEWAY_INTERNAL_H
#define GW_GATEWAY_INTERNAL_H

#include <hardtack.h>
#include <hardtack/gateway.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "gateway/queue.h"

/* ---- vocabulary ---------------------------------------------------------- */

struct gw_conn;     /* conn.h: a connection */
struct gw_loop;     /* loop.h: the manager of one scheduler */
struct gw_session;  /* session.h: what survives a connection */
struct gw_identity; /* token.h: who a valid token says it is */
struct gw_policy;   /* policy.h */
struct gw_keys;     /* token.h: the keys that tokens are sealed with */
struct gw_dedupe;   /* dedupe.h */
struct gw_messages; /* message side's own state of a client */
struct gw_hubs;     /* message side's own state of a loop */

/* How a message is written for a client. */
enum gw_encoding {
    GW_JSON, /* WebSocket text, hardtack.json.v1; HTTP bodies */
    GW_PB,   /* WebSocket binary, hardtack.pb.v1 */
    GW_SSE,  /* JSON in server-sent events */
    GW_ENCODINGS,
};

enum gw_transport {
    GW_HTTP,      /* a request at a time */
    GW_WEBSOCKET, /* after the upgrade */
    GW_EVENTS,    /* server-sent events: only towards the client */
};

/* A message encoded once, shared by everybody it goes to. Counted, any thread.
 */
struct gw_frame;
/* Copies. For GW_SSE data is JSON without a line feed. NULL: no memory. */
struct gw_frame *
gw_frame_new(enum gw_encoding encoding, const void *data, size_t len);
struct gw_frame *gw_frame_ref(struct gw_frame *frame);
struct gw_frame *gw_frame_unref(struct gw_frame *frame); /* returns NULL */

/* ---- a client ------------------------------------------------------------ */

struct gw_client {
    LIST_ENTRY(gw_client) entry; /* of loop->clients */
    struct ht_gateway *gateway;
    struct gw_loop *loop;
    ht_actor *self; /* to be used in turns of this actor only */
    ht_ref ref;
    char name[32]; /* "client-<hex>", registered; "" for HTTP */
    enum gw_encoding encoding;
    enum gw_transport transport;
    struct gw_conn *conn;         /* NULL: detached */
    struct gw_session *session;   /* NULL: said no hello: ends with its conn */
    struct gw_identity *identity; /* NULL: nobody. Of the message side */
    struct gw_messages *messages; /* of the message side; may be NULL */
    struct gw_queue queue;        /* its numbered messages */
    bool closing;                 /* gw_client_close(): no session is left */
    bool talked;                  /* it has sent a message */
    char address[64];             /* of the peer, for logs */
    uint64_t made_ms;
    uint64_t messages_in, messages_out; /* as GW_MESSAGES_IN, _OUT */
};

/* What the message side may read of the gateway. */
struct ht_gateway_view {
    ht_node *node;
    const ht_gateway_config *config; /* with every default filled in */
    struct gw_policy *policy;
    struct gw_keys *keys; /* any thread; replaced by a reload: token.h locks */
};
const struct ht_gateway_view *gw_view(const struct ht_gateway *gateway);

/* A line in the node's log; text is key=value pairs. Any thread. */
void gw_log(const struct ht_gateway *gateway,
            ht_log_level level,
            const char *id,
            const char *format,
            ...) __attribute__((format(printf, 4, 5)));

/* The message side's state of a loop; made at first use, freed by
 * gw_loop_messages_fini(). */
struct gw_hubs **gw_loop_hubs(struct gw_loop *loop);
/* For ht_spawn_opts.scheduler: an actor that runs on this loop for its life,
 * and so may touch this loop's clients. */
uint32_t gw_loop_scheduler(const struct gw_loop *loop);
struct ht_gateway *gw_loop_gateway(const struct gw_loop *loop);

/* An actor that points into the gateway begins (before it is spawned), and does
 * not point there any more (in its terminate, or when the spawn failed): the
 * gateway is freed after the last one. Any thread. */
void gw_hold(struct ht_gateway *gateway);
void gw_release(struct ht_gateway *gateway);

/* ---- transport: what the message side calls ------------------------------ */

/* Queue one message, numbered, kept until acknowledged if the client can
 * resume.  gw_client_send() encodes for this client only; a broadcast makes a
 * frame per encoding and sends that.  While the client is detached it is kept
 * for the resume.
 * HT_OK; HT_EBUSY: over the queue's limit, the client is being closed;
 * HT_ECLOSED: it is being closed; HT_ENOMEM. */
HT_MUSTUSE ht_err gw_client_send(struct gw_client *client,
                                 const void *encoded,
                                 size_t len);
HT_MUSTUSE ht_err gw_client_send_frame(struct gw_client *client,
                                       struct gw_frame *frame);
/* The same, not numbered and not kept: welcome, hints, errors that are about
 * the connection. */
HT_MUSTUSE ht_err gw_client_notice(struct gw_client *client,
                                   const void *encoded,
                                   size_t len);
/* Close the connection, after what is queued, and end the session.  code is
 * RFC 6455's.  The client lives until the current turn is over. */
void gw_client_close(struct gw_client *client, uint16_t code, const char *why);

/* The client says hello: from now on its messages are numbered and kept, and
 * it can resume.  Sends the welcome.  Once a connection, else HT_EINVAL. */
HT_MUSTUSE ht_err gw_client_hello(struct gw_client *client);
/* The client says hello and wants to go on with an earlier session, of which
 * it got `received` numbered messages.  If that session is here and has the
 * rest, it takes over the connection (this client ends, silently) and sends the
 * welcome; else this one says hello and the welcome says that it is afresh.
 * Until that is decided nothing more is read.  Once a connection, else
 * HT_EINVAL.  It has to be the first message.  The session is not resumed by
 * one whose identity is another user's; an identity of the same user replaces
 * its own. */
HT_MUSTUSE ht_err gw_client_resume(struct gw_client *client,
                                   const char *token,
                                   size_t token_len,
                                   uint64_t received);
/* The client has got that many numbered messages. HT_EINVAL: more than were
 * sent, or it said no hello. */
HT_MUSTUSE ht_err gw_client_ack(struct gw_client *client, uint64_t received);

/* Answer the HTTP request that is being handled, once, now or later.
 * body is copied; content_type is static. */
void gw_http_reply(struct gw_client *client,
                   unsigned status,
                   const char *content_type,
                   const void *body,
                   size_t len);

/* ---- messages: what the transport calls ---------------------------------- */

/* One whole message of a client; lent.  Answers, errors included, go through
 * gw_client_send().  An undecodable message is answered with an error, not with
 * a close. */
void gw_message_in(struct gw_client *client, const void *data, size_t len);

/* POST /call/<actor>/<method> and /cast/<actor>/<method>: actor and method are
 * percent-decoded, NUL-terminated. timeout_ms 0: not given. Answered by
 * gw_http_reply(), now or later. */
struct gw_http_call {
    bool cast;
    const char *actor;
    const char *method;
    uint32_t timeout_ms;
    ht_bytes body;
};
void gw_http_call(struct gw_client *client, const struct gw_http_call *call);

/* GET /events?group=: subscribe a GW_EVENTS client; the same rules as the
 * message `subscribe`.  On an error it is not subscribed, and *ret_reason is a
 * static text. */
HT_MUSTUSE ht_err gw_message_subscribe(struct gw_client *client,
                                       const char *group,
                                       const char **ret_reason);

/* A cast or call from the cluster to the client's actor, and events that are
 * not of the transport: behaves as ht_behavior's handle and on_event. */
ht_err
gw_message_out(struct gw_client *client, const ht_msg *msg, ht_call call);
ht_err gw_message_event(struct gw_client *client, const ht_event *event);

/* The client ends: free client->messages and its subscriptions.  Runs in a
 * turn of the client's actor, or of its loop's manager. */
void gw_message_end(struct gw_client *client);
/* Every actor of the gateway has ended; the thread that frees it. */
void gw_loop_messages_fini(struct gw_loop *loop);

/* A bearer token, from `Authorization: Bearer`: fills client->identity.
 * HT_EAUTH (invalid), HT_EEXPIRED; *ret_reason is a static text. */
HT_MUSTUSE ht_err gw_message_login(struct gw_client *client,
                                   const char *token,
                                   size_t len,
                                   const char **ret_reason);
void gw_identity_free(struct gw_identity *identity); /* NULL is fine */
/* Both may be NULL: nobody. */
bool gw_identity_same_user(const struct gw_identity *a,
                           const struct gw_identity *b);

/* What the transport has to say to a client, in words of the protocol. */
enum gw_notice_kind {
    GW_NOTICE_WELCOME, /* answers hello and resume */
    GW_NOTICE_ERROR,   /* code and reason: about the connection */
    GW_NOTICE_SLOW,    /* read faster or be closed: queued, limit */
    GW_NOTICE_DRAIN,   /* connect elsewhere within after_ms */
};
struct gw_notice {
    enum gw_notice_kind kind;
    const char *name;       /* WELCOME: the client's actor */
    const char *node;       /* WELCOME: the node's name */
    const char *resume;     /* WELCOME: the token for a later resume */
    bool resumed;           /* WELCOME: false: a new session */
    const char *afresh;     /* WELCOME: why a resume was refused, NULL: none was
                             * asked for */
    uint64_t received;      /* WELCOME, resumed: numbered messages before the
                             * next one */
    uint32_t grace_ms;      /* WELCOME */
    ht_err code;            /* ERROR */
    const char *reason;     /* ERROR, SLOW, DRAIN */
    uint64_t queued, limit; /* SLOW, in bytes */
    uint32_t after_ms;      /* DRAIN */
};
/* Encode; the frame is the caller's. NULL: no memory. */
struct gw_frame *gw_message_notice(const struct gw_client *client,
                                   const struct gw_notice *notice);
/* The HTTP side of an error: status, and the JSON body {"error":..}. Writes at
 * most cap bytes of body, returns its length. */
unsigned gw_message_status(ht_err err);
size_t
gw_message_error_body(char *body, size_t cap, ht_err err, const char *reason);

/* ---- policy and keys: made at start from the configuration ----------------
 */

/* *ret is written on success; why gets words on failure. */
HT_MUSTUSE ht_err gw_policy_new(const ht_gateway_config *config,
                                struct gw_policy **ret_policy,
                                char *why,
                                size_t why_len);
void gw_policy_free(struct gw_policy *policy);
/* file NULL: keys that open no token. */
HT_MUSTUSE ht_err gw_keys_load(const char *file,
                               struct gw_keys **ret_keys,
                               char *why,
                               size_t why_len);
/* Take the keys of other (which is left without), for a reload. Any thread. */
void gw_keys_replace(struct gw_keys *keys, struct gw_keys *other);
void gw_keys_free(struct gw_keys *keys);

/* ---- metrics: counters of the message side --------------------------------
 */

enum gw_counter {
    /* transport */
    GW_ACCEPTED,
    GW_REFUSED_CONNECTIONS, /* connections_max */
    GW_REFUSED_ADDRESS,     /* connections_per_address_max */
    GW_REFUSED_ORIGIN,
    GW_REFUSED_HANDSHAKE, /* timed out, or not HTTP */
    GW_UPGRADED,
    GW_CLOSED_IDLE,
    GW_CLOSED_SLOW,
    GW_CLOSED_PROTOCOL,
    GW_CLOSED_TOOBIG,
    GW_CLOSED_RATE,
    GW_RATE_LIMITED, /* messages refused */
    GW_MESSAGES_IN,
    GW_MESSAGES_OUT,
    GW_BYTES_IN,
    GW_BYTES_OUT,
    GW_HTTP_REQUESTS,
    GW_RESUMED,
    GW_RESUME_REFUSED,
    GW_SESSIONS_EXPIRED,
    GW_SESSIONS_DROPPED, /* too many waited */
    GW_TLS_FAILED,
    /* messages */
    GW_CALLS,
    GW_CALLS_FAILED,
    GW_CALLS_REFUSED, /* calls_max */
    GW_CASTS,
    GW_DENIED,       /* by policy */
    GW_BAD_MESSAGES, /* not decodable */
    GW_DUPLICATES,   /* msg_id seen before */
    GW_LOGINS,
    GW_LOGINS_FAILED,
    GW_SUBSCRIBES,
    GW_SUBSCRIBES_REFUSED, /* subscriptions_max */
    GW_BROADCASTS, /* casts to a group that clients of a loop had subscribed */
    GW_COUNTERS,
};
/* Of the loop's own thread; read by anybody. */
void gw_count(struct gw_loop *loop, enum gw_counter counter, uint64_t n);

#endif /* GW_GATEWAY_INTERNAL_H */
