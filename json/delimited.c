/* SPDX-License-Identifier: Apache-2.0 */
#include "json/delimited.h"

#include <stdlib.h>
#include <string.h>

bool hti_delimited_encode(const void *data,
                          size_t len,
                          uint8_t **ret_data,
                          size_t *ret_len)
{
    uint8_t *out = malloc(len + 10);
    size_t at = 0;
    size_t left = len;

    if (out == NULL) {
        return false;
    }
    do {
        out[at++] = (uint8_t)((left & 0x7fu) | (left > 0x7fu ? 0x80u : 0u));
        left >>= 7;
    } while (left != 0);
    if (len > 0) {
        memcpy(out + at, data, len);
    }
    *ret_data = out;
    *ret_len = at + len;
    return true;
}

bool hti_delimited_decode(ht_bytes data, ht_bytes *ret_message)
{
    const uint8_t *bytes = data.data;
    uint64_t size = 0;
    size_t at = 0;

    for (unsigned shift = 0;; shift += 7) {
        if (at >= data.len || shift > 56) {
            return false;
        }
        size |= (uint64_t)(bytes[at] & 0x7fu) << shift;
        if (bytes[at++] < 0x80u) {
            break;
        }
    }
    if (size > data.len - at) {
        return false;
    }
    ret_message->data = bytes + at;
    ret_message->len = (size_t)size;
    return true;
}
