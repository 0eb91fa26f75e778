/* SPDX-License-Identifier: Apache-2.0 */
#include "node/tls.h"

#include <arpa/inet.h>
#include <assert.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "node/tls_internal.h"

#define EXPORTER_LABEL "EXPORTER-hardtack"

/* AES-GCM is good for some 2^24 full records under one key; change it long
 * before. */
#define REKEY_BYTES (UINT64_C(16) << 30)

static void set_why(struct hti_tls_conn *conn, const char *text)
{
    snprintf(conn->why, sizeof(conn->why), "%s", text);
}

/* ---- connections -------------------------------------------------------- */

static SSL_CTX *pick_ctx(const struct hti_tls_params *params)
{
    bool cert = (params->encryption & HT_ENCRYPT_BIT(HT_ENCRYPT_TLS)) != 0;

    if (params->initiator) {
        return cert ? params->tls->client_cert : params->tls->client_cookie;
    }
    return cert ? params->tls->server_cert : params->tls->server_cookie;
}

/* Chooses a certificate where a peer has several, and proves nothing; an
 * address is no name. */
static bool set_server_name(struct hti_tls_conn *conn, const char *name)
{
    struct in6_addr address;

    if (inet_pton(AF_INET, name, &address) == 1 ||
        inet_pton(AF_INET6, name, &address) == 1) {
        return true;
    }
    return SSL_set_tlsext_host_name(conn->ssl, name) == 1;
}

static bool conn_setup(struct hti_tls_conn *conn,
                       const struct hti_tls_params *params)
{
    BIO *bio = hti_tls_bio_new(&conn->pipe);

    conn->ssl = SSL_new(pick_ctx(params));
    if (conn->ssl == NULL || bio == NULL) {
        BIO_free(bio);
        return false;
    }
    SSL_set_bio(conn->ssl, bio, bio);
    SSL_set_app_data(conn->ssl, conn);
    if (!conn->initiator) {
        if (!conn->cert_optional) {
            SSL_set_verify(conn->ssl,
                           SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                           NULL);
        }
        SSL_set_accept_state(conn->ssl);
        return true;
    }
    SSL_set_connect_state(conn->ssl);
    if (params->server_name != NULL || params->host != NULL) {
        snprintf(conn->host, sizeof(conn->host), "%s",
                 params->server_name != NULL ? params->server_name
                                             : params->host);
    }
    return params->server_name == NULL ||
           set_server_name(conn, params->server_name);
}

ht_err hti_tls_conn_new(const struct hti_tls_params *params,
                        struct hti_tls_conn **ret_conn,
                        const char **ret_why)
{
    bool cookie = (params->encryption & HT_ENCRYPT_BIT(HT_ENCRYPT_COOKIE)) != 0;
    struct hti_tls_conn *conn;

    if (params->initiator && cookie && hti_keyring_count(params->keys) == 0) {
        *ret_why = "no cookie is configured";
        return HT_EAUTH;
    }
    if (pick_ctx(params) == NULL) {
        *ret_why = "no certificate is configured (tls_cert_file)";
        return HT_ETLS;
    }
    *ret_why = "out of memory";
    conn = calloc(1, sizeof(*conn));
    if (conn == NULL) {
        return HT_ENOMEM;
    }
    conn->tls = hti_tls_ref(params->tls);
    conn->keys = hti_keyring_ref(params->keys);
    conn->initiator = params->initiator;
    conn->encryption = params->encryption;
    conn->cert_optional = params->cert_optional;
    conn->pipe.out = params->sink;
    conn->rekey_bytes =
        params->rekey_bytes == 0 ? REKEY_BYTES : params->rekey_bytes;
    conn->rekey_at = conn->rekey_bytes;
    ERR_clear_error();
    if (!conn_setup(conn, params)) {
        hti_tls_conn_free(conn);
        return HT_ENOMEM;
    }
    *ret_conn = conn;
    return HT_OK;
}

void hti_tls_conn_free(struct hti_tls_conn *conn)
{
    if (conn == NULL) {
        return;
    }
    SSL_free(conn->ssl);
    hti_keyring_unref(conn->keys);
    hti_tls_unref(conn->tls);
    free(conn);
}

void hti_tls_conn_set_sink(struct hti_tls_conn *conn, struct hti_sink *sink)
{
    conn->pipe.out = sink;
}

void hti_tls_feed(struct hti_tls_conn *conn, const void *data, size_t len)
{
    conn->pipe.in = data;
    conn->pipe.in_len = len;
}

bool hti_tls_is_fed(const struct hti_tls_conn *conn)
{
    return conn->pipe.in_len > 0;
}

/* ---- what went wrong ---------------------------------------------------- */

#define ALERT(reason) (SSL_AD_REASON_OFFSET + (reason))

static ht_err explain_cookie_initiator(struct hti_tls_conn *conn, int reason)
{
    switch (reason) {
    case ALERT(SSL_AD_HANDSHAKE_FAILURE):
    case ALERT(SSL_AD_INTERNAL_ERROR):
        set_why(conn, "peer does not know our cookie");
        return HT_EAUTH;
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
        set_why(conn, "peer does not know our cookie, or wants certificates");
        return HT_EAUTH;
    case ALERT(SSL_AD_ILLEGAL_PARAMETER):
    case ALERT(SSL_AD_DECRYPT_ERROR):
        set_why(conn, "wrong cookie");
        return HT_EAUTH;
    default:
        return HT_OK;
    }
}

static ht_err explain_acceptor(struct hti_tls_conn *conn, int reason)
{
    switch (reason) {
    case SSL_R_BINDER_DOES_NOT_VERIFY:
        set_why(conn, "wrong cookie");
        return HT_EAUTH;
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_SHARED_CIPHER:
        if (conn->tls->server_cert == NULL ||
            (conn->encryption & HT_ENCRYPT_BIT(HT_ENCRYPT_TLS)) == 0) {
            set_why(conn, "peer offers no cookie");
            return HT_EAUTH;
        }
        return HT_OK;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        set_why(conn, "peer has no certificate");
        return HT_EAUTH;
    default:
        return HT_OK;
    }
}

static ht_err explain_alert(struct hti_tls_conn *conn, int reason)
{
    switch (reason) {
    case ALERT(TLS1_AD_UNKNOWN_CA):
        set_why(conn, "peer does not trust our certificate's issuer");
        return HT_ETLS;
    case ALERT(SSL_AD_CERTIFICATE_EXPIRED):
        set_why(conn, "peer says that our certificate has expired");
        return HT_ETLS;
    case ALERT(SSL_AD_CERTIFICATE_REQUIRED):
        set_why(conn, "peer wants a certificate from us");
        return HT_ETLS;
    case ALERT(SSL_AD_BAD_CERTIFICATE):
    case ALERT(SSL_AD_UNSUPPORTED_CERTIFICATE):
    case ALERT(SSL_AD_CERTIFICATE_REVOKED):
    case ALERT(SSL_AD_CERTIFICATE_UNKNOWN):
        set_why(conn, "peer refuses our certificate");
        return HT_ETLS;
    case ALERT(SSL_AD_PROTOCOL_VERSION):
        set_why(conn, "peer's port takes no TLS 1.3");
        return HT_ETLS;
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_UNSUPPORTED_PROTOCOL:
        set_why(conn, "peer does not speak TLS 1.3");
        return HT_ETLS;
    default:
        return HT_OK;
    }
}

/* Turn OpenSSL's error queue into one error and one sentence. */
static ht_err explain(struct hti_tls_conn *conn)
{
    unsigned long code = ERR_peek_error();
    int reason = ERR_GET_REASON(code);
    const char *text = ERR_reason_error_string(code);
    ht_err err = HT_OK;

    if (conn->unknown_cookie) {
        set_why(conn, "peer has a cookie that we do not know");
        err = HT_EAUTH;
    } else if (conn->initiator &&
               conn->encryption == HT_ENCRYPT_BIT(HT_ENCRYPT_COOKIE)) {
        err = explain_cookie_initiator(conn, reason);
    } else if (!conn->initiator) {
        err = explain_acceptor(conn, reason);
    }
    if (err == HT_OK && reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        snprintf(
            conn->why, sizeof(conn->why), "peer's certificate: %s",
            X509_verify_cert_error_string(SSL_get_verify_result(conn->ssl)));
        err = HT_ETLS;
    }
    if (err == HT_OK) {
        err = explain_alert(conn, reason);
    }
    if (err == HT_OK) {
        set_why(conn, text == NULL ? "TLS failed" : text);
        err = HT_ETLS;
    }
    ERR_clear_error();
    return err;
}

/* ---- handshake ---------------------------------------------------------- */

static ht_err check_psk(struct hti_tls_conn *conn)
{
    if (conn->key == NULL || SSL_get0_peer_certificate(conn->ssl) != NULL ||
        (conn->encryption & HT_ENCRYPT_BIT(HT_ENCRYPT_COOKIE)) == 0) {
        set_why(conn, "the cookie was not used");
        return HT_EAUTH;
    }
    conn->mode = HTI_MODE_COOKIE;
    return HT_OK;
}

static ht_err check_cert(struct hti_tls_conn *conn)
{
    X509 *cert = SSL_get0_peer_certificate(conn->ssl);

    if ((conn->encryption & HT_ENCRYPT_BIT(HT_ENCRYPT_TLS)) == 0) {
        set_why(conn, "the cookie was not used");
        return HT_EAUTH;
    }
    if (cert == NULL && (conn->initiator || !conn->cert_optional)) {
        set_why(conn, "peer has no certificate");
        return HT_EAUTH;
    }
    if (cert != NULL && SSL_get_verify_result(conn->ssl) != X509_V_OK) {
        set_why(conn, "peer's certificate is not valid");
        return HT_ETLS;
    }
    conn->key = NULL;
    conn->mode = HTI_MODE_TLS;
    return HT_OK;
}

static int handshake_done(struct hti_tls_conn *conn)
{
    ht_err err;

    /* No tickets are given out, so only a PSK is ever resumed. */
    err = SSL_session_reused(conn->ssl) ? check_psk(conn) : check_cert(conn);
    if (err != HT_OK) {
        return (int)err;
    }
    if (SSL_export_keying_material(
            conn->ssl, conn->exporter, sizeof(conn->exporter), EXPORTER_LABEL,
            sizeof(EXPORTER_LABEL) - 1, NULL, 0, 0) != 1) {
        return (int)explain(conn);
    }
    return 1;
}

int hti_tls_handshake(struct hti_tls_conn *conn)
{
    int rc;

    if (!conn->first_seen && conn->pipe.in_len > 0) {
        conn->first_seen = true;
        /* A record is a handshake (22) or an alert (21); a ractor frame starts
         * with a length below 2^56. */
        if (conn->pipe.in[0] != 0x16 && conn->pipe.in[0] != 0x15) {
            set_why(conn, conn->pipe.in[0] == 0
                              ? "peer's port is plaintext, not TLS"
                              : "peer speaks neither TLS nor our protocol");
            return (int)HT_ETLS;
        }
    }
    ERR_clear_error();
    rc = SSL_do_handshake(conn->ssl);
    if (rc == 1) {
        return handshake_done(conn);
    }
    switch (SSL_get_error(conn->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return 0;
    default:
        return (int)explain(conn);
    }
}

/* ---- data --------------------------------------------------------------- */

/* SSL_get_error() looks at the thread's errors: there must be none before.
 * Asking first, since clearing costs as much as a small record. */
static void forget_errors(void)
{
    if (ERR_peek_error() != 0) {
        ERR_clear_error();
    }
}

long hti_tls_read(struct hti_tls_conn *conn, void *into, size_t cap)
{
    size_t n = 0;

    forget_errors();
    if (SSL_read_ex(conn->ssl, into, cap, &n) == 1) {
        return (long)n;
    }
    switch (SSL_get_error(conn->ssl, 0)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return 0;
    case SSL_ERROR_ZERO_RETURN:
        return HT_ECLOSED;
    default:
        return explain(conn);
    }
}

long hti_tls_write(struct hti_tls_conn *conn, const void *data, size_t len)
{
    size_t n = 0;

    assert(conn->pipe.out->cap - conn->pipe.out->len >= HTI_TLS_RECORD_ROOM);

    if (len > HTI_TLS_RECORD) {
        len = HTI_TLS_RECORD;
    }
    if (conn->written >= conn->rekey_at) {
        conn->rekey_at = conn->written + conn->rekey_bytes;
        SSL_key_update(conn->ssl, SSL_KEY_UPDATE_REQUESTED);
    }
    forget_errors();
    if (SSL_write_ex(conn->ssl, data, len, &n) != 1) {
        return explain(conn);
    }
    conn->written += n;
    return (long)n;
}

void hti_tls_rest(struct hti_tls_conn *conn)
{
    SSL_free_buffers(conn->ssl);
}

void hti_tls_bye(struct hti_tls_conn *conn)
{
    if (conn->mode != HTI_MODE_NONE) {
        ERR_clear_error();
        SSL_shutdown(conn->ssl);
        ERR_clear_error();
    }
}

/* ---- after the handshake ------------------------------------------------ */

enum hti_session_mode hti_tls_mode(const struct hti_tls_conn *conn)
{
    return conn->mode;
}

const struct hti_keys *hti_tls_key(const struct hti_tls_conn *conn)
{
    return conn->key;
}

struct hti_keyring *hti_tls_keyring(const struct hti_tls_conn *conn)
{
    return conn->keys;
}

const uint8_t *hti_tls_exporter(const struct hti_tls_conn *conn)
{
    return conn->exporter;
}

const char *hti_tls_why(const struct hti_tls_conn *conn)
{
    return conn->why;
}

/* A client of a node bears the node's name with a mark of its own in it:
 * name+0123456789abcdef@host is one of name@host's.  Hence one certificate is
 * good for any number of them at once. */
static bool is_name_or_client(const char *name, const char *uri, size_t len)
{
    const char *at = strchr(name, '@');
    size_t mark = 1 + HTI_CLIENT_MARK, before;

    if (len == strlen(name)) {
        return memcmp(uri, name, len) == 0;
    }
    if (at == NULL || (size_t)(at - name) <= mark ||
        len + mark != strlen(name) || at[-(ptrdiff_t)mark] != '+' ||
        strspn(at - HTI_CLIENT_MARK, "0123456789abcdef") != HTI_CLIENT_MARK) {
        return false;
    }
    before = (size_t)(at - name) - mark;
    return memcmp(uri, name, before) == 0 &&
           memcmp(uri + before, at, len - before) == 0;
}

/* 1: a URI names the node; 0: URIs of ours name others; -1: it has none. */
static int uri_matches(X509 *cert, const char *name)
{
    GENERAL_NAMES *names =
        X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    size_t prefix = sizeof(HTI_CERT_URI) - 1;
    int found = -1;

    for (int i = 0; i < sk_GENERAL_NAME_num(names) && found != 1; i++) {
        const GENERAL_NAME *san = sk_GENERAL_NAME_value(names, i);
        const char *uri;
        size_t len;

        if (san->type != GEN_URI) {
            continue;
        }
        uri = (const char *)ASN1_STRING_get0_data(
            san->d.uniformResourceIdentifier);
        len = (size_t)ASN1_STRING_length(san->d.uniformResourceIdentifier);
        if (len < prefix || memcmp(uri, HTI_CERT_URI, prefix) != 0) {
            continue;
        }
        found = is_name_or_client(name, uri + prefix, len - prefix);
    }
    GENERAL_NAMES_free(names);
    return found;
}

/* Names are compared as OpenSSL compares them: no wildcard in part of a label,
 * no common name. */
static bool host_matches(X509 *cert, const char *host)
{
    unsigned flags = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                     X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;

    return X509_check_host(cert, host, 0, flags, NULL) == 1 ||
           X509_check_ip_asc(cert, host, 0) == 1;
}

/* Who dialled knows where; who accepted knows only what the peer claims.  URIs
 * of ours limit which names a certificate is good for, whoever asks. */
static bool
ractor_matches(const struct hti_tls_conn *conn, X509 *cert, const char *name)
{
    const char *at = strchr(name, '@');
    int uri;

    if (cert == NULL) {
        return !conn->initiator && conn->cert_optional;
    }
    uri = uri_matches(cert, name);
    if (uri == 0) {
        return false;
    }
    if (conn->initiator) {
        return conn->host[0] != '\0' && host_matches(cert, conn->host);
    }
    return uri == 1 || (at != NULL && host_matches(cert, at + 1));
}

bool hti_tls_cert_matches(const struct hti_tls_conn *conn,
                          const char *name,
                          bool hardtack)
{
    X509 *cert = SSL_get0_peer_certificate(conn->ssl);

    if (conn->mode != HTI_MODE_TLS) {
        return false;
    }
    if (!hardtack) {
        return ractor_matches(conn, cert, name);
    }
    return cert != NULL && uri_matches(cert, name) == 1;
}
