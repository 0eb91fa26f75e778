/* SPDX-License-Identifier: Apache-2.0 */
/* hardtack/token.h - login tokens: who a client of the gateway is, and what it
 * may claim, in a text that only the holders of a key can make or read.
 *
 * The service that knows the users seals a token and gives it to the client;
 * the gateway, which shares the key, opens it.  Nothing is looked up, and
 * nothing can be revoked: give tokens a short life, or change the key.
 *
 * Thread: any; keys are not changed by anything here.
 * Part of libhardtack-gateway.
 */
#ifndef HARDTACK_TOKEN_H
#define HARDTACK_TOKEN_H

#include <hardtack/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of a token's text. */
#define HT_TOKEN_TEXT_MAX   4096
#define HT_TOKEN_USER_MAX   255
#define HT_TOKEN_CLAIMS_MAX 64
#define HT_TOKEN_CLAIM_MAX  255

/** One or two keys: the first seals, each opens. */
typedef struct ht_token_keys ht_token_keys;

/**
 * Read a key file: 64 hexadecimal digits a line, at most two lines, the first
 * being the key that seals; lines that begin with # are comments.  `hardtack
 * token key` makes one.  error (may be NULL) gets words.
 *
 * Returns HT_OK; HT_ENOENT, HT_EIO; HT_EACCES (also if others may read it);
 * HT_ECONFIG (it holds something else); HT_ENOMEM.
 */
HT_API HT_MUSTUSE ht_err ht_token_keys_load(const char *path,
                                            ht_token_keys **ret_keys,
                                            char *error,
                                            size_t error_len);
/** Forgets the keys; NULL is fine. */
HT_API void ht_token_keys_free(ht_token_keys *keys);

typedef struct ht_token {
    const char *user;          /* not empty, UTF-8 */
    const char *const *claims; /* each not empty, UTF-8: "role=operator" */
    size_t claims_count;
    uint64_t issued_s;  /* seconds since 1970 */
    uint64_t expires_s; /* not valid from then on */
    void *owner;        /* private */
} ht_token;

/**
 * Make a token's text, printable and safe in a URL; the caller frees *ret_text
 * with free().  HT_EINVAL (empty user or claim, not UTF-8, expiry not after
 * issue), HT_ETOOBIG, HT_ENOMEM.
 */
HT_API HT_MUSTUSE ht_err ht_token_seal(const ht_token_keys *keys,
                                       const ht_token *token,
                                       char **ret_text);
/**
 * Read a token.  Give *ret_token to ht_token_fini().  now_s: seconds since
 * 1970.
 *
 * Returns HT_OK; HT_EAUTH (no token of these keys, or changed on its way);
 * HT_EEXPIRED; HT_ENOMEM.
 */
HT_API HT_MUSTUSE ht_err ht_token_open(const ht_token_keys *keys,
                                       const char *text,
                                       size_t text_len,
                                       uint64_t now_s,
                                       ht_token *ret_token);
/** Whether token has exactly that claim. */
HT_API bool ht_token_claims(const ht_token *token, const char *claim);
/** Free what ht_token_open() gave; safe on a zeroed one and twice. */
HT_API void ht_token_fini(ht_token *token);

#ifdef __cplusplus
}
#endif

#endif /* HARDTACK_TOKEN_H */
