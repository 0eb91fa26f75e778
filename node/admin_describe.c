/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin_describe.h"

#include <stdlib.h>
#include <string.h>

/* Types still to describe, and those that are: in the order first met. */
struct types {
    const ProtobufCMessageDescriptor *messages[HTI_DESCRIBE_TYPES_MAX];
    size_t messages_count;
    const ProtobufCEnumDescriptor *enums[HTI_DESCRIBE_TYPES_MAX];
    size_t enums_count;
};

void hti_admin_message_free(void *message)
{
    protobuf_c_message_free_unpacked(message, NULL);
}

char *hti_admin_string(const char *s)
{
    if (s == NULL || s[0] == '\0') {
        return (char *)protobuf_c_empty_string;
    }
    return strdup(s);
}

static ht_err add_message(struct types *types,
                          const ProtobufCMessageDescriptor *message)
{
    for (size_t i = 0; i < types->messages_count; i++) {
        if (types->messages[i] == message) {
            return HT_OK;
        }
    }
    if (types->messages_count == HTI_DESCRIBE_TYPES_MAX) {
        return HT_ETOOBIG;
    }
    types->messages[types->messages_count++] = message;
    return HT_OK;
}

static ht_err add_enum(struct types *types,
                       const ProtobufCEnumDescriptor *enumeration)
{
    for (size_t i = 0; i < types->enums_count; i++) {
        if (types->enums[i] == enumeration) {
            return HT_OK;
        }
    }
    if (types->enums_count == HTI_DESCRIBE_TYPES_MAX) {
        return HT_ETOOBIG;
    }
    types->enums[types->enums_count++] = enumeration;
    return HT_OK;
}

static Hardtack__Admin__Type wire_type(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT32:
        return HARDTACK__ADMIN__TYPE__INT32;
    case PROTOBUF_C_TYPE_SINT32:
        return HARDTACK__ADMIN__TYPE__SINT32;
    case PROTOBUF_C_TYPE_SFIXED32:
        return HARDTACK__ADMIN__TYPE__SFIXED32;
    case PROTOBUF_C_TYPE_INT64:
        return HARDTACK__ADMIN__TYPE__INT64;
    case PROTOBUF_C_TYPE_SINT64:
        return HARDTACK__ADMIN__TYPE__SINT64;
    case PROTOBUF_C_TYPE_SFIXED64:
        return HARDTACK__ADMIN__TYPE__SFIXED64;
    case PROTOBUF_C_TYPE_UINT32:
        return HARDTACK__ADMIN__TYPE__UINT32;
    case PROTOBUF_C_TYPE_FIXED32:
        return HARDTACK__ADMIN__TYPE__FIXED32;
    case PROTOBUF_C_TYPE_UINT64:
        return HARDTACK__ADMIN__TYPE__UINT64;
    case PROTOBUF_C_TYPE_FIXED64:
        return HARDTACK__ADMIN__TYPE__FIXED64;
    case PROTOBUF_C_TYPE_FLOAT:
        return HARDTACK__ADMIN__TYPE__FLOAT;
    case PROTOBUF_C_TYPE_DOUBLE:
        return HARDTACK__ADMIN__TYPE__DOUBLE;
    case PROTOBUF_C_TYPE_BOOL:
        return HARDTACK__ADMIN__TYPE__BOOL;
    case PROTOBUF_C_TYPE_ENUM:
        return HARDTACK__ADMIN__TYPE__ENUM;
    case PROTOBUF_C_TYPE_STRING:
        return HARDTACK__ADMIN__TYPE__STRING;
    case PROTOBUF_C_TYPE_BYTES:
        return HARDTACK__ADMIN__TYPE__BYTES;
    case PROTOBUF_C_TYPE_MESSAGE:
        return HARDTACK__ADMIN__TYPE__MESSAGE;
    }
    return HARDTACK__ADMIN__TYPE__UNKNOWN;
}

/* protobuf-c gives the members of a oneof one quantifier (the case field), and
 * no other sign of which oneof it is: number them in the order first met. */
static uint32_t oneof_number(const ProtobufCMessageDescriptor *message,
                             unsigned index)
{
    unsigned offset = message->fields[index].quantifier_offset;
    uint32_t number = 1;

    if ((message->fields[index].flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0) {
        return 0;
    }
    for (unsigned i = 0; i < index; i++) {
        const ProtobufCFieldDescriptor *field = &message->fields[i];
        bool first = (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;

        for (unsigned j = 0; first && j < i; j++) {
            first =
                message->fields[j].quantifier_offset !=
                    field->quantifier_offset ||
                (message->fields[j].flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0;
        }
        if (!first) {
            continue;
        }
        if (field->quantifier_offset == offset) {
            return number;
        }
        number++;
    }
    return number;
}

static ht_err describe_field(struct types *types,
                             const ProtobufCMessageDescriptor *message,
                             unsigned index,
                             Hardtack__Admin__Field *out)
{
    const ProtobufCFieldDescriptor *field = &message->fields[index];
    const char *type_name = "";
    ht_err err = HT_OK;

    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        const ProtobufCMessageDescriptor *inner = field->descriptor;
        type_name = inner->name;
        err = add_message(types, inner);
    } else if (field->type == PROTOBUF_C_TYPE_ENUM) {
        const ProtobufCEnumDescriptor *inner = field->descriptor;
        type_name = inner->name;
        err = add_enum(types, inner);
    }
    out->name = hti_admin_string(field->name);
    out->type_name = hti_admin_string(type_name);
    if (out->name == NULL || out->type_name == NULL) {
        return HT_ENOMEM;
    }
    out->number = field->id;
    out->type = wire_type(field->type);
    out->repeated = field->label == PROTOBUF_C_LABEL_REPEATED;
    out->required = field->label == PROTOBUF_C_LABEL_REQUIRED;
    out->packed = (field->flags & PROTOBUF_C_FIELD_FLAG_PACKED) != 0;
    out->oneof = oneof_number(message, index);
    return err;
}

static ht_err describe_message(struct types *types,
                               const ProtobufCMessageDescriptor *message,
                               Hardtack__Admin__MessageType *out)
{
    out->name = hti_admin_string(message->name);
    out->fields =
        calloc(message->n_fields + 1, sizeof(Hardtack__Admin__Field *));
    if (out->name == NULL || out->fields == NULL) {
        return HT_ENOMEM;
    }
    for (unsigned i = 0; i < message->n_fields; i++) {
        Hardtack__Admin__Field *field = malloc(sizeof(Hardtack__Admin__Field));
        ht_err err;

        if (field == NULL) {
            return HT_ENOMEM;
        }
        hardtack__admin__field__init(field);
        out->fields[out->n_fields++] = field;
        err = describe_field(types, message, i, field);
        if (err != HT_OK) {
            return err;
        }
    }
    return HT_OK;
}

static ht_err describe_enum(const ProtobufCEnumDescriptor *enumeration,
                            Hardtack__Admin__EnumType *out)
{
    out->name = hti_admin_string(enumeration->name);
    out->values =
        calloc(enumeration->n_values + 1, sizeof(Hardtack__Admin__EnumValue *));
    if (out->name == NULL || out->values == NULL) {
        return HT_ENOMEM;
    }
    for (unsigned i = 0; i < enumeration->n_values; i++) {
        Hardtack__Admin__EnumValue *value =
            malloc(sizeof(Hardtack__Admin__EnumValue));

        if (value == NULL) {
            return HT_ENOMEM;
        }
        hardtack__admin__enum_value__init(value);
        out->values[out->n_values++] = value;
        value->number = enumeration->values[i].value;
        value->name = hti_admin_string(enumeration->values[i].name);
        if (value->name == NULL) {
            return HT_ENOMEM;
        }
    }
    return HT_OK;
}

static ht_err describe_methods(struct types *types,
                               const ProtobufCServiceDescriptor *service,
                               Hardtack__Admin__Description *out)
{
    ht_err err = HT_OK;

    out->methods =
        calloc(service->n_methods + 1, sizeof(Hardtack__Admin__Method *));
    if (out->methods == NULL) {
        return HT_ENOMEM;
    }
    for (unsigned i = 0; err == HT_OK && i < service->n_methods; i++) {
        const ProtobufCMethodDescriptor *method = &service->methods[i];
        Hardtack__Admin__Method *m = malloc(sizeof(Hardtack__Admin__Method));

        if (m == NULL) {
            return HT_ENOMEM;
        }
        hardtack__admin__method__init(m);
        out->methods[out->n_methods++] = m;
        m->name = hti_admin_string(method->name);
        m->input = hti_admin_string(method->input->name);
        m->output = hti_admin_string(method->output->name);
        if (m->name == NULL || m->input == NULL || m->output == NULL) {
            return HT_ENOMEM;
        }
        err = add_message(types, method->input);
        if (err == HT_OK) {
            err = add_message(types, method->output);
        }
    }
    return err;
}

static ht_err describe_types(struct types *types,
                             Hardtack__Admin__Description *out)
{
    ht_err err = HT_OK;

    out->messages =
        calloc(HTI_DESCRIBE_TYPES_MAX, sizeof(Hardtack__Admin__MessageType *));
    out->enums =
        calloc(HTI_DESCRIBE_TYPES_MAX, sizeof(Hardtack__Admin__EnumType *));
    if (out->messages == NULL || out->enums == NULL) {
        return HT_ENOMEM;
    }
    /* Describing a message may add more of them: the list grows in the loop,
     * and ends, since each descriptor is added once. */
    for (size_t i = 0; err == HT_OK && i < types->messages_count; i++) {
        Hardtack__Admin__MessageType *m =
            malloc(sizeof(Hardtack__Admin__MessageType));

        if (m == NULL) {
            return HT_ENOMEM;
        }
        hardtack__admin__message_type__init(m);
        out->messages[out->n_messages++] = m;
        err = describe_message(types, types->messages[i], m);
    }
    for (size_t i = 0; err == HT_OK && i < types->enums_count; i++) {
        Hardtack__Admin__EnumType *e =
            malloc(sizeof(Hardtack__Admin__EnumType));

        if (e == NULL) {
            return HT_ENOMEM;
        }
        hardtack__admin__enum_type__init(e);
        out->enums[out->n_enums++] = e;
        err = describe_enum(types->enums[i], e);
    }
    return err;
}

ht_err hti_admin_describe(const ProtobufCServiceDescriptor *service,
                          Hardtack__Admin__Description *description)
{
    struct types *types = calloc(1, sizeof(*types));
    ht_err err = HT_ENOMEM;

    if (types == NULL) {
        return HT_ENOMEM;
    }
    description->service = hti_admin_string(service->name);
    if (description->service != NULL) {
        err = describe_methods(types, service, description);
    }
    if (err == HT_OK) {
        err = describe_types(types, description);
    }
    free(types);
    return err;
}
