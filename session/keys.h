/* SPDX-License-Identifier: Apache-2.0 */
/* keys.h - what a cookie becomes (design, "Security between Hardtack nodes").
 *
 *   M       = Argon2id(cookie, BLAKE2b-128("hardtack-salt-1", cluster))
 *   K_label = BLAKE2b-256(key = M, label)
 *
 * A key ring holds the keys of all cookies that are accepted now; the first is
 * dialled with.  It lives in libsodium's guarded memory, never changes, and is
 * reference-counted: a reload makes a new one and sessions keep theirs.
 *
 * Thread: a finished ring may be read by any.
 */
#ifndef HTI_SESSION_KEYS_H
#define HTI_SESSION_KEYS_H

#include <hardtack/base.h>

#define HTI_KEY_ID_BYTES 8
#define HTI_KEY_BYTES    32
#define HTI_KEYS_MAX     8

struct hti_keys {
    uint8_t id[HTI_KEY_ID_BYTES]; /* not secret: names the cookie */
    uint8_t psk[HTI_KEY_BYTES];   /* TLS 1.3 external PSK */
    uint8_t mac_initiator[HTI_KEY_BYTES];
    uint8_t mac_acceptor[HTI_KEY_BYTES];
};

struct hti_keyring;

/* How a cookie is hashed: the daemon's cost, or next to nothing for tests with
 * many nodes. */
enum hti_kdf { HTI_KDF_INTERACTIVE, HTI_KDF_FAST };

/* Derive the ring for cookies[0..count).  Blocks (about 55 ms a cookie).
 * ractor cookies are kept as they are; ractor_count may be 0, as may count.
 * The caller wipes its own copies.
 * HT_EINVAL: too many, or an empty one; HT_ENOMEM. */
HT_MUSTUSE ht_err hti_keyring_new(const ht_bytes *cookies,
                                  size_t count,
                                  const ht_bytes *ractor_cookies,
                                  size_t ractor_count,
                                  const char *cluster,
                                  enum hti_kdf kdf,
                                  struct hti_keyring **ret_ring);
/* The ring of a Unix socket whose peer the kernel vouches for: one public,
 * constant key, so that the handshake has one shape. */
HT_MUSTUSE ht_err hti_keyring_new_peercred(struct hti_keyring **ret_ring);
struct hti_keyring *hti_keyring_ref(struct hti_keyring *ring);
struct hti_keyring *hti_keyring_unref(struct hti_keyring *ring);

/* Whether its key is that public one: such a ring proves nothing by itself, and
 * is for HTI_MODE_PEERCRED only. */
bool hti_keyring_is_public(const struct hti_keyring *ring);

size_t hti_keyring_count(const struct hti_keyring *ring);
const struct hti_keys *hti_keyring_at(const struct hti_keyring *ring, size_t i);
/* By id; NULL: we do not know that cookie. */
const struct hti_keys *hti_keyring_find(const struct hti_keyring *ring,
                                        const uint8_t id[HTI_KEY_ID_BYTES]);
size_t hti_keyring_ractor_count(const struct hti_keyring *ring);
ht_bytes hti_keyring_ractor_at(const struct hti_keyring *ring, size_t i);

/* Bits of a cookie's text, estimated from below: 4 a hexadecimal digit, 5.17
 * an alphanumeric, as an alphabet allows; 0 for one repeated character. */
unsigned hti_cookie_bits(const void *cookie, size_t len);

#endif /* HTI_SESSION_KEYS_H */
