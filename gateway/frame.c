/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/frame.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

#define WS_HEADER_MAX 10 /* of a server's frame: it has no mask */
#define SSE_BEFORE    "data: "
#define SSE_AFTER     "\n\n"

static struct gw_frame *frame_new(size_t before, size_t len, size_t after)
{
    struct gw_frame *frame;

    if (len > GW_FRAME_BYTES_MAX) {
        return NULL;
    }
    frame = hti_alloc(sizeof(*frame) + before + len + after);
    if (frame == NULL) {
        return NULL;
    }
    memset(frame, 0, sizeof(*frame));
    atomic_init(&frame->refs, 1);
    frame->payload = (uint32_t)before;
    frame->payload_len = (uint32_t)len;
    frame->start = (uint32_t)before;
    frame->len = (uint32_t)len;
    return frame;
}

static void put(struct gw_frame *frame, const void *data, size_t len)
{
    if (len > 0) {
        memcpy(frame->bytes + frame->payload, data, len);
    }
}

/* Right before the payload, as long as it has to be. */
static void put_header(struct gw_frame *frame, uint8_t first)
{
    size_t len = frame->payload_len;
    size_t size = len < 126 ? 2 : len < 65536 ? 4 : 10;
    uint8_t *at = frame->bytes + frame->payload - size;

    at[0] = first;
    at[1] = len < 126 ? (uint8_t)len : len < 65536 ? 126 : 127;
    for (size_t i = 2; i < size; i++) {
        at[i] = (uint8_t)((uint64_t)len >> 8 * (size - 1 - i));
    }
    frame->start = (uint32_t)(at - frame->bytes);
    frame->len = (uint32_t)(size + len);
}

struct gw_frame *gw_frame_ws(enum gw_opcode opcode,
                             bool compressed,
                             const void *data,
                             size_t len)
{
    struct gw_frame *frame = frame_new(WS_HEADER_MAX, len, 0);

    assert(len <= 125 || opcode < GW_OP_CLOSE);
    if (frame != NULL) {
        put(frame, data, len);
        put_header(frame,
                   (uint8_t)(0x80u | (compressed ? 0x40u : 0u) | opcode));
    }
    return frame;
}

struct gw_frame *gw_frame_raw(const void *data, size_t len)
{
    struct gw_frame *frame = frame_new(0, len, 0);

    if (frame != NULL) {
        put(frame, data, len);
    }
    return frame;
}

static struct gw_frame *frame_sse(const void *data, size_t len)
{
    size_t before = strlen(SSE_BEFORE), after = strlen(SSE_AFTER);
    struct gw_frame *frame = frame_new(before, len, after);

    if (frame == NULL) {
        return NULL;
    }
    memcpy(frame->bytes, SSE_BEFORE, before);
    put(frame, data, len);
    memcpy(frame->bytes + before + len, SSE_AFTER, after);
    frame->start = 0;
    frame->len = (uint32_t)(before + len + after);
    return frame;
}

struct gw_frame *
gw_frame_new(enum gw_encoding encoding, const void *data, size_t len)
{
    struct gw_frame *frame;

    switch (encoding) {
    case GW_JSON:
        frame = gw_frame_ws(GW_OP_TEXT, false, data, len);
        break;
    case GW_PB:
        frame = gw_frame_ws(GW_OP_BINARY, false, data, len);
        break;
    case GW_SSE:
        frame = frame_sse(data, len);
        break;
    case GW_ENCODINGS:
    default:
        frame = NULL;
        break;
    }
    if (frame != NULL) {
        frame->encoding = encoding;
    }
    return frame;
}

struct gw_frame *gw_frame_ref(struct gw_frame *frame)
{
    atomic_fetch_add_explicit(&frame->refs, 1, memory_order_relaxed);
    return frame;
}

struct gw_frame *gw_frame_unref(struct gw_frame *frame)
{
    if (frame != NULL &&
        atomic_fetch_sub_explicit(&frame->refs, 1, memory_order_acq_rel) == 1) {
        gw_frame_unref(frame->deflated);
        hti_free(frame);
    }
    return NULL;
}
