/* SPDX-License-Identifier: Apache-2.0 */
/* cert_name.c - whose a certificate is. */
#include "cli/cert_name.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "cli/cli.h"

#define URI "hardtack:"

/* The first URI:hardtack:NAME@HOST among its alternative names. */
static char *find_name(X509 *cert)
{
    GENERAL_NAMES *names =
        X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    char *found = NULL;

    for (int i = 0; i < sk_GENERAL_NAME_num(names) && found == NULL; i++) {
        const GENERAL_NAME *san = sk_GENERAL_NAME_value(names, i);
        const char *text;
        size_t len;

        if (san->type != GEN_URI) {
            continue;
        }
        text = (const char *)ASN1_STRING_get0_data(
            san->d.uniformResourceIdentifier);
        len = (size_t)ASN1_STRING_length(san->d.uniformResourceIdentifier);
        if (len > strlen(URI) && memcmp(text, URI, strlen(URI)) == 0 &&
            memchr(text, '@', len) != NULL && memchr(text, '\0', len) == NULL) {
            found = strndup(text + strlen(URI), len - strlen(URI));
        }
    }
    GENERAL_NAMES_free(names);
    return found;
}

char *cert_node_name(const char *path)
{
    FILE *file = fopen(path, "re");
    X509 *cert;
    char *name;

    if (file == NULL) {
        (void)cli_fail("cannot read %s: %s", path, strerror(errno));
        return NULL;
    }
    cert = PEM_read_X509(file, NULL, NULL, NULL);
    (void)fclose(file);
    if (cert == NULL) {
        (void)cli_fail("%s holds no certificate in PEM", path);
        return NULL;
    }
    name = find_name(cert);
    X509_free(cert);
    if (name == NULL) {
        (void)cli_fail("the certificate in %s is no node's: it holds no "
                       "URI:hardtack:NAME@HOST; `hardtack cert node` makes one",
                       path);
    }
    return name;
}
