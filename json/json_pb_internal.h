/* SPDX-License-Identifier: Apache-2.0 */
/* json_pb_internal.h - what the two directions share: where in the value we
 * are, for errors, and looking up types. */
#ifndef JSON_PB_INTERNAL_H
#define JSON_PB_INTERNAL_H

#include "json/json_pb.h"

#define DESCRIPTION Hardtack__Admin__Description
#define MESSAGE     Hardtack__Admin__MessageType
#define FIELD       Hardtack__Admin__Field
#define ENUM        Hardtack__Admin__EnumType

struct json_pb {
    const DESCRIPTION *description;
    char path[128]; /* "lines[2].amount", cut if long */
    unsigned depth;
    char *error;
};

/* Always HT_EARGS; writes "PATH: what" unless there is an error already. */
ht_err hti_json_pb_fail(struct json_pb *ctx, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Go into a field or an element (index >= 0); returns what hti_json_pb_leave()
 * needs. */
size_t hti_json_pb_enter(struct json_pb *ctx, const char *name, long index);
void hti_json_pb_leave(struct json_pb *ctx, size_t mark);

/* NULL and an error if the description lacks it. */
const MESSAGE *hti_json_pb_message(struct json_pb *ctx, const char *name);
const ENUM *hti_json_pb_enum(struct json_pb *ctx, const char *name);

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_LEN = 2, WIRE_32 = 5 };
enum wire hti_json_pb_wire(Hardtack__Admin__Type type);

#endif /* JSON_PB_INTERNAL_H */
