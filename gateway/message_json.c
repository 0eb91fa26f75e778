/* SPDX-License-Identifier: Apache-2.0 */
/* message_json.c - messages as JSON objects, hardtack.json.v1.
 *
 * A payload is what it looks like: a string is text, an object a typed message;
 * bytes are base64 in a field of their own, `bytes`.
 */
#include "gateway/message.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "json/base64.h"

/* ---- reading ------------------------------------------------------------- */

/* The fields of a client's message. */
enum field {
    FIELD_TYPE,
    FIELD_TO,
    FIELD_FROM,
    FIELD_MSG_ID,
    FIELD_METHOD,
    FIELD_PAYLOAD,
    FIELD_BYTES,
    FIELD_TIMEOUT_MS,
    FIELD_ALL,
    FIELD_MEMBERS,
    FIELD_TOKEN,
    FIELD_RESUME,
    FIELD_RECEIVED,
    FIELD_NONE,
};
static const char *const field_names[] = {
    "type",       "to",  "from",    "msg_id", "method", "payload",  "bytes",
    "timeout_ms", "all", "members", "token",  "resume", "received",
};

static enum field field_of(const char *name)
{
    for (size_t i = 0; i < FIELD_NONE; i++) {
        if (strcmp(field_names[i], name) == 0) {
            return (enum field)i;
        }
    }
    return FIELD_NONE;
}

static ht_err read_string(const char *name,
                          const json_t *value,
                          size_t max,
                          const char **ret_text,
                          char error[GW_ERROR_MAX])
{
    if (!json_is_string(value)) {
        return gw_message_fail(error, "\"%s\" is not a string", name);
    }
    if (json_string_length(value) > max) {
        return gw_message_fail(error, "\"%s\" has more than %zu bytes", name,
                               max);
    }
    *ret_text = json_string_value(value);
    return HT_OK;
}

static ht_err read_secret(const char *name,
                          const json_t *value,
                          ht_bytes *ret_bytes,
                          char error[GW_ERROR_MAX])
{
    if (!json_is_string(value)) {
        return gw_message_fail(error, "\"%s\" is not a string", name);
    }
    ret_bytes->data = json_string_value(value);
    ret_bytes->len = json_string_length(value);
    return HT_OK;
}

static ht_err read_number(const char *name,
                          const json_t *value,
                          uint64_t max,
                          uint64_t *ret_number,
                          char error[GW_ERROR_MAX])
{
    json_int_t number = json_integer_value(value);

    if (!json_is_integer(value) || number < 0 || (uint64_t)number > max) {
        return gw_message_fail(error, "\"%s\" is not a number of 0 to %llu",
                               name, (unsigned long long)max);
    }
    *ret_number = (uint64_t)number;
    return HT_OK;
}

static ht_err read_bool(const char *name,
                        const json_t *value,
                        bool *ret_bool,
                        char error[GW_ERROR_MAX])
{
    if (!json_is_boolean(value)) {
        return gw_message_fail(error, "\"%s\" is neither true nor false", name);
    }
    *ret_bool = json_is_true(value);
    return HT_OK;
}

static ht_err read_type(const json_t *value,
                        struct gw_message *message,
                        char error[GW_ERROR_MAX])
{
    if (!json_is_string(value) ||
        !gw_type_of(json_string_value(value), &message->type)) {
        return gw_message_fail(error, "\"type\" is none that a client sends");
    }
    return HT_OK;
}

static ht_err read_payload(json_t *value,
                           struct gw_message *message,
                           char error[GW_ERROR_MAX])
{
    if (message->payload != GW_PAYLOAD_NONE) {
        return gw_message_fail(error, "\"payload\" and \"bytes\" were given");
    }
    if (json_is_string(value)) {
        message->payload = GW_PAYLOAD_TEXT;
        message->data.data = json_string_value(value);
        message->data.len = json_string_length(value);
    } else if (json_is_object(value)) {
        message->payload = GW_PAYLOAD_JSON;
        message->json = value;
    } else if (!json_is_null(value)) {
        return gw_message_fail(error,
                               "a payload is a string, an object or null");
    }
    return HT_OK;
}

static ht_err read_bytes(const json_t *value,
                         struct gw_message *message,
                         char error[GW_ERROR_MAX])
{
    const char *text = json_string_value(value);
    size_t len = 0;

    if (message->payload != GW_PAYLOAD_NONE) {
        return gw_message_fail(error, "\"payload\" and \"bytes\" were given");
    }
    if (text == NULL ||
        !hti_base64_decode(text, &message->owner->bytes, &len)) {
        return gw_message_fail(error, "\"bytes\" is not base64");
    }
    message->payload = GW_PAYLOAD_BYTES;
    message->data.data = message->owner->bytes;
    message->data.len = len;
    return HT_OK;
}

static ht_err read_field(const char *name,
                         json_t *value,
                         struct gw_message *m,
                         char error[GW_ERROR_MAX])
{
    uint64_t number = 0;
    ht_err err = HT_OK;

    switch (field_of(name)) {
    case FIELD_TYPE:
        return read_type(value, m, error);
    case FIELD_TO:
        return read_string(name, value, GW_TO_MAX, &m->to, error);
    case FIELD_FROM:
        return read_string(name, value, GW_NAME_MAX, &m->from, error);
    case FIELD_MSG_ID:
        return read_string(name, value, GW_MSG_ID_MAX, &m->msg_id, error);
    case FIELD_METHOD:
        return read_string(name, value, GW_NAME_MAX, &m->method, error);
    case FIELD_PAYLOAD:
        return read_payload(value, m, error);
    case FIELD_BYTES:
        return read_bytes(value, m, error);
    case FIELD_TIMEOUT_MS:
        err = read_number(name, value, UINT32_MAX - 1, &number, error);
        m->timeout_ms = (uint32_t)number;
        return err;
    case FIELD_ALL:
        return read_bool(name, value, &m->all, error);
    case FIELD_MEMBERS:
        return read_bool(name, value, &m->members, error);
    case FIELD_TOKEN:
        return read_secret(name, value, &m->token, error);
    case FIELD_RESUME:
        return read_secret(name, value, &m->resume, error);
    case FIELD_RECEIVED:
        return read_number(name, value, INT64_MAX, &m->received, error);
    case FIELD_NONE:
        break;
    }
    return gw_message_fail(error, "there is no field \"%.64s\"", name);
}

/* Whatever is wrong with the rest, the client learns which message it was. */
static void read_names(struct gw_message *message, json_t *root)
{
    char ignored[GW_ERROR_MAX];
    const json_t *id = json_object_get(root, "msg_id");
    const json_t *from = json_object_get(root, "from");

    if (id != NULL) {
        (void)!read_string("", id, GW_MSG_ID_MAX, &message->msg_id, ignored);
    }
    if (from != NULL) {
        (void)!read_string("", from, GW_NAME_MAX, &message->from, ignored);
    }
}

static ht_err take_json(struct gw_message *message,
                        const void *data,
                        size_t len,
                        size_t flags,
                        char error[GW_ERROR_MAX])
{
    json_error_t why;

    if (message->owner == NULL) {
        message->owner = calloc(1, sizeof(*message->owner));
    }
    if (message->owner == NULL) {
        return HT_ENOMEM;
    }
    message->owner->root = json_loadb(len > 0 ? data : "", len,
                                      flags | JSON_REJECT_DUPLICATES, &why);
    if (message->owner->root == NULL) {
        return json_error_code(&why) == json_error_out_of_memory
                   ? HT_ENOMEM
                   : gw_message_fail(error, "not JSON: %s at byte %d", why.text,
                                     why.position);
    }
    return HT_OK;
}

ht_err gw_message_from_json(const void *data,
                            size_t len,
                            struct gw_message *ret_message,
                            char error[GW_ERROR_MAX])
{
    const char *name;
    json_t *value;
    json_t *root;
    ht_err err;

    gw_message_init(ret_message, GW_TYPE(CALL));
    err = take_json(ret_message, data, len, 0, error);
    if (err != HT_OK) {
        return err;
    }
    root = ret_message->owner->root;
    if (!json_is_object(root)) {
        return gw_message_fail(error, "not an object");
    }
    read_names(ret_message, root);
    json_object_foreach(root, name, value)
    {
        err = read_field(name, value, ret_message, error);
        if (err != HT_OK) {
            return err;
        }
    }
    return gw_message_check(ret_message, error);
}

/* The names, in the owner's text. */
static ht_err
own_names(struct gw_message *message, const char *to, const char *method)
{
    size_t to_size = strlen(to) + 1;
    size_t method_size = strlen(method) + 1;
    struct gw_message_owner *owner =
        calloc(1, sizeof(*owner) + to_size + method_size);

    if (owner == NULL) {
        return HT_ENOMEM;
    }
    memcpy(owner->text, to, to_size);
    memcpy(owner->text + to_size, method, method_size);
    message->owner = owner;
    message->to = owner->text;
    message->method = owner->text + to_size;
    return HT_OK;
}

ht_err gw_message_from_http(Hardtack__Gateway__Type type,
                            const char *to,
                            const char *method,
                            ht_bytes body,
                            struct gw_message *ret_message,
                            char error[GW_ERROR_MAX])
{
    ht_err err;

    gw_message_init(ret_message, type);
    if (strlen(to) > GW_TO_MAX || strlen(method) > GW_NAME_MAX) {
        return gw_message_fail(error, "the actor's or the method's name is "
                                      "too long");
    }
    if (!hti_utf8_valid(to, strlen(to)) ||
        !hti_utf8_valid(method, strlen(method))) {
        return gw_message_fail(error, "a name is not UTF-8");
    }
    err = own_names(ret_message, to, method);
    if (err == HT_OK && body.len > 0) {
        err =
            take_json(ret_message, body.data, body.len, JSON_DECODE_ANY, error);
        if (err == HT_OK) {
            err = read_payload(ret_message->owner->root, ret_message, error);
        }
    }
    return err != HT_OK ? err : gw_message_check(ret_message, error);
}

/* ---- writing ------------------------------------------------------------- */

/* jansson's setters take NULL for "no memory", so that only the last result of
 * many has to be looked at. */
struct writer {
    json_t *object;
    ht_err err;
};

static void put(struct writer *w, const char *name, json_t *value)
{
    if (json_object_set_new_nocheck(w->object, name, value) != 0 &&
        w->err == HT_OK) {
        w->err = HT_ENOMEM;
    }
}

static void put_text(struct writer *w, const char *name, const char *text)
{
    if (text[0] == '\0') {
        return;
    }
    if (!hti_utf8_valid(text, strlen(text))) {
        w->err = HT_EINVAL;
        return;
    }
    put(w, name, json_string_nocheck(text));
}

static void put_number(struct writer *w, const char *name, uint64_t number)
{
    put(w, name, json_integer((json_int_t)number));
}

static void put_texts(struct writer *w,
                      const char *name,
                      const char *const *texts,
                      size_t count)
{
    json_t *array = json_array();

    for (size_t i = 0; i < count; i++) {
        if (json_array_append_new(array, json_string(texts[i])) != 0 &&
            w->err == HT_OK) {
            w->err = HT_ENOMEM;
        }
    }
    put(w, name, array);
}

static json_t *base64_json(ht_bytes bytes)
{
    char *text = hti_base64_encode(bytes.data, bytes.len);
    json_t *value = text != NULL ? json_string_nocheck(text) : NULL;

    free(text);
    return value;
}

json_t *gw_message_payload_json(const struct gw_message *message)
{
    switch (message->payload) {
    case GW_PAYLOAD_NONE:
        return json_null();
    case GW_PAYLOAD_TEXT:
        return json_stringn(message->data.len > 0 ? message->data.data : "",
                            message->data.len);
    case GW_PAYLOAD_BYTES:
    case GW_PAYLOAD_MESSAGE:
        return base64_json(message->data);
    case GW_PAYLOAD_JSON:
        return json_incref(message->json);
    }
    return NULL;
}

static void put_payload(struct writer *w, const struct gw_message *m)
{
    bool bytes =
        m->payload == GW_PAYLOAD_BYTES || m->payload == GW_PAYLOAD_MESSAGE;

    if (m->payload == GW_PAYLOAD_TEXT && m->data.len > 0 &&
        !hti_utf8_valid(m->data.data, m->data.len)) {
        w->err = HT_EINVAL;
    } else if (m->payload != GW_PAYLOAD_NONE) {
        put(w, bytes ? "bytes" : "payload", gw_message_payload_json(m));
    }
}

static void put_welcome(struct writer *w, const struct gw_message *m)
{
    put_text(w, "client", m->client);
    put_text(w, "node", m->node);
    if (m->resume.len > 0) {
        put(w, "resume", json_stringn(m->resume.data, m->resume.len));
    }
    put(w, "resumed", json_boolean(m->resumed));
    put_text(w, "afresh", m->afresh);
    put_number(w, "received", m->received);
    put_number(w, "grace_ms", m->grace_ms);
}

static void put_all(struct writer *w, const struct gw_message *m)
{
    put(w, "type", json_string_nocheck(gw_type_name(m->type)));
    put_text(w, "to", m->to);
    put_text(w, "from", m->from);
    put_text(w, "msg_id", m->msg_id);
    put_text(w, "method", m->method);
    put_payload(w, m);
    put_text(w, "code", m->code);
    put_text(w, "reason", m->reason);
    if (m->type == GW_TYPE(WELCOME)) {
        put_welcome(w, m);
    } else if (m->type == GW_TYPE(SLOW)) {
        put_number(w, "queued", m->queued);
        put_number(w, "limit", m->limit);
    } else if (m->type == GW_TYPE(DRAIN)) {
        put_number(w, "after_ms", m->after_ms);
    } else if (m->type == GW_TYPE(MEMBERS)) {
        put_texts(w, "joined", m->joined, m->joined_count);
        put_texts(w, "left", m->left, m->left_count);
    }
}

ht_err gw_message_to_json(const struct gw_message *message,
                          char **ret_data,
                          size_t *ret_len)
{
    struct writer w = {.object = json_object()};
    char *text = NULL;

    put_all(&w, message);
    if (w.err == HT_OK) {
        text = json_dumps(w.object, JSON_COMPACT);
        w.err = text != NULL ? HT_OK : HT_ENOMEM;
    }
    json_decref(w.object);
    if (w.err == HT_OK) {
        *ret_data = text;
        *ret_len = strlen(text);
    }
    return w.err;
}
