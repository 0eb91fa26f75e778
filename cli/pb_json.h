/* SPDX-License-Identifier: Apache-2.0 */
/* pb_json.h - a protobuf-c message that this program knows as JSON: what the
 * commands print with --json.  Integers are numbers, also those of 64 bits.
 * Pure. */
#ifndef CLI_PB_JSON_H
#define CLI_PB_JSON_H

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

/* NULL: no memory, or a string that is not UTF-8. */
json_t *pb_json(const ProtobufCMessage *message);

/* Print and free; returns an exit code. */
int pb_json_print(json_t *value);

#endif /* CLI_PB_JSON_H */
