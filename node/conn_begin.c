/* SPDX-License-Identifier: Apache-2.0 */
/* conn_begin.c - a connection before it has a link: the first byte, who may
 * come in by it, and the TLS handshake. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/conn_internal.h"

#define REFUSE_READS_MAX 4

/* ---- TLS handshake ------------------------------------------------------ */

static void step_tls(struct hti_conn *conn)
{
    int rc = hti_tls_handshake(conn->tls);
    enum hti_flush flushed = hti_conn_send_cipher(conn);

    if (rc < 0) {
        hti_conn_close(conn, (ht_err)rc, hti_tls_why(conn->tls));
        return;
    }
    if (flushed == HTI_FLUSH_FAILED) {
        hti_conn_close(conn, HT_ENOCONN, strerror(errno));
        return;
    }
    if (rc == 1) {
        hti_timer_unset(&conn->loop->timers, &conn->timer);
        hti_conn_make_link(conn, hti_tls_mode(conn->tls));
    }
}

/* Bytes after the handshake's own may come in the same read: they are fed to
 * the TLS that is read next. */
void hti_conn_read_handshake(struct hti_conn *conn)
{
    uint8_t *buf = conn->loop->read_buf;
    ssize_t n = recv(conn->fd, buf, HTI_LOOP_BATCH_BYTES, 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        hti_conn_close(conn, conn->initiator ? HT_ETLS : HT_ENOCONN,
                       "peer closed the connection during the TLS handshake");
        return;
    }
    hti_tls_feed(conn->tls, buf, (size_t)n);
    step_tls(conn);
    if (conn->state == HTI_CONN_LINKED && hti_tls_is_fed(conn->tls)) {
        hti_conn_read(conn);
    }
    if (conn->tls != NULL) {
        hti_tls_feed(conn->tls, NULL, 0);
    }
}

void hti_conn_start_tls(struct hti_conn *conn)
{
    struct hti_tls *tls = hti_server_tls(conn->server);
    struct hti_keyring *keys = hti_cluster_keys(conn->server->cluster);
    const struct hti_tls_params params = {
        .tls = tls,
        .keys = keys,
        .initiator = conn->initiator,
        .encryption = conn->encryption,
        .cert_optional = conn->cert_optional,
        .server_name = conn->server_name,
        .host = conn->host,
        .rekey_bytes = conn->server->rekey_bytes,
        .sink = &conn->loop->cipher,
    };
    const char *why = "";
    ht_err err = hti_tls_conn_new(&params, &conn->tls, &why);

    hti_tls_unref(tls);
    hti_keyring_unref(keys);
    if (err != HT_OK) {
        hti_conn_close(conn, err, why);
        return;
    }
    conn->state = HTI_CONN_TLS;
    if (conn->initiator) {
        step_tls(conn);
    }
}

/* ---- the first byte ----------------------------------------------------- */

/* Whether the process at the other end runs as us or root. */
bool hti_conn_peer_is_us(const struct hti_conn *conn)
{
    struct ucred cred;
    socklen_t len = sizeof(cred);

    return getsockopt(conn->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 &&
           (cred.uid == geteuid() || cred.uid == 0);
}

/* Read what came and say no in its own language: a socket that is closed with
 * bytes unread resets the connection, and the peer learns nothing. */
static void
refuse(struct hti_conn *conn, const void *words, size_t len, const char *text)
{
    for (unsigned i = 0; i < REFUSE_READS_MAX; i++) {
        if (recv(conn->fd, conn->loop->read_buf, HTI_LOOP_READ_BYTES,
                 MSG_DONTWAIT) <= 0) {
            break;
        }
    }
    if (len > 0) {
        (void)send(conn->fd, words, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    hti_conn_close(conn, HT_EDENIED, text);
}

static void sniffed_tls(struct hti_conn *conn)
{
    /* Alert, fatal, protocol_version. */
    static const uint8_t no_tls[] = {0x15, 3, 3, 0, 2, 2, 70};
    const unsigned tls =
        HT_ENCRYPT_BIT(HT_ENCRYPT_COOKIE) | HT_ENCRYPT_BIT(HT_ENCRYPT_TLS);

    if ((conn->encryption & tls) == 0) {
        refuse(conn, no_tls, sizeof(no_tls),
               "TLS on a port that takes only plaintext");
        return;
    }
    hti_conn_start_tls(conn);
    if (conn->state == HTI_CONN_TLS) {
        hti_conn_read_handshake(conn);
    }
}

static void sniffed_plain(struct hti_conn *conn)
{
    if (conn->admin) {
        if (hti_conn_peer_is_us(conn)) {
            hti_conn_make_link(conn, HTI_MODE_PEERCRED);
            return;
        }
        if ((conn->encryption & HT_ENCRYPT_BIT(HT_ENCRYPT_NONE)) == 0) {
            refuse(conn, NULL, 0, "peer is another user");
            return;
        }
    }
    if ((conn->encryption & HT_ENCRYPT_BIT(HT_ENCRYPT_NONE)) == 0) {
        refuse(conn, NULL, 0, "plaintext on a port that takes only TLS");
        return;
    }
    hti_conn_make_link(conn, HTI_MODE_NONE);
}

void hti_conn_sniff(struct hti_conn *conn)
{
    uint8_t first;
    ssize_t n = recv(conn->fd, &first, 1, MSG_PEEK);

    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            hti_conn_close(conn, HT_ECLOSED, "");
        }
        return;
    }
    if (n == 0) {
        hti_conn_close(conn, HT_ECLOSED, ""); /* a port scan */
        return;
    }
    if (first == 0x16) {
        sniffed_tls(conn);
    } else if (first == 0x00) {
        sniffed_plain(conn);
        if (conn->state == HTI_CONN_LINKED) {
            hti_conn_read(conn);
        }
    } else {
        hti_conn_close(conn, HT_EPROTO, "neither TLS nor our protocol");
    }
}
