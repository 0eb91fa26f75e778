/* SPDX-License-Identifier: Apache-2.0 */
/* answer.c - what goes back to a client: encoded as it speaks, and remembered
 * if it may ask again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/messages.h"

static ht_err encode(enum gw_encoding encoding,
                     const struct gw_message *message,
                     void **ret_data,
                     size_t *ret_len)
{
    uint8_t *bytes = NULL;
    char *text = NULL;
    ht_err err;

    switch (encoding) {
    case GW_JSON:
    case GW_SSE:
        err = gw_message_to_json(message, &text, ret_len);
        *ret_data = text;
        return err;
    case GW_PB:
        err = gw_message_to_pb(message, &bytes, ret_len);
        *ret_data = bytes;
        return err;
    case GW_ENCODINGS:
        break;
    }
    return HT_EINVAL;
}

struct gw_frame *gw_encode(enum gw_encoding encoding,
                           const struct gw_message *message,
                           size_t *ret_len)
{
    struct gw_frame *frame;
    void *data = NULL;

    if (encode(encoding, message, &data, ret_len) != HT_OK) {
        return NULL;
    }
    frame = gw_frame_new(encoding, data, *ret_len);
    free(data);
    return frame;
}

void gw_send(struct gw_client *client, const struct gw_message *message)
{
    size_t len = 0;
    struct gw_frame *frame = gw_encode(client->encoding, message, &len);

    if (frame == NULL || gw_client_send_frame(client, frame) != HT_OK) {
        /* It is being closed, for being slow or for want of memory; what it
         * was to be told no longer matters. */
    }
    if (frame != NULL) {
        gw_frame_unref(frame);
    }
}

static void fill(struct gw_message *out,
                 const struct gw_message *in,
                 Hardtack__Gateway__Type type)
{
    gw_message_init(out, type);
    out->to = in->from;
    out->from = in->to;
    out->msg_id = in->msg_id;
}

static void fill_error(struct gw_message *out,
                       const struct gw_message *in,
                       ht_err err,
                       const char *reason)
{
    fill(out, in, GW_TYPE(ERROR));
    out->code = ht_errname(err);
    out->reason =
        reason != NULL && reason[0] != '\0' ? reason : ht_strerror(err);
}

void gw_send_error(struct gw_client *client,
                   const struct gw_message *in,
                   ht_err err,
                   const char *reason)
{
    struct gw_message out;

    fill_error(&out, in, err, reason);
    gw_send(client, &out);
}

void gw_send_ok(struct gw_client *client, const struct gw_message *in)
{
    struct gw_message out;

    if (in->msg_id[0] != '\0') {
        fill(&out, in, GW_TYPE(OK));
        gw_send(client, &out);
    }
}

/* ---- ops over WebSocket -------------------------------------------------- */

/* Send and remember.  Without memory the client learns nothing and may ask
 * again: its message is then under way for ever, so forget it. */
static void answer(struct gw_op *op, const struct gw_message *out)
{
    struct gw_client *client = op->messages->client;
    size_t len = 0;
    struct gw_frame *frame = gw_encode(client->encoding, out, &len);

    if (frame == NULL) {
        if (op->noted) {
            gw_dedupe_forget(op->messages->dedupe, op->in.msg_id);
        }
        return;
    }
    if (op->noted) {
        gw_dedupe_answer(op->messages->dedupe, op->in.msg_id, frame, len);
    }
    if (gw_client_send_frame(client, frame) != HT_OK) {
        /* As in gw_send(). */
    }
    gw_frame_unref(frame);
}

/* ---- ops over HTTP ------------------------------------------------------- */

static void http_fail(struct gw_client *client, ht_err err, const char *reason)
{
    char body[GW_ERROR_MAX * 7];
    size_t len = gw_message_error_body(body, sizeof(body), err, reason);

    gw_http_reply(client, gw_message_status(err), "application/json", body,
                  len);
}

static void http_payload(struct gw_client *client, const struct gw_message *out)
{
    json_t *value;
    char *text;

    if (out->payload == GW_PAYLOAD_BYTES) {
        gw_http_reply(client, 200, "application/octet-stream", out->data.data,
                      out->data.len);
        return;
    }
    value = gw_message_payload_json(out);
    text = value != NULL ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY)
                         : NULL;
    json_decref(value);
    if (text == NULL) {
        http_fail(client, HT_ENOMEM, NULL);
        return;
    }
    gw_http_reply(client, 200, "application/json", text, strlen(text));
    free(text);
}

/* ---- both ---------------------------------------------------------------- */

void gw_op_ok(struct gw_op *op)
{
    struct gw_message out;

    if (op->http) {
        gw_http_reply(op->messages->client, 202, "application/json", "{}", 2);
    } else if (op->in.msg_id[0] != '\0') {
        fill(&out, &op->in, GW_TYPE(OK));
        answer(op, &out);
    }
}

/* Whether err says that the message was not handed to its target.  It may then
 * be sent again under the same msg_id, and is worth it. */
static bool was_not_delivered(ht_err err)
{
    return err == HT_EBUSY || err == HT_ENOCONN || err == HT_ENOPROC ||
           err == HT_EDENIED || err == HT_EAUTH || err == HT_EARGS ||
           err == HT_ENOVARIANT || err == HT_ENOMEM || err == HT_ETOOBIG ||
           err == HT_EOVERLOAD;
}

void gw_op_fail(struct gw_op *op, ht_err err, const char *reason)
{
    struct gw_client *client = op->messages->client;
    struct gw_message out;

    gw_count(client->loop, GW_CALLS_FAILED, op->in.type == GW_TYPE(CALL));
    if (op->noted && was_not_delivered(err)) {
        gw_dedupe_forget(op->messages->dedupe, op->in.msg_id);
        op->noted = false;
    }
    if (op->http) {
        http_fail(client, err, reason);
        return;
    }
    fill_error(&out, &op->in, err, reason);
    answer(op, &out);
}

void gw_op_reply(struct gw_op *op, struct gw_message *out)
{
    if (op->http) {
        http_payload(op->messages->client, out);
        return;
    }
    out->type = GW_TYPE(REPLY);
    out->to = op->in.from;
    out->from = op->in.to;
    out->msg_id = op->in.msg_id;
    answer(op, out);
}

/* ---- errors as HTTP has them --------------------------------------------- */

unsigned gw_message_status(ht_err err)
{
    static const struct {
        ht_err err;
        unsigned status;
    } statuses[] = {
        {HT_OK, 200},        {HT_EARGS, 400},      {HT_EINVAL, 400},
        {HT_EAUTH, 401},     {HT_EDENIED, 403},    {HT_ENOPROC, 404},
        {HT_ENOENT, 404},    {HT_ENOVARIANT, 404}, {HT_EEXIST, 409},
        {HT_ETOOBIG, 413},   {HT_EBUSY, 503},      {HT_EOVERLOAD, 503},
        {HT_ECLOSED, 503},   {HT_ECANCELLED, 503}, {HT_ENOCONN, 502},
        {HT_ENODEDOWN, 502}, {HT_ETIMEDOUT, 504},  {HT_EEXPIRED, 504},
    };

    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        if (statuses[i].err == err) {
            return statuses[i].status;
        }
    }
    return 500;
}

size_t
gw_message_error_body(char *body, size_t cap, ht_err err, const char *reason)
{
    json_t *value = json_pack(
        "{s:{s:s, s:s}}", "error", "code", ht_errname(err), "reason",
        reason != NULL && reason[0] != '\0' ? reason : ht_strerror(err));
    size_t len = value != NULL ? json_dumpb(value, body, cap, JSON_COMPACT) : 0;

    json_decref(value);
    /* Words that do not fit, or are no text: the code says it too. */
    if (len == 0 || len > cap) {
        int n = snprintf(body, cap, "{\"error\":{\"code\":\"%s\"}}",
                         ht_errname(err));
        len = n > 0 && (size_t)n < cap ? (size_t)n : 0;
    }
    return len;
}
