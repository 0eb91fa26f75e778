/* SPDX-License-Identifier: Apache-2.0 */
/* tls.h - TLS of a connection, through OpenSSL's own socket.
 *
 * A session that is idle gives its record buffers back (RELEASE_BUFFERS): 15
 * KiB a client instead of 48.
 */
#ifndef GW_TLS_H
#define GW_TLS_H

#include <openssl/ssl.h>
#include <sys/types.h>

#include "gateway/conn.h"

/* A context from PEM files. HT_ETLS, HT_ENOMEM. */
HT_MUSTUSE ht_err gw_tls_context(const char *certificate,
                                 const char *private_key,
                                 SSL_CTX **ret_context,
                                 char *why,
                                 size_t why_len);
/* The server's side over fd. NULL: no memory. */
SSL *gw_tls_new(SSL_CTX *context, int fd);

enum gw_tls_result {
    GW_TLS_OK,
    GW_TLS_AGAIN,
    GW_TLS_OVER,
};

/* Its handshake goes on: reading drives it, whatever the socket is ready for.
 */
bool gw_tls_is_shaking(const struct gw_conn *conn);
/* Bytes, 0 for none now, -1: over or failed. Leaves nothing in OpenSSL that the
 * socket would not tell of. */
ssize_t gw_tls_read(struct gw_conn *conn, uint8_t *buf, size_t len);
/* All or, for now, nothing. */
enum gw_tls_result
gw_tls_write(struct gw_conn *conn, const uint8_t *data, size_t len);
void gw_tls_shutdown(struct gw_conn *conn);

#endif /* GW_TLS_H */
