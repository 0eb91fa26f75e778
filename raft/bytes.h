/* SPDX-License-Identifier: Apache-2.0 */
/* bytes.h - little-endian numbers, a growing buffer, a bounded reader, and the
 * checksum of everything that raft/ stores.
 *
 * A writer and a reader have a sticky error, so that a sequence is checked
 * once, at its end.  The reader never looks beyond the bytes it was given.
 */
#ifndef HTI_RAFT_BYTES_H
#define HTI_RAFT_BYTES_H

#include <hardtack/base.h>

/* Terms, indexes and the like count up from 1: one beyond is none. */
#define HTI_NUMBER_MAX (UINT64_MAX / 4)

static inline void hti_le32(uint8_t *to, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        to[i] = (uint8_t)(value >> (8 * i));
    }
}

static inline void hti_le64(uint8_t *to, uint64_t value)
{
    for (int i = 0; i < 8; i++) {
        to[i] = (uint8_t)(value >> (8 * i));
    }
}

static inline uint32_t hti_of_le32(const uint8_t *from)
{
    return (uint32_t)from[0] | (uint32_t)from[1] << 8 |
           (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

static inline uint64_t hti_of_le64(const uint8_t *from)
{
    return (uint64_t)hti_of_le32(from) | (uint64_t)hti_of_le32(from + 4) << 32;
}

/* CRC-32 of zlib, which the gateway needs already. */
uint32_t hti_crc(const void *data, size_t len);
uint32_t hti_crc_more(uint32_t crc, const void *data, size_t len);

struct hti_wbuf {
    uint8_t *data;
    size_t len;
    size_t cap;
    bool failed; /* out of memory */
};
void hti_wbuf_fini(struct hti_wbuf *buf);
/* len more bytes to write to; NULL after a failure. */
uint8_t *hti_wbuf_take(struct hti_wbuf *buf, size_t len);
void hti_put_u8(struct hti_wbuf *buf, uint8_t value);
void hti_put_u32(struct hti_wbuf *buf, uint32_t value);
void hti_put_u64(struct hti_wbuf *buf, uint64_t value);
void hti_put_bytes(struct hti_wbuf *buf, const void *data, size_t len);

struct hti_rbuf {
    const uint8_t *data;
    size_t len;
    size_t at;
    bool failed; /* too short */
};
uint8_t hti_get_u8(struct hti_rbuf *buf);
uint32_t hti_get_u32(struct hti_rbuf *buf);
uint64_t hti_get_u64(struct hti_rbuf *buf);
/* Lent; NULL after a failure. */
const uint8_t *hti_get_bytes(struct hti_rbuf *buf, size_t len);

#endif /* HTI_RAFT_BYTES_H */
