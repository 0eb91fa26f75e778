/* SPDX-License-Identifier: Apache-2.0 */
#include "event.h"

#include <hardtack/client.pb-c.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* ---- JSON, of the kinds of fields that chat.proto has -------------------- */

static json_t *object_of(const ProtobufCMessage *message);

static json_t *value_of(ProtobufCType type, const void *at)
{
    switch ((int)type) {
    case PROTOBUF_C_TYPE_STRING:
        return json_string(*(char *const *)at);
    case PROTOBUF_C_TYPE_BOOL:
        return json_boolean(*(const protobuf_c_boolean *)at);
    case PROTOBUF_C_TYPE_UINT32:
        return json_integer(*(const uint32_t *)at);
    case PROTOBUF_C_TYPE_UINT64:
        return json_integer((json_int_t) * (const uint64_t *)at);
    case PROTOBUF_C_TYPE_MESSAGE:
        return object_of(*(const ProtobufCMessage *const *)at);
    default:
        return NULL;
    }
}

static json_t *field_of(const ProtobufCMessage *message,
                        const ProtobufCFieldDescriptor *field)
{
    const char *at = (const char *)message + field->offset;
    json_t *array;
    size_t count;

    if (field->label != PROTOBUF_C_LABEL_REPEATED) {
        return value_of(field->type, at);
    }
    /* Strings and messages only: both are pointers. */
    array = json_array();
    count = *(const size_t *)(const void *)((const char *)message +
                                            field->quantifier_offset);
    at = *(const char *const *)(const void *)at;
    for (size_t i = 0; array != NULL && i < count; i++) {
        if (json_array_append_new(
                array, value_of(field->type, at + i * sizeof(void *))) != 0) {
            json_decref(array);
            array = NULL;
        }
    }
    return array;
}

static json_t *object_of(const ProtobufCMessage *message)
{
    json_t *object = json_object();

    for (unsigned i = 0; object != NULL && i < message->descriptor->n_fields;
         i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];

        if (json_object_set_new(object, field->name,
                                field_of(message, field)) != 0) {
            json_decref(object);
            object = NULL;
        }
    }
    return object;
}

/* ---- deliveries ---------------------------------------------------------- */

static char *lend(const char *text)
{
    return (char *)(uintptr_t)text;
}

ht_args event_block(const char *method, const ProtobufCMessage *message)
{
    Hardtack__Client__Delivery delivery = HARDTACK__CLIENT__DELIVERY__INIT;
    ht_args args = HT_ARGS_INIT;
    json_t *object = object_of(message);
    char *json = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *data = malloc(len + 1);

    if (json == NULL || data == NULL) {
        args.err = HT_ENOMEM;
    } else {
        delivery.method = lend(method);
        delivery.json = json;
        delivery.message.len = protobuf_c_message_pack(message, data);
        delivery.message.data = data;
        delivery.from = lend("chat");
        ht_args_message(&args, &delivery.base);
    }
    json_decref(object);
    free(json);
    free(data);
    return args;
}

ht_args event_heard(const char *method, const ProtobufCMessage *message)
{
    Chat__Heard heard = CHAT__HEARD__INIT;
    ht_args block = event_block(method, message);
    ht_args args = HT_ARGS_INIT;

    args.err = block.err;
    heard.delivery.data = block.data;
    heard.delivery.len = block.len;
    ht_args_message(&args, &heard.base);
    ht_args_fini(&block);
    return args;
}
