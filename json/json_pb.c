/* SPDX-License-Identifier: Apache-2.0 */
#include "json/json_pb_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

ht_err hti_json_pb_fail(struct json_pb *ctx, const char *format, ...)
{
    va_list args;
    int len = 0;

    if (ctx->error[0] != '\0') {
        return HT_EARGS;
    }
    if (ctx->path[0] != '\0') {
        len = snprintf(ctx->error, JSON_PB_ERROR_MAX, "%s: ", ctx->path);
    }
    if (len < 0 || len >= JSON_PB_ERROR_MAX) {
        return HT_EARGS;
    }
    va_start(args, format);
    (void)vsnprintf(ctx->error + len, (size_t)(JSON_PB_ERROR_MAX - len), format,
                    args);
    va_end(args);
    return HT_EARGS;
}

size_t hti_json_pb_enter(struct json_pb *ctx, const char *name, long index)
{
    size_t mark = strlen(ctx->path);
    size_t left = sizeof(ctx->path) - mark;

    if (index >= 0) {
        (void)snprintf(ctx->path + mark, left, "[%ld]", index);
    } else {
        (void)snprintf(ctx->path + mark, left, "%s%s", mark > 0 ? "." : "",
                       name);
    }
    return mark;
}

void hti_json_pb_leave(struct json_pb *ctx, size_t mark)
{
    ctx->path[mark] = '\0';
}

const MESSAGE *hti_json_pb_message(struct json_pb *ctx, const char *name)
{
    for (size_t i = 0; i < ctx->description->n_messages; i++) {
        if (strcmp(ctx->description->messages[i]->name, name) == 0) {
            return ctx->description->messages[i];
        }
    }
    (void)hti_json_pb_fail(ctx, "the service does not describe message %s",
                           name);
    return NULL;
}

const ENUM *hti_json_pb_enum(struct json_pb *ctx, const char *name)
{
    for (size_t i = 0; i < ctx->description->n_enums; i++) {
        if (strcmp(ctx->description->enums[i]->name, name) == 0) {
            return ctx->description->enums[i];
        }
    }
    (void)hti_json_pb_fail(ctx, "the service does not describe enum %s", name);
    return NULL;
}

enum wire hti_json_pb_wire(Hardtack__Admin__Type type)
{
    if (type == HARDTACK__ADMIN__TYPE__DOUBLE ||
        type == HARDTACK__ADMIN__TYPE__FIXED64 ||
        type == HARDTACK__ADMIN__TYPE__SFIXED64) {
        return WIRE_64;
    }
    if (type == HARDTACK__ADMIN__TYPE__FLOAT ||
        type == HARDTACK__ADMIN__TYPE__FIXED32 ||
        type == HARDTACK__ADMIN__TYPE__SFIXED32) {
        return WIRE_32;
    }
    if (type == HARDTACK__ADMIN__TYPE__STRING ||
        type == HARDTACK__ADMIN__TYPE__BYTES ||
        type == HARDTACK__ADMIN__TYPE__MESSAGE) {
        return WIRE_LEN;
    }
    return WIRE_VARINT;
}
