/* SPDX-License-Identifier: Apache-2.0 */
/* message_pb.c - messages as protobuf, hardtack.pb.v1.
 *
 * What a client sent is read by its wire format, in one pass that allocates
 * once: protobuf-c would make a block a field, and cut a text at its first NUL.
 * What we send is protobuf-c's own.
 */
#include "gateway/message.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "proto/pb.h"

/* ---- reading ------------------------------------------------------------- */

/* Fields by number; proto/gateway.proto. */
enum {
    NUMBER_TYPE = 1,
    NUMBER_TO = 2,
    NUMBER_FROM = 3,
    NUMBER_MSG_ID = 4,
    NUMBER_METHOD = 5,
    NUMBER_TEXT = 6,
    NUMBER_BYTES = 7,
    NUMBER_MESSAGE = 8,
    NUMBER_JSON = 9,
    NUMBER_TIMEOUT_MS = 10,
    NUMBER_ALL = 11,
    NUMBER_MEMBERS = 12,
    NUMBER_TOKEN = 13,
    NUMBER_RESUME = 14,
    NUMBER_RECEIVED = 15,
};

/* Values as they came; the last of a field wins, as in every reader. */
struct fields {
    uint64_t numbers[NUMBER_RECEIVED + 1];
    ht_bytes bytes[NUMBER_RECEIVED + 1];
    uint32_t payload; /* the number of the last of the oneof; 0: none */
};

#define BIT(number) (1u << (number))
#define NUMBERS                                                                \
    (BIT(NUMBER_TYPE) | BIT(NUMBER_TIMEOUT_MS) | BIT(NUMBER_ALL) |             \
     BIT(NUMBER_MEMBERS) | BIT(NUMBER_RECEIVED))

/* true: it was one of ours, and of the right wire type. */
static bool read_known(struct hti_pb_in *in,
                       uint32_t key,
                       struct fields *fields,
                       bool *ret_good)
{
    uint32_t number = key >> 3;
    uint32_t wire = key & 7;

    if (number > NUMBER_RECEIVED) {
        return false;
    }
    if ((NUMBERS & BIT(number)) != 0) {
        *ret_good = wire == HTI_PB_VARINT &&
                    hti_pb_varint(in, &fields->numbers[number]);
        return true;
    }
    *ret_good = wire == HTI_PB_LEN && hti_pb_len(in, &fields->bytes[number]);
    if (number >= NUMBER_TEXT && number <= NUMBER_JSON) {
        fields->payload = number;
    }
    return true;
}

static bool read_fields(ht_bytes data, struct fields *fields)
{
    struct hti_pb_in in = hti_pb_open(data);

    while (in.p != in.end) {
        uint32_t key;
        bool good = false;

        if (!hti_pb_key(&in, &key)) {
            return false;
        }
        if (!read_known(&in, key, fields, &good)) {
            good = hti_pb_skip(&in, key, 1);
        }
        if (!good) {
            return false;
        }
    }
    return true;
}

/* A string with a NUL behind it, in the owner's text. */
static ht_err copy_text(const char *name,
                        ht_bytes bytes,
                        size_t max,
                        char **at,
                        const char **ret_text,
                        char error[GW_ERROR_MAX])
{
    if (bytes.len > max) {
        return gw_message_fail(error, "\"%s\" has more than %zu bytes", name,
                               max);
    }
    if (bytes.len == 0) {
        return HT_OK;
    }
    if (!hti_utf8_valid(bytes.data, bytes.len) ||
        memchr(bytes.data, '\0', bytes.len) != NULL) {
        return gw_message_fail(error, "\"%s\" is not text", name);
    }
    memcpy(*at, bytes.data, bytes.len);
    (*at)[bytes.len] = '\0';
    *ret_text = *at;
    *at += bytes.len + 1;
    return HT_OK;
}

static ht_err copy_texts(const struct fields *f,
                         struct gw_message *m,
                         char error[GW_ERROR_MAX])
{
    char *at = m->owner->text;
    /* First the names: whatever is wrong with the rest, the client learns which
     * message it was. */
    ht_err id = copy_text("msg_id", f->bytes[NUMBER_MSG_ID], GW_MSG_ID_MAX, &at,
                          &m->msg_id, error);
    ht_err from = copy_text("from", f->bytes[NUMBER_FROM], GW_NAME_MAX, &at,
                            &m->from, error);

    if (id != HT_OK || from != HT_OK) {
        return HT_EARGS;
    }
    if (copy_text("to", f->bytes[NUMBER_TO], GW_TO_MAX, &at, &m->to, error) !=
        HT_OK) {
        return HT_EARGS;
    }
    return copy_text("method", f->bytes[NUMBER_METHOD], GW_NAME_MAX, &at,
                     &m->method, error);
}

/* Payload and secrets are kept where they are copied to: behind the names. */
static ht_bytes keep(char **at, ht_bytes bytes)
{
    ht_bytes kept = {*at, bytes.len};

    if (bytes.len > 0) {
        memcpy(*at, bytes.data, bytes.len);
    }
    *at += bytes.len;
    return kept;
}

static ht_err read_json(struct gw_message *m, char error[GW_ERROR_MAX])
{
    json_error_t why;

    m->owner->root =
        json_loadb(m->data.data, m->data.len, JSON_REJECT_DUPLICATES, &why);
    if (m->owner->root == NULL) {
        return json_error_code(&why) == json_error_out_of_memory
                   ? HT_ENOMEM
                   : gw_message_fail(error, "\"json\" is not JSON: %s",
                                     why.text);
    }
    if (!json_is_object(m->owner->root)) {
        return gw_message_fail(error, "\"json\" is not an object");
    }
    m->json = m->owner->root;
    return HT_OK;
}

static ht_err read_payload(const struct fields *f,
                           struct gw_message *m,
                           char **at,
                           char error[GW_ERROR_MAX])
{
    if (f->payload == 0) {
        return HT_OK;
    }
    m->data = keep(at, f->bytes[f->payload]);
    switch (f->payload) {
    case NUMBER_TEXT:
        m->payload = GW_PAYLOAD_TEXT;
        return hti_utf8_valid(m->data.data, m->data.len)
                   ? HT_OK
                   : gw_message_fail(error, "\"text\" is not UTF-8");
    case NUMBER_BYTES:
        m->payload = GW_PAYLOAD_BYTES;
        return HT_OK;
    case NUMBER_MESSAGE:
        m->payload = GW_PAYLOAD_MESSAGE;
        return HT_OK;
    default:
        m->payload = GW_PAYLOAD_JSON;
        return read_json(m, error);
    }
}

static ht_err fill(const struct fields *f,
                   struct gw_message *m,
                   char *at,
                   char error[GW_ERROR_MAX])
{
    ht_err err = copy_texts(f, m, error);

    if (err != HT_OK) {
        return err;
    }
    if (!gw_type_is_of_clients(f->numbers[NUMBER_TYPE])) {
        return gw_message_fail(error, "\"type\" is none that a client sends");
    }
    if (f->numbers[NUMBER_TIMEOUT_MS] >= UINT32_MAX) {
        return gw_message_fail(error, "\"timeout_ms\" is too large");
    }
    m->type = (Hardtack__Gateway__Type)f->numbers[NUMBER_TYPE];
    m->timeout_ms = (uint32_t)f->numbers[NUMBER_TIMEOUT_MS];
    m->all = f->numbers[NUMBER_ALL] != 0;
    m->members = f->numbers[NUMBER_MEMBERS] != 0;
    m->received = f->numbers[NUMBER_RECEIVED];
    m->token = keep(&at, f->bytes[NUMBER_TOKEN]);
    m->resume = keep(&at, f->bytes[NUMBER_RESUME]);
    err = read_payload(f, m, &at, error);
    return err != HT_OK ? err : gw_message_check(m, error);
}

ht_err gw_message_from_pb(const void *data,
                          size_t len,
                          struct gw_message *ret_message,
                          char error[GW_ERROR_MAX])
{
    struct fields fields;
    size_t names;
    size_t size;

    memset(&fields, 0, sizeof(fields));
    gw_message_init(ret_message, GW_TYPE(CALL));
    if (!read_fields((ht_bytes){data, len}, &fields)) {
        return gw_message_fail(error, "not a protobuf message");
    }
    /* Each name and its NUL, then the rest: never more than came in, but for
     * the NULs. */
    names = fields.bytes[NUMBER_MSG_ID].len + fields.bytes[NUMBER_FROM].len +
            fields.bytes[NUMBER_TO].len + fields.bytes[NUMBER_METHOD].len + 4;
    size = names + fields.bytes[NUMBER_TOKEN].len +
           fields.bytes[NUMBER_RESUME].len + fields.bytes[fields.payload].len;
    ret_message->owner = malloc(sizeof(*ret_message->owner) + size);
    if (ret_message->owner == NULL) {
        return HT_ENOMEM;
    }
    ret_message->owner->root = NULL;
    ret_message->owner->bytes = NULL;
    return fill(&fields, ret_message, ret_message->owner->text + names, error);
}

/* ---- writing ------------------------------------------------------------- */

static bool is_text(const char *s)
{
    return hti_utf8_valid(s, strlen(s));
}

/* A string field is a NUL-terminated one to protobuf-c, so a text that holds a
 * NUL is sent as bytes. */
static void put_payload(Hardtack__Gateway__Message *out,
                        const struct gw_message *m,
                        char *text,
                        char *json)
{
    bool whole =
        m->data.len == 0 || memchr(m->data.data, '\0', m->data.len) == NULL;

    switch (m->payload) {
    case GW_PAYLOAD_NONE:
        return;
    case GW_PAYLOAD_JSON:
        out->payload_case = HARDTACK__GATEWAY__MESSAGE__PAYLOAD_JSON;
        out->json = json;
        return;
    case GW_PAYLOAD_MESSAGE:
        out->payload_case = HARDTACK__GATEWAY__MESSAGE__PAYLOAD_MESSAGE;
        out->message.data = (uint8_t *)m->data.data;
        out->message.len = m->data.len;
        return;
    case GW_PAYLOAD_TEXT:
        if (whole) {
            out->payload_case = HARDTACK__GATEWAY__MESSAGE__PAYLOAD_TEXT;
            out->text = text;
            return;
        }
        break;
    case GW_PAYLOAD_BYTES:
        break;
    }
    out->payload_case = HARDTACK__GATEWAY__MESSAGE__PAYLOAD_BYTES;
    out->bytes.data = (uint8_t *)m->data.data;
    out->bytes.len = m->data.len;
}

static void put_all(Hardtack__Gateway__Message *out, const struct gw_message *m)
{
    out->type = m->type;
    out->to = (char *)m->to;
    out->from = (char *)m->from;
    out->msg_id = (char *)m->msg_id;
    out->method = (char *)m->method;
    out->code = (char *)m->code;
    out->reason = (char *)m->reason;
    out->client = (char *)m->client;
    out->node = (char *)m->node;
    out->resumed = m->resumed;
    out->afresh = (char *)m->afresh;
    out->received = m->received;
    out->grace_ms = m->grace_ms;
    out->queued = m->queued;
    out->limit = m->limit;
    out->after_ms = m->after_ms;
    out->joined = (char **)m->joined;
    out->n_joined = m->joined_count;
    out->left = (char **)m->left;
    out->n_left = m->left_count;
}

static bool texts_are_good(const struct gw_message *m)
{
    bool good = is_text(m->to) && is_text(m->from) && is_text(m->msg_id) &&
                is_text(m->method) && is_text(m->reason) && is_text(m->client);

    return good && (m->payload != GW_PAYLOAD_TEXT || m->data.len == 0 ||
                    hti_utf8_valid(m->data.data, m->data.len));
}

static ht_err
pack(const Hardtack__Gateway__Message *out, uint8_t **ret_data, size_t *ret_len)
{
    size_t len = hardtack__gateway__message__get_packed_size(out);
    uint8_t *data = malloc(len + 1);

    if (data == NULL) {
        return HT_ENOMEM;
    }
    *ret_len = hardtack__gateway__message__pack(out, data);
    *ret_data = data;
    return HT_OK;
}

ht_err gw_message_to_pb(const struct gw_message *message,
                        uint8_t **ret_data,
                        size_t *ret_len)
{
    Hardtack__Gateway__Message out = HARDTACK__GATEWAY__MESSAGE__INIT;
    char *text = NULL;
    char *json = NULL;
    char *resume = NULL;
    ht_err err = HT_ENOMEM;

    if (!texts_are_good(message)) {
        return HT_EINVAL;
    }
    if (message->payload == GW_PAYLOAD_TEXT) {
        text = strndup(message->data.len > 0 ? message->data.data : "",
                       message->data.len);
    } else if (message->payload == GW_PAYLOAD_JSON) {
        json = json_dumps(message->json, JSON_COMPACT);
    }
    if (message->resume.len > 0) {
        resume = strndup(message->resume.data, message->resume.len);
        out.resume = resume;
    }
    if ((message->payload != GW_PAYLOAD_TEXT || text != NULL) &&
        (message->payload != GW_PAYLOAD_JSON || json != NULL) &&
        (message->resume.len == 0 || resume != NULL)) {
        put_all(&out, message);
        put_payload(&out, message, text, json);
        err = pack(&out, ret_data, ret_len);
    }
    free(text);
    free(json);
    free(resume);
    return err;
}
