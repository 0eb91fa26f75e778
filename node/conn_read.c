/* SPDX-License-Identifier: Apache-2.0 */
#include "node/conn_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* Behind the rest of a large frame: small ones that follow it are taken in the
 * same call, but the next large one is better read where it belongs than
 * copied. */
#define BEHIND_BYTES (8 * 1024)

/* Whether to go on reading. */
static bool still_on(struct hti_conn *conn)
{
    if (conn->state != HTI_CONN_LINKED) {
        return false;
    }
    hti_conn_opened(conn);
    return conn->state == HTI_CONN_LINKED && !conn->close_asked;
}

static void stream_ended(struct hti_conn *conn, ssize_t n)
{
    if (n == 0) {
        hti_conn_close(conn, HT_OK, "");
    } else if (errno != EAGAIN && errno != EINTR) {
        hti_conn_close(conn, HT_ENOCONN, strerror(errno));
    }
}

static void read_plain(struct hti_conn *conn)
{
    struct hti_loop *loop = conn->loop;
    size_t total = 0;

    while (total < HTI_CONN_READ_MAX) {
        uint8_t *into = NULL;
        size_t target = hti_link_target(conn->link, &into);
        struct iovec iov[2] = {{into, target}, {loop->read_buf, BEHIND_BYTES}};
        ht_err err = HT_OK;
        size_t got, direct;
        ssize_t n;

        if (target > 0) {
            n = readv(conn->fd, iov, 2);
        } else {
            iov[1].iov_len = HTI_LOOP_READ_BYTES;
            n = recv(conn->fd, loop->read_buf, HTI_LOOP_READ_BYTES, 0);
        }
        if (n <= 0) {
            stream_ended(conn, n);
            return;
        }
        hti_io_heat(&conn->io);
        got = (size_t)n;
        total += got;
        hti_link_count_received(conn->link, got);
        direct = got < target ? got : target;
        if (direct > 0) {
            err = hti_link_filled(conn->link, loop->now_ms, direct);
        }
        if (err == HT_OK && got > direct) {
            err = hti_link_receive(conn->link, loop->now_ms, loop->read_buf,
                                   got - direct);
        }
        if (err != HT_OK) {
            hti_conn_close(conn, err, "");
            return;
        }
        if (!still_on(conn) || got < target + iov[1].iov_len) {
            return;
        }
    }
}

/* Decrypt all that was fed.  False: closed, or to be. */
static bool decrypt(struct hti_conn *conn)
{
    struct hti_loop *loop = conn->loop;
    uint8_t *buf = loop->read_buf + HTI_LOOP_BATCH_BYTES;

    for (;;) {
        uint8_t *into = NULL;
        size_t target = hti_link_target(conn->link, &into);
        long n = target > 0
                     ? hti_tls_read(conn->tls, into, target)
                     : hti_tls_read(conn->tls, buf,
                                    HTI_LOOP_READ_BYTES - HTI_LOOP_BATCH_BYTES);
        ht_err err;

        if (n == 0) {
            return true;
        }
        if (n < 0) {
            err = (ht_err)n;
            hti_conn_close(conn, err == HT_ECLOSED ? HT_OK : err,
                           err == HT_ECLOSED ? "" : hti_tls_why(conn->tls));
            return false;
        }
        err = target > 0
                  ? hti_link_filled(conn->link, loop->now_ms, (size_t)n)
                  : hti_link_receive(conn->link, loop->now_ms, buf, (size_t)n);
        if (err != HT_OK) {
            hti_conn_close(conn, err, "");
            return false;
        }
        if (!still_on(conn)) {
            return false;
        }
    }
}

/* TLS answered something by itself (a key update). */
static bool answer(struct hti_conn *conn)
{
    if (conn->loop->cipher.len == 0) {
        return true;
    }
    if (hti_conn_send_cipher(conn) == HTI_FLUSH_FAILED) {
        hti_conn_close(conn, HT_ENOCONN, strerror(errno));
        return false;
    }
    if (hti_conn_has_left(conn)) {
        hti_loop_defer(conn->loop, &conn->work);
    }
    return true;
}

/* The first quarter of the buffer holds ciphertext, the rest plaintext. */
static void read_tls(struct hti_conn *conn)
{
    struct hti_loop *loop = conn->loop;

    if (hti_tls_is_fed(conn->tls) && (!decrypt(conn) || !answer(conn))) {
        return;
    }
    for (size_t total = 0; total < HTI_CONN_READ_MAX;) {
        ssize_t n = recv(conn->fd, loop->read_buf, HTI_LOOP_BATCH_BYTES, 0);

        if (n <= 0) {
            stream_ended(conn, n);
            break;
        }
        hti_io_heat(&conn->io);
        total += (size_t)n;
        hti_link_count_received(conn->link, (size_t)n);
        hti_tls_feed(conn->tls, loop->read_buf, (size_t)n);
        if (!decrypt(conn) || !answer(conn)) {
            break;
        }
        if ((size_t)n < HTI_LOOP_BATCH_BYTES) {
            break;
        }
    }
    hti_tls_feed(conn->tls, NULL, 0);
    hti_conn_warm(conn);
}

void hti_conn_read(struct hti_conn *conn)
{
    if (conn->tls != NULL) {
        read_tls(conn);
    } else {
        read_plain(conn);
    }
}
