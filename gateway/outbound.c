/* SPDX-License-Identifier: Apache-2.0 */
/* outbound.c - what actors say to a client's actor, and what the transport has
 * to say to the client. */
#include <string.h>

#include "gateway/delivery.h"
#include "gateway/login.h"
#include "gateway/messages.h"

/* ---- from actors --------------------------------------------------------- */

static ht_err on_who(struct gw_client *client, ht_call call)
{
    Hardtack__Client__Identity out = HARDTACK__CLIENT__IDENTITY__INIT;
    const struct gw_identity *identity = client->identity;
    ht_args args = HT_REPLY_INIT;
    ht_err err;

    out.client = client->name;
    out.address = client->address;
    if (identity != NULL) {
        out.user = (char *)identity->token.user;
        out.claims = (char **)identity->token.claims;
        out.n_claims = identity->token.claims_count;
        out.expires_s = identity->token.expires_s;
    }
    ht_args_message(&args, &out.base);
    err = args.err;
    if (err == HT_OK) {
        (void)ht_args_reply(client->self, call, &args);
    } else {
        ht_args_fini(&args);
        (void)ht_reply_error(client->self, call, HT_EFAILED, NULL);
    }
    return HT_OK;
}

static ht_err on_close(struct gw_client *client, const ht_msg *msg)
{
    ht_reader reader = ht_reader_args(msg);
    ProtobufCMessage *message =
        ht_read_message(&reader, &hardtack__client__closing__descriptor);
    const Hardtack__Client__Closing *in = (const void *)message;

    if (message == NULL) {
        return HT_EARGS;
    }
    gw_client_close(client, 1000, in->reason);
    protobuf_c_message_free_unpacked(message, NULL);
    return HT_OK;
}

ht_err gw_message_out(struct gw_client *client, const ht_msg *msg, ht_call call)
{
    const char *variant = ht_msg_variant(msg);
    struct gw_delivery delivery;
    struct gw_message out;
    ht_err err;

    if (call.id != 0) {
        return strcmp(variant, "HtWho") == 0 ? on_who(client, call)
                                             : HT_ENOVARIANT;
    }
    if (strcmp(variant, "HtClose") == 0) {
        return on_close(client, msg);
    }
    if (client->transport == GW_HTTP) {
        return HT_ENOVARIANT; /* a request has no place for it */
    }
    err = gw_delivery_read(&delivery, gw_view(client->gateway)->node, msg);
    if (err != HT_OK) {
        return HT_EARGS;
    }
    gw_delivery_message(&delivery, client->encoding == GW_PB, &out);
    out.to = client->name;
    gw_send(client, &out);
    gw_delivery_fini(&delivery);
    return HT_OK;
}

/* Monitors, timers and nodes are asked for by nobody on this side. */
ht_err gw_message_event(struct gw_client *client, const ht_event *event)
{
    (void)client;
    (void)event;
    return HT_OK;
}

/* ---- from the transport -------------------------------------------------- */

static void fill_welcome(struct gw_message *out, const struct gw_notice *notice)
{
    out->type = GW_TYPE(WELCOME);
    out->client = notice->name;
    out->node = notice->node;
    if (notice->resume != NULL) {
        out->resume = (ht_bytes){notice->resume, strlen(notice->resume)};
    }
    out->resumed = notice->resumed;
    out->afresh = notice->afresh != NULL ? notice->afresh : "";
    out->received = notice->received;
    out->grace_ms = notice->grace_ms;
}

struct gw_frame *gw_message_notice(const struct gw_client *client,
                                   const struct gw_notice *notice)
{
    struct gw_message out;
    size_t len = 0;

    gw_message_init(&out, GW_TYPE(NOTICE));
    if (notice->reason != NULL) {
        out.reason = notice->reason;
    }
    switch (notice->kind) {
    case GW_NOTICE_WELCOME:
        fill_welcome(&out, notice);
        break;
    case GW_NOTICE_ERROR:
        out.code = ht_errname(notice->code);
        break;
    case GW_NOTICE_SLOW:
        out.type = GW_TYPE(SLOW);
        out.queued = notice->queued;
        out.limit = notice->limit;
        break;
    case GW_NOTICE_DRAIN:
        out.type = GW_TYPE(DRAIN);
        out.after_ms = notice->after_ms;
        break;
    }
    return gw_encode(client->encoding, &out, &len);
}
