/* SPDX-License-Identifier: Apache-2.0 */
/* token.c - login tokens, sealed and opened.
 *
 *   base64url( version | key id | nonce | XChaCha20-Poly1305(Token) )
 *                 1        4       24          n + 16
 *
 * version and key id are authenticated too.  The nonce is random: with 192 bits
 * of it no count has to be kept by those who share a key.
 *
 * What is opened was made by a holder of a key, yet is read as strictly as if
 * it was not: a field that we do not know might be a restriction that we would
 * not keep, and a string that a NUL cuts short might be another user's name.
 */
#include <stdlib.h>
#include <string.h>

#include <hardtack/token.h>

#include "base/utf8.h"
#include "gateway/token_keys.h"
#include "proto/arena.h"
#include "proto/gateway.pb-c.h"

#define VERSION     1
#define NONCE_BYTES crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_BYTES   crypto_aead_xchacha20poly1305_ietf_ABYTES
#define OPEN_BYTES  (1 + GW_TOKEN_ID_BYTES) /* readable by all */
#define HEAD_BYTES  (OPEN_BYTES + NONCE_BYTES)
#define BINARY_MAX  (HT_TOKEN_TEXT_MAX / 4 * 3)
#define VARIANT     sodium_base64_VARIANT_URLSAFE_NO_PADDING

/* Of protobuf-c, for at most BINARY_MAX bytes of fields. */
#define DECODE_BUDGET (64u << 10)

static bool is_word(const char *s, size_t max)
{
    size_t len = s != NULL ? strnlen(s, max + 1) : 0;

    return len > 0 && len <= max && hti_utf8_valid(s, len);
}

/* The rules that hold both ways. */
static bool is_good(const char *user,
                    const char *const *claims,
                    size_t claims_count,
                    uint64_t issued_s,
                    uint64_t expires_s)
{
    if (!is_word(user, HT_TOKEN_USER_MAX) ||
        claims_count > HT_TOKEN_CLAIMS_MAX || expires_s <= issued_s) {
        return false;
    }
    for (size_t i = 0; i < claims_count; i++) {
        if (!is_word(claims[i], HT_TOKEN_CLAIM_MAX)) {
            return false;
        }
    }
    return true;
}

/* ---- sealing ------------------------------------------------------------- */

/* sealed has room for HEAD_BYTES + len + TAG_BYTES. */
static size_t seal(const struct gw_token_key *key,
                   const uint8_t *plain,
                   size_t len,
                   uint8_t *sealed)
{
    unsigned long long sealed_len = 0;

    sealed[0] = VERSION;
    memcpy(sealed + 1, key->id, GW_TOKEN_ID_BYTES);
    randombytes_buf(sealed + OPEN_BYTES, NONCE_BYTES);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(
        sealed + HEAD_BYTES, &sealed_len, plain, len, sealed, OPEN_BYTES, NULL,
        sealed + OPEN_BYTES, key->key);
    return HEAD_BYTES + (size_t)sealed_len;
}

ht_err
ht_token_seal(const ht_token_keys *keys, const ht_token *token, char **ret_text)
{
    Hardtack__Gateway__Token out = HARDTACK__GATEWAY__TOKEN__INIT;
    uint8_t plain[BINARY_MAX];
    uint8_t sealed[BINARY_MAX];
    size_t len;
    size_t size;
    char *text;

    if (keys == NULL || token == NULL ||
        !is_good(token->user, token->claims, token->claims_count,
                 token->issued_s, token->expires_s)) {
        return HT_EINVAL;
    }
    out.user = (char *)token->user;
    out.claims = (char **)token->claims;
    out.n_claims = token->claims_count;
    out.issued_s = token->issued_s;
    out.expires_s = token->expires_s;
    if (hardtack__gateway__token__get_packed_size(&out) >
        BINARY_MAX - HEAD_BYTES - TAG_BYTES) {
        return HT_ETOOBIG;
    }
    len = hardtack__gateway__token__pack(&out, plain);
    len = seal(&keys->at[0], plain, len, sealed);
    sodium_memzero(plain, sizeof(plain));
    size = sodium_base64_encoded_len(len, VARIANT);
    text = malloc(size);
    if (text == NULL) {
        return HT_ENOMEM;
    }
    (void)sodium_bin2base64(text, size, sealed, len, VARIANT);
    *ret_text = text;
    return HT_OK;
}

/* ---- opening ------------------------------------------------------------- */

/* plain has room for BINARY_MAX; false: by none of the keys. */
static bool unseal(const ht_token_keys *keys,
                   const uint8_t *sealed,
                   size_t len,
                   uint8_t *plain,
                   size_t *ret_len)
{
    unsigned long long plain_len = 0;

    if (len < HEAD_BYTES + TAG_BYTES || sealed[0] != VERSION) {
        return false;
    }
    for (size_t i = 0; i < keys->count; i++) {
        const struct gw_token_key *key = &keys->at[i];

        if (memcmp(sealed + 1, key->id, GW_TOKEN_ID_BYTES) == 0 &&
            crypto_aead_xchacha20poly1305_ietf_decrypt(
                plain, &plain_len, NULL, sealed + HEAD_BYTES, len - HEAD_BYTES,
                sealed, OPEN_BYTES, sealed + OPEN_BYTES, key->key) == 0) {
            *ret_len = (size_t)plain_len;
            return true;
        }
    }
    return false;
}

/* One text holds exactly one token: base64 whose last digit has bits to spare
 * is refused by libsodium, so a token cannot be written in two ways. */
static bool
decode_text(const char *text, size_t text_len, uint8_t *sealed, size_t *ret_len)
{
    return text_len <= HT_TOKEN_TEXT_MAX &&
           sodium_base642bin(sealed, BINARY_MAX, text, text_len, NULL, ret_len,
                             NULL, VARIANT) == 0;
}

/* What ht_token points into. */
struct opened {
    const char *claims[HT_TOKEN_CLAIMS_MAX];
    char text[];
};

static ht_err copy_out(const Hardtack__Gateway__Token *in, ht_token *ret_token)
{
    size_t size = strlen(in->user) + 1;
    struct opened *opened;
    char *at;

    for (size_t i = 0; i < in->n_claims; i++) {
        size += strlen(in->claims[i]) + 1;
    }
    opened = calloc(1, sizeof(*opened) + size);
    if (opened == NULL) {
        return HT_ENOMEM;
    }
    at = stpcpy(opened->text, in->user) + 1;
    for (size_t i = 0; i < in->n_claims; i++) {
        opened->claims[i] = at;
        at = stpcpy(at, in->claims[i]) + 1;
    }
    *ret_token = (ht_token){
        .user = opened->text,
        .claims = opened->claims,
        .claims_count = in->n_claims,
        .issued_s = in->issued_s,
        .expires_s = in->expires_s,
        .owner = opened,
    };
    return HT_OK;
}

static ht_err decode_plain(const uint8_t *plain,
                           size_t len,
                           uint64_t now_s,
                           ht_token *ret_token)
{
    struct hti_arena *arena = hti_arena_new(DECODE_BUDGET);
    const Hardtack__Gateway__Token *in;
    ht_err err = HT_EAUTH;

    if (arena == NULL) {
        return HT_ENOMEM;
    }
    in = hardtack__gateway__token__unpack(hti_arena_allocator(arena), len,
                                          plain);
    if (in == NULL && hti_arena_starved(arena)) {
        err = HT_ENOMEM;
    } else if (in != NULL && in->base.n_unknown_fields == 0 &&
               hardtack__gateway__token__get_packed_size(in) == len &&
               is_good(in->user, (const char *const *)in->claims, in->n_claims,
                       in->issued_s, in->expires_s)) {
        err = now_s >= in->expires_s ? HT_EEXPIRED : copy_out(in, ret_token);
    }
    hti_arena_free(arena);
    return err;
}

ht_err ht_token_open(const ht_token_keys *keys,
                     const char *text,
                     size_t text_len,
                     uint64_t now_s,
                     ht_token *ret_token)
{
    uint8_t sealed[BINARY_MAX];
    uint8_t plain[BINARY_MAX];
    size_t len = 0;
    ht_err err = HT_EAUTH;

    if (keys != NULL && decode_text(text, text_len, sealed, &len) &&
        unseal(keys, sealed, len, plain, &len)) {
        err = decode_plain(plain, len, now_s, ret_token);
        sodium_memzero(plain, len);
    }
    return err;
}

bool ht_token_claims(const ht_token *token, const char *claim)
{
    for (size_t i = 0; i < token->claims_count; i++) {
        if (strcmp(token->claims[i], claim) == 0) {
            return true;
        }
    }
    return false;
}

void ht_token_fini(ht_token *token)
{
    if (token != NULL) {
        free(token->owner);
        memset(token, 0, sizeof(*token));
    }
}
