/* SPDX-License-Identifier: Apache-2.0 */
/* json_pb.h - JSON to protobuf and back, by a description of the service.
 *
 * The description is what a node's administration sends (admin.proto); the
 * messages were not known when this program was compiled.
 *
 *   double, float       number; "NaN", "Infinity", "-Infinity"
 *   32-bit integers     number
 *   64-bit integers     number or string (a string out, as JSON readers that
 *                       keep numbers as doubles would round them)
 *   bool                true, false
 *   string              string, valid UTF-8
 *   bytes               string, base64
 *   enum                name or number (name out, if it has one)
 *   message             object; null is as good as absent
 *   repeated            array
 *   oneof               at most one of its fields
 *
 * An error names the path: "lines[2].amount: expected a number".
 *
 * Pure.
 */
#ifndef JSON_PB_H
#define JSON_PB_H

#include <hardtack.h>
#include <jansson.h>

#include "proto/admin/admin.pb-c.h"

/* Messages within messages. */
#define JSON_PB_DEPTH_MAX 32
#define JSON_PB_ERROR_MAX 256

/* Encode value as a message of the type named.  *ret_data is malloc'd.
 * HT_EARGS with words in error, or HT_ENOMEM. */
HT_MUSTUSE ht_err
hti_json_pb_encode(const Hardtack__Admin__Description *description,
                   const char *type_name,
                   const json_t *value,
                   uint8_t **ret_data,
                   size_t *ret_len,
                   char error[JSON_PB_ERROR_MAX]);

/* Decode a message; every field that the type has appears in the object, those
 * of a oneof and messages only if present.  Unknown fields are skipped. */
HT_MUSTUSE ht_err
hti_json_pb_decode(const Hardtack__Admin__Description *description,
                   const char *type_name,
                   const uint8_t *data,
                   size_t len,
                   json_t **ret_value,
                   char error[JSON_PB_ERROR_MAX]);

#endif /* JSON_PB_H */
