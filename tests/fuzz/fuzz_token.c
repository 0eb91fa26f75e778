/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_token.c - no text opens as a token that was not sealed; what is sealed
 * is read strictly, and what is read can be sealed again.
 *
 * Input: a byte that chooses; a token's text, or what is to be sealed without
 * the rules being kept, or a key file.
 */
#include <stdlib.h>
#include <string.h>

#include "gateway/token_keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static ht_token_keys *keys(void)
{
    static ht_token_keys *made;
    char text[65];

    if (made == NULL) {
        memset(text, 'a', 64);
        require(gw_token_keys_parse(text, 64, "fuzz", &made, NULL, 0) == HT_OK);
    }
    return made;
}

/* As a holder of the key could; a fixed nonce, so that a run can be repeated.
 */
static size_t forge(const uint8_t *data, size_t size, char *text, size_t max)
{
    uint8_t out[4096] = {1};
    unsigned long long len = 0;

    memcpy(out + 1, keys()->at[0].id, GW_TOKEN_ID_BYTES);
    require(crypto_aead_xchacha20poly1305_ietf_encrypt(
                out + 29, &len, data, size, out, 5, NULL, out + 5,
                keys()->at[0].key) == 0);
    (void)sodium_bin2base64(text, max, out, 29 + (size_t)len,
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    return strlen(text);
}

static void check(const ht_token *token)
{
    char *text = NULL;
    ht_token again;

    require(token->user[0] != '\0' && token->expires_s > token->issued_s);
    require(ht_token_seal(keys(), token, &text) == HT_OK);
    require(ht_token_open(keys(), text, strlen(text), 0, &again) == HT_OK);
    require(strcmp(again.user, token->user) == 0);
    require(again.claims_count == token->claims_count);
    for (size_t i = 0; i < token->claims_count; i++) {
        require(ht_token_claims(&again, token->claims[i]));
    }
    ht_token_fini(&again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[8192];
    ht_token_keys *read = NULL;
    ht_token token;

    if (size == 0) {
        return 0;
    }
    switch (data[0] % 3) {
    case 0:
        require(ht_token_open(keys(), (const char *)data + 1, size - 1, 0,
                              &token) == HT_EAUTH);
        break;
    case 1:
        size = size - 1 > 2048 ? 2048 : size - 1;
        size = forge(data + 1, size, text, sizeof(text));
        if (ht_token_open(keys(), text, size, 0, &token) == HT_OK) {
            check(&token);
            ht_token_fini(&token);
        }
        break;
    default:
        if (gw_token_keys_parse((const char *)data + 1, size - 1, "fuzz", &read,
                                NULL, 0) == HT_OK) {
            require(read->count >= 1 && read->count <= GW_TOKEN_KEYS_MAX);
            ht_token_keys_free(read);
        }
    }
    return 0;
}
