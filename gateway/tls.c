/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/tls.h"

#include <openssl/err.h>
#include <stdio.h>

#include "gateway/loop.h"

/* What HTTP/1.1 and WebSocket need; a client that asks for h2 only is told. */
static const uint8_t alpn[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

static int choose_alpn(SSL *ssl,
                       const unsigned char **out,
                       unsigned char *out_len,
                       const unsigned char *in,
                       unsigned in_len,
                       void *arg)
{
    unsigned char *chosen;

    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto(&chosen, out_len, alpn, sizeof(alpn), in,
                              in_len) != OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static ht_err fail(SSL_CTX *context, const char *what, char *why, size_t len)
{
    char text[200];

    ERR_error_string_n(ERR_get_error(), text, sizeof(text));
    ERR_clear_error();
    snprintf(why, len, "%s: %s", what, text);
    SSL_CTX_free(context);
    return HT_ETLS;
}

ht_err gw_tls_context(const char *certificate,
                      const char *private_key,
                      SSL_CTX **ret_context,
                      char *why,
                      size_t why_len)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    if (context == NULL) {
        ERR_clear_error();
        return HT_ENOMEM;
    }
    ERR_clear_error();
    (void)SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    (void)SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION |
                                           SSL_OP_NO_COMPRESSION |
                                           SSL_OP_CIPHER_SERVER_PREFERENCE |
                                           SSL_OP_IGNORE_UNEXPECTED_EOF);
    (void)SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS |
                                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    (void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_alpn_select_cb(context, choose_alpn, NULL);
    if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1) {
        return fail(context, certificate, why, why_len);
    }
    if (SSL_CTX_use_PrivateKey_file(context, private_key, SSL_FILETYPE_PEM) !=
            1 ||
        SSL_CTX_check_private_key(context) != 1) {
        return fail(context, private_key, why, why_len);
    }
    *ret_context = context;
    return HT_OK;
}

SSL *gw_tls_new(SSL_CTX *context, int fd)
{
    SSL *tls = SSL_new(context);

    if (tls == NULL || SSL_set_fd(tls, fd) != 1) {
        ERR_clear_error();
        SSL_free(tls);
        return NULL;
    }
    SSL_set_accept_state(tls);
    return tls;
}

bool gw_tls_is_shaking(const struct gw_conn *c)
{
    return c->tls != NULL && !SSL_is_init_finished(c->tls);
}

static enum gw_tls_result result(struct gw_conn *c, int rc)
{
    switch (SSL_get_error(c->tls, rc)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return GW_TLS_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return GW_TLS_OVER;
    default:
        if (!SSL_is_init_finished(c->tls)) {
            gw_count(c->loop, GW_TLS_FAILED, 1);
        }
        ERR_clear_error();
        return GW_TLS_OVER;
    }
}

ssize_t gw_tls_read(struct gw_conn *c, uint8_t *buf, size_t len)
{
    size_t total = 0;

    ERR_clear_error();
    do {
        int pending = SSL_pending(c->tls);
        size_t want = total == 0 || (size_t)pending > len - total
                          ? len - total
                          : (size_t)pending;
        size_t got = 0;
        int rc = SSL_read_ex(c->tls, buf + total, want, &got);

        if (rc != 1) {
            enum gw_tls_result r = result(c, rc);

            if (r == GW_TLS_AGAIN && SSL_want_write(c->tls)) {
                c->blocked = true;
            }
            return total > 0 ? (ssize_t)total : r == GW_TLS_AGAIN ? 0 : -1;
        }
        total += got;
        /* What OpenSSL has decrypted, no poll would tell us of. */
    } while (SSL_pending(c->tls) > 0 && total < len);
    return (ssize_t)total;
}

enum gw_tls_result
gw_tls_write(struct gw_conn *c, const uint8_t *data, size_t len)
{
    size_t written;
    int rc;

    ERR_clear_error();
    rc = SSL_write_ex(c->tls, data, len, &written);
    return rc == 1 ? GW_TLS_OK : result(c, rc);
}

void gw_tls_shutdown(struct gw_conn *c)
{
    ERR_clear_error();
    if (SSL_is_init_finished(c->tls) && SSL_shutdown(c->tls) < 0) {
        ERR_clear_error();
    }
}
