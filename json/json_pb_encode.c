/* SPDX-License-Identifier: Apache-2.0 */
#include "json/json_pb_internal.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json/base64.h"

/* Bytes being written; failed once memory was out. */
struct out {
    uint8_t *data;
    size_t len;
    size_t cap;
    bool failed;
};

static ht_err put_message(struct json_pb *ctx,
                          const MESSAGE *message,
                          const json_t *value,
                          struct out *out);

static void put(struct out *out, const void *data, size_t len)
{
    if (out->failed || len == 0) {
        return;
    }
    if (out->cap - out->len < len) {
        size_t cap = (out->cap + len) * 2 + 64;
        uint8_t *grown = realloc(out->data, cap);

        if (grown == NULL) {
            out->failed = true;
            return;
        }
        out->data = grown;
        out->cap = cap;
    }
    memcpy(out->data + out->len, data, len);
    out->len += len;
}

static void put_varint(struct out *out, uint64_t v)
{
    uint8_t bytes[10];
    size_t n = 0;

    do {
        bytes[n++] = (uint8_t)((v & 0x7fu) | (v > 0x7fu ? 0x80u : 0u));
        v >>= 7;
    } while (v != 0);
    put(out, bytes, n);
}

static void put_fixed(struct out *out, uint64_t v, size_t width)
{
    uint8_t bytes[8];

    for (size_t i = 0; i < width; i++) {
        bytes[i] = (uint8_t)(v >> (8 * i));
    }
    put(out, bytes, width);
}

static void put_tag(struct out *out, uint32_t number, enum wire wire)
{
    put_varint(out, ((uint64_t)number << 3) | (uint64_t)wire);
}

static uint64_t zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (v < 0 ? UINT64_MAX : 0);
}

/* ---- scalars ------------------------------------------------------------- */

/* A whole number, as an integer, a real without a fraction, or (64 bits) a
 * string of digits; between min and max as the type has it. */
static ht_err read_signed(struct json_pb *ctx,
                          const json_t *value,
                          int64_t min,
                          int64_t max,
                          int64_t *ret)
{
    int64_t v = 0;

    if (json_is_integer(value)) {
        v = json_integer_value(value);
    } else if (json_is_real(value) &&
               json_real_value(value) == trunc(json_real_value(value)) &&
               fabs(json_real_value(value)) <= 9007199254740992.0) {
        v = (int64_t)json_real_value(value);
    } else if (json_is_string(value)) {
        const char *text = json_string_value(value);
        char *end = NULL;

        errno = 0;
        v = strtoll(text, &end, 10);
        if (errno != 0 || end == text || *end != '\0' || text[0] == ' ') {
            return hti_json_pb_fail(ctx, "expected an integer, not \"%s\"",
                                    text);
        }
    } else {
        return hti_json_pb_fail(ctx, "expected an integer");
    }
    if (v < min || v > max) {
        return hti_json_pb_fail(ctx, "%lld is out of range, %lld to %lld",
                                (long long)v, (long long)min, (long long)max);
    }
    *ret = v;
    return HT_OK;
}

static ht_err read_unsigned(struct json_pb *ctx,
                            const json_t *value,
                            uint64_t max,
                            uint64_t *ret)
{
    uint64_t v = 0;
    int64_t small = 0;
    ht_err err;

    if (json_is_string(value)) {
        const char *text = json_string_value(value);
        char *end = NULL;

        errno = 0;
        v = strtoull(text, &end, 10);
        if (errno != 0 || end == text || *end != '\0' || text[0] < '0' ||
            text[0] > '9') {
            return hti_json_pb_fail(
                ctx, "expected an integer of 0 or more, not \"%s\"", text);
        }
    } else {
        err = read_signed(ctx, value, INT64_MIN, INT64_MAX, &small);
        if (err != HT_OK) {
            return err;
        }
        if (small < 0) {
            return hti_json_pb_fail(ctx, "%lld is out of range, 0 or more",
                                    (long long)small);
        }
        v = (uint64_t)small;
    }
    if (v > max) {
        return hti_json_pb_fail(ctx, "%llu is out of range, 0 to %llu",
                                (unsigned long long)v, (unsigned long long)max);
    }
    *ret = v;
    return HT_OK;
}

static ht_err read_double(struct json_pb *ctx, const json_t *value, double *ret)
{
    const char *text = json_string_value(value);

    if (json_is_number(value)) {
        *ret = json_number_value(value);
    } else if (text != NULL && strcmp(text, "NaN") == 0) {
        *ret = (double)NAN;
    } else if (text != NULL && strcmp(text, "Infinity") == 0) {
        *ret = (double)INFINITY;
    } else if (text != NULL && strcmp(text, "-Infinity") == 0) {
        *ret = -(double)INFINITY;
    } else {
        return hti_json_pb_fail(ctx, "expected a number");
    }
    return HT_OK;
}

static ht_err read_enum(struct json_pb *ctx,
                        const FIELD *field,
                        const json_t *value,
                        int64_t *ret)
{
    const ENUM *type = hti_json_pb_enum(ctx, field->type_name);

    if (type == NULL) {
        return HT_EARGS;
    }
    if (!json_is_string(value)) {
        if (!json_is_integer(value)) {
            return hti_json_pb_fail(ctx, "expected a name or number of %s",
                                    field->type_name);
        }
        return read_signed(ctx, value, INT32_MIN, INT32_MAX, ret);
    }
    for (size_t i = 0; i < type->n_values; i++) {
        if (strcmp(type->values[i]->name, json_string_value(value)) == 0) {
            *ret = type->values[i]->number;
            return HT_OK;
        }
    }
    return hti_json_pb_fail(ctx, "%s has no value \"%s\"", field->type_name,
                            json_string_value(value));
}

static ht_err
put_double(struct json_pb *ctx, const json_t *value, struct out *out)
{
    double v = 0;
    uint64_t bits;
    ht_err err = read_double(ctx, value, &v);

    if (err == HT_OK) {
        memcpy(&bits, &v, sizeof(bits));
        put_fixed(out, bits, 8);
    }
    return err;
}

static ht_err
put_float(struct json_pb *ctx, const json_t *value, struct out *out)
{
    double v = 0;
    float narrow;
    uint32_t bits;
    ht_err err = read_double(ctx, value, &v);

    if (err == HT_OK && isfinite(v) && fabs(v) > (double)FLT_MAX) {
        return hti_json_pb_fail(ctx, "%g is out of range for a float", v);
    }
    if (err == HT_OK) {
        narrow = (float)v;
        memcpy(&bits, &narrow, sizeof(bits));
        put_fixed(out, bits, 4);
    }
    return err;
}

static ht_err
put_string(struct json_pb *ctx, const json_t *value, struct out *out)
{
    if (!json_is_string(value)) {
        return hti_json_pb_fail(ctx, "expected a string");
    }
    put_varint(out, json_string_length(value));
    put(out, json_string_value(value), json_string_length(value));
    return HT_OK;
}

static ht_err
put_bytes(struct json_pb *ctx, const json_t *value, struct out *out)
{
    uint8_t *data = NULL;
    size_t len = 0;

    if (!json_is_string(value) ||
        !hti_base64_decode(json_string_value(value), &data, &len)) {
        return hti_json_pb_fail(ctx, "expected bytes, as a string of base64");
    }
    put_varint(out, len);
    put(out, data, len);
    free(data);
    return HT_OK;
}

static ht_err put_nested(struct json_pb *ctx,
                         const FIELD *field,
                         const json_t *value,
                         struct out *out)
{
    const MESSAGE *message = hti_json_pb_message(ctx, field->type_name);
    struct out inner = {0};
    ht_err err = HT_EARGS;

    if (message != NULL) {
        err = put_message(ctx, message, value, &inner);
    }
    if (err == HT_OK) {
        put_varint(out, inner.len);
        put(out, inner.data, inner.len);
        out->failed = out->failed || inner.failed;
    }
    free(inner.data);
    return err;
}

/* One value without its tag. */
static ht_err put_value(struct json_pb *ctx,
                        const FIELD *field,
                        const json_t *value,
                        struct out *out)
{
    int64_t s = 0;
    uint64_t u = 0;
    ht_err err = HT_OK;

    switch (field->type) {
    case HARDTACK__ADMIN__TYPE__INT32:
    case HARDTACK__ADMIN__TYPE__SINT32:
    case HARDTACK__ADMIN__TYPE__SFIXED32:
        err = read_signed(ctx, value, INT32_MIN, INT32_MAX, &s);
        break;
    case HARDTACK__ADMIN__TYPE__INT64:
    case HARDTACK__ADMIN__TYPE__SINT64:
    case HARDTACK__ADMIN__TYPE__SFIXED64:
        err = read_signed(ctx, value, INT64_MIN, INT64_MAX, &s);
        break;
    case HARDTACK__ADMIN__TYPE__UINT32:
    case HARDTACK__ADMIN__TYPE__FIXED32:
        err = read_unsigned(ctx, value, UINT32_MAX, &u);
        s = (int64_t)u;
        break;
    case HARDTACK__ADMIN__TYPE__UINT64:
    case HARDTACK__ADMIN__TYPE__FIXED64:
        err = read_unsigned(ctx, value, UINT64_MAX, &u);
        s = (int64_t)u;
        break;
    case HARDTACK__ADMIN__TYPE__ENUM:
        err = read_enum(ctx, field, value, &s);
        break;
    case HARDTACK__ADMIN__TYPE__BOOL:
        if (!json_is_boolean(value)) {
            return hti_json_pb_fail(ctx, "expected true or false");
        }
        s = json_is_true(value);
        break;
    case HARDTACK__ADMIN__TYPE__DOUBLE:
        return put_double(ctx, value, out);
    case HARDTACK__ADMIN__TYPE__FLOAT:
        return put_float(ctx, value, out);
    case HARDTACK__ADMIN__TYPE__STRING:
        return put_string(ctx, value, out);
    case HARDTACK__ADMIN__TYPE__BYTES:
        return put_bytes(ctx, value, out);
    case HARDTACK__ADMIN__TYPE__MESSAGE:
        return put_nested(ctx, field, value, out);
    case HARDTACK__ADMIN__TYPE__UNKNOWN:
    case _HARDTACK__ADMIN__TYPE_IS_INT_SIZE:
        return hti_json_pb_fail(ctx, "a type this program does not know");
    }
    if (err != HT_OK) {
        return err;
    }
    if (hti_json_pb_wire(field->type) == WIRE_VARINT) {
        bool zz = field->type == HARDTACK__ADMIN__TYPE__SINT32 ||
                  field->type == HARDTACK__ADMIN__TYPE__SINT64;
        put_varint(out, zz ? zigzag(s) : (uint64_t)s);
    } else {
        put_fixed(out, (uint64_t)s,
                  hti_json_pb_wire(field->type) == WIRE_64 ? 8 : 4);
    }
    return HT_OK;
}

/* ---- messages ------------------------------------------------------------ */

static ht_err put_repeated(struct json_pb *ctx,
                           const FIELD *field,
                           const json_t *array,
                           struct out *out)
{
    bool packed = field->packed && hti_json_pb_wire(field->type) != WIRE_LEN;
    struct out inner = {0};
    ht_err err = HT_OK;

    if (!json_is_array(array)) {
        return hti_json_pb_fail(ctx, "expected an array");
    }
    for (size_t i = 0; err == HT_OK && i < json_array_size(array); i++) {
        size_t mark = hti_json_pb_enter(ctx, "", (long)i);

        if (!packed) {
            put_tag(out, field->number, hti_json_pb_wire(field->type));
        }
        err = put_value(ctx, field, json_array_get(array, i),
                        packed ? &inner : out);
        hti_json_pb_leave(ctx, mark);
    }
    if (err == HT_OK && packed && inner.len > 0) {
        put_tag(out, field->number, WIRE_LEN);
        put_varint(out, inner.len);
        put(out, inner.data, inner.len);
    }
    out->failed = out->failed || inner.failed;
    free(inner.data);
    return err;
}

static ht_err put_field(struct json_pb *ctx,
                        const FIELD *field,
                        const json_t *value,
                        struct out *out)
{
    size_t mark = hti_json_pb_enter(ctx, field->name, -1);
    ht_err err;

    if (field->repeated) {
        err = put_repeated(ctx, field, value, out);
    } else {
        put_tag(out, field->number, hti_json_pb_wire(field->type));
        err = put_value(ctx, field, value, out);
    }
    hti_json_pb_leave(ctx, mark);
    return err;
}

/* Every key of the object is a field of the message. */
static ht_err
check_keys(struct json_pb *ctx, const MESSAGE *message, const json_t *object)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)object, key, value)
    {
        bool known = false;

        for (size_t i = 0; !known && i < message->n_fields; i++) {
            known = strcmp(message->fields[i]->name, key) == 0;
        }
        if (!known) {
            return hti_json_pb_fail(ctx, "%s has no field \"%s\"",
                                    message->name, key);
        }
    }
    return HT_OK;
}

static ht_err
check_oneof(struct json_pb *ctx, const MESSAGE *message, const json_t *object)
{
    for (size_t i = 0; i < message->n_fields; i++) {
        const FIELD *a = message->fields[i];
        const json_t *value = json_object_get(object, a->name);

        if (a->oneof == 0 || value == NULL || json_is_null(value)) {
            continue;
        }
        for (size_t j = i + 1; j < message->n_fields; j++) {
            const FIELD *b = message->fields[j];
            const json_t *other = json_object_get(object, b->name);

            if (b->oneof == a->oneof && other != NULL && !json_is_null(other)) {
                return hti_json_pb_fail(ctx,
                                        "\"%s\" and \"%s\" exclude each other",
                                        a->name, b->name);
            }
        }
    }
    return HT_OK;
}

static ht_err put_message(struct json_pb *ctx,
                          const MESSAGE *message,
                          const json_t *value,
                          struct out *out)
{
    ht_err err;

    if (!json_is_object(value)) {
        return hti_json_pb_fail(ctx, "expected an object (%s)", message->name);
    }
    if (ctx->depth == JSON_PB_DEPTH_MAX) {
        return hti_json_pb_fail(ctx, "too deep");
    }
    ctx->depth++;
    err = check_keys(ctx, message, value);
    if (err == HT_OK) {
        err = check_oneof(ctx, message, value);
    }
    for (size_t i = 0; err == HT_OK && i < message->n_fields; i++) {
        const FIELD *field = message->fields[i];
        const json_t *item = json_object_get(value, field->name);

        if (item != NULL && !json_is_null(item)) {
            err = put_field(ctx, field, item, out);
        } else if (field->required) {
            err = hti_json_pb_fail(ctx, "\"%s\" is required", field->name);
        }
    }
    ctx->depth--;
    return err;
}

ht_err hti_json_pb_encode(const Hardtack__Admin__Description *description,
                          const char *type_name,
                          const json_t *value,
                          uint8_t **ret_data,
                          size_t *ret_len,
                          char error[JSON_PB_ERROR_MAX])
{
    struct json_pb ctx = {.description = description, .error = error};
    struct out out = {0};
    const MESSAGE *message;
    ht_err err = HT_EARGS;

    error[0] = '\0';
    message = hti_json_pb_message(&ctx, type_name);
    if (message != NULL) {
        err = put_message(&ctx, message, value, &out);
    }
    put(&out, "", 0);
    if (err == HT_OK &&
        (out.failed || (out.data == NULL && (out.data = malloc(1)) == NULL))) {
        err = HT_ENOMEM;
    }
    if (err != HT_OK) {
        free(out.data);
        return err;
    }
    *ret_data = out.data;
    *ret_len = out.len;
    return HT_OK;
}
