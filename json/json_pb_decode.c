/* SPDX-License-Identifier: Apache-2.0 */
#include "json/json_pb_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json/base64.h"

struct in {
    const uint8_t *data;
    size_t len;
};

static ht_err get_message(struct json_pb *ctx,
                          const MESSAGE *message,
                          struct in in,
                          json_t **ret_value);

static bool get_varint(struct in *in, uint64_t *ret)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t byte;

        if (in->len == 0) {
            return false;
        }
        byte = *in->data++;
        in->len--;
        if (shift == 63 && byte > 1) {
            return false;
        }
        v |= (uint64_t)(byte & 0x7fu) << shift;
        if (byte < 0x80u) {
            *ret = v;
            return true;
        }
    }
    return false;
}

static bool get_fixed(struct in *in, size_t width, uint64_t *ret)
{
    uint64_t v = 0;

    if (in->len < width) {
        return false;
    }
    for (size_t i = 0; i < width; i++) {
        v |= (uint64_t)in->data[i] << (8 * i);
    }
    in->data += width;
    in->len -= width;
    *ret = v;
    return true;
}

static bool get_len(struct in *in, struct in *ret)
{
    uint64_t len = 0;

    if (!get_varint(in, &len) || len > in->len) {
        return false;
    }
    ret->data = in->data;
    ret->len = (size_t)len;
    in->data += len;
    in->len -= (size_t)len;
    return true;
}

/* The raw value behind a tag: a number, or a slice. */
static bool
get_raw(struct in *in, unsigned wire, uint64_t *ret_bits, struct in *ret_slice)
{
    switch (wire) {
    case WIRE_VARINT:
        return get_varint(in, ret_bits);
    case WIRE_64:
        return get_fixed(in, 8, ret_bits);
    case WIRE_32:
        return get_fixed(in, 4, ret_bits);
    case WIRE_LEN:
        return get_len(in, ret_slice);
    default:
        return false;
    }
}

/* ---- values -------------------------------------------------------------- */

static json_t *real_json(double v)
{
    if (isnan(v)) {
        return json_string("NaN");
    }
    if (isinf(v)) {
        return json_string(v > 0 ? "Infinity" : "-Infinity");
    }
    return json_real(v);
}

/* 64 bits as text: JSON readers that keep numbers as doubles would round
 * them. */
static json_t *signed_json(int64_t v)
{
    char text[24];

    snprintf(text, sizeof(text), "%lld", (long long)v);
    return json_string(text);
}

static json_t *unsigned_json(uint64_t v)
{
    char text[24];

    snprintf(text, sizeof(text), "%llu", (unsigned long long)v);
    return json_string(text);
}

static int64_t unzigzag(uint64_t v)
{
    return (int64_t)((v >> 1) ^ (UINT64_C(0) - (v & 1)));
}

static json_t *
enum_json(struct json_pb *ctx, const FIELD *field, int32_t number)
{
    const ENUM *type = hti_json_pb_enum(ctx, field->type_name);

    for (size_t i = 0; type != NULL && i < type->n_values; i++) {
        if (type->values[i]->number == number) {
            return json_string(type->values[i]->name);
        }
    }
    return type == NULL ? NULL : json_integer(number);
}

static json_t *float_json(uint64_t bits)
{
    uint32_t narrow = (uint32_t)bits;
    float v;

    memcpy(&v, &narrow, sizeof(v));
    return real_json((double)v);
}

static json_t *double_json(uint64_t bits)
{
    double v;

    memcpy(&v, &bits, sizeof(v));
    return real_json(v);
}

static json_t *bytes_json(struct in slice)
{
    char *text = hti_base64_encode(slice.data, slice.len);
    json_t *value = text != NULL ? json_string(text) : NULL;

    free(text);
    return value;
}

/* NULL: no memory, or an error in ctx. */
static json_t *value_json(struct json_pb *ctx,
                          const FIELD *field,
                          uint64_t bits,
                          struct in slice)
{
    const MESSAGE *inner;
    json_t *value = NULL;

    switch (field->type) {
    case HARDTACK__ADMIN__TYPE__INT32:
    case HARDTACK__ADMIN__TYPE__SFIXED32:
        return json_integer((int32_t)(uint32_t)bits);
    case HARDTACK__ADMIN__TYPE__SINT32:
        return json_integer(unzigzag(bits & UINT32_MAX));
    case HARDTACK__ADMIN__TYPE__INT64:
    case HARDTACK__ADMIN__TYPE__SFIXED64:
        return signed_json((int64_t)bits);
    case HARDTACK__ADMIN__TYPE__SINT64:
        return signed_json(unzigzag(bits));
    case HARDTACK__ADMIN__TYPE__UINT32:
    case HARDTACK__ADMIN__TYPE__FIXED32:
        return json_integer((json_int_t)(uint32_t)bits);
    case HARDTACK__ADMIN__TYPE__UINT64:
    case HARDTACK__ADMIN__TYPE__FIXED64:
        return unsigned_json(bits);
    case HARDTACK__ADMIN__TYPE__FLOAT:
        return float_json(bits);
    case HARDTACK__ADMIN__TYPE__DOUBLE:
        return double_json(bits);
    case HARDTACK__ADMIN__TYPE__BOOL:
        return json_boolean(bits != 0);
    case HARDTACK__ADMIN__TYPE__ENUM:
        return enum_json(ctx, field, (int32_t)(uint32_t)bits);
    case HARDTACK__ADMIN__TYPE__STRING:
        value = json_stringn(slice.len > 0 ? (const char *)slice.data : "",
                             slice.len);
        if (value == NULL) {
            (void)hti_json_pb_fail(ctx, "a string that is not UTF-8");
        }
        return value;
    case HARDTACK__ADMIN__TYPE__BYTES:
        return bytes_json(slice);
    case HARDTACK__ADMIN__TYPE__MESSAGE:
        inner = hti_json_pb_message(ctx, field->type_name);
        if (inner == NULL || get_message(ctx, inner, slice, &value) != HT_OK) {
            return NULL;
        }
        return value;
    case HARDTACK__ADMIN__TYPE__UNKNOWN:
    case _HARDTACK__ADMIN__TYPE_IS_INT_SIZE:
        break;
    }
    (void)hti_json_pb_fail(ctx, "a type this program does not know");
    return NULL;
}

/* ---- messages ------------------------------------------------------------ */

static ht_err failed(struct json_pb *ctx)
{
    return ctx->error[0] != '\0' ? HT_EARGS : HT_ENOMEM;
}

/* Put what a field has now into the object: the last value wins, repeated ones
 * are appended. */
static ht_err store(struct json_pb *ctx,
                    const MESSAGE *message,
                    const FIELD *field,
                    json_t *object,
                    json_t *value)
{
    if (value == NULL) {
        return failed(ctx);
    }
    if (field->repeated) {
        return json_array_append_new(json_object_get(object, field->name),
                                     value) == 0
                   ? HT_OK
                   : HT_ENOMEM;
    }
    for (size_t i = 0; field->oneof != 0 && i < message->n_fields; i++) {
        if (message->fields[i]->oneof == field->oneof) {
            (void)json_object_del(object, message->fields[i]->name);
        }
    }
    return json_object_set_new(object, field->name, value) == 0 ? HT_OK
                                                                : HT_ENOMEM;
}

static ht_err get_packed(struct json_pb *ctx,
                         const MESSAGE *message,
                         const FIELD *field,
                         struct in slice,
                         json_t *object)
{
    enum wire wire = hti_json_pb_wire(field->type);
    ht_err err = HT_OK;

    while (err == HT_OK && slice.len > 0) {
        struct in none = {NULL, 0};
        uint64_t bits = 0;

        if (!get_raw(&slice, (unsigned)wire, &bits, &none)) {
            return hti_json_pb_fail(ctx, "malformed");
        }
        err = store(ctx, message, field, object,
                    value_json(ctx, field, bits, none));
    }
    return err;
}

static const FIELD *field_numbered(const MESSAGE *message, uint64_t number)
{
    for (size_t i = 0; i < message->n_fields; i++) {
        if (message->fields[i]->number == number) {
            return message->fields[i];
        }
    }
    return NULL;
}

static ht_err get_field(struct json_pb *ctx,
                        const MESSAGE *message,
                        struct in *in,
                        json_t *object)
{
    struct in slice = {NULL, 0};
    const FIELD *field;
    uint64_t tag = 0;
    uint64_t bits = 0;
    size_t mark;
    ht_err err;

    if (!get_varint(in, &tag) || !get_raw(in, tag & 7u, &bits, &slice)) {
        return hti_json_pb_fail(ctx, "malformed");
    }
    field = field_numbered(message, tag >> 3);
    if (field == NULL) {
        return HT_OK; /* of a newer schema */
    }
    mark = hti_json_pb_enter(ctx, field->name, -1);
    if ((tag & 7u) == (uint64_t)hti_json_pb_wire(field->type)) {
        err = store(ctx, message, field, object,
                    value_json(ctx, field, bits, slice));
    } else if (field->repeated && (tag & 7u) == WIRE_LEN) {
        err = get_packed(ctx, message, field, slice, object);
    } else {
        err = hti_json_pb_fail(ctx, "has another type on the wire");
    }
    hti_json_pb_leave(ctx, mark);
    return err;
}

/* What a field is when it is not on the wire: zero, and for messages and
 * members of a oneof nothing at all. */
static ht_err
set_default(struct json_pb *ctx, const FIELD *field, json_t *object)
{
    struct in none = {NULL, 0};
    json_t *value;

    if (field->repeated) {
        value = json_array();
    } else if (field->oneof != 0 ||
               field->type == HARDTACK__ADMIN__TYPE__MESSAGE) {
        return HT_OK;
    } else {
        value = value_json(ctx, field, 0, none);
    }
    if (value == NULL) {
        return failed(ctx);
    }
    return json_object_set_new(object, field->name, value) == 0 ? HT_OK
                                                                : HT_ENOMEM;
}

static ht_err get_message(struct json_pb *ctx,
                          const MESSAGE *message,
                          struct in in,
                          json_t **ret_value)
{
    json_t *object = json_object();
    ht_err err = object != NULL ? HT_OK : HT_ENOMEM;

    if (ctx->depth == JSON_PB_DEPTH_MAX) {
        json_decref(object);
        return hti_json_pb_fail(ctx, "too deep");
    }
    ctx->depth++;
    for (size_t i = 0; err == HT_OK && i < message->n_fields; i++) {
        err = set_default(ctx, message->fields[i], object);
    }
    while (err == HT_OK && in.len > 0) {
        err = get_field(ctx, message, &in, object);
    }
    ctx->depth--;
    if (err != HT_OK) {
        json_decref(object);
        return err;
    }
    *ret_value = object;
    return HT_OK;
}

ht_err hti_json_pb_decode(const Hardtack__Admin__Description *description,
                          const char *type_name,
                          const uint8_t *data,
                          size_t len,
                          json_t **ret_value,
                          char error[JSON_PB_ERROR_MAX])
{
    struct json_pb ctx = {.description = description, .error = error};
    const MESSAGE *message;

    error[0] = '\0';
    message = hti_json_pb_message(&ctx, type_name);
    if (message == NULL) {
        return HT_EARGS;
    }
    return get_message(&ctx, message, (struct in){data, len}, ret_value);
}
