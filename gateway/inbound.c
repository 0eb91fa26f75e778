/* SPDX-License-Identifier: Apache-2.0 */
/* inbound.c - what a client sent: each type of message, a request by HTTP, a
 * subscription by server-sent events. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/hub.h"
#include "gateway/messages.h"

/* ---- groups -------------------------------------------------------------- */

/* The group in to; HT_EARGS, or what gw_may() says. */
static ht_err group_of(struct gw_client *client,
                       const struct gw_message *in,
                       struct gw_route *route,
                       struct gw_failure *failure)
{
    const char *wrong = gw_route_parse(route, in->to);

    if (wrong == NULL && route->kind != GW_ROUTE_GROUP) {
        wrong = "is not group:NAME";
    }
    if (wrong != NULL) {
        (void)snprintf(failure->reason, sizeof(failure->reason), "\"to\" %s",
                       wrong);
        return HT_EARGS;
    }
    return gw_may(client, GW_SUBSCRIBE, in->to, failure);
}

static void on_subscribe(struct gw_client *client, const struct gw_message *in)
{
    struct gw_failure failure = {.err = HT_OK};
    struct gw_route route;
    ht_err err = group_of(client, in, &route, &failure);

    if (err == HT_OK) {
        err = gw_hub_join(client, route.name, in->members, &failure);
    }
    if (err == HT_OK) {
        gw_send_ok(client, in);
    } else {
        gw_send_error(client, in, err, failure.reason);
    }
}

static void on_unsubscribe(struct gw_client *client,
                           const struct gw_message *in)
{
    struct gw_route route;
    const char *wrong = gw_route_parse(&route, in->to);

    if (wrong != NULL || route.kind != GW_ROUTE_GROUP) {
        gw_send_error(client, in, HT_EARGS, "\"to\" is not group:NAME");
        return;
    }
    gw_hub_leave(client, route.name);
    gw_send_ok(client, in);
}

ht_err gw_message_subscribe(struct gw_client *client,
                            const char *group,
                            const char **ret_reason)
{
    struct gw_failure failure = {.err = HT_OK};
    char target[GW_TO_MAX + 1];
    ht_err err;
    int n = snprintf(target, sizeof(target), "group:%s", group);

    if (group[0] == '\0' || n < 0 || (size_t)n >= sizeof(target)) {
        *ret_reason = "the group's name is missing, or too long";
        return HT_EARGS;
    }
    err = gw_may(client, GW_SUBSCRIBE, target, &failure);
    if (err != HT_OK) {
        *ret_reason = err == HT_EAUTH ? "the group needs a token"
                                      : "the group is not allowed";
        return err;
    }
    err = gw_hub_join(client, group, false, &failure);
    if (err != HT_OK) {
        *ret_reason = ht_strerror(err);
    }
    return err;
}

/* ---- sessions ------------------------------------------------------------ */

/* true: there was no token, or it is good. */
static bool login(struct gw_client *client, const struct gw_message *in)
{
    const char *reason = "";
    ht_err err = HT_OK;

    if (in->token.len > 0) {
        err = gw_message_login(client, in->token.data, in->token.len, &reason);
    }
    if (err != HT_OK) {
        gw_send_error(client, in, err, reason);
    }
    return err == HT_OK;
}

static void on_hello(struct gw_client *client, const struct gw_message *in)
{
    ht_err err;

    if (!login(client, in)) {
        return;
    }
    err = in->type == GW_TYPE(HELLO)
              ? gw_client_hello(client)
              : gw_client_resume(client, in->resume.data, in->resume.len,
                                 in->received);
    if (err != HT_OK) {
        gw_send_error(client, in, err,
                      err == HT_EINVAL ? "hello was said already" : NULL);
    }
}

static void on_ack(struct gw_client *client, const struct gw_message *in)
{
    ht_err err = gw_client_ack(client, in->received);

    if (err != HT_OK) {
        gw_send_error(client, in, err, "that much was not sent");
    }
}

static void on_ping(struct gw_client *client, const struct gw_message *in)
{
    struct gw_message out;
    size_t len = 0;
    char *text = NULL;
    uint8_t *bytes = NULL;
    ht_err err;

    gw_message_init(&out, GW_TYPE(PONG));
    out.msg_id = in->msg_id;
    err = client->encoding == GW_PB ? gw_message_to_pb(&out, &bytes, &len)
                                    : gw_message_to_json(&out, &text, &len);
    if (err == HT_OK &&
        gw_client_notice(client, bytes != NULL ? (void *)bytes : text, len) !=
            HT_OK) {
        /* It is being closed. */
    }
    free(bytes);
    free(text);
}

/* ---- messages ------------------------------------------------------------ */

/* Takes in. */
static void dispatch(struct gw_client *client, struct gw_message *in)
{
    switch (in->type) {
    case GW_TYPE(CALL):
    case GW_TYPE(CAST):
        gw_op_start(client, in, false);
        return;
    case GW_TYPE(SUBSCRIBE):
        on_subscribe(client, in);
        return;
    case GW_TYPE(UNSUBSCRIBE):
        on_unsubscribe(client, in);
        return;
    case GW_TYPE(HELLO):
    case GW_TYPE(RESUME):
        on_hello(client, in);
        return;
    case GW_TYPE(LOGIN):
        if (login(client, in)) {
            gw_send_ok(client, in);
        }
        return;
    case GW_TYPE(ACK):
        on_ack(client, in);
        return;
    case GW_TYPE(PING):
        on_ping(client, in);
        return;
    case GW_TYPE(REPLY):
    case GW_TYPE(OK):
    case GW_TYPE(ERROR):
    case GW_TYPE(MESSAGE):
    case GW_TYPE(MEMBERS):
    case GW_TYPE(WELCOME):
    case GW_TYPE(NOTICE):
    case GW_TYPE(SLOW):
    case GW_TYPE(DRAIN):
    case GW_TYPE(PONG):
    case _HARDTACK__GATEWAY__TYPE_IS_INT_SIZE:
        break; /* not let in by the decoders */
    }
}

void gw_message_in(struct gw_client *client, const void *data, size_t len)
{
    char error[GW_ERROR_MAX] = "";
    struct gw_message in;
    ht_err err = client->encoding == GW_PB
                     ? gw_message_from_pb(data, len, &in, error)
                     : gw_message_from_json(data, len, &in, error);

    if (err == HT_OK) {
        dispatch(client, &in);
    } else {
        gw_count(client->loop, GW_BAD_MESSAGES, 1);
        gw_send_error(client, &in, err, error);
    }
    gw_message_fini(&in);
}

/* ---- HTTP ---------------------------------------------------------------- */

void gw_http_call(struct gw_client *client, const struct gw_http_call *call)
{
    char error[GW_ERROR_MAX] = "";
    char body[GW_ERROR_MAX * 7];
    struct gw_message in;
    ht_err err;

    err =
        gw_message_from_http(call->cast ? GW_TYPE(CAST) : GW_TYPE(CALL),
                             call->actor, call->method, call->body, &in, error);
    in.timeout_ms = call->timeout_ms;
    if (err == HT_OK) {
        gw_op_start(client, &in, true);
    } else {
        gw_count(client->loop, GW_BAD_MESSAGES, 1);
        gw_http_reply(client, gw_message_status(err), "application/json", body,
                      gw_message_error_body(body, sizeof(body), err, error));
    }
    gw_message_fini(&in);
}
