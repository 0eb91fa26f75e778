/* SPDX-License-Identifier: Apache-2.0 */
/* wire.h - what the tests of proto/ share: vectors as bytes, frames compared,
 * reproducible random numbers. */
#ifndef TESTS_PROTO_WIRE_H
#define TESTS_PROTO_WIRE_H

#include "proto/control.h"
#include "tests/lib/check.h"
#include "tests/proto/vectors.h"

struct vector {
    const char *id;
    const char *hex;
};

static const struct vector vectors[] = {
#define VECTOR(id, hex) {#id, hex},
    VECTORS(VECTOR)
#undef VECTOR
};
#define VECTOR_COUNT (sizeof vectors / sizeof vectors[0])

struct bytes {
    size_t len;
    uint8_t data[256];
};

static inline unsigned digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static inline struct bytes from_hex(const char *hex)
{
    struct bytes b = {.len = strlen(hex) / 2};

    CHECK(b.len <= sizeof b.data);
    for (size_t i = 0; i < b.len; i++) {
        b.data[i] = (uint8_t)(digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
    }
    return b;
}

static inline struct bytes vector(const char *id)
{
    for (size_t i = 0; i < VECTOR_COUNT; i++) {
        if (strcmp(vectors[i].id, id) == 0) {
            return from_hex(vectors[i].hex);
        }
    }
    fail_msg("no vector %s", id);
    return (struct bytes){0};
}

static inline ht_bytes view(const char *text)
{
    return (ht_bytes){text, strlen(text)};
}

static inline void check_view(ht_bytes got, const void *want, size_t len)
{
    assert_int_equal(got.len, len);
    if (len > 0) {
        assert_memory_equal(got.data, want, len);
    }
}

static inline void check_text(ht_bytes got, const char *want)
{
    check_view(got, want, strlen(want));
}

/* Takes frame. */
static inline void check_frame(struct hti_frame *frame, const char *id)
{
    struct bytes want = vector(id);

    assert_non_null(frame);
    check_view((ht_bytes){frame->bytes, frame->len}, want.data, want.len);
    hti_frame_free(frame);
}

/* xorshift64*: the same on every machine. */
static inline uint64_t draw(uint64_t *seed)
{
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return *seed * UINT64_C(2685821657736338717);
}

#endif /* TESTS_PROTO_WIRE_H */
