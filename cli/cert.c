/* SPDX-License-Identifier: Apache-2.0 */
/* cert.c - a small certificate authority for `encryption = tls`.
 *
 *   hardtack cert ca DIR                     DIR/ca.pem, DIR/ca.key
 *   hardtack cert node DIR NAME@HOST         DIR/NAME@HOST.pem, .key
 *
 * Keys are P-256, which every TLS library takes (rustls among them), and are
 * readable by their owner alone.  A node's certificate carries the URI
 * "hardtack:NAME@HOST", which ties it to that node's name, and HOST as a DNS
 * name or IP address for peers that look at those.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "cli/cli.h"

#define SANS_MAX     32
#define CA_DAYS      3650
#define NODE_DAYS    825
#define DAYS_MAX     36500
#define BACKDATE_SEC 3600 /* clocks of other machines may be behind */

enum { OPT_SAN = 0x600, OPT_DAYS };

struct cert {
    const char *what; /* "ca" or "node" */
    const char *directory;
    const char *name;
    const char *sans[SANS_MAX];
    size_t sans_count;
    long days;
};

static int fail_ssl(const char *what)
{
    char text[256];

    ERR_error_string_n(ERR_get_error(), text, sizeof(text));
    return cli_fail("%s: %s", what, text);
}

/* ---- files --------------------------------------------------------------- */

static FILE *create(const char *path, unsigned mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;

    if (fd >= 0 && file == NULL) {
        (void)close(fd);
    }
    if (file == NULL) {
        (void)cli_fail(errno == EEXIST ? "%s exists and is not overwritten: %s"
                                       : "cannot make %s: %s",
                       path, strerror(errno));
    }
    return file;
}

static int write_key(const char *path, EVP_PKEY *key)
{
    FILE *file = create(path, 0600);
    int ok;

    if (file == NULL) {
        return EXIT_FAILED;
    }
    ok = PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    if (fclose(file) != 0 || !ok) {
        (void)unlink(path);
        return cli_fail("cannot write %s: %s", path, strerror(errno));
    }
    return EXIT_OK;
}

/* cert, then the authority's, so that the file is a whole chain. */
static int write_cert(const char *path, X509 *cert, X509 *issuer)
{
    FILE *file = create(path, 0644);
    int ok;

    if (file == NULL) {
        return EXIT_FAILED;
    }
    ok = PEM_write_X509(file, cert);
    if (ok && issuer != NULL) {
        ok = PEM_write_X509(file, issuer);
    }
    if (fclose(file) != 0 || !ok) {
        (void)unlink(path);
        return cli_fail("cannot write %s: %s", path, strerror(errno));
    }
    return EXIT_OK;
}

static int read_ca(const char *directory, X509 **ret_cert, EVP_PKEY **ret_key)
{
    char path[4096];
    FILE *file;
    X509 *cert = NULL;
    EVP_PKEY *key = NULL;

    snprintf(path, sizeof(path), "%s/ca.pem", directory);
    file = fopen(path, "re");
    if (file == NULL) {
        return cli_fail("cannot read %s: %s; `hardtack cert ca %s` makes it",
                        path, strerror(errno), directory);
    }
    cert = PEM_read_X509(file, NULL, NULL, NULL);
    (void)fclose(file);
    if (cert == NULL) {
        return fail_ssl(path);
    }
    snprintf(path, sizeof(path), "%s/ca.key", directory);
    file = fopen(path, "re");
    if (file != NULL) {
        key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
        (void)fclose(file);
    }
    if (key == NULL || X509_check_private_key(cert, key) != 1) {
        X509_free(cert);
        EVP_PKEY_free(key);
        return file == NULL
                   ? cli_fail("cannot read %s: %s", path, strerror(errno))
                   : cli_fail("%s is not the key of ca.pem", path);
    }
    *ret_cert = cert;
    *ret_key = key;
    return EXIT_OK;
}

/* ---- certificates -------------------------------------------------------- */

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *extension;
    bool ok;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    ok = extension != NULL && X509_add_ext(cert, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return ok;
}

static bool add_general_name(GENERAL_NAMES *names, int type, const char *value)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_STRING *text = NULL;

    if (name == NULL) {
        return false;
    }
    if (type == GEN_IPADD) {
        text = a2i_IPADDRESS(value);
    } else {
        text = ASN1_IA5STRING_new();
        if (text != NULL && ASN1_STRING_set(text, value, -1) != 1) {
            ASN1_STRING_free(text);
            text = NULL;
        }
    }
    if (text == NULL) {
        GENERAL_NAME_free(name);
        return false;
    }
    GENERAL_NAME_set0_value(name, type, text);
    if (sk_GENERAL_NAME_push(names, name) == 0) {
        GENERAL_NAME_free(name);
        return false;
    }
    return true;
}

static bool add_host(GENERAL_NAMES *names, const char *host)
{
    uint8_t address[16];
    bool is_ip = inet_pton(AF_INET, host, address) == 1 ||
                 inet_pton(AF_INET6, host, address) == 1;

    return add_general_name(names, is_ip ? GEN_IPADD : GEN_DNS, host);
}

static bool add_sans(X509 *cert, const struct cert *in)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    char uri[600];
    bool ok = names != NULL;

    snprintf(uri, sizeof(uri), "hardtack:%s", in->name);
    ok = ok && add_general_name(names, GEN_URI, uri);
    ok = ok && add_host(names, strchr(in->name, '@') + 1);
    for (size_t i = 0; ok && i < in->sans_count; i++) {
        ok = add_host(names, in->sans[i]);
    }
    ok = ok && X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, 0) == 1;
    GENERAL_NAMES_free(names);
    return ok;
}

static bool set_serial(X509 *cert)
{
    uint8_t random[16];
    BIGNUM *number;
    bool ok;

    if (RAND_bytes(random, sizeof(random)) != 1) {
        return false;
    }
    random[0] &= 0x7f; /* positive */
    number = BN_bin2bn(random, sizeof(random), NULL);
    ok = number != NULL &&
         BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;
    BN_free(number);
    return ok;
}

/* What every certificate has; the issuer is the certificate itself for a CA.
 */
static X509 *new_cert(const char *name, long days, EVP_PKEY *key, X509 *issuer)
{
    X509 *cert = X509_new();
    X509_NAME *subject;

    if (cert == NULL || X509_set_version(cert, X509_VERSION_3) != 1 ||
        !set_serial(cert) ||
        X509_gmtime_adj(X509_getm_notBefore(cert), -BACKDATE_SEC) == NULL ||
        X509_time_adj_ex(X509_getm_notAfter(cert), (int)days, 0, NULL) ==
            NULL ||
        X509_set_pubkey(cert, key) != 1) {
        goto fail;
    }
    subject = X509_get_subject_name(cert);
    /* A common name holds 64 characters; nobody looks at it. */
    if (X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                   (const unsigned char *)name,
                                   strlen(name) > 64 ? 64 : -1, -1, 0) != 1 ||
        X509_set_issuer_name(cert, issuer != NULL
                                       ? X509_get_subject_name(issuer)
                                       : subject) != 1) {
        goto fail;
    }
    return cert;
fail:
    X509_free(cert);
    return NULL;
}

static X509 *new_ca_cert(long days, EVP_PKEY *key)
{
    X509 *cert = new_cert("Hardtack cluster", days, key, NULL);

    if (cert == NULL ||
        !add_extension(cert, cert, NID_basic_constraints, "critical,CA:TRUE") ||
        !add_extension(cert, cert, NID_key_usage,
                       "critical,keyCertSign,cRLSign") ||
        !add_extension(cert, cert, NID_subject_key_identifier, "hash") ||
        X509_sign(cert, key, EVP_sha256()) == 0) {
        X509_free(cert);
        return NULL;
    }
    return cert;
}

static X509 *
new_node_cert(const struct cert *in, EVP_PKEY *key, X509 *ca, EVP_PKEY *ca_key)
{
    X509 *cert = new_cert(in->name, in->days, key, ca);

    if (cert == NULL ||
        !add_extension(cert, ca, NID_basic_constraints, "critical,CA:FALSE") ||
        !add_extension(cert, ca, NID_key_usage, "critical,digitalSignature") ||
        /* A node dials and is dialled. */
        !add_extension(cert, ca, NID_ext_key_usage, "serverAuth,clientAuth") ||
        !add_extension(cert, ca, NID_subject_key_identifier, "hash") ||
        !add_extension(cert, ca, NID_authority_key_identifier, "keyid") ||
        !add_sans(cert, in) || X509_sign(cert, ca_key, EVP_sha256()) == 0) {
        X509_free(cert);
        return NULL;
    }
    return cert;
}

/* ---- the two commands ---------------------------------------------------- */

/* The key first: a certificate without its key is of no use, and the other way
 * round is merely untidy; both are removed if the second fails. */
static int write_pair(const struct cert *in,
                      const char *name,
                      EVP_PKEY *key,
                      X509 *cert,
                      X509 *issuer)
{
    char key_path[4096];
    char cert_path[4096];
    int code;

    snprintf(key_path, sizeof(key_path), "%s/%s.key", in->directory, name);
    snprintf(cert_path, sizeof(cert_path), "%s/%s.pem", in->directory, name);
    code = write_key(key_path, key);
    if (code != EXIT_OK) {
        return code;
    }
    code = write_cert(cert_path, cert, issuer);
    if (code != EXIT_OK) {
        (void)unlink(key_path);
        return code;
    }
    printf("%s\n%s\n", cert_path, key_path);
    return EXIT_OK;
}

static int make_ca(const struct cert *in)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = key != NULL ? new_ca_cert(in->days, key) : NULL;
    int code;

    if (mkdir(in->directory, 0700) != 0 && errno != EEXIST) {
        code = cli_fail("cannot make %s: %s", in->directory, strerror(errno));
    } else if (cert == NULL) {
        code = fail_ssl("cannot make the authority's certificate");
    } else {
        code = write_pair(in, "ca", key, cert, NULL);
    }
    X509_free(cert);
    EVP_PKEY_free(key);
    return code;
}

static int make_node(const struct cert *in)
{
    EVP_PKEY *ca_key = NULL;
    EVP_PKEY *key = NULL;
    X509 *ca = NULL;
    X509 *cert = NULL;
    int code = read_ca(in->directory, &ca, &ca_key);

    if (code != EXIT_OK) {
        return code;
    }
    key = EVP_EC_gen("P-256");
    cert = key != NULL ? new_node_cert(in, key, ca, ca_key) : NULL;
    code = cert != NULL ? write_pair(in, in->name, key, cert, ca)
                        : fail_ssl("cannot make the node's certificate");
    X509_free(cert);
    X509_free(ca);
    EVP_PKEY_free(key);
    EVP_PKEY_free(ca_key);
    return code;
}

/* ---- options ------------------------------------------------------------- */

static void check_name(const char *name, struct argp_state *state)
{
    const char *at = strchr(name, '@');

    if (at == NULL || at == name || at[1] == '\0' ||
        strchr(at + 1, '@') != NULL || strchr(name, '/') != NULL ||
        strlen(name) > 500) {
        argp_error(state, "\"%s\": expected NAME@HOST", name);
    }
}

static error_t parse_cert(int key, char *arg, struct argp_state *state)
{
    struct cert *cert = state->input;
    char *end = NULL;

    switch (key) {
    case OPT_SAN:
        if (cert->sans_count == SANS_MAX) {
            argp_error(state, "too many --san");
        }
        cert->sans[cert->sans_count++] = arg;
        return 0;
    case OPT_DAYS:
        cert->days = strtol(arg, &end, 10);
        /* Less than 1: expired from the start, which is good for tests. */
        if (end == arg || *end != '\0' || cert->days > DAYS_MAX) {
            argp_error(state, "--days %s: expected a number of days", arg);
        }
        return 0;
    case ARGP_KEY_ARG:
        if (cert->what == NULL) {
            cert->what = arg;
        } else if (cert->directory == NULL) {
            cert->directory = arg;
        } else if (cert->name == NULL && strcmp(cert->what, "node") == 0) {
            cert->name = arg;
        } else {
            argp_error(state, "\"%s\": not understood", arg);
        }
        return 0;
    case ARGP_KEY_END:
        if (cert->what == NULL || cert->directory == NULL ||
            (strcmp(cert->what, "ca") != 0 &&
             strcmp(cert->what, "node") != 0)) {
            argp_error(state, "say `ca DIR` or `node DIR NAME@HOST`");
        } else if (strcmp(cert->what, "node") == 0 && cert->name == NULL) {
            argp_error(state, "tell which node: NAME@HOST");
        } else if (cert->name != NULL) {
            check_name(cert->name, state);
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int cmd_cert(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"san", OPT_SAN, "HOST", 0,
         "one more DNS name or IP address (repeat for more)", 0},
        {"days", OPT_DAYS, "N", 0, "how long it is good (CA 3650, node 825)",
         0},
        {NULL, 0, NULL, 0, NULL, 0}};
    static const struct argp argp = {
        options,
        parse_cert,
        "ca DIR\nnode DIR NAME@HOST",
        "Make a certificate authority, and certificates of nodes signed by it, "
        "for encryption = tls."
        "\vca writes DIR/ca.pem and DIR/ca.key; node writes DIR/NAME@HOST.pem "
        "(the chain) and DIR/NAME@HOST.key.  Nothing is overwritten.  Give "
        "every node its own pair and ca.pem; keep ca.key where no node runs.",
        NULL,
        NULL,
        NULL};
    struct cert cert = {.days = LONG_MIN};

    if (argp_parse(&argp, argc, argv, 0, NULL, &cert) != 0) {
        return EXIT_USAGE;
    }
    if (strcmp(cert.what, "ca") == 0) {
        cert.days = cert.days == LONG_MIN ? CA_DAYS : cert.days;
        return make_ca(&cert);
    }
    cert.days = cert.days == LONG_MIN ? NODE_DAYS : cert.days;
    return make_node(&cert);
}
