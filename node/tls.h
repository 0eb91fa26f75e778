/* SPDX-License-Identifier: Apache-2.0 */
/* tls.h - TLS 1.3 over bytes: no sockets, no loop.
 *
 * Two ways to be trusted, one port for both:
 *   cookie       an external PSK made of the cookie, with (EC)DHE, and no
 *                certificate on either side;
 *   certificates mutual, by a CA that the operator names.
 * Which of them a connection may use is policy (enum ht_encryption bits), given
 * when it is made; nothing falls back.
 *
 * A Hardtack node's name in its certificate is the URI "hardtack:name@host"
 * among the subject alternative names (a DNS name cannot hold an '@'), and
 * nothing else stands for it.  Of ractor nodes nobody can ask for that: their
 * certificates are checked as the web's are, by the host that was dialled.
 *
 * Thread: struct hti_tls: any.  struct hti_tls_conn: its connection's loop.
 * Lifetime: hti_tls is reference-counted; a reload makes a new one, and
 * connections keep theirs.
 */
#ifndef HTI_NODE_TLS_H
#define HTI_NODE_TLS_H

#include <hardtack/node.h>

#include "node/loop.h"
#include "session/session.h"

#define HTI_CERT_URI "hardtack:"
/* Hexadecimal digits behind the '+' in the name of a node's client. */
#define HTI_CLIENT_MARK 16

struct hti_tls;
struct hti_tls_conn;

/* What is configured; cert, key and ca are all set or all NULL. */
struct hti_tls_files {
    const char *cert, *key, *ca;
};
/* HT_ETLS, HT_ENOENT, HT_EACCES, HT_ENOMEM; why says what and where. */
HT_MUSTUSE ht_err hti_tls_new(const struct hti_tls_files *files,
                              struct hti_tls **ret_tls,
                              char *why,
                              size_t why_len);
struct hti_tls *hti_tls_ref(struct hti_tls *tls);
struct hti_tls *hti_tls_unref(struct hti_tls *tls);
bool hti_tls_has_certificate(const struct hti_tls *tls);

struct hti_tls_params {
    struct hti_tls *tls;      /* referenced */
    struct hti_keyring *keys; /* referenced */
    bool initiator;
    unsigned encryption; /* HT_ENCRYPT_BIT()s; one if initiator */
    bool cert_optional;  /* acceptor: a ractor peer without one may come in */
    /* Initiator with certificates: the name to ask for (SNI), and the host that
     * was dialled; either may be NULL.  A ractor peer's certificate must hold
     * the first, or without one the second. */
    const char *server_name;
    const char *host;
    uint64_t rekey_bytes; /* written under one key; 0: the usual, for tests */
    /* Where ciphertext goes; emptied by the caller after each call below. */
    struct hti_sink *sink;
};
/* HT_EAUTH: no cookie to dial with; HT_ETLS: no certificate; HT_ENOMEM. */
HT_MUSTUSE ht_err hti_tls_conn_new(const struct hti_tls_params *params,
                                   struct hti_tls_conn **ret_conn,
                                   const char **ret_why);
void hti_tls_conn_free(struct hti_tls_conn *conn);
void hti_tls_conn_set_sink(struct hti_tls_conn *conn, struct hti_sink *sink);

/* Lend it ciphertext, until a read or handshake says that it wants more. */
void hti_tls_feed(struct hti_tls_conn *conn, const void *data, size_t len);
bool hti_tls_is_fed(const struct hti_tls_conn *conn); /* some is left */
/* 1: done, 0: wants more bytes, negative: an ht_err; see hti_tls_why(). */
int hti_tls_handshake(struct hti_tls_conn *conn);
/* Plaintext read; 0: wants more bytes; an ht_err; HT_ECLOSED: the peer said
 * goodbye. */
long hti_tls_read(struct hti_tls_conn *conn, void *into, size_t cap);
/* Encrypt at most one record (16 KiB).  Returns how much was taken; needs
 * HTI_TLS_RECORD_ROOM free in the sink. */
#define HTI_TLS_RECORD      (16 * 1024)
#define HTI_TLS_RECORD_ROOM (HTI_TLS_RECORD + 512)
long hti_tls_write(struct hti_tls_conn *conn, const void *data, size_t len);
/* Give back the buffers of OpenSSL's that hold nothing, some 34 KiB: after a
 * handshake, and when others were used since. */
void hti_tls_rest(struct hti_tls_conn *conn);
/* Say goodbye, into the sink. */
void hti_tls_bye(struct hti_tls_conn *conn);

/* ---- after the handshake ---- */
enum hti_session_mode hti_tls_mode(const struct hti_tls_conn *conn);
const struct hti_keys *hti_tls_key(const struct hti_tls_conn *conn);
struct hti_keyring *hti_tls_keyring(const struct hti_tls_conn *conn);
const uint8_t *hti_tls_exporter(const struct hti_tls_conn *conn);
/* HTI_MODE_TLS: whether the peer's certificate is good for node name; hardtack:
 * of a Hardtack node. */
bool hti_tls_cert_matches(const struct hti_tls_conn *conn,
                          const char *name,
                          bool hardtack);
/* What went wrong, in words. */
const char *hti_tls_why(const struct hti_tls_conn *conn);

#endif /* HTI_NODE_TLS_H */
