/* SPDX-License-Identifier: Apache-2.0 */
/* messages.h - what a client has under way: its calls and casts, what it asked
 * of other nodes for them, its subscriptions, the msg_ids it used.
 *
 * A call or cast ("op") goes through
 *
 *   WAITING --its target is known--> sent --a call--> FLYING --> answered
 *
 * Waiting ops go one by one, in the order they came: while the first one asks
 * where its target is, or what that understands, all wait behind it.  So
 * messages of one client to one actor keep their order, whatever was known of
 * it.
 *
 * Thread: the client's loop, in turns of its actor.
 * Lifetime: from the client's first message to gw_message_end().
 */
#ifndef GW_MESSAGES_H
#define GW_MESSAGES_H

#include "gateway/book.h"
#include "gateway/dedupe.h"
#include "gateway/gateway_internal.h"
#include "gateway/message.h"
#include "gateway/route.h"

/* How long another node may take to say what is asked of it. */
#define GW_ASK_MS 2000
/* Of a call, when the client does not say. */
#define GW_CALL_MS 5000
/* What "hardtack call" asks too: the service of proto/admin/admin.proto. */
#define GW_ADMIN "hardtack.admin"

struct gw_sub; /* hub.h */

struct gw_op {
    TAILQ_ENTRY(gw_op) entry; /* of waiting or flying */
    struct gw_messages *messages;
    struct gw_message in; /* owned */
    struct gw_route route;
    bool http;
    bool noted;     /* its msg_id is in dedupe */
    bool from_book; /* ref is what the book said */
    bool retried;
    bool by_name;     /* to a name on another node; ref is none */
    bool asked_where; /* at most once each, and again after gw_op_lost() */
    bool asked_what;
    ht_ref ref;                            /* none: not known yet */
    struct gw_service *service;            /* counted; NULL: not asked for */
    const Hardtack__Admin__Method *method; /* of service */
};
TAILQ_HEAD(gw_ops, gw_op);

/* A question under way to the administration of a node. */
struct gw_ask {
    LIST_ENTRY(gw_ask) entry;
    struct gw_messages *messages;
    struct gw_op *op; /* the first waiting one; NULL: it has its answer */
    ht_ref ref;       /* that was asked about; none: about a name */
};

struct gw_messages {
    struct gw_client *client;
    struct gw_ops waiting;
    struct gw_ops flying;
    unsigned ops_count; /* of both */
    LIST_HEAD(gw_asks, gw_ask) asks;
    struct gw_dedupe *dedupe; /* NULL: no msg_id yet */
    LIST_HEAD(gw_subs, gw_sub) subs;
    unsigned subs_count;
    bool pumping;
};

/* The client's, made if need be; NULL: no memory. */
struct gw_messages *gw_messages_of(struct gw_client *client);

/* The loop's; NULL: no memory. */
struct gw_book *gw_loop_book(struct gw_loop *loop);
/* A clock that does not jump. */
uint64_t gw_clock_ms(void);

/* ---- op.c ---------------------------------------------------------------- */

/* Do what a CALL or CAST says; takes in.  Its answer goes to the client. */
void gw_op_start(struct gw_client *client, struct gw_message *in, bool http);
/* Not started, or its client is gone. */
void gw_op_free(struct gw_op *op);
/* Go on with the waiting ops. */
void gw_ops_pump(struct gw_messages *messages);

/* ---- find.c: where op's target is, and what it understands --------------- */

enum gw_found {
    GW_FOUND,
    GW_FINDING, /* gw_ops_pump() is called when there is more to say */
    GW_NOT_FOUND,
};
struct gw_failure {
    ht_err err;
    char reason[GW_ERROR_MAX];
};
/* failure is written with GW_NOT_FOUND. */
enum gw_found gw_op_find(struct gw_op *op, struct gw_failure *failure);
/* The book was wrong about it: ask again. */
void gw_op_lost(struct gw_op *op);

/* ---- send.c -------------------------------------------------------------- */

/* Whether op needs to know its target's service. */
bool gw_op_is_typed(const struct gw_op *op);
/* Send op, whose target is known.  A call's answer is given later; a cast's,
 * and an error's, now.  true: op is over. */
bool gw_op_send(struct gw_op *op);

/* ---- answer.c ------------------------------------------------------------ */

/* Encode; NULL: no memory, or no text. */
struct gw_frame *gw_encode(enum gw_encoding encoding,
                           const struct gw_message *message,
                           size_t *ret_len);
/* Send to the client; what cannot be sent is lost with it. */
void gw_send(struct gw_client *client, const struct gw_message *message);
/* An ERROR about in, outside an op. */
void gw_send_error(struct gw_client *client,
                   const struct gw_message *in,
                   ht_err err,
                   const char *reason);
void gw_send_ok(struct gw_client *client, const struct gw_message *in);

/* Answer an op; it is over then, and the caller frees it. */
void gw_op_ok(struct gw_op *op);
void gw_op_fail(struct gw_op *op, ht_err err, const char *reason);
/* payload, data and json of out are filled in. */
void gw_op_reply(struct gw_op *op, struct gw_message *out);

#endif /* GW_MESSAGES_H */
