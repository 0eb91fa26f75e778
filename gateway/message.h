/* SPDX-License-Identifier: Apache-2.0 */
/* message.h - what a client and the gateway say to each other, apart from how
 * it is written: decoded from and encoded to JSON and protobuf.
 *
 * It knows nothing of clients, actors or sockets.
 *
 * Thread: any; pure.
 */
#ifndef GW_MESSAGE_H
#define GW_MESSAGE_H

#include <hardtack/base.h>
#include <jansson.h>

#include "proto/gateway.pb-c.h"

#define GW_TYPE(name) HARDTACK__GATEWAY__TYPE__##name

/* Bytes, without a NUL. */
#define GW_TO_MAX     600
#define GW_NAME_MAX   255 /* method, label */
#define GW_MSG_ID_MAX 128
#define GW_ERROR_MAX  256

enum gw_payload {
    GW_PAYLOAD_NONE = 0,
    GW_PAYLOAD_TEXT,
    GW_PAYLOAD_BYTES,
    GW_PAYLOAD_MESSAGE, /* a protobuf message */
    GW_PAYLOAD_JSON,
};

/* One message, either way.  Strings are "" where there is none, never NULL.
 * What came in is owned by `owner`; what goes out is borrowed. */
struct gw_message {
    Hardtack__Gateway__Type type;
    const char *to;
    const char *from;
    const char *msg_id;
    const char *method;
    enum gw_payload payload;
    ht_bytes data; /* TEXT (UTF-8), BYTES, MESSAGE */
    json_t *json;  /* JSON */
    uint32_t timeout_ms;
    bool all;
    bool members;
    ht_bytes token;
    ht_bytes resume;
    uint64_t received;

    const char *code; /* from here on: to a client only */
    const char *reason;
    const char *client;
    const char *node;
    bool resumed;
    const char *afresh;
    uint32_t grace_ms;
    uint64_t queued;
    uint64_t limit;
    uint32_t after_ms;
    const char *const *joined;
    size_t joined_count;
    const char *const *left;
    size_t left_count;

    struct gw_message_owner *owner;
};

/* One that says nothing yet. */
void gw_message_init(struct gw_message *message, Hardtack__Gateway__Type type);

/* Read what a client sent; give it to gw_message_fini().  Everything that is
 * not said in the protocol is refused.  After an error *ret_message holds the
 * msg_id and the label of what was refused, where they could be read, and is to
 * be given to gw_message_fini() too.
 * HT_EARGS with words in error, HT_ENOMEM. */
HT_MUSTUSE ht_err gw_message_from_json(const void *data,
                                       size_t len,
                                       struct gw_message *ret_message,
                                       char error[GW_ERROR_MAX]);
HT_MUSTUSE ht_err gw_message_from_pb(const void *data,
                                     size_t len,
                                     struct gw_message *ret_message,
                                     char error[GW_ERROR_MAX]);
/* A CALL or CAST as an HTTP request makes it; body is a JSON value, or empty.
 * As above. */
HT_MUSTUSE ht_err gw_message_from_http(Hardtack__Gateway__Type type,
                                       const char *to,
                                       const char *method,
                                       ht_bytes body,
                                       struct gw_message *ret_message,
                                       char error[GW_ERROR_MAX]);
void gw_message_fini(struct gw_message *message);

/* Write; *ret_data is malloc'd.  JSON is of one line, and has no NUL at its
 * end.  HT_ENOMEM; HT_EINVAL (text that is not UTF-8). */
HT_MUSTUSE ht_err gw_message_to_json(const struct gw_message *message,
                                     char **ret_data,
                                     size_t *ret_len);
HT_MUSTUSE ht_err gw_message_to_pb(const struct gw_message *message,
                                   uint8_t **ret_data,
                                   size_t *ret_len);
/* The payload alone, as an HTTP response has it; NULL: no memory. */
json_t *gw_message_payload_json(const struct gw_message *message);

/* ---- shared by the two encodings ----------------------------------------- */

struct gw_message_owner {
    json_t *root;   /* JSON: what strings point into */
    uint8_t *bytes; /* decoded base64 */
    char text[];    /* protobuf, HTTP: strings, each with a NUL */
};

/* "call" for CALL; NULL: no such type. */
const char *gw_type_name(Hardtack__Gateway__Type type);
/* false: not a type that a client may send. */
bool gw_type_of(const char *name, Hardtack__Gateway__Type *ret_type);
bool gw_type_is_of_clients(uint64_t number);

/* Rules that hold for both encodings, apart from the shape of a field.
 * HT_EARGS with words in error. */
HT_MUSTUSE ht_err gw_message_check(const struct gw_message *message,
                                   char error[GW_ERROR_MAX]);
/* Always HT_EARGS. */
ht_err gw_message_fail(char error[GW_ERROR_MAX], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif /* GW_MESSAGE_H */
