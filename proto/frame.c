/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/frame.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

/* The first buffer of a gathered payload.  A peer that only announces a length
 * costs no more than that. */
#define GATHER_FIRST HTI_WHOLE_BYTES

static uint64_t read_be64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return be64toh(v);
}

static void write_be64(uint8_t *p, uint64_t v)
{
    v = htobe64(v);
    memcpy(p, &v, sizeof v);
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* ---- frames to send ------------------------------------------------------ */

struct hti_frame *hti_frame_new(size_t payload_len, uint32_t lane)
{
    struct hti_frame *frame;

    if (payload_len > UINT32_MAX - HTI_FRAME_HEAD) {
        return NULL;
    }
    frame = hti_alloc(sizeof *frame + HTI_FRAME_HEAD + payload_len);
    if (frame == NULL) {
        return NULL;
    }
    atomic_init(&frame->node.next, NULL);
    frame->len = (uint32_t)(HTI_FRAME_HEAD + payload_len);
    frame->lane = lane;
    write_be64(frame->bytes, payload_len);
    return frame;
}

/* ---- the reader ---------------------------------------------------------- */

void hti_reader_init(struct hti_reader *reader, uint64_t limit)
{
    memset(reader, 0, sizeof *reader);
    reader->limit = limit;
}

void hti_reader_fini(struct hti_reader *reader)
{
    if (reader == NULL) {
        return;
    }
    reader->buf = hti_buf_unref(reader->buf);
    hti_reader_init(reader, reader->limit);
}

bool hti_reader_at_boundary(const struct hti_reader *reader)
{
    return reader->head_len == 0;
}

static int finish(struct hti_reader *reader, struct hti_payload *ret)
{
    ret->data = reader->buf->data;
    ret->len = reader->have;
    ret->owner = reader->buf;
    reader->buf = NULL;
    reader->head_len = 0;
    reader->want = 0;
    reader->have = 0;
    return 1;
}

static int lend(struct hti_reader *reader,
                const uint8_t **data,
                size_t *len,
                struct hti_payload *ret)
{
    size_t want = (size_t)reader->want;

    ret->data = *data;
    ret->len = want;
    ret->owner = NULL;
    *data += want;
    *len -= want;
    reader->head_len = 0;
    reader->want = 0;
    return 1;
}

/* Make room for at least one more byte; arriving says how many are at hand. */
static ht_err grow(struct hti_reader *reader, size_t arriving)
{
    size_t want = (size_t)reader->want;
    size_t cap = GATHER_FIRST;
    struct hti_buf *buf;

    assert(reader->have < want);
    if (reader->have + arriving >= cap / 2) {
        cap = reader->have + arriving > want / 2
                  ? want
                  : 2 * (reader->have + arriving);
    }
    buf = hti_buf_new(min_size(cap, want));
    if (buf == NULL) {
        return HT_ENOMEM;
    }
    if (reader->have > 0) {
        assert(reader->buf != NULL);
        memcpy(buf->data, reader->buf->data, reader->have);
    }
    hti_buf_unref(reader->buf);
    reader->buf = buf;
    return HT_OK;
}

static bool is_full(const struct hti_reader *reader)
{
    return reader->buf == NULL || reader->have == reader->buf->cap;
}

/* Gather what is there.  1, 0 or an error, as hti_reader_next(). */
static int gather(struct hti_reader *reader,
                  const uint8_t **data,
                  size_t *len,
                  struct hti_payload *ret)
{
    while (*len > 0) {
        size_t missing = (size_t)reader->want - reader->have;
        size_t n = min_size(*len, missing);

        if (is_full(reader)) {
            ht_err err = grow(reader, n);

            if (err != HT_OK) {
                return err;
            }
        }
        n = min_size(n, reader->buf->cap - reader->have);
        memcpy(reader->buf->data + reader->have, *data, n);
        reader->have += n;
        *data += n;
        *len -= n;
        if (reader->have == reader->want) {
            return finish(reader, ret);
        }
    }
    return 0;
}

/* True once the head is complete. */
static bool
take_head(struct hti_reader *reader, const uint8_t **data, size_t *len)
{
    size_t n = min_size(HTI_FRAME_HEAD - reader->head_len, *len);

    if (n > 0) {
        memcpy(reader->head + reader->head_len, *data, n);
        reader->head_len += (unsigned)n;
        *data += n;
        *len -= n;
    }
    if (reader->head_len < HTI_FRAME_HEAD) {
        return false;
    }
    reader->want = read_be64(reader->head);
    return true;
}

int hti_reader_next(struct hti_reader *reader,
                    const uint8_t **data,
                    size_t *len,
                    struct hti_payload *ret)
{
    if (reader->buf != NULL) {
        return gather(reader, data, len, ret);
    }
    if (!take_head(reader, data, len)) {
        return 0;
    }
    /* Before any of the payload is looked at or waited for.  The head stays,
     * so that a further call says the same. */
    if (reader->want > reader->limit || reader->want > PTRDIFF_MAX) {
        return HT_ETOOBIG;
    }
    if (reader->want <= HTI_INPLACE_MAX && reader->want <= *len) {
        return lend(reader, data, len, ret);
    }
    return gather(reader, data, len, ret);
}

size_t hti_reader_target(struct hti_reader *reader, uint8_t **ret_into)
{
    /* The last bytes of a payload are read together with what follows it: a
     * read of their own would be one more system call. */
    if (reader->buf == NULL || reader->want - reader->have < HTI_INPLACE_MAX) {
        return 0;
    }
    /* No memory: the next bytes go through hti_reader_next(), which says so. */
    if (is_full(reader) && grow(reader, 0) != HT_OK) {
        return 0;
    }
    *ret_into = reader->buf->data + reader->have;
    return reader->buf->cap - reader->have;
}

int hti_reader_filled(struct hti_reader *reader,
                      size_t n,
                      struct hti_payload *ret)
{
    assert(reader->buf != NULL && n <= reader->buf->cap - reader->have);
    reader->have += n;
    return reader->have == reader->want ? finish(reader, ret) : 0;
}
