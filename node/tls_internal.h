/* SPDX-License-Identifier: Apache-2.0 */
/* tls_internal.h - what tls.c and tls_context.c share. */
#ifndef HTI_NODE_TLS_INTERNAL_H
#define HTI_NODE_TLS_INTERNAL_H

#include <openssl/ssl.h>

#include "node/tls.h"
#include "node/tls_bio.h"

struct hti_tls {
    _Atomic unsigned refs;
    SSL_CTX *client_cookie, *server_cookie;
    SSL_CTX *client_cert, *server_cert; /* NULL: none configured */
};

struct hti_tls_conn {
    struct hti_tls *tls;
    struct hti_keyring *keys;
    SSL *ssl;
    struct hti_tls_pipe pipe;
    bool initiator, cert_optional;
    bool first_seen, unknown_cookie, offered_psk;
    unsigned encryption;
    enum hti_session_mode mode;
    const struct hti_keys *key;
    uint8_t exporter[HTI_EXPORTER_BYTES];
    uint64_t rekey_bytes, rekey_at, written;
    char host[256]; /* that a ractor peer's certificate must hold */
    char why[160];
};

#endif /* HTI_NODE_TLS_INTERNAL_H */
