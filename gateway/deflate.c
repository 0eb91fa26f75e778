/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/deflate.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "gateway/frame.h"
#include "gateway/loop.h"

#define DEFLATE_MIN   64   /* smaller messages are not worth it */
#define INFLATE_BLOCK 4096 /* grown by doubling, up to the limit */

/* Every message ends with it, and none carries it. */
static const uint8_t tail[4] = {0x00, 0x00, 0xff, 0xff};

struct gw_deflate {
    z_stream out, in;
    bool has_out, has_in;
};

/* ---- negotiation --------------------------------------------------------- */

/* One parameter of an offer, trimmed. */
static bool parameter_is_fine(const char *s, size_t len)
{
    static const char *const plain[] = {
        "server_no_context_takeover",
        "client_no_context_takeover",
        "client_max_window_bits",
    };

    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        if (len == strlen(plain[i]) && strncasecmp(s, plain[i], len) == 0) {
            return true;
        }
    }
    /* We inflate every window, and compress with the largest only. */
    return (len > 23 && strncasecmp(s, "client_max_window_bits=", 23) == 0) ||
           (len == 25 && strncasecmp(s, "server_max_window_bits=15", 25) == 0);
}

static void trim(const char **s, size_t *len)
{
    while (*len > 0 && (**s == ' ' || **s == '\t')) {
        ++*s;
        --*len;
    }
    while (*len > 0 && ((*s)[*len - 1] == ' ' || (*s)[*len - 1] == '\t')) {
        --*len;
    }
}

static bool offer_is_fine(const char *s, size_t len)
{
    bool first = true;

    while (len > 0) {
        const char *end = memchr(s, ';', len);
        size_t used = end != NULL ? (size_t)(end - s) : len;
        const char *part = s;
        size_t part_len = used;

        trim(&part, &part_len);
        if (first ? part_len != 18 ||
                        strncasecmp(part, "permessage-deflate", 18) != 0
                  : !parameter_is_fine(part, part_len)) {
            return false;
        }
        first = false;
        used += end != NULL;
        s += used;
        len -= used;
    }
    return !first;
}

const char *gw_deflate_negotiate(const char *offers)
{
    while (*offers != '\0') {
        size_t len = strcspn(offers, ",");

        if (offer_is_fine(offers, len)) {
            return "permessage-deflate; server_no_context_takeover; "
                   "client_no_context_takeover";
        }
        offers += len + (offers[len] == ',');
    }
    return NULL;
}

/* ---- the streams --------------------------------------------------------- */

static struct gw_deflate *streams(struct gw_loop *loop)
{
    if (loop->deflate == NULL) {
        loop->deflate = calloc(1, sizeof(*loop->deflate));
    }
    return loop->deflate;
}

static z_stream *stream_out(struct gw_loop *loop)
{
    struct gw_deflate *d = streams(loop);

    if (d == NULL) {
        return NULL;
    }
    if (!d->has_out) {
        d->has_out = deflateInit2(&d->out, Z_DEFAULT_COMPRESSION, Z_DEFLATED,
                                  -15, 8, Z_DEFAULT_STRATEGY) == Z_OK;
    } else {
        (void)deflateReset(&d->out);
    }
    return d->has_out ? &d->out : NULL;
}

static z_stream *stream_in(struct gw_loop *loop)
{
    struct gw_deflate *d = streams(loop);

    if (d == NULL) {
        return NULL;
    }
    if (!d->has_in) {
        d->has_in = inflateInit2(&d->in, -15) == Z_OK;
    } else {
        (void)inflateReset(&d->in);
    }
    return d->has_in ? &d->in : NULL;
}

void gw_deflate_free(struct gw_deflate *d)
{
    if (d == NULL) {
        return;
    }
    if (d->has_out) {
        (void)deflateEnd(&d->out);
    }
    if (d->has_in) {
        (void)inflateEnd(&d->in);
    }
    free(d);
}

/* ---- out ----------------------------------------------------------------- */

/* NULL: not smaller, or no memory. */
static struct gw_frame *compress_frame(struct gw_loop *loop,
                                       const struct gw_frame *frame)
{
    z_stream *z = stream_out(loop);
    size_t len = frame->payload_len;
    struct gw_frame *deflated = NULL;
    uint8_t *out;
    size_t n;

    out = z != NULL ? malloc(len) : NULL;
    if (out == NULL) {
        return NULL;
    }
    z->next_in = (uint8_t *)(uintptr_t)(frame->bytes + frame->payload);
    z->avail_in = (uInt)len;
    z->next_out = out;
    z->avail_out = (uInt)len;
    if (deflate(z, Z_SYNC_FLUSH) == Z_OK && z->avail_in == 0 &&
        z->avail_out > 0) {
        n = len - z->avail_out - sizeof(tail);
        deflated =
            gw_frame_ws(frame->encoding == GW_JSON ? GW_OP_TEXT : GW_OP_BINARY,
                        true, out, n);
    }
    free(out);
    return deflated;
}

struct gw_frame *gw_deflated(struct gw_loop *loop, struct gw_frame *frame)
{
    if (!frame->tried && frame->payload_len >= DEFLATE_MIN) {
        frame->deflated = compress_frame(loop, frame);
    }
    frame->tried = true;
    return frame->deflated != NULL ? frame->deflated : frame;
}

/* ---- in ------------------------------------------------------------------ */

struct sink {
    uint8_t *data;
    size_t len, cap, max;
};

static ht_err sink_grow(struct sink *sink)
{
    /* One more than the limit, to see that there is more. */
    size_t cap = sink->cap > 0 ? 2 * sink->cap : INFLATE_BLOCK;
    uint8_t *data;

    if (sink->cap > sink->max) {
        return HT_ETOOBIG;
    }
    cap = cap > sink->max ? sink->max + 1 : cap;
    data = realloc(sink->data, cap);
    if (data == NULL) {
        return HT_ENOMEM;
    }
    sink->data = data;
    sink->cap = cap;
    return HT_OK;
}

static ht_err
inflate_piece(z_stream *z, struct sink *sink, const uint8_t *data, size_t len)
{
    z->next_in = (uint8_t *)(uintptr_t)data;
    z->avail_in = (uInt)len;
    for (;;) {
        ht_err err = sink->len == sink->cap ? sink_grow(sink) : HT_OK;
        int rc;

        if (err != HT_OK) {
            return err;
        }
        z->next_out = sink->data + sink->len;
        z->avail_out = (uInt)(sink->cap - sink->len);
        rc = inflate(z, Z_SYNC_FLUSH);
        sink->len = sink->cap - z->avail_out;
        if (rc == Z_STREAM_END) {
            /* A final block: what follows it begins anew (RFC 7692, 7.2.3.5),
             * and the tail that we add is such a thing. */
            (void)inflateReset(z);
        } else if (rc == Z_BUF_ERROR && z->avail_out > 0) {
            return HT_OK;
        } else if (rc != Z_OK && rc != Z_BUF_ERROR) {
            return rc == Z_MEM_ERROR ? HT_ENOMEM : HT_EINVAL;
        }
        if (z->avail_in == 0 && z->avail_out > 0) {
            return HT_OK;
        }
    }
}

ht_err gw_inflate(struct gw_loop *loop,
                  const uint8_t *data,
                  size_t len,
                  size_t max,
                  uint8_t **ret_data,
                  size_t *ret_len)
{
    z_stream *z = stream_in(loop);
    struct sink sink = {.max = max};
    ht_err err;

    if (z == NULL) {
        return HT_ENOMEM;
    }
    err = inflate_piece(z, &sink, data, len);
    if (err == HT_OK) {
        err = inflate_piece(z, &sink, tail, sizeof(tail));
    }
    if (err == HT_OK && sink.len > max) {
        err = HT_ETOOBIG;
    }
    if (err != HT_OK) {
        free(sink.data);
        return err;
    }
    *ret_data = sink.data;
    *ret_len = sink.len;
    return HT_OK;
}
