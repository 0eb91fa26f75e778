/* SPDX-License-Identifier: Apache-2.0 */
/* find.c - where an op's target is, and what it understands.
 *
 * A name that nobody has here is asked for on every node at once, and the first
 * to have it is believed.  Nodes answer through their administration, which
 * describes an actor's service in the same answer.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/messages.h"

#define NODES_MAX 1024

static ht_node *node_of(const struct gw_messages *messages)
{
    return gw_view(messages->client->gateway)->node;
}

static struct gw_book *book_of(const struct gw_messages *messages)
{
    return gw_loop_book(messages->client->loop);
}

static enum gw_found
fail(struct gw_failure *failure, ht_err err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static enum gw_found
fail(struct gw_failure *failure, ht_err err, const char *format, ...)
{
    va_list args;

    failure->err = err;
    va_start(args, format);
    (void)vsnprintf(failure->reason, sizeof(failure->reason), format, args);
    va_end(args);
    return GW_NOT_FOUND;
}

/* What was found out about op, for when it looks again. */
static void note(struct gw_op *op, ht_ref ref, struct gw_service *service)
{
    struct gw_book *book = book_of(op->messages);

    if (ht_ref_is_none(op->ref)) {
        op->ref = ref;
        op->from_book = true;
        if (book != NULL) {
            gw_book_note(book, op->in.to, ref, gw_clock_ms());
        }
    }
    if (service != NULL) {
        op->service = gw_service_unref(op->service);
        op->service = gw_service_ref(service);
        if (book != NULL) {
            gw_book_note_service(book, op->ref, service);
        }
    }
}

/* ---- asking -------------------------------------------------------------- */

static void ask_free(struct gw_ask *ask)
{
    LIST_REMOVE(ask, entry);
    free(ask);
}

/* The others are not of interest any more; their answers only free them. */
static void forget_asks(struct gw_messages *messages)
{
    struct gw_ask *ask;

    LIST_FOREACH (ask, &messages->asks, entry) {
        ask->op = NULL;
    }
}

static bool anybody_asked(const struct gw_messages *messages)
{
    const struct gw_ask *ask;

    LIST_FOREACH (ask, &messages->asks, entry) {
        if (ask->op != NULL) {
            return true;
        }
    }
    return false;
}

/* NULL: it was no description. */
static Hardtack__Admin__Description *read_description(const ht_reply *reply)
{
    ht_reader reader = ht_reader_reply(reply);
    ProtobufCMessage *message =
        ht_read_message(&reader, &hardtack__admin__description__descriptor);

    if (ht_read_end(&reader) != HT_OK && message != NULL) {
        protobuf_c_message_free_unpacked(message, NULL);
        message = NULL;
    }
    return (Hardtack__Admin__Description *)(void *)message;
}

/* An untyped actor, which is a service without a description. */
static void untyped(struct gw_op *op, ht_ref ref)
{
    struct gw_service *service = gw_service_new(NULL);

    if (service != NULL) {
        note(op, ref, service);
        gw_service_unref(service);
    }
}

/* Takes description. false: it says that there is no such actor. */
static bool believe(const struct gw_ask *ask,
                    Hardtack__Admin__Description *description)
{
    struct gw_service *service;
    ht_ref ref = ask->ref;

    if (description->error[0] != '\0' ||
        (ht_ref_is_none(ref) &&
         ht_ref_parse(node_of(ask->messages), description->ref, &ref) !=
             HT_OK)) {
        hardtack__admin__description__free_unpacked(description, NULL);
        return false;
    }
    if (description->service[0] == '\0') {
        hardtack__admin__description__free_unpacked(description, NULL);
        untyped(ask->op, ref);
        return true;
    }
    service = gw_service_new(description);
    if (service != NULL) {
        note(ask->op, ref, service);
        gw_service_unref(service);
    }
    return service != NULL;
}

/* A node without this administration, such as ractor's, has no service that it
 * could describe.  Other errors say nothing of the actor. */
static bool is_no_admin(ht_err err)
{
    return err == HT_EUNSUPPORTED || err == HT_ENOPROC || err == HT_ENOVARIANT;
}

static void on_answer(ht_actor *self, const ht_reply *reply, void *arg)
{
    struct gw_ask *ask = arg;
    struct gw_messages *messages = ask->messages;
    struct gw_op *op = ask->op;
    Hardtack__Admin__Description *description = NULL;
    bool found = false;

    (void)self;
    if (op == NULL) {
        ask_free(ask);
        return;
    }
    if (reply->err == HT_OK) {
        description = read_description(reply);
    }
    if (description != NULL) {
        found = believe(ask, description);
    } else if (!ht_ref_is_none(ask->ref) && is_no_admin(reply->err)) {
        untyped(op, ask->ref);
        found = true;
    }
    ask_free(ask);
    if (found) {
        forget_asks(messages);
    } else if (anybody_asked(messages)) {
        return;
    } else {
        note(op, (ht_ref){0, 0}, NULL);
    }
    gw_ops_pump(messages);
}

/* Ask a node, NULL for this one; ref none: about name. */
static bool ask(struct gw_op *op, const char *node_name, ht_ref ref)
{
    struct gw_messages *messages = op->messages;
    Hardtack__Admin__Target target = HARDTACK__ADMIN__TARGET__INIT;
    struct gw_ask *ask = calloc(1, sizeof(*ask));
    ht_args args = HT_ARGS_INIT;
    ht_err err;

    if (ask == NULL) {
        return false;
    }
    target.pid = ref.pid;
    target.name = ht_ref_is_none(ref) ? (char *)op->route.name : target.name;
    ask->messages = messages;
    ask->op = op;
    ask->ref = ref;
    ht_args_message(&args, &target.base);
    err = args.err;
    if (err == HT_OK) {
        err = ht_call_name_async(messages->client->self, node_name, GW_ADMIN,
                                 "Describe", args.data, args.len, GW_ASK_MS,
                                 on_answer, ask, NULL);
    }
    ht_args_fini(&args);
    if (err != HT_OK) {
        free(ask);
        return false;
    }
    LIST_INSERT_HEAD(&messages->asks, ask, entry);
    return true;
}

/* ---- a name that is not here --------------------------------------------- */

struct nodes {
    char *names[NODES_MAX];
    size_t count;
};

static void add_node(const ht_peer_info *info, void *arg)
{
    struct nodes *nodes = arg;

    if (nodes->count < NODES_MAX && !info->hidden &&
        strcmp(info->state, "ready") == 0 &&
        strcmp(info->auth, "hardtack") == 0) {
        nodes->names[nodes->count] = strdup(info->name);
        nodes->count += nodes->names[nodes->count] != NULL;
    }
}

/* false: there was nobody to ask. */
static bool ask_everybody(struct gw_op *op)
{
    struct nodes *nodes = calloc(1, sizeof(*nodes));
    bool asked = false;

    if (nodes == NULL) {
        return false;
    }
    ht_peer_each(node_of(op->messages), add_node, nodes);
    for (size_t i = 0; i < nodes->count; i++) {
        asked |= ask(op, nodes->names[i], (ht_ref){0, 0});
        free(nodes->names[i]);
    }
    free(nodes);
    return asked;
}

static enum gw_found find_elsewhere(struct gw_op *op,
                                    struct gw_failure *failure)
{
    bool on_node = op->route.kind == GW_ROUTE_NODE;
    struct gw_book *book = book_of(op->messages);
    enum gw_book_answer answer = GW_BOOK_UNKNOWN;

    if (book != NULL) {
        answer = gw_book_find(book, op->in.to, gw_clock_ms(), &op->ref);
    }
    if (answer == GW_BOOK_FOUND) {
        op->from_book = true;
        return GW_FOUND;
    }
    if (answer == GW_BOOK_UNKNOWN && !op->asked_where) {
        op->asked_where = true;
        if (on_node ? ask(op, op->route.node, (ht_ref){0, 0})
                    : ask_everybody(op)) {
            return GW_FINDING;
        }
        if (on_node) {
            return fail(failure, HT_ENOCONN, "node \"%s\" is not connected",
                        op->route.node);
        }
    }
    return fail(failure, HT_ENOPROC, "no actor is named \"%s\"",
                op->route.name);
}

/* ---- finding ------------------------------------------------------------- */

static enum gw_found find_member(struct gw_op *op, struct gw_failure *failure)
{
    ht_err err = ht_group_pick(node_of(op->messages), NULL, op->route.name,
                               true, &op->ref);

    if (err == HT_OK || op->in.all) {
        return GW_FOUND; /* to all of nobody: send.c tells */
    }
    return fail(failure, HT_ENOPROC, "group \"%s\" has no member",
                op->route.name);
}

static enum gw_found find_actor(struct gw_op *op, struct gw_failure *failure)
{
    ht_node *node = node_of(op->messages);
    bool here = op->route.kind == GW_ROUTE_NODE &&
                strcmp(op->route.node, ht_node_name(node)) == 0;

    switch (op->route.kind) {
    case GW_ROUTE_GROUP:
        return find_member(op, failure);
    case GW_ROUTE_NODE:
        if (!here && !gw_op_is_typed(op)) {
            op->by_name = true;
            return GW_FOUND;
        }
        break;
    case GW_ROUTE_NAME:
        break;
    }
    if (here || op->route.kind == GW_ROUTE_NAME) {
        op->ref = ht_whereis(node, op->route.name);
    }
    if (!ht_ref_is_none(op->ref)) {
        return GW_FOUND;
    }
    if (here) {
        return fail(failure, HT_ENOPROC, "no actor is named \"%s\"",
                    op->route.name);
    }
    return find_elsewhere(op, failure);
}

/* op's ref is known. */
static enum gw_found find_service(struct gw_op *op, struct gw_failure *failure)
{
    ht_node *node = node_of(op->messages);
    struct gw_book *book = book_of(op->messages);
    struct gw_service *known =
        book != NULL ? gw_book_service(book, op->ref) : NULL;
    char name[512];

    if (known != NULL) {
        op->service = gw_service_ref(known);
        return GW_FOUND;
    }
    (void)snprintf(name, sizeof(name), "%s", ht_ref_node_name(node, op->ref));
    if (!op->asked_what) {
        bool here = strcmp(name, ht_node_name(node)) == 0;

        op->asked_what = true;
        if (name[0] != '\0' && ask(op, here ? NULL : name, op->ref)) {
            return GW_FINDING;
        }
    }
    return fail(failure, HT_ENOCONN, "%s cannot be asked what it understands",
                op->in.to);
}

enum gw_found gw_op_find(struct gw_op *op, struct gw_failure *failure)
{
    enum gw_found found = GW_FOUND;

    if (anybody_asked(op->messages)) {
        return GW_FINDING;
    }
    if (ht_ref_is_none(op->ref) && !op->by_name) {
        found = find_actor(op, failure);
    }
    if (found == GW_FOUND && gw_op_is_typed(op) && op->service == NULL &&
        !ht_ref_is_none(op->ref)) {
        found = find_service(op, failure);
    }
    return found;
}

void gw_op_lost(struct gw_op *op)
{
    struct gw_book *book = book_of(op->messages);

    if (book != NULL) {
        gw_book_forget(book, op->in.to);
    }
    op->ref = (ht_ref){0, 0};
    op->from_book = false;
    op->asked_where = false;
    op->asked_what = false;
    op->service = gw_service_unref(op->service);
    op->method = NULL;
}
