/* SPDX-License-Identifier: Apache-2.0 */
/* tls_bio.h - a BIO that reads from lent bytes and appends to a sink, so that a
 * connection keeps no buffer of its own between calls. */
#ifndef HTI_NODE_TLS_BIO_H
#define HTI_NODE_TLS_BIO_H

#include <openssl/bio.h>

#include "node/loop.h"

struct hti_tls_pipe {
    const uint8_t *in; /* lent */
    size_t in_len;
    struct hti_sink *out;
};

/* NULL: no memory. Borrows pipe. */
BIO *hti_tls_bio_new(struct hti_tls_pipe *pipe);

#endif /* HTI_NODE_TLS_BIO_H */
