/* SPDX-License-Identifier: Apache-2.0 */
/* accounts.h - the file of those who may log in, a line each:
 *
 *   NAME <tab> CLAIMS <tab> HASH
 *
 * CLAIMS are words between commas, for the token ("guild=red"), or nothing;
 * HASH is libsodium's of the password (Argon2id).  Lines that begin with # are
 * comments.
 *
 * Thread: one.
 */
#ifndef CHAT_ACCOUNTS_H
#define CHAT_ACCOUNTS_H

#include <hardtack/base.h>

#include "rate.h"
#include "table.h"
#include "text.h"

#define ACCOUNTS_MAX   100000
#define CLAIMS_MAX     8
#define CLAIMS_BYTES   256
#define HASH_BYTES_MAX 128 /* crypto_pwhash_STRBYTES */

struct account {
    UT_hash_handle hh;
    struct rate tries;
    char user[NAME_BYTES_MAX + 1];
    char claims[CLAIMS_BYTES];
    char hash[HASH_BYTES_MAX];
};

struct accounts;

/* Read a file. error gets words. HT_ENOENT, HT_EACCES (also if others may read
 * it), HT_EIO, HT_ECONFIG, HT_ENOMEM. */
HT_MUSTUSE ht_err accounts_load(const char *path,
                                struct accounts **ret,
                                char *error,
                                size_t error_len);
void accounts_free(struct accounts *accounts); /* NULL is fine */
/* NULL: there is none. Lent. */
struct account *accounts_find(const struct accounts *accounts,
                              const char *user);
/* Whether the file was changed since it was read. */
bool accounts_are_old(const struct accounts *accounts);
/* Add an account, or replace one, and write the file.  HT_EINVAL (a name or
 * claims that the file cannot hold), HT_EBUSY (too many), HT_EIO, HT_ENOMEM. */
HT_MUSTUSE ht_err accounts_put(struct accounts *accounts,
                               const char *user,
                               const char *claims,
                               const char *hash);

#endif /* CHAT_ACCOUNTS_H */
