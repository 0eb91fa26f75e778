/* SPDX-License-Identifier: Apache-2.0 */
/* keys.c - cookies to keys: Argon2id once, then keyed BLAKE2b with a label per
 * use, so that no two uses share a key. */
#include "session/keys.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#define COOKIE_BYTES_MAX 4096
#define SALT_LABEL       "hardtack-salt-1"
#define PEERCRED_LABEL   "hardtack-peercred-1"

/* What is secret: one guarded block, read-only once it is filled. No field has
 * an alignment, because sodium_malloc() ends its blocks at a page and not at a
 * boundary of ours. */
struct secrets {
    struct hti_keys keys[HTI_KEYS_MAX];
    uint8_t ractor[]; /* the ractor cookies, end to end */
};

static_assert(_Alignof(struct secrets) == 1, "guarded blocks are unaligned");
static_assert(crypto_pwhash_SALTBYTES == 16, "the salt is a BLAKE2b-128");

struct hti_keyring {
    _Atomic unsigned refs;
    bool is_public;
    size_t count;
    size_t ractor_count;
    size_t ractor_at[HTI_KEYS_MAX + 1]; /* offsets in secrets->ractor */
    struct secrets *secrets;
};

static void keyring_free(struct hti_keyring *ring)
{
    if (ring == NULL) {
        return;
    }
    sodium_free(ring->secrets); /* wipes; NULL is fine */
    free(ring);
}

static void derive(uint8_t *ret_key,
                   size_t len,
                   const uint8_t master[HTI_KEY_BYTES],
                   const char *label)
{
    uint8_t key[HTI_KEY_BYTES];

    crypto_generichash(key, sizeof(key), (const uint8_t *)label, strlen(label),
                       master, HTI_KEY_BYTES);
    memcpy(ret_key, key, len);
    sodium_memzero(key, sizeof(key));
}

static void derive_all(struct hti_keys *ret_keys,
                       const uint8_t master[HTI_KEY_BYTES])
{
    derive(ret_keys->id, HTI_KEY_ID_BYTES, master, "key-id");
    derive(ret_keys->psk, HTI_KEY_BYTES, master, "psk");
    derive(ret_keys->mac_initiator, HTI_KEY_BYTES, master, "mac-initiator");
    derive(ret_keys->mac_acceptor, HTI_KEY_BYTES, master, "mac-acceptor");
}

/* The salt is public and the same for all nodes of a cluster, which have to
 * arrive at the same keys without talking. */
static void make_salt(uint8_t salt[crypto_pwhash_SALTBYTES],
                      const char *cluster)
{
    crypto_generichash_state state;

    crypto_generichash_init(&state, NULL, 0, crypto_pwhash_SALTBYTES);
    crypto_generichash_update(&state, (const uint8_t *)SALT_LABEL,
                              sizeof(SALT_LABEL) - 1);
    crypto_generichash_update(&state, (const uint8_t *)cluster,
                              strlen(cluster));
    crypto_generichash_final(&state, salt, crypto_pwhash_SALTBYTES);
}

static ht_err derive_cookie(struct hti_keys *ret_keys,
                            ht_bytes cookie,
                            const uint8_t salt[crypto_pwhash_SALTBYTES],
                            enum hti_kdf kdf)
{
    bool fast = kdf == HTI_KDF_FAST;
    uint8_t *master = sodium_malloc(HTI_KEY_BYTES);
    ht_err err = HT_ENOMEM;

    if (master == NULL) {
        return HT_ENOMEM;
    }
    if (crypto_pwhash(master, HTI_KEY_BYTES, cookie.data, cookie.len, salt,
                      fast ? crypto_pwhash_OPSLIMIT_MIN
                           : crypto_pwhash_OPSLIMIT_INTERACTIVE,
                      fast ? crypto_pwhash_MEMLIMIT_MIN
                           : crypto_pwhash_MEMLIMIT_INTERACTIVE,
                      crypto_pwhash_ALG_ARGON2ID13) == 0) {
        derive_all(ret_keys, master);
        err = HT_OK;
    }
    sodium_free(master);
    return err;
}

static ht_err keyring_alloc(size_t ractor_bytes, struct hti_keyring **ret_ring)
{
    struct hti_keyring *ring;

    if (sodium_init() < 0) {
        return HT_ENOMEM;
    }
    ring = calloc(1, sizeof(*ring));
    if (ring == NULL) {
        return HT_ENOMEM;
    }
    atomic_init(&ring->refs, 1);
    ring->secrets = sodium_malloc(sizeof(*ring->secrets) + ractor_bytes);
    if (ring->secrets == NULL) {
        keyring_free(ring);
        return HT_ENOMEM;
    }
    *ret_ring = ring;
    return HT_OK;
}

static ht_err
check_cookies(const ht_bytes *cookies, size_t count, size_t *ret_bytes)
{
    size_t bytes = 0;

    if (count > HTI_KEYS_MAX) {
        return HT_EINVAL;
    }
    for (size_t i = 0; i < count; i++) {
        if (cookies[i].len == 0 || cookies[i].len > COOKIE_BYTES_MAX) {
            return HT_EINVAL;
        }
        bytes += cookies[i].len;
    }
    *ret_bytes = bytes;
    return HT_OK;
}

static void
keep_ractor(struct hti_keyring *ring, const ht_bytes *cookies, size_t count)
{
    size_t at = 0;

    for (size_t i = 0; i < count; i++) {
        memcpy(ring->secrets->ractor + at, cookies[i].data, cookies[i].len);
        at += cookies[i].len;
        ring->ractor_at[i + 1] = at;
    }
    ring->ractor_count = count;
}

ht_err hti_keyring_new(const ht_bytes *cookies,
                       size_t count,
                       const ht_bytes *ractor_cookies,
                       size_t ractor_count,
                       const char *cluster,
                       enum hti_kdf kdf,
                       struct hti_keyring **ret_ring)
{
    uint8_t salt[crypto_pwhash_SALTBYTES];
    struct hti_keyring *ring = NULL;
    size_t bytes, ractor_bytes;
    ht_err err;

    err = check_cookies(cookies, count, &bytes);
    if (err == HT_OK) {
        err = check_cookies(ractor_cookies, ractor_count, &ractor_bytes);
    }
    if (err == HT_OK) {
        err = keyring_alloc(ractor_bytes, &ring);
    }
    if (err != HT_OK) {
        return err;
    }
    make_salt(salt, cluster == NULL ? "" : cluster);
    for (size_t i = 0; i < count && err == HT_OK; i++) {
        err = derive_cookie(&ring->secrets->keys[i], cookies[i], salt, kdf);
    }
    if (err != HT_OK) {
        keyring_free(ring);
        return err;
    }
    ring->count = count;
    keep_ractor(ring, ractor_cookies, ractor_count);
    sodium_mprotect_readonly(ring->secrets);
    *ret_ring = ring;
    return HT_OK;
}

ht_err hti_keyring_new_peercred(struct hti_keyring **ret_ring)
{
    uint8_t master[HTI_KEY_BYTES];
    struct hti_keyring *ring;
    ht_err err = keyring_alloc(0, &ring);

    if (err != HT_OK) {
        return err;
    }
    crypto_generichash(master, sizeof(master), (const uint8_t *)PEERCRED_LABEL,
                       sizeof(PEERCRED_LABEL) - 1, NULL, 0);
    derive_all(&ring->secrets->keys[0], master);
    ring->count = 1;
    ring->is_public = true;
    sodium_mprotect_readonly(ring->secrets);
    *ret_ring = ring;
    return HT_OK;
}

struct hti_keyring *hti_keyring_ref(struct hti_keyring *ring)
{
    atomic_fetch_add_explicit(&ring->refs, 1, memory_order_relaxed);
    return ring;
}

struct hti_keyring *hti_keyring_unref(struct hti_keyring *ring)
{
    /* Release what this thread read of the ring before whoever frees it. */
    if (ring != NULL &&
        atomic_fetch_sub_explicit(&ring->refs, 1, memory_order_acq_rel) == 1) {
        keyring_free(ring);
    }
    return NULL;
}

bool hti_keyring_is_public(const struct hti_keyring *ring)
{
    return ring->is_public;
}

size_t hti_keyring_count(const struct hti_keyring *ring)
{
    return ring->count;
}

const struct hti_keys *hti_keyring_at(const struct hti_keyring *ring, size_t i)
{
    assert(i < ring->count);
    return &ring->secrets->keys[i];
}

const struct hti_keys *hti_keyring_find(const struct hti_keyring *ring,
                                        const uint8_t id[HTI_KEY_ID_BYTES])
{
    for (size_t i = 0; i < ring->count; i++) {
        if (memcmp(ring->secrets->keys[i].id, id, HTI_KEY_ID_BYTES) == 0) {
            return &ring->secrets->keys[i];
        }
    }
    return NULL;
}

size_t hti_keyring_ractor_count(const struct hti_keyring *ring)
{
    return ring->ractor_count;
}

ht_bytes hti_keyring_ractor_at(const struct hti_keyring *ring, size_t i)
{
    ht_bytes cookie;

    assert(i < ring->ractor_count);
    cookie.data = ring->secrets->ractor + ring->ractor_at[i];
    cookie.len = ring->ractor_at[i + 1] - ring->ractor_at[i];
    return cookie;
}

/* ---- how strong a cookie is ---- */

/* What a cookie's text is made of. */
struct alphabet {
    bool lower, upper, digit, space, other; /* seen at all */
    bool above_f;                           /* a letter that is not hex */
    unsigned distinct;                      /* different characters */
    unsigned words;
};

static struct alphabet alphabet_of(const uint8_t *text, size_t len)
{
    struct alphabet a = {0};
    bool seen[256] = {false};
    bool in_word = false;

    for (size_t i = 0; i < len; i++) {
        uint8_t c = text[i];
        uint8_t folded = (uint8_t)(c | 0x20);
        bool letter = folded >= 'a' && folded <= 'z';
        bool blank = c == ' ' || c == '\t' || c == '\n' || c == '\r';

        a.lower |= letter && c == folded;
        a.upper |= letter && c != folded;
        a.digit |= c >= '0' && c <= '9';
        a.space |= blank;
        a.other |= !letter && !blank && (c < '0' || c > '9');
        a.above_f |= letter && folded > 'f';
        a.words += !blank && !in_word;
        in_word = !blank;
        a.distinct += !seen[c];
        seen[c] = true;
    }
    return a;
}

/* Hundredths of a bit a character. */
static unsigned rate_of(const struct alphabet *a)
{
    /* log2 of a number of symbols that a random text of some length would
     * exceed. */
    static const unsigned of_few[] = {0, 0, 100, 158, 200, 232, 258};
    unsigned rate;

    if (a->other) {
        rate = 600;
    } else if (!a->above_f) {
        rate = a->lower || a->upper ? 400 : 332;
    } else if (a->lower && a->upper) {
        rate = a->digit ? 595 : 570;
    } else {
        rate = a->digit ? 517 : 470;
    }
    if (a->distinct < sizeof(of_few) / sizeof(of_few[0]) &&
        of_few[a->distinct] < rate) {
        rate = of_few[a->distinct];
    }
    return rate;
}

/* The length of what the text repeats, at least twice: "abcabca" has 3. */
static size_t period_of(const uint8_t *text, size_t len)
{
    for (size_t p = 1; p <= len / 2; p++) {
        if (memcmp(text, text + p, len - p) == 0) {
            return p;
        }
    }
    return len;
}

unsigned hti_cookie_bits(const void *cookie, size_t len)
{
    const uint8_t *text = cookie;
    struct alphabet a;

    if (len > COOKIE_BYTES_MAX) {
        len = COOKIE_BYTES_MAX;
    }
    while (len > 0 && text[len - 1] == '=') { /* base64's padding */
        len--;
    }
    if (len == 0) {
        return 0;
    }
    len = period_of(text, len);
    a = alphabet_of(text, len);
    if (a.space && !a.digit && !a.other) {
        /* Words: as from a list of 2048, whatever their length. */
        return 11 * a.words;
    }
    return (unsigned)(len * rate_of(&a) / 100);
}
