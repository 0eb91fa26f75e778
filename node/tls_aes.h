/* SPDX-License-Identifier: Apache-2.0 */
/* tls_aes.h - the faster AES-128-GCM for TLS, where there is one.
 *
 * OpenSSL before 3.1 does not use the wide AES instructions (VAES) of newer
 * processors; Intel's Multi-Buffer library does, and is four times as fast on a
 * full record.  It is plugged in where OpenSSL has its place for that, as a
 * provider of this one cipher: handshake, records, keys and every other cipher
 * stay OpenSSL's.
 *
 * Built only where the library is (HTI_WITH_IPSEC_MB); used only with an
 * OpenSSL that needs it, on processors that have the instructions, and never
 * where the system asks for FIPS.
 *
 * Thread: any.  Lifetime: of the process, from first use.
 */
#ifndef HTI_NODE_TLS_AES_H
#define HTI_NODE_TLS_AES_H

#include <openssl/types.h>

/* The library context in which the cipher is, for SSL_CTX_new_ex(), and the
 * properties that ask for it.  NULL, and NULL: OpenSSL's own is as good. */
OSSL_LIB_CTX *hti_tls_aes_context(const char **ret_properties);

#endif /* HTI_NODE_TLS_AES_H */
