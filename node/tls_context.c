/* SPDX-License-Identifier: Apache-2.0 */
/* tls_context.c - what the connections of a node share: suites, certificates,
 * and how a cookie becomes a PSK. */
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/tls_aes.h"
#include "node/tls_internal.h"

/* One hash for every suite.  With a SHA-384 suite among them the server would
 * choose that first and silently drop a PSK of SHA-256 (openssl#21226). */
#define SUITES "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"

/* PSK identity: the version of what it says, then the key id. */
#define IDENTITY_TAG     "HT1"
#define IDENTITY_TAG_LEN 3
#define IDENTITY_LEN     (IDENTITY_TAG_LEN + HTI_KEY_ID_BYTES)

static const unsigned char session_context[] = "hardtack";

/* ---- PSK ---------------------------------------------------------------- */

static SSL_SESSION *psk_session(SSL *ssl, const struct hti_keys *key)
{
    static const unsigned char suite[] = {0x13, 0x01};
    const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, suite);
    SSL_SESSION *session = SSL_SESSION_new();

    if (session == NULL || cipher == NULL ||
        !SSL_SESSION_set1_master_key(session, key->psk, sizeof(key->psk)) ||
        !SSL_SESSION_set_cipher(session, cipher) ||
        !SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) ||
        !SSL_SESSION_set1_id_context(session, session_context,
                                     sizeof(session_context) - 1)) {
        SSL_SESSION_free(session);
        return NULL;
    }
    return session;
}

static int psk_use(SSL *ssl,
                   const EVP_MD *md,
                   const unsigned char **id,
                   size_t *id_len,
                   SSL_SESSION **ret_session)
{
    static _Thread_local unsigned char identity[IDENTITY_LEN];
    struct hti_tls_conn *conn = SSL_get_app_data(ssl);

    *ret_session = NULL;
    /* After a HelloRetryRequest md is set: a fetched copy, so that comparing
     * pointers would refuse the right hash. */
    if (md != NULL && EVP_MD_get_type(md) != NID_sha256) {
        return 1;
    }
    conn->key = hti_keyring_at(conn->keys, 0);
    /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): it has a length */
    memcpy(identity, IDENTITY_TAG, IDENTITY_TAG_LEN);
    memcpy(identity + IDENTITY_TAG_LEN, conn->key->id, HTI_KEY_ID_BYTES);
    *ret_session = psk_session(ssl, conn->key);
    *id = identity;
    *id_len = sizeof(identity);
    return *ret_session != NULL;
}

static int psk_find(SSL *ssl,
                    const unsigned char *id,
                    size_t id_len,
                    SSL_SESSION **ret_session)
{
    struct hti_tls_conn *conn = SSL_get_app_data(ssl);
    const struct hti_keys *key;

    *ret_session = NULL;
    if ((conn->encryption & HT_ENCRYPT_BIT(HT_ENCRYPT_COOKIE)) == 0) {
        return 1;
    }
    conn->offered_psk = true;
    if (id_len != IDENTITY_LEN ||
        memcmp(id, IDENTITY_TAG, IDENTITY_TAG_LEN) != 0) {
        conn->unknown_cookie = true;
        return 1;
    }
    key = hti_keyring_find(conn->keys, id + IDENTITY_TAG_LEN);
    if (key == NULL) {
        conn->unknown_cookie = true;
        return 1;
    }
    *ret_session = psk_session(ssl, key);
    if (*ret_session != NULL) {
        conn->key = key;
    }
    return *ret_session != NULL;
}

/* ---- contexts ----------------------------------------------------------- */

static SSL_CTX *ctx_new(bool server)
{
    const char *properties;
    OSSL_LIB_CTX *lib = hti_tls_aes_context(&properties);
    SSL_CTX *ctx = SSL_CTX_new_ex(
        lib, properties, server ? TLS_server_method() : TLS_client_method());

    if (ctx == NULL) {
        return NULL;
    }
    if (!SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) ||
        !SSL_CTX_set_ciphersuites(ctx, SUITES) ||
        !SSL_CTX_set_num_tickets(ctx, 0) ||
        !SSL_CTX_set_session_id_context(ctx, session_context,
                                        sizeof(session_context) - 1)) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
    /* Not SSL_MODE_RELEASE_BUFFERS: that makes and frees a buffer a record.
     * hti_tls_rest() frees those of connections that are not in use. */
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* Without VERIFY_PEER a client would take any certificate of a server that
     * does not know the PSK. */
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    if (server) {
        SSL_CTX_set_psk_find_session_callback(ctx, psk_find);
    }
    return ctx;
}

static ht_err
file_error(const char *what, const char *path, char *why, size_t why_len)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(code);
    int saved;

    ERR_clear_error();
    if (access(path, R_OK) < 0) {
        saved = errno;
        snprintf(why, why_len, "%s %s: %s", what, path, strerror(saved));
        return saved == EACCES ? HT_EACCES : HT_ENOENT;
    }
    snprintf(why, why_len, "%s %s: %s", what, path,
             reason == NULL ? "cannot be used" : reason);
    return HT_ETLS;
}

static ht_err ctx_load(SSL_CTX *ctx,
                       const struct hti_tls_files *files,
                       bool server,
                       char *why,
                       size_t why_len)
{
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(ctx, files->cert) != 1) {
        return file_error("tls_cert_file", files->cert, why, why_len);
    }
    if (SSL_CTX_use_PrivateKey_file(ctx, files->key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(ctx) != 1) {
        return file_error("tls_key_file", files->key, why, why_len);
    }
    if (SSL_CTX_load_verify_file(ctx, files->ca) != 1) {
        return file_error("tls_ca_file", files->ca, why, why_len);
    }
    if (server) {
        /* So that the peer knows which certificate is wanted. */
        STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(files->ca);

        if (names != NULL) {
            SSL_CTX_set_client_CA_list(ctx, names);
        }
    }
    return HT_OK;
}

ht_err hti_tls_new(const struct hti_tls_files *files,
                   struct hti_tls **ret_tls,
                   char *why,
                   size_t why_len)
{
    struct hti_tls *tls = calloc(1, sizeof(*tls));
    ht_err err = HT_ENOMEM;

    snprintf(why, why_len, "out of memory");
    if (tls == NULL) {
        return HT_ENOMEM;
    }
    atomic_init(&tls->refs, 1);
    tls->client_cookie = ctx_new(false);
    tls->server_cookie = ctx_new(true);
    if (tls->client_cookie == NULL || tls->server_cookie == NULL) {
        goto fail;
    }
    SSL_CTX_set_psk_use_session_callback(tls->client_cookie, psk_use);
    if (files->cert != NULL) {
        tls->client_cert = ctx_new(false);
        tls->server_cert = ctx_new(true);
        if (tls->client_cert == NULL || tls->server_cert == NULL) {
            goto fail;
        }
        err = ctx_load(tls->client_cert, files, false, why, why_len);
        if (err == HT_OK) {
            err = ctx_load(tls->server_cert, files, true, why, why_len);
        }
        if (err != HT_OK) {
            goto fail;
        }
    }
    *ret_tls = tls;
    why[0] = '\0';
    return HT_OK;
fail:
    ERR_clear_error();
    hti_tls_unref(tls);
    return err;
}

struct hti_tls *hti_tls_ref(struct hti_tls *tls)
{
    atomic_fetch_add_explicit(&tls->refs, 1, memory_order_relaxed);
    return tls;
}

struct hti_tls *hti_tls_unref(struct hti_tls *tls)
{
    if (tls == NULL ||
        atomic_fetch_sub_explicit(&tls->refs, 1, memory_order_acq_rel) != 1) {
        return NULL;
    }
    SSL_CTX_free(tls->client_cookie);
    SSL_CTX_free(tls->server_cookie);
    SSL_CTX_free(tls->client_cert);
    SSL_CTX_free(tls->server_cert);
    free(tls);
    return NULL;
}

bool hti_tls_has_certificate(const struct hti_tls *tls)
{
    return tls->server_cert != NULL;
}
