/* SPDX-License-Identifier: Apache-2.0 */
#include "raft/bytes.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

uint32_t hti_crc_more(uint32_t crc, const void *data, size_t len)
{
    return (uint32_t)crc32_z(crc, data, len);
}

uint32_t hti_crc(const void *data, size_t len)
{
    return hti_crc_more(0, data, len);
}

void hti_wbuf_fini(struct hti_wbuf *buf)
{
    free(buf->data);
    *buf = (struct hti_wbuf){0};
}

uint8_t *hti_wbuf_take(struct hti_wbuf *buf, size_t len)
{
    size_t cap = buf->cap != 0 ? buf->cap : 256;
    uint8_t *more;

    if (buf->failed || len > SIZE_MAX / 4 - buf->len) {
        buf->failed = true;
        return NULL;
    }
    while (cap - buf->len < len || cap < buf->len) {
        cap *= 2;
    }
    if (cap != buf->cap) {
        more = realloc(buf->data, cap);
        if (more == NULL) {
            buf->failed = true;
            return NULL;
        }
        buf->data = more;
        buf->cap = cap;
    }
    buf->len += len;
    return buf->data + (buf->len - len);
}

void hti_put_u8(struct hti_wbuf *buf, uint8_t value)
{
    hti_put_bytes(buf, &value, 1);
}

void hti_put_u32(struct hti_wbuf *buf, uint32_t value)
{
    uint8_t *to = hti_wbuf_take(buf, 4);

    if (to != NULL) {
        hti_le32(to, value);
    }
}

void hti_put_u64(struct hti_wbuf *buf, uint64_t value)
{
    uint8_t *to = hti_wbuf_take(buf, 8);

    if (to != NULL) {
        hti_le64(to, value);
    }
}

void hti_put_bytes(struct hti_wbuf *buf, const void *data, size_t len)
{
    uint8_t *to = hti_wbuf_take(buf, len);

    if (to != NULL && len > 0) {
        memcpy(to, data, len);
    }
}

const uint8_t *hti_get_bytes(struct hti_rbuf *buf, size_t len)
{
    const uint8_t *data = buf->data + buf->at;

    if (buf->failed || len > buf->len - buf->at) {
        buf->failed = true;
        return NULL;
    }
    buf->at += len;
    return data;
}

uint8_t hti_get_u8(struct hti_rbuf *buf)
{
    const uint8_t *from = hti_get_bytes(buf, 1);

    return from != NULL ? *from : 0;
}

uint32_t hti_get_u32(struct hti_rbuf *buf)
{
    const uint8_t *from = hti_get_bytes(buf, 4);

    return from != NULL ? hti_of_le32(from) : 0;
}

uint64_t hti_get_u64(struct hti_rbuf *buf)
{
    const uint8_t *from = hti_get_bytes(buf, 8);

    return from != NULL ? hti_of_le64(from) : 0;
}
