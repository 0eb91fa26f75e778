/* SPDX-License-Identifier: Apache-2.0 */
/* conn_write.c - from frames to the socket.
 *
 * Plain: the frames where they are, by one sendmsg().  TLS: gathered into one
 * record; what OpenSSL would not take has to be offered again as it was, so it
 * is kept, and counts as written.
 */
#include "gateway/conn_write.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/mem.h"
#include "gateway/client.h"
#include "gateway/deflate.h"
#include "gateway/frame.h"
#include "gateway/gateway.h"
#include "gateway/loop.h"
#include "gateway/tls.h"
#include "gateway/ws.h"

#define IOVS_MAX 64

/* ---- what is queued ------------------------------------------------------ */

void gw_conn_put(struct gw_conn *c, struct gw_frame *frame)
{
    struct gw_out *out = frame != NULL ? hti_alloc(sizeof(*out)) : NULL;

    if (out == NULL) {
        gw_frame_unref(frame);
        gw_conn_lose(c);
        return;
    }
    out->frame = frame;
    STAILQ_INSERT_TAIL(&c->control, out, entry);
    c->control_bytes += gw_frame_cost(frame);
    gw_gauge(c->loop, GW_QUEUED_BYTES, (int64_t)gw_frame_cost(frame));
    gw_loop_dirty(c->loop, c);
}

void gw_conn_put_bytes(struct gw_conn *c, const void *data, size_t len)
{
    gw_conn_put(c, gw_frame_raw(data, len));
}

static struct gw_frame *control_pop(struct gw_conn *c)
{
    struct gw_out *out = STAILQ_FIRST(&c->control);
    struct gw_frame *frame = out->frame;

    STAILQ_REMOVE_HEAD(&c->control, entry);
    c->control_bytes -= gw_frame_cost(frame);
    if (c->loop != NULL) {
        gw_gauge(c->loop, GW_QUEUED_BYTES, -(int64_t)gw_frame_cost(frame));
    }
    hti_free(out);
    return frame;
}

void gw_conn_drop_control(struct gw_conn *c)
{
    while (!STAILQ_EMPTY(&c->control)) {
        gw_frame_unref(control_pop(c));
    }
}

void gw_conn_drop_output(struct gw_conn *c)
{
    gw_conn_drop_control(c);
    c->partial = gw_frame_unref(c->partial);
    hti_free(c->staged);
    c->staged = NULL;
    c->staged_len = 0;
}

/* Numbered messages go out only while the connection is for them. */
static bool writes_messages(const struct gw_conn *c)
{
    return c->client != NULL &&
           (c->phase == GW_PHASE_MESSAGES || c->phase == GW_PHASE_STREAM);
}

size_t gw_conn_unsent(const struct gw_conn *c)
{
    return c->staged_len +
           (c->partial != NULL ? c->partial->len - c->partial_at : 0) +
           c->control_bytes +
           (writes_messages(c) ? (size_t)c->client->queue.waiting_bytes : 0);
}

/* The form in which this connection takes a message. */
static struct gw_frame *form(struct gw_conn *c, struct gw_frame *frame)
{
    return c->ws != NULL && c->ws->deflate ? gw_deflated(c->loop, frame)
                                           : frame;
}

/* ---- gathering and consuming --------------------------------------------- */

static void add(struct iovec *iov, unsigned *n, const uint8_t *data, size_t len)
{
    iov[*n].iov_base = (void *)(uintptr_t)data;
    iov[*n].iov_len = len;
    ++*n;
}

static unsigned gather(struct gw_conn *c, struct iovec iov[IOVS_MAX])
{
    struct gw_out *out;
    struct gw_frame *frame;
    unsigned n = 0;

    if (c->partial != NULL) {
        add(iov, &n, gw_frame_data(c->partial) + c->partial_at,
            c->partial->len - c->partial_at);
    }
    STAILQ_FOREACH (out, &c->control, entry) {
        if (n == IOVS_MAX) {
            return n;
        }
        add(iov, &n, gw_frame_data(out->frame), out->frame->len);
    }
    for (uint64_t i = 0; writes_messages(c) && n < IOVS_MAX; i++) {
        frame = gw_queue_peek(&c->client->queue, i);
        if (frame == NULL) {
            break;
        }
        frame = form(c, frame);
        add(iov, &n, gw_frame_data(frame), frame->len);
    }
    return n;
}

/* Take the next frame to be begun. */
static struct gw_frame *begin(struct gw_conn *c)
{
    struct gw_frame *frame;

    if (!STAILQ_EMPTY(&c->control)) {
        return control_pop(c);
    }
    frame = gw_frame_ref(form(c, gw_queue_peek(&c->client->queue, 0)));
    gw_client_written(c->client);
    return frame;
}

/* So many bytes are written. */
static void consume(struct gw_conn *c, size_t len)
{
    gw_count(c->loop, GW_BYTES_OUT, len);
    while (len > 0) {
        size_t left;

        if (c->partial == NULL) {
            c->partial = begin(c);
            c->partial_at = 0;
        }
        left = c->partial->len - c->partial_at;
        if (len < left) {
            c->partial_at += len;
            return;
        }
        len -= left;
        c->partial = gw_frame_unref(c->partial);
    }
}

/* ---- plain --------------------------------------------------------------- */

static void flush_plain(struct gw_conn *c)
{
    struct iovec iov[IOVS_MAX];
    struct msghdr msg = {.msg_iov = iov};

    while ((msg.msg_iovlen = gather(c, iov)) > 0) {
        size_t want = 0;
        ssize_t n;

        for (unsigned i = 0; i < msg.msg_iovlen; i++) {
            want += iov[i].iov_len;
        }
        do {
            n = sendmsg(c->fd, &msg, MSG_NOSIGNAL);
        } while (n < 0 && errno == EINTR);
        if (n < 0) {
            c->blocked = errno == EAGAIN || errno == EWOULDBLOCK;
            c->lost = !c->blocked;
            return;
        }
        consume(c, (size_t)n);
        if ((size_t)n < want) {
            c->blocked = true;
            return;
        }
    }
}

/* ---- TLS ----------------------------------------------------------------- */

/* False: no more now, or ever. */
static bool write_staged(struct gw_conn *c)
{
    if (c->staged_len == 0) {
        return true;
    }
    switch (gw_tls_write(c, c->staged, c->staged_len)) {
    case GW_TLS_OK:
        hti_free(c->staged);
        c->staged = NULL;
        c->staged_len = 0;
        return true;
    case GW_TLS_AGAIN:
        c->blocked = true;
        return false;
    case GW_TLS_OVER:
        break;
    }
    c->lost = true;
    return false;
}

static size_t gather_record(struct gw_conn *c, uint8_t *out)
{
    struct iovec iov[IOVS_MAX];
    unsigned n = gather(c, iov);
    size_t len = 0;

    for (unsigned i = 0; i < n && len < GW_BATCH_BYTES; i++) {
        size_t take = iov[i].iov_len;

        if (take > GW_BATCH_BYTES - len) {
            take = GW_BATCH_BYTES - len;
        }
        memcpy(out + len, iov[i].iov_base, take);
        len += take;
    }
    return len;
}

static void flush_tls(struct gw_conn *c)
{
    uint8_t *out = c->loop->out;
    size_t len;

    while (write_staged(c) && (len = gather_record(c, out)) > 0) {
        consume(c, len);
        switch (gw_tls_write(c, out, len)) {
        case GW_TLS_OK:
            continue;
        case GW_TLS_AGAIN:
            c->staged = hti_alloc(len);
            if (c->staged != NULL) {
                memcpy(c->staged, out, len);
                c->staged_len = len;
                c->blocked = true;
                return;
            }
            break;
        case GW_TLS_OVER:
            break;
        }
        c->lost = true;
        return;
    }
}

/* ---- flushing ------------------------------------------------------------ */

/* All is written: say that no more comes, and wait for the peer to agree.  To
 * close at once would reset the connection if it has sent something that we
 * did not read, and the peer might never see our last words. */
static void shut(struct gw_conn *c)
{
    if (c->shut) {
        return;
    }
    c->shut = true;
    if (c->ws != NULL && c->ws->close_received) {
        c->lost = true;
        return;
    }
    if (c->ws != NULL && !c->ws->broken) {
        return; /* it is the peer's turn to close */
    }
    if (c->tls != NULL) {
        gw_tls_shutdown(c);
    }
    if (shutdown(c->fd, SHUT_WR) < 0 || c->eof) {
        c->lost = true;
    }
}

static void write_all(struct gw_conn *c)
{
    if (c->tls != NULL) {
        flush_tls(c);
    } else {
        flush_plain(c);
    }
}

void gw_conn_flush(struct gw_conn *c)
{
    bool was_full =
        c->control_bytes > c->gateway->view.config->queued_bytes_max;

    if (c->dirty) {
        TAILQ_REMOVE(&c->loop->dirty, c, dirty_entry);
        c->dirty = false;
    }
    if (c->lost) {
        gw_conn_kick(c);
        return;
    }
    c->blocked = false;
    write_all(c);
    if (!c->lost && !c->blocked && c->finishing &&
        c->phase != GW_PHASE_ANSWER && c->phase != GW_PHASE_CLOSING) {
        if (c->ws != NULL) {
            gw_ws_close_now(c);
        }
        gw_conn_finish(c);
        write_all(c);
    }
    if (!c->lost && !c->blocked && c->phase == GW_PHASE_CLOSING) {
        shut(c);
    }
    if (c->lost || c->blocked != ((c->watching & HT_WRITE) != 0) || was_full) {
        gw_conn_kick(c);
    }
}
