/* SPDX-License-Identifier: Apache-2.0 */
#include "node/conn_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* Ciphertext that waits is at most what one flush makes, and what TLS answers
 * by itself; a peer that makes it answer without reading is cut off. */
#define LEFT_BYTES_MAX (1024 * 1024)

/* One batch of a plain connection. */
struct batch {
    struct iovec iov[HTI_CONN_IOVS];
    unsigned count;
    struct hti_slice held[HTI_CONN_HELD];
    unsigned held_count;
    size_t copied; /* bytes in loop->batch */
    size_t total;
};

/* ---- plain -------------------------------------------------------------- */

static ssize_t send_iov(int fd, struct iovec *iov, unsigned count)
{
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = count};
    ssize_t n;

    do {
        /* One piece is the common case, and send() the cheaper call. */
        n = count == 1 ? send(fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL)
                       : sendmsg(fd, &msg, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n;
}

static void
batch_copy(struct batch *b, uint8_t *buf, const void *data, size_t len)
{
    uint8_t *to = buf + b->copied;
    struct iovec *last = b->count == 0 ? NULL : &b->iov[b->count - 1];

    memcpy(to, data, len);
    b->copied += len;
    b->total += len;
    if (last != NULL && (uint8_t *)last->iov_base + last->iov_len == to) {
        last->iov_len += len;
        return;
    }
    b->iov[b->count].iov_base = to;
    b->iov[b->count].iov_len = len;
    b->count++;
}

/* Room for one more slice, whatever it is. */
static bool batch_has_room(const struct batch *b)
{
    return b->count + 2 <= HTI_CONN_IOVS && b->held_count < HTI_CONN_HELD &&
           b->copied + HTI_FRAGMENT_HEAD_MAX + HTI_CONN_COPY_MAX <=
               HTI_LOOP_BATCH_BYTES;
}

/* Releasing the last piece of a frame frees it: not while an earlier one is
 * only pointed to. */
static bool is_pointed_to(const struct batch *b, const struct hti_frame *frame)
{
    for (unsigned i = 0; i < b->held_count; i++) {
        if (b->held[i].frame == frame) {
            return true;
        }
    }
    return false;
}

/* False: there was nothing more. */
static bool batch_fill(struct hti_conn *conn, struct batch *b)
{
    uint8_t *buf = conn->loop->batch;

    while (batch_has_room(b)) {
        struct hti_slice *slice = &b->held[b->held_count];

        if (!hti_link_pop(conn->link, slice)) {
            return false;
        }
        if (slice->head_len > 0) {
            batch_copy(b, buf, slice->head, slice->head_len);
        }
        if (slice->len > HTI_CONN_COPY_MAX) {
            b->iov[b->count].iov_base = (void *)(uintptr_t)slice->data;
            b->iov[b->count].iov_len = slice->len;
            b->count++;
            b->total += slice->len;
            b->held_count++;
            continue;
        }
        batch_copy(b, buf, slice->data, slice->len);
        if (is_pointed_to(b, slice->frame)) {
            b->held_count++;
        } else {
            hti_link_release(conn->link, slice);
        }
    }
    return true;
}

static unsigned iov_advance(struct iovec *iov, unsigned count, size_t n)
{
    unsigned at = 0;

    while (at < count && n >= iov[at].iov_len) {
        n -= iov[at].iov_len;
        at++;
    }
    if (at < count) {
        iov[at].iov_base = (uint8_t *)iov[at].iov_base + n;
        iov[at].iov_len -= n;
    }
    return at;
}

static bool in_batch(const struct hti_loop *loop, const struct iovec *iov)
{
    const uint8_t *p = iov->iov_base;

    return p >= loop->batch && p < loop->batch + HTI_LOOP_BATCH_BYTES;
}

/* Keep what the socket did not take: pointed-to slices as they are, copied
 * bytes in memory of our own, since the loop's is used by the next one. */
static ht_err keep_rest(struct hti_conn *conn, struct batch *b, size_t sent)
{
    unsigned at = iov_advance(b->iov, b->count, sent);
    struct hti_conn_rest *rest = calloc(1, sizeof(*rest));
    size_t bytes = 0;

    if (rest == NULL) {
        return HT_ENOMEM;
    }
    for (unsigned i = at; i < b->count; i++) {
        bytes += in_batch(conn->loop, &b->iov[i]) ? b->iov[i].iov_len : 0;
    }
    if (bytes > 0 && (rest->bytes = malloc(bytes)) == NULL) {
        free(rest);
        return HT_ENOMEM;
    }
    bytes = 0;
    for (; at < b->count; at++) {
        struct iovec *iov = &b->iov[at];

        if (in_batch(conn->loop, iov)) {
            assert(rest->bytes != NULL);
            memcpy(rest->bytes + bytes, iov->iov_base, iov->iov_len);
            iov->iov_base = rest->bytes + bytes;
            bytes += iov->iov_len;
        }
        rest->iov[rest->count++] = *iov;
    }
    memcpy(rest->held, b->held, b->held_count * sizeof(b->held[0]));
    rest->held_count = b->held_count;
    conn->rest = rest;
    return HT_OK;
}

static void
release_all(struct hti_conn *conn, struct hti_slice *held, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        hti_link_release(conn->link, &held[i]);
    }
}

static void rest_free(struct hti_conn *conn)
{
    if (conn->rest == NULL) {
        return;
    }
    release_all(conn, conn->rest->held, conn->rest->held_count);
    free(conn->rest->bytes);
    free(conn->rest);
    conn->rest = NULL;
}

static enum hti_flush send_rest(struct hti_conn *conn)
{
    struct hti_conn_rest *rest = conn->rest;
    ssize_t n;

    n = send_iov(conn->fd, rest->iov + rest->at, rest->count - rest->at);
    if (n < 0) {
        return errno == EAGAIN ? HTI_FLUSH_BLOCKED : HTI_FLUSH_FAILED;
    }
    rest->at +=
        iov_advance(rest->iov + rest->at, rest->count - rest->at, (size_t)n);
    if (rest->at < rest->count) {
        return HTI_FLUSH_BLOCKED;
    }
    rest_free(conn);
    return HTI_FLUSH_DONE;
}

static enum hti_flush send_batch(struct hti_conn *conn, struct batch *b)
{
    ssize_t n = send_iov(conn->fd, b->iov, b->count);
    ht_err err;
    int saved = errno;

    if (n == (ssize_t)b->total) {
        release_all(conn, b->held, b->held_count);
        return HTI_FLUSH_DONE;
    }
    if (n < 0 && saved != EAGAIN) {
        release_all(conn, b->held, b->held_count);
        errno = saved;
        return HTI_FLUSH_FAILED;
    }
    err = keep_rest(conn, b, n < 0 ? 0 : (size_t)n);
    if (err != HT_OK) {
        release_all(conn, b->held, b->held_count);
        errno = ENOMEM;
        return HTI_FLUSH_FAILED;
    }
    return HTI_FLUSH_BLOCKED;
}

static enum hti_flush flush_plain(struct hti_conn *conn)
{
    enum hti_flush flushed;
    size_t written = 0;

    if (conn->rest != NULL) {
        flushed = send_rest(conn);
        if (flushed != HTI_FLUSH_DONE) {
            return flushed;
        }
    }
    while (written < HTI_CONN_WRITE_MAX) {
        struct batch b;
        bool more;

        hti_link_settle(conn->link);
        b.count = b.held_count = 0;
        b.copied = b.total = 0;
        more = batch_fill(conn, &b);
        if (b.count > 0) {
            flushed = send_batch(conn, &b);
            if (flushed != HTI_FLUSH_DONE) {
                return flushed;
            }
        }
        if (!more) {
            return HTI_FLUSH_DONE;
        }
        written += b.total;
    }
    return HTI_FLUSH_MORE;
}

/* ---- TLS ---------------------------------------------------------------- */

bool hti_conn_has_left(const struct hti_conn *conn)
{
    return conn->left.len > 0;
}

static bool left_add(struct hti_conn *conn, const uint8_t *data, size_t len)
{
    struct hti_conn_left *left = &conn->left;

    if (left->len + len > LEFT_BYTES_MAX) {
        return false;
    }
    if (left->at + left->len + len > left->cap) {
        size_t cap = left->len + len;
        uint8_t *buf = malloc(cap);

        if (buf == NULL) {
            return false;
        }
        if (left->len > 0) {
            memcpy(buf, left->buf + left->at, left->len);
        }
        free(left->buf);
        left->buf = buf;
        left->at = 0;
        left->cap = cap;
    }
    memcpy(left->buf + left->at + left->len, data, len);
    left->len += len;
    return true;
}

static void left_free(struct hti_conn *conn)
{
    free(conn->left.buf);
    conn->left = (struct hti_conn_left){0};
}

static ssize_t send_bytes(int fd, const void *data, size_t len)
{
    ssize_t n;

    do {
        n = send(fd, data, len, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n;
}

static enum hti_flush send_left(struct hti_conn *conn)
{
    struct hti_conn_left *left = &conn->left;
    ssize_t n = send_bytes(conn->fd, left->buf + left->at, left->len);

    if (n < 0) {
        return errno == EAGAIN ? HTI_FLUSH_BLOCKED : HTI_FLUSH_FAILED;
    }
    left->at += (size_t)n;
    left->len -= (size_t)n;
    if (left->len > 0) {
        return HTI_FLUSH_BLOCKED;
    }
    left_free(conn);
    return HTI_FLUSH_DONE;
}

enum hti_flush hti_conn_send_cipher(struct hti_conn *conn)
{
    struct hti_sink *sink = &conn->loop->cipher;
    size_t len = sink->len;
    size_t sent = 0;
    ssize_t n;

    sink->len = 0;
    if (conn->left.len > 0) {
        enum hti_flush flushed = send_left(conn);

        if (flushed == HTI_FLUSH_FAILED) {
            return flushed;
        }
    }
    if (len == 0) {
        return conn->left.len > 0 ? HTI_FLUSH_BLOCKED : HTI_FLUSH_DONE;
    }
    if (conn->left.len == 0) {
        n = send_bytes(conn->fd, sink->buf, len);
        if (n < 0 && errno != EAGAIN) {
            return HTI_FLUSH_FAILED;
        }
        sent = n < 0 ? 0 : (size_t)n;
        if (sent == len) {
            return HTI_FLUSH_DONE;
        }
    }
    if (!left_add(conn, sink->buf + sent, len - sent)) {
        errno = ENOBUFS;
        return HTI_FLUSH_FAILED;
    }
    return HTI_FLUSH_BLOCKED;
}

/* The next bytes to encrypt, at most a record: copied together in buf, or where
 * they lie if one slice fills a record.  NULL: none. */
static const uint8_t *
next_plaintext(struct hti_conn *conn, uint8_t *buf, size_t *ret_len)
{
    size_t len = 0;

    while (len < HTI_TLS_RECORD) {
        struct hti_slice *slice = &conn->slice;
        const uint8_t *from;
        size_t n;

        if (!conn->has_slice) {
            if (!hti_link_pop(conn->link, slice)) {
                break;
            }
            conn->has_slice = true;
            conn->slice_at = 0;
        }
        if (conn->slice_at < slice->head_len) {
            from = slice->head + conn->slice_at;
            n = slice->head_len - conn->slice_at;
        } else {
            from = slice->data + (conn->slice_at - slice->head_len);
            n = slice->head_len + slice->len - conn->slice_at;
            if (len == 0 && n >= HTI_TLS_RECORD) {
                *ret_len = HTI_TLS_RECORD;
                return from; /* slice_at is moved once it is encrypted */
            }
        }
        if (n > HTI_TLS_RECORD - len) {
            n = HTI_TLS_RECORD - len;
        }
        memcpy(buf + len, from, n);
        len += n;
        conn->slice_at += n;
        if (conn->slice_at == slice->head_len + slice->len) {
            hti_link_release(conn->link, slice);
            conn->has_slice = false;
        }
    }
    *ret_len = len;
    return len > 0 ? buf : NULL;
}

/* Encrypt until the sink is full.  0: it is; 1: there was nothing more; -1:
 * TLS failed. */
static int encrypt(struct hti_conn *conn, size_t *ret_len)
{
    struct hti_sink *sink = &conn->loop->cipher;
    uint8_t *buf = conn->loop->batch;

    while (sink->cap - sink->len >= HTI_TLS_RECORD_ROOM) {
        size_t len;
        const uint8_t *data = next_plaintext(conn, buf, &len);

        if (data == NULL) {
            return 1;
        }
        if (hti_tls_write(conn->tls, data, len) != (long)len) {
            return -1;
        }
        *ret_len += len;
        if (data != buf) {
            conn->slice_at += len;
            if (conn->slice_at == conn->slice.head_len + conn->slice.len) {
                hti_link_release(conn->link, &conn->slice);
                conn->has_slice = false;
            }
        }
    }
    return 0;
}

static enum hti_flush flush_tls(struct hti_conn *conn)
{
    size_t written = 0;
    enum hti_flush flushed;

    if (conn->left.len > 0) {
        flushed = send_left(conn);
        if (flushed != HTI_FLUSH_DONE) {
            return flushed;
        }
    }
    assert(conn->loop->cipher.len == 0);
    hti_conn_warm(conn);
    while (written < HTI_CONN_WRITE_MAX) {
        int rc;

        hti_link_settle(conn->link);
        rc = encrypt(conn, &written);
        if (rc < 0) {
            conn->loop->cipher.len = 0;
            errno = EPROTO;
            return HTI_FLUSH_FAILED;
        }
        flushed = hti_conn_send_cipher(conn);
        if (flushed != HTI_FLUSH_DONE) {
            return flushed;
        }
        if (rc == 1) {
            return HTI_FLUSH_DONE;
        }
    }
    return HTI_FLUSH_MORE;
}

/* ---- both --------------------------------------------------------------- */

enum hti_flush hti_conn_flush(struct hti_conn *conn)
{
    for (;;) {
        enum hti_flush flushed =
            conn->tls != NULL ? flush_tls(conn) : flush_plain(conn);

        hti_link_settle(conn->link);
        if (flushed != HTI_FLUSH_DONE || !conn->awake) {
            return flushed;
        }
        /* Said before the outbox goes to sleep: the next wake may come from
         * another thread at once, and counts for itself. */
        conn->awake = false;
        atomic_fetch_sub_explicit(&conn->server->unsent, 1,
                                  memory_order_relaxed);
        if (hti_link_sleep(conn->link)) {
            return HTI_FLUSH_DONE;
        }
        conn->awake = true;
        atomic_fetch_add_explicit(&conn->server->unsent, 1,
                                  memory_order_relaxed);
    }
}

void hti_conn_write_fini(struct hti_conn *conn)
{
    rest_free(conn);
    left_free(conn);
}
