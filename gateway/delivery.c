/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/delivery.h"

#include <string.h>

#include "base/utf8.h"

#define DELIVER "HtDeliver"

ht_err
gw_delivery_read(struct gw_delivery *delivery, ht_node *node, const ht_msg *msg)
{
    ht_ref from = ht_msg_from(msg);
    ht_reader reader = ht_reader_args(msg);
    ProtobufCMessage *message;

    memset(delivery, 0, sizeof(*delivery));
    delivery->msg = msg;
    if (!ht_ref_is_none(from)) {
        (void)ht_ref_format(node, from, delivery->sender,
                            sizeof(delivery->sender));
    }
    if (strcmp(ht_msg_variant(msg), DELIVER) != 0) {
        return HT_OK;
    }
    message = ht_read_message(&reader, &hardtack__client__delivery__descriptor);
    delivery->said = (Hardtack__Client__Delivery *)(void *)message;
    if (ht_read_end(&reader) != HT_OK) {
        gw_delivery_fini(delivery);
        return HT_EARGS;
    }
    return HT_OK;
}

void gw_delivery_fini(struct gw_delivery *delivery)
{
    if (delivery->said != NULL) {
        hardtack__client__delivery__free_unpacked(delivery->said, NULL);
        delivery->said = NULL;
    }
    json_decref(delivery->json);
    delivery->json = NULL;
}

static void
set_bytes(struct gw_message *out, enum gw_payload kind, ht_bytes data)
{
    out->payload = kind;
    out->data = data;
}

/* Text if it is text. */
static void set_plain(struct gw_message *out, ht_bytes data)
{
    set_bytes(out,
              hti_utf8_valid(data.data, data.len) ? GW_PAYLOAD_TEXT
                                                  : GW_PAYLOAD_BYTES,
              data);
}

static bool set_json(struct gw_delivery *delivery, struct gw_message *out)
{
    const char *text = delivery->said->json;

    if (text[0] == '\0') {
        return false;
    }
    if (delivery->json == NULL) {
        delivery->json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    }
    if (delivery->json == NULL) {
        /* The sender's mistake, which its readers shall see. */
        set_bytes(out, GW_PAYLOAD_TEXT, (ht_bytes){text, strlen(text)});
        return true;
    }
    out->payload = GW_PAYLOAD_JSON;
    out->json = delivery->json;
    return true;
}

static void
set_said(struct gw_delivery *delivery, bool protobuf, struct gw_message *out)
{
    const Hardtack__Client__Delivery *said = delivery->said;
    ht_bytes message = {said->message.data, said->message.len};

    if (protobuf && message.len > 0) {
        set_bytes(out, GW_PAYLOAD_MESSAGE, message);
    } else if (set_json(delivery, out)) {
        return;
    } else if (said->text[0] != '\0') {
        set_bytes(out, GW_PAYLOAD_TEXT,
                  (ht_bytes){said->text, strlen(said->text)});
    } else if (said->data.len > 0) {
        set_bytes(out, GW_PAYLOAD_BYTES,
                  (ht_bytes){said->data.data, said->data.len});
    } else if (message.len > 0) {
        set_bytes(out, GW_PAYLOAD_MESSAGE, message);
    }
}

void gw_delivery_message(struct gw_delivery *delivery,
                         bool protobuf,
                         struct gw_message *ret_message)
{
    const Hardtack__Client__Delivery *said = delivery->said;

    gw_message_init(ret_message, GW_TYPE(MESSAGE));
    ret_message->from =
        said != NULL && said->from[0] != '\0' ? said->from : delivery->sender;
    if (said != NULL) {
        ret_message->method = said->method;
        set_said(delivery, protobuf, ret_message);
        return;
    }
    ret_message->method = ht_msg_variant(delivery->msg);
    if (ret_message->method[0] == '\0') {
        set_plain(ret_message, ht_msg_args(delivery->msg));
    } else {
        /* Whose arguments they are is not known: as they are. */
        set_bytes(ret_message, GW_PAYLOAD_BYTES, ht_msg_args(delivery->msg));
    }
}
