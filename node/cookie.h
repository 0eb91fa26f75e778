/* SPDX-License-Identifier: Apache-2.0 */
/* cookie.h - reads cookies from where the configuration says they are, and
 * refuses those that others could read or guess. */
#ifndef HTI_NODE_COOKIE_H
#define HTI_NODE_COOKIE_H

#include "session/keys.h"

#define HTI_COOKIE_FILE_BYTES_MAX (16 * 1024)
#define HTI_COOKIE_BITS_MIN       128

/* Lives in guarded memory until hti_cookies_fini() wipes it. */
struct hti_cookies {
    ht_bytes at[HTI_KEYS_MAX];
    size_t count;
    char *text; /* NULL: none */
};

/* One cookie a line; empty lines and lines that begin with # do not count, nor
 * does white space around a cookie.  The file must be a regular one of ours or
 * root's that nobody else may touch.
 * HT_EACCES, HT_ENOENT, HT_ECONFIG (empty, too large, too many), HT_EIO,
 * HT_ENOMEM; why says it in words. */
HT_MUSTUSE ht_err hti_cookies_read(const char *path,
                                   struct hti_cookies *ret_cookies,
                                   char *why,
                                   size_t why_len);
/* One cookie that is given; what says where. HT_ECONFIG, HT_ENOMEM. */
HT_MUSTUSE ht_err hti_cookies_of(const char *text,
                                 const char *what,
                                 struct hti_cookies *ret_cookies,
                                 char *why,
                                 size_t why_len);
/* HT_ECONFIG: one of them can be guessed. */
HT_MUSTUSE ht_err hti_cookies_check(const struct hti_cookies *cookies,
                                    const char *what,
                                    char *why,
                                    size_t why_len);
void hti_cookies_fini(struct hti_cookies *cookies); /* zeroed ones are fine */

#endif /* HTI_NODE_COOKIE_H */
