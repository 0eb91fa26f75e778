/* SPDX-License-Identifier: Apache-2.0 */
/* token_keys.h - the keys of login tokens: from a file, in memory that is not
 * swapped out.
 *
 * Thread: any; immutable once made.
 */
#ifndef GW_TOKEN_KEYS_H
#define GW_TOKEN_KEYS_H

#include <sodium.h>

#include <hardtack/token.h>

#define GW_TOKEN_KEYS_MAX       2
#define GW_TOKEN_KEY_BYTES      crypto_aead_xchacha20poly1305_ietf_KEYBYTES
#define GW_TOKEN_ID_BYTES       4
#define GW_TOKEN_FILE_BYTES_MAX 4096

struct gw_token_key {
    uint8_t id[GW_TOKEN_ID_BYTES]; /* names the key in a token; a hash of it */
    uint8_t key[GW_TOKEN_KEY_BYTES];
};

struct ht_token_keys {
    size_t count; /* 1 or 2 */
    struct gw_token_key at[GW_TOKEN_KEYS_MAX];
};

/* The same as ht_token_keys_load() for a text that was read already; what is
 * its name, for words.  HT_ECONFIG, HT_ENOMEM. */
HT_MUSTUSE ht_err gw_token_keys_parse(const char *text,
                                      size_t len,
                                      const char *what,
                                      ht_token_keys **ret_keys,
                                      char *error,
                                      size_t error_len);

#endif /* GW_TOKEN_KEYS_H */
