/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/message.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    Hardtack__Gateway__Type type;
    const char *name;
} types[] = {
    {GW_TYPE(CALL), "call"},
    {GW_TYPE(CAST), "cast"},
    {GW_TYPE(SUBSCRIBE), "subscribe"},
    {GW_TYPE(UNSUBSCRIBE), "unsubscribe"},
    {GW_TYPE(HELLO), "hello"},
    {GW_TYPE(RESUME), "resume"},
    {GW_TYPE(LOGIN), "login"},
    {GW_TYPE(ACK), "ack"},
    {GW_TYPE(PING), "ping"},
    {GW_TYPE(REPLY), "reply"},
    {GW_TYPE(OK), "ok"},
    {GW_TYPE(ERROR), "error"},
    {GW_TYPE(MESSAGE), "message"},
    {GW_TYPE(MEMBERS), "members"},
    {GW_TYPE(WELCOME), "welcome"},
    {GW_TYPE(NOTICE), "notice"},
    {GW_TYPE(SLOW), "slow"},
    {GW_TYPE(DRAIN), "drain"},
    {GW_TYPE(PONG), "pong"},
};
#define TYPES_COUNT (sizeof(types) / sizeof(types[0]))

void gw_message_init(struct gw_message *message, Hardtack__Gateway__Type type)
{
    *message = (struct gw_message){
        .type = type,
        .to = "",
        .from = "",
        .msg_id = "",
        .method = "",
        .code = "",
        .reason = "",
        .client = "",
        .node = "",
        .afresh = "",
    };
}

void gw_message_fini(struct gw_message *message)
{
    struct gw_message_owner *owner = message->owner;

    if (owner != NULL) {
        json_decref(owner->root);
        free(owner->bytes);
        free(owner);
    }
    gw_message_init(message, GW_TYPE(CALL));
}

const char *gw_type_name(Hardtack__Gateway__Type type)
{
    for (size_t i = 0; i < TYPES_COUNT; i++) {
        if (types[i].type == type) {
            return types[i].name;
        }
    }
    return NULL;
}

bool gw_type_is_of_clients(uint64_t number)
{
    return number <= GW_TYPE(PING);
}

bool gw_type_of(const char *name, Hardtack__Gateway__Type *ret_type)
{
    for (size_t i = 0; i < TYPES_COUNT; i++) {
        if (strcmp(types[i].name, name) == 0 &&
            gw_type_is_of_clients(types[i].type)) {
            *ret_type = types[i].type;
            return true;
        }
    }
    return false;
}

ht_err gw_message_fail(char error[GW_ERROR_MAX], const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(error, GW_ERROR_MAX, format, args);
    va_end(args);
    return HT_EARGS;
}

/* ---- what a message of its type must have, and may --------------------- */

static ht_err check_sent(const struct gw_message *m, char error[GW_ERROR_MAX])
{
    if (m->to[0] == '\0') {
        return gw_message_fail(error, "\"to\" is missing");
    }
    if (m->method[0] == '\0' && m->payload == GW_PAYLOAD_NONE) {
        return gw_message_fail(error,
                               "neither a payload nor a method was given");
    }
    if (m->method[0] == '\0' &&
        (m->payload == GW_PAYLOAD_JSON || m->payload == GW_PAYLOAD_MESSAGE)) {
        return gw_message_fail(error,
                               "a payload other than text or bytes needs a "
                               "method");
    }
    if (m->all && m->type != GW_TYPE(CAST)) {
        return gw_message_fail(error, "\"all\" is for casts only");
    }
    return HT_OK;
}

ht_err gw_message_check(const struct gw_message *m, char error[GW_ERROR_MAX])
{
    bool sent = m->type == GW_TYPE(CALL) || m->type == GW_TYPE(CAST);
    bool group =
        m->type == GW_TYPE(SUBSCRIBE) || m->type == GW_TYPE(UNSUBSCRIBE);

    if (sent) {
        return check_sent(m, error);
    }
    if (m->method[0] != '\0' || m->payload != GW_PAYLOAD_NONE || m->all ||
        m->timeout_ms != 0) {
        return gw_message_fail(error, "a %s has no method and no payload",
                               gw_type_name(m->type));
    }
    if (group != (m->to[0] != '\0')) {
        return gw_message_fail(error, "%s",
                               group ? "\"to\" is missing"
                                     : "there is nobody to send this to");
    }
    if (m->type == GW_TYPE(LOGIN) && m->token.len == 0) {
        return gw_message_fail(error, "\"token\" is missing");
    }
    if (m->type == GW_TYPE(RESUME) && m->resume.len == 0) {
        return gw_message_fail(error, "\"resume\" is missing");
    }
    return HT_OK;
}
