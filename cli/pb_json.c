/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/pb_json.h"

#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "json/base64.h"

static json_t *bytes_json(const ProtobufCBinaryData *bytes)
{
    char *text = hti_base64_encode(bytes->data, bytes->len);
    json_t *value = text != NULL ? json_string(text) : NULL;

    free(text);
    return value;
}

static json_t *enum_json(const ProtobufCFieldDescriptor *field, int number)
{
    const ProtobufCEnumValue *value =
        protobuf_c_enum_descriptor_get_value(field->descriptor, number);

    return value != NULL ? json_string(value->name) : json_integer(number);
}

/* The element at, which has the field's type. */
static json_t *element_json(const ProtobufCFieldDescriptor *field,
                            const void *at)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return json_integer(*(const int32_t *)at);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return json_integer(*(const uint32_t *)at);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return json_integer((json_int_t) * (const int64_t *)at);
    case PROTOBUF_C_TYPE_FLOAT:
        return json_real((double)*(const float *)at);
    case PROTOBUF_C_TYPE_DOUBLE:
        return json_real(*(const double *)at);
    case PROTOBUF_C_TYPE_BOOL:
        return json_boolean(*(const protobuf_c_boolean *)at);
    case PROTOBUF_C_TYPE_ENUM:
        return enum_json(field, *(const int *)at);
    case PROTOBUF_C_TYPE_STRING:
        return json_string(*(char *const *)at);
    case PROTOBUF_C_TYPE_BYTES:
        return bytes_json(at);
    case PROTOBUF_C_TYPE_MESSAGE:
        return *(ProtobufCMessage *const *)at != NULL
                   ? pb_json(*(ProtobufCMessage *const *)at)
                   : json_null();
    }
    return NULL;
}

static size_t element_size(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_ENUM:
        return 4;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    }
    return 0;
}

static json_t *field_json(const ProtobufCMessage *message,
                          const ProtobufCFieldDescriptor *field)
{
    const char *at = (const char *)message + field->offset;
    const char *items;
    size_t count;
    json_t *array;

    if (field->label != PROTOBUF_C_LABEL_REPEATED) {
        return element_json(field, at);
    }
    memcpy(&items, at, sizeof(items));
    memcpy(&count, (const char *)message + field->quantifier_offset,
           sizeof(count));
    array = json_array();
    for (size_t i = 0; array != NULL && i < count; i++) {
        const char *element = items + i * element_size(field->type);

        if (json_array_append_new(array, element_json(field, element)) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

/* A oneof's field that is not the one set: its place holds another's value. */
static bool is_absent(const ProtobufCMessage *message,
                      const ProtobufCFieldDescriptor *field)
{
    uint32_t set;

    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0) {
        return false;
    }
    memcpy(&set, (const char *)message + field->quantifier_offset, sizeof(set));
    return set != field->id;
}

json_t *pb_json(const ProtobufCMessage *message)
{
    json_t *object = json_object();

    for (unsigned i = 0; object != NULL && i < message->descriptor->n_fields;
         i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];

        if (is_absent(message, field)) {
            continue;
        }
        if (json_object_set_new(object, field->name,
                                field_json(message, field)) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

int pb_json_print(json_t *value)
{
    int failed =
        value == NULL ||
        json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY) != 0;

    json_decref(value);
    if (failed) {
        return cli_fail("the answer cannot be printed as JSON");
    }
    putchar('\n');
    return EXIT_OK;
}
