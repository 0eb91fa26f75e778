/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_frame.c - the frame reader, given a stream in pieces of every size,
 * finds the payloads that a plain look at the whole stream finds.
 *
 * Input: a byte for the limit, a byte for the sizes of the pieces, the stream.
 * Bit 6 of the first: the stream is repeated until it is long enough for a
 * payload's buffer to grow twice, which no input of the fuzzer's would be.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* The stream as it is, and how far frames were taken out of it. */
struct stream {
    const uint8_t *data;
    size_t len;
    size_t at;
};

static uint64_t length_at(const uint8_t *p)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < HTI_FRAME_HEAD; i++) {
        n = n << 8 | p[i];
    }
    return n;
}

/* The reader says that this is the next payload. */
static void
check_payload(struct stream *s, uint64_t limit, struct hti_payload *payload)
{
    require(s->len - s->at >= HTI_FRAME_HEAD);
    require(length_at(s->data + s->at) == payload->len);
    require(payload->len <= limit);
    s->at += HTI_FRAME_HEAD;
    require(s->len - s->at >= payload->len);
    require(payload->len == 0 ||
            memcmp(s->data + s->at, payload->data, payload->len) == 0);
    s->at += payload->len;
    hti_buf_unref(payload->owner);
}

/* All was taken, or the reader refused: nothing whole is left before that. */
static void
check_end(const struct stream *s, const struct hti_reader *reader, bool refused)
{
    size_t left = s->len - s->at;

    if (refused) {
        require(left >= HTI_FRAME_HEAD);
        require(length_at(s->data + s->at) == reader->want);
        require(reader->want > reader->limit || reader->want > INT64_MAX);
        return;
    }
    require(left < HTI_FRAME_HEAD ||
            left - HTI_FRAME_HEAD < length_at(s->data + s->at));
    require(hti_reader_at_boundary(reader) == (left == 0));
}

/* Give the reader at most max bytes, directly where it offers that. Returns
 * how many it took; *ret_got as hti_reader_next(). */
static size_t feed(struct hti_reader *reader,
                   const uint8_t *at,
                   size_t max,
                   struct hti_payload *payload,
                   int *ret_got)
{
    uint8_t *into;
    size_t room = hti_reader_target(reader, &into);
    const uint8_t *p = at;
    size_t len = max;

    if (room == 0) {
        *ret_got = hti_reader_next(reader, &p, &len, payload);
        require(p + len == at + max && (*ret_got != 0 || len == 0));
        return max - len;
    }
    len = max < room ? max : room;
    memcpy(into, at, len);
    *ret_got = hti_reader_filled(reader, len, payload);
    return len;
}

#define REPEATED ((size_t)192 * 1024)

static struct stream
stream_of(const uint8_t *data, size_t size, bool is_repeated)
{
    static uint8_t bytes[REPEATED];
    struct stream s = {.data = data, .len = size};

    if (is_repeated && size > 0 && size < REPEATED) {
        for (size_t at = 0; at < REPEATED; at += size) {
            size_t left = REPEATED - at;

            memcpy(bytes + at, data, size < left ? size : left);
        }
        s.data = bytes;
        s.len = REPEATED;
    }
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hti_reader reader;
    struct stream s;
    size_t taken = 0;
    uint32_t random, piece_max;
    bool refused = false, is_repeated;

    if (size < 2) {
        return 0;
    }
    hti_reader_init(&reader, (uint64_t)1 << (data[0] % 64));
    random = data[1] + 1u;
    is_repeated = (data[0] & 64) != 0;
    s = stream_of(data + 2, size - 2, is_repeated);
    /* Byte by byte a long stream would take too long. */
    piece_max = data[1] >= 128 ? 8192 : is_repeated ? 1000 : 16;
    while (taken < s.len && !refused) {
        struct hti_payload payload;
        size_t piece;
        int got;

        random = random * 1103515245 + 12345;
        piece = 1 + (random >> 16) % piece_max;
        if (piece > s.len - taken) {
            piece = s.len - taken;
        }
        taken += feed(&reader, s.data + taken, piece, &payload, &got);
        refused = got < 0;
        if (got > 0) {
            check_payload(&s, reader.limit, &payload);
        }
    }
    check_end(&s, &reader, refused);
    hti_reader_fini(&reader);
    return 0;
}
