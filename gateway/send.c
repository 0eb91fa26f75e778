/* SPDX-License-Identifier: Apache-2.0 */
/* send.c - an op's message, as its target takes it, and the answer, as the
 * client does.
 *
 *   method  payload        variant  arguments
 *   none    text, bytes    ""       the bytes
 *   given   text           method   a block of one String
 *   given   bytes          method   the bytes: a whole block
 *   given   message        method   a block of one protobuf message
 *   given   JSON, nothing  method   the same, by the service's description
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "gateway/hub.h"
#include "gateway/messages.h"
#include "json/delimited.h"
#include "json/json_pb.h"

#define NONE_TYPE "hardtack.None"

bool gw_op_is_typed(const struct gw_op *op)
{
    return op->in.method[0] != '\0' && (op->in.payload == GW_PAYLOAD_JSON ||
                                        op->in.payload == GW_PAYLOAD_NONE);
}

static ht_node *node_of(const struct gw_op *op)
{
    return gw_view(op->messages->client->gateway)->node;
}

/* ---- arguments ----------------------------------------------------------- */

static ht_err put_message(ht_args *args, const void *data, size_t len)
{
    uint8_t *block = NULL;
    size_t block_len = 0;

    if (!hti_delimited_encode(data, len, &block, &block_len)) {
        return HT_ENOMEM;
    }
    ht_args_bytes(args, block, block_len);
    free(block);
    return args->err;
}

static ht_err
put_described(struct gw_op *op, ht_args *args, struct gw_failure *failure)
{
    json_t *empty = json_object();
    uint8_t *data = NULL;
    size_t len = 0;
    ht_err err;

    failure->reason[0] = '\0';
    err = hti_json_pb_encode(op->service->description, op->method->input,
                             op->in.payload == GW_PAYLOAD_JSON ? op->in.json
                                                               : empty,
                             &data, &len, failure->reason);
    json_decref(empty);
    if (err == HT_OK) {
        err = put_message(args, data, len);
    }
    free(data);
    return err;
}

/* The method's description; one that is a cast is not called, and so on, but
 * the actor tells that best by itself. */
static ht_err find_method(struct gw_op *op, struct gw_failure *failure)
{
    bool none;

    op->method = gw_service_method(op->service, op->in.method);
    if (op->method == NULL) {
        (void)snprintf(failure->reason, sizeof(failure->reason),
                       "%s has no method \"%.100s\"",
                       op->service->description->service, op->in.method);
        return HT_ENOVARIANT;
    }
    none = strcmp(op->method->output, NONE_TYPE) == 0;
    if (none == (op->in.type == GW_TYPE(CALL))) {
        (void)snprintf(failure->reason, sizeof(failure->reason),
                       none ? "%.100s is a cast: nothing comes back"
                            : "%.100s is a call: it answers",
                       op->in.method);
        return HT_ENOVARIANT;
    }
    return HT_OK;
}

static ht_err
put_typed(struct gw_op *op, ht_args *args, struct gw_failure *failure)
{
    ht_err err;

    if (op->service == NULL || op->service->description == NULL) {
        if (op->in.payload == GW_PAYLOAD_NONE) {
            return HT_OK; /* a message without arguments */
        }
        (void)snprintf(failure->reason, sizeof(failure->reason),
                       "%.150s is no typed service: send text or bytes",
                       op->in.to);
        return HT_EARGS;
    }
    err = find_method(op, failure);
    if (err == HT_OK && strcmp(op->method->input, NONE_TYPE) != 0) {
        err = put_described(op, args, failure);
    }
    return err;
}

/* args->data and len are the arguments; failure->err is what is returned. */
static ht_err
put_args(struct gw_op *op, ht_args *args, struct gw_failure *failure)
{
    const struct gw_message *in = &op->in;

    failure->reason[0] = '\0';
    switch (in->payload) {
    case GW_PAYLOAD_NONE:
    case GW_PAYLOAD_JSON:
        return put_typed(op, args, failure);
    case GW_PAYLOAD_MESSAGE:
        return put_message(args, in->data.data, in->data.len);
    case GW_PAYLOAD_TEXT:
        ht_args_strn(args, in->data.len > 0 ? in->data.data : "", in->data.len);
        return args->err;
    case GW_PAYLOAD_BYTES:
        break;
    }
    return HT_EARGS;
}

/* What is sent as it is; false: it is to be put into a block. */
static bool is_plain(const struct gw_op *op)
{
    return op->in.payload == GW_PAYLOAD_BYTES || op->in.method[0] == '\0';
}

/* ---- answers ------------------------------------------------------------- */

static ht_err read_reply(const struct gw_op *op,
                         ht_bytes data,
                         struct gw_message *out,
                         struct gw_failure *failure)
{
    ht_bytes message;

    if (op->method != NULL) {
        if (!hti_delimited_decode(data, &message)) {
            (void)snprintf(failure->reason, sizeof(failure->reason),
                           "the answer is no %.150s", op->method->output);
            return HT_EPROTO;
        }
        out->payload = GW_PAYLOAD_JSON;
        return hti_json_pb_decode(op->service->description, op->method->output,
                                  message.data, message.len, &out->json,
                                  failure->reason) == HT_ENOMEM
                   ? HT_ENOMEM
               : out->json != NULL ? HT_OK
                                   : HT_EPROTO;
    }
    out->data = data;
    if (op->in.payload == GW_PAYLOAD_MESSAGE) {
        out->payload = GW_PAYLOAD_MESSAGE;
        if (hti_delimited_decode(data, &out->data)) {
            return HT_OK;
        }
        (void)snprintf(failure->reason, sizeof(failure->reason),
                       "the answer is no protobuf message");
        return HT_EPROTO;
    }
    out->payload = (op->in.payload != GW_PAYLOAD_BYTES || !op->in.method[0]) &&
                           hti_utf8_valid(data.data, data.len)
                       ? GW_PAYLOAD_TEXT
                       : GW_PAYLOAD_BYTES;
    return HT_OK;
}

static void answered(struct gw_op *op, const ht_reply *reply)
{
    struct gw_message out;
    struct gw_failure failure = {.err = HT_OK};
    ht_err err = reply->err;

    if (err != HT_OK) {
        gw_op_fail(op, err, reply->reason);
        return;
    }
    gw_message_init(&out, GW_TYPE(REPLY));
    err = read_reply(op, (ht_bytes){reply->data, reply->len}, &out, &failure);
    if (err == HT_OK) {
        gw_op_reply(op, &out);
    } else {
        gw_op_fail(op, err, failure.reason);
    }
    json_decref(out.json);
}

/* Nobody got it, where the book said that there was somebody: the actor may
 * have come to life elsewhere, or have its like there. */
static bool may_be_elsewhere(const struct gw_op *op, ht_err err)
{
    return (err == HT_ENOPROC || err == HT_ENOCONN) && op->from_book &&
           !op->retried;
}

static void on_reply(ht_actor *self, const ht_reply *reply, void *arg)
{
    struct gw_op *op = arg;
    struct gw_messages *messages = op->messages;

    (void)self;
    TAILQ_REMOVE(&messages->flying, op, entry);
    if (may_be_elsewhere(op, reply->err)) {
        op->retried = true;
        gw_op_lost(op);
        TAILQ_INSERT_HEAD(&messages->waiting, op, entry);
        gw_ops_pump(messages);
        return;
    }
    answered(op, reply);
    gw_op_free(op);
}

/* ---- sending ------------------------------------------------------------- */

static uint32_t timeout_of(const struct gw_op *op)
{
    uint32_t max =
        gw_view(op->messages->client->gateway)->config->call_timeout_ms;
    uint32_t asked = op->in.timeout_ms != 0 ? op->in.timeout_ms : GW_CALL_MS;

    return asked < max ? asked : max;
}

static ht_err call(struct gw_op *op, ht_bytes args)
{
    ht_actor *self = op->messages->client->self;

    if (op->by_name) {
        return ht_call_name_async(self, op->route.node, op->route.name,
                                  op->in.method, args.data, args.len,
                                  timeout_of(op), on_reply, op, NULL);
    }
    return ht_call_async(self, op->ref, op->in.method, args.data, args.len,
                         timeout_of(op), on_reply, op, NULL);
}

static ht_err cast(struct gw_op *op, ht_bytes args, struct gw_failure *failure)
{
    ht_node *node = node_of(op);
    size_t count;

    if (op->in.all) {
        count = ht_group_cast(node, NULL, op->route.name, op->in.method,
                              args.data, args.len);
        count += gw_publish(op->messages->client, op->route.name, &op->in);
        (void)snprintf(failure->reason, sizeof(failure->reason),
                       "group \"%.150s\" has no member", op->route.name);
        return count > 0 ? HT_OK : HT_ENOPROC;
    }
    return op->by_name
               ? ht_cast_name(node, op->route.node, op->route.name,
                              op->in.method, args.data, args.len)
               : ht_cast(node, op->ref, op->in.method, args.data, args.len);
}

/* The arguments are there. */
static ht_err
deliver(struct gw_op *op, ht_bytes args, struct gw_failure *failure)
{
    struct gw_loop *loop = op->messages->client->loop;
    bool is_call = op->in.type == GW_TYPE(CALL);
    ht_err err;

    gw_count(loop, is_call ? GW_CALLS : GW_CASTS, 1);
    err = is_call ? call(op, args) : cast(op, args, failure);
    if (err == HT_ENOCONN && failure->reason[0] == '\0') {
        (void)snprintf(failure->reason, sizeof(failure->reason),
                       "the node of %.150s is not connected", op->in.to);
    }
    return err;
}

bool gw_op_send(struct gw_op *op)
{
    struct gw_failure failure = {.err = HT_OK};
    ht_args args = HT_ARGS_INIT;
    ht_bytes bytes = op->in.data;
    ht_err err = HT_OK;

    /* To all of a group where no service was found: only those who subscribed
     * can get it, and they get the payload itself. */
    if (!is_plain(op) && !(op->in.all && ht_ref_is_none(op->ref))) {
        err = put_args(op, &args, &failure);
        bytes = (ht_bytes){args.data, args.len};
    }
    if (err == HT_OK) {
        err = deliver(op, bytes, &failure);
    }
    ht_args_fini(&args);
    if (may_be_elsewhere(op, err)) {
        op->retried = true;
        gw_op_lost(op);
        return false;
    }
    if (err == HT_OK && op->in.type == GW_TYPE(CALL)) {
        TAILQ_REMOVE(&op->messages->waiting, op, entry);
        TAILQ_INSERT_TAIL(&op->messages->flying, op, entry);
        return true;
    }
    if (err == HT_OK) {
        gw_op_ok(op);
    } else {
        gw_op_fail(op, err, failure.reason);
    }
    TAILQ_REMOVE(&op->messages->waiting, op, entry);
    gw_op_free(op);
    return true;
}
