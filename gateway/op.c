/* SPDX-License-Identifier: Apache-2.0 */
/* op.c - calls and casts of a client: whether they may be made, in which order,
 * and until when. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/hub.h"
#include "gateway/login.h"
#include "gateway/messages.h"
#include "gateway/policy.h"

uint64_t gw_clock_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

struct gw_messages *gw_messages_of(struct gw_client *client)
{
    struct gw_messages *messages = client->messages;

    if (messages == NULL) {
        messages = calloc(1, sizeof(*messages));
        if (messages == NULL) {
            return NULL;
        }
        messages->client = client;
        TAILQ_INIT(&messages->waiting);
        TAILQ_INIT(&messages->flying);
        LIST_INIT(&messages->asks);
        LIST_INIT(&messages->subs);
        client->messages = messages;
    }
    return messages;
}

void gw_op_free(struct gw_op *op)
{
    if (op != NULL) {
        op->messages->ops_count--;
        gw_service_unref(op->service);
        gw_message_fini(&op->in);
        free(op);
    }
}

void gw_message_end(struct gw_client *client)
{
    struct gw_messages *messages = client->messages;
    struct gw_op *op;
    struct gw_ask *ask;

    if (messages == NULL) {
        return;
    }
    while ((op = TAILQ_FIRST(&messages->waiting)) != NULL) {
        TAILQ_REMOVE(&messages->waiting, op, entry);
        gw_op_free(op);
    }
    while ((op = TAILQ_FIRST(&messages->flying)) != NULL) {
        TAILQ_REMOVE(&messages->flying, op, entry);
        gw_op_free(op);
    }
    while ((ask = LIST_FIRST(&messages->asks)) != NULL) {
        LIST_REMOVE(ask, entry);
        free(ask);
    }
    gw_hub_leave_all(messages);
    gw_dedupe_free(messages->dedupe);
    free(messages);
    client->messages = NULL;
}

/* ---- may it? ------------------------------------------------------------- */

/* What only actors say to a client's actor (client.proto), and its gateway.  A
 * client that could say it would close another's connection. */
static bool is_reserved(const char *method)
{
    return strncmp(method, "gateway.", 8) == 0 ||
           strcmp(method, "HtDeliver") == 0 || strcmp(method, "HtWho") == 0 ||
           strcmp(method, "HtClose") == 0;
}

static ht_err check(struct gw_op *op, struct gw_failure *failure)
{
    struct gw_client *client = op->messages->client;
    const char *wrong = gw_route_parse(&op->route, op->in.to);

    if (wrong != NULL) {
        (void)snprintf(failure->reason, sizeof(failure->reason), "\"to\" %s",
                       wrong);
        return HT_EARGS;
    }
    if (op->in.all && op->route.kind != GW_ROUTE_GROUP) {
        (void)snprintf(failure->reason, sizeof(failure->reason),
                       "\"all\" is for groups only");
        return HT_EARGS;
    }
    if (is_reserved(op->in.method)) {
        (void)snprintf(failure->reason, sizeof(failure->reason),
                       "%s is not for clients", op->in.method);
        return HT_EDENIED;
    }
    return gw_may(client, GW_SEND, op->in.to, failure);
}

/* ---- was it already? ----------------------------------------------------- */

/* true: nothing more is to be done. */
static bool was_seen(struct gw_op *op, ht_err *ret_err)
{
    struct gw_messages *messages = op->messages;
    enum gw_seen seen = GW_SEEN_NEVER;
    struct gw_frame *answer = NULL;

    if (op->in.msg_id[0] == '\0' || op->http) {
        return false;
    }
    if (messages->dedupe == NULL) {
        messages->dedupe = gw_dedupe_new();
    }
    *ret_err =
        messages->dedupe == NULL
            ? HT_ENOMEM
            : gw_dedupe_note(messages->dedupe, op->in.msg_id, &seen, &answer);
    if (*ret_err != HT_OK || seen == GW_SEEN_NEVER) {
        op->noted = *ret_err == HT_OK;
        return false;
    }
    gw_count(messages->client->loop, GW_DUPLICATES, 1);
    if (answer != NULL &&
        gw_client_send_frame(messages->client, answer) != HT_OK) {
        /* It is being closed. */
    }
    return true;
}

/* ---- in order ------------------------------------------------------------ */

/* One step of the first waiting op; false: it waits for an answer. */
static bool step(struct gw_messages *messages, struct gw_op *op)
{
    struct gw_failure failure;

    switch (gw_op_find(op, &failure)) {
    case GW_FINDING:
        return false;
    case GW_FOUND:
        (void)gw_op_send(op);
        return true;
    case GW_NOT_FOUND:
        break;
    }
    TAILQ_REMOVE(&messages->waiting, op, entry);
    gw_op_fail(op, failure.err, failure.reason);
    gw_op_free(op);
    return true;
}

void gw_ops_pump(struct gw_messages *messages)
{
    struct gw_op *op;

    if (messages->pumping) {
        return;
    }
    messages->pumping = true;
    do {
        op = TAILQ_FIRST(&messages->waiting);
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): each leaves the queue */
    } while (op != NULL && step(messages, op));
    messages->pumping = false;
}

static void refuse(struct gw_client *client,
                   struct gw_message *in,
                   bool http,
                   ht_err err,
                   const char *reason)
{
    char body[GW_ERROR_MAX * 7];

    if (http) {
        gw_http_reply(client, gw_message_status(err), "application/json", body,
                      gw_message_error_body(body, sizeof(body), err, reason));
    } else {
        gw_send_error(client, in, err, reason);
    }
    gw_message_fini(in);
}

void gw_op_start(struct gw_client *client, struct gw_message *in, bool http)
{
    struct gw_messages *messages = gw_messages_of(client);
    struct gw_op *op = messages != NULL ? calloc(1, sizeof(*op)) : NULL;
    struct gw_failure failure = {.err = HT_OK};
    ht_err err = HT_OK;

    if (op == NULL) {
        refuse(client, in, http, HT_ENOMEM, NULL);
        return;
    }
    op->messages = messages;
    op->in = *in;
    op->http = http;
    gw_message_init(in, GW_TYPE(CALL));
    messages->ops_count++;
    if (was_seen(op, &err)) {
        gw_op_free(op);
        return;
    }
    if (err == HT_OK) {
        err = check(op, &failure);
    }
    if (err == HT_OK &&
        messages->ops_count > gw_view(client->gateway)->config->calls_max) {
        gw_count(client->loop, GW_CALLS_REFUSED, 1);
        (void)snprintf(failure.reason, sizeof(failure.reason),
                       "too many calls under way");
        err = HT_EBUSY;
    }
    if (err != HT_OK) {
        gw_op_fail(op, err, failure.reason);
        gw_op_free(op);
        return;
    }
    TAILQ_INSERT_TAIL(&messages->waiting, op, entry);
    gw_ops_pump(messages);
}
