/* SPDX-License-Identifier: Apache-2.0 */
/* delimited.h - a protobuf message behind its length: how ractor's arguments
 * and replies hold one.  Pure. */
#ifndef JSON_DELIMITED_H
#define JSON_DELIMITED_H

#include <hardtack/base.h>

/* *ret_data is malloc'd. false: no memory. */
bool hti_delimited_encode(const void *data,
                          size_t len,
                          uint8_t **ret_data,
                          size_t *ret_len);
/* The message in data; like ractor's, it ignores what follows. false: there is
 * none. */
bool hti_delimited_decode(ht_bytes data, ht_bytes *ret_message);

#endif /* JSON_DELIMITED_H */
