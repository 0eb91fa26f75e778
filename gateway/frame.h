/* SPDX-License-Identifier: Apache-2.0 */
/* frame.h - bytes as they go to a client: made once, shared by everybody they
 * go to.
 *
 * Thread: counted from any; what is cached in it (the compressed form) belongs
 * to the loop whose clients it is sent to.
 */
#ifndef GW_FRAME_H
#define GW_FRAME_H

#include "gateway/gateway_internal.h"

struct gw_frame {
    _Atomic unsigned refs;
    uint32_t payload; /* where the payload begins in bytes */
    uint32_t payload_len;
    uint32_t start; /* where what is sent begins */
    uint32_t len;   /* of what is sent */
    enum gw_encoding encoding;
    struct gw_frame *deflated; /* NULL: not tried, or not smaller: see tried */
    bool tried;
    uint8_t bytes[];
};

#define GW_FRAME_BYTES_MAX (UINT32_C(1) << 30)

/* Opcodes of RFC 6455. */
enum gw_opcode {
    GW_OP_CONTINUE = 0,
    GW_OP_TEXT = 1,
    GW_OP_BINARY = 2,
    GW_OP_CLOSE = 8,
    GW_OP_PING = 9,
    GW_OP_PONG = 10,
};

/* One whole WebSocket frame; compressed sets RSV1. NULL: no memory. */
struct gw_frame *gw_frame_ws(enum gw_opcode opcode,
                             bool compressed,
                             const void *data,
                             size_t len);
/* Bytes as they are. NULL: no memory. */
struct gw_frame *gw_frame_raw(const void *data, size_t len);

/* What it counts in a queue: an empty one takes memory too. */
#define GW_FRAME_OVERHEAD 64
static inline size_t gw_frame_cost(const struct gw_frame *frame)
{
    return frame->len + GW_FRAME_OVERHEAD;
}

static inline const uint8_t *gw_frame_data(const struct gw_frame *frame)
{
    return frame->bytes + frame->start;
}

#endif /* GW_FRAME_H */
