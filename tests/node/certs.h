/* SPDX-License-Identifier: Apache-2.0 */
/* certs.h - a certificate authority for a test, and what it signs. */
#ifndef TESTS_NODE_CERTS_H
#define TESTS_NODE_CERTS_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "tests/node/fixture.h"

struct ca {
    EVP_PKEY *key;
    X509 *cert;
};

static inline void add_ext(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *ext;

    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    CHECK(ext != NULL);
    X509_add_ext(cert, ext, -1);
    X509_EXTENSION_free(ext);
}

/* days: how long it is still valid; negative: expired. */
static inline X509 *make_cert(EVP_PKEY *key,
                              const char *common_name,
                              const char *san,
                              struct ca *ca,
                              int days)
{
    static long serial = 1;
    X509 *cert = X509_new();
    X509_NAME *name;

    ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
    X509_set_version(cert, 2);
    X509_gmtime_adj(X509_getm_notBefore(cert), -10L * 86400);
    X509_gmtime_adj(X509_getm_notAfter(cert), 86400L * days);
    X509_set_pubkey(cert, key);
    name = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               (const unsigned char *)common_name, -1, -1, 0);
    X509_set_issuer_name(cert,
                         X509_get_subject_name(ca == NULL ? cert : ca->cert));
    if (ca == NULL) {
        add_ext(cert, cert, NID_basic_constraints, "critical,CA:TRUE");
    } else {
        add_ext(cert, ca->cert, NID_ext_key_usage, "serverAuth,clientAuth");
    }
    if (san != NULL) {
        add_ext(cert, ca == NULL ? cert : ca->cert, NID_subject_alt_name, san);
    }
    CHECK(X509_sign(cert, ca == NULL ? key : ca->key, NULL) > 0);
    return cert;
}

static inline void ca_init(struct ca *ca, const char *name)
{
    ca->key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    ca->cert = make_cert(ca->key, name, NULL, NULL, 30);
}

static inline void ca_fini(struct ca *ca)
{
    EVP_PKEY_free(ca->key);
    X509_free(ca->cert);
}

static inline void save_cert(const char *path, X509 *cert)
{
    FILE *f = fopen(path, "w");

    CHECK(f != NULL);
    CHECK(PEM_write_X509(f, cert));
    fclose(f);
}

/* Files of one node. */
struct cert_files {
    char *cert, *key, *ca;
};

static inline struct cert_files make_files(
    const char *dir, const char *name, struct ca *ca, const char *san, int days)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    X509 *cert = make_cert(key, name, san, ca, days);
    struct cert_files files;
    char base[64];
    FILE *f;

    snprintf(base, sizeof(base), "%s.crt", name);
    files.cert = temp_path(dir, base);
    snprintf(base, sizeof(base), "%s.key", name);
    files.key = temp_path(dir, base);
    snprintf(base, sizeof(base), "%s-ca.crt", name);
    files.ca = temp_path(dir, base);
    save_cert(files.cert, cert);
    save_cert(files.ca, ca->cert);
    f = fopen(files.key, "w");
    CHECK(f != NULL);
    CHECK(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL));
    fclose(f);
    EVP_PKEY_free(key);
    X509_free(cert);
    return files;
}

static inline void remove_files(struct cert_files *files)
{
    unlink(files->cert);
    unlink(files->key);
    unlink(files->ca);
    free(files->cert);
    free(files->key);
    free(files->ca);
}

static inline void use_files(ht_config *config, const struct cert_files *files)
{
    config->tls_cert_file = files->cert;
    config->tls_key_file = files->key;
    config->tls_ca_file = files->ca;
}

#endif /* TESTS_NODE_CERTS_H */
