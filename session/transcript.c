/* SPDX-License-Identifier: Apache-2.0 */
/* transcript.c - what the two sides agree that they said, and the proofs over
 * it.
 *
 *   T     = BLAKE2b-256("hardtack-transcript-1" || mode || exporter
 *                       || len || Name || len || Status || len || Challenge)
 *   mac_i = BLAKE2b-256(key = K_mac-initiator, T)
 *   mac_r = BLAKE2b-256(key = K_mac-acceptor, T || mac_i)
 *
 * mode is one byte, exporter 32, a length 8 big-endian; messages are the bytes
 * of the NetworkMessage as they were carried, so that no difference between two
 * encoders, and nothing that one side does not understand, can escape. The keys
 * differ by role, so that a proof sent back proves nothing.
 */
#include <assert.h>
#include <string.h>

#include "session/session_internal.h"

#define LABEL "hardtack-transcript-1"

static_assert(HTI_MAC_BYTES == 32 && HTI_DIGEST_BYTES == 32,
              "hti_proof_equal() compares 32 bytes");

void hti_transcript_init(struct hti_handshake *h,
                         enum hti_session_mode mode,
                         const uint8_t exporter[HTI_EXPORTER_BYTES])
{
    uint8_t mode_byte = (uint8_t)mode;

    crypto_generichash_init(&h->transcript, NULL, 0, HTI_TRANSCRIPT_BYTES);
    crypto_generichash_update(&h->transcript, (const uint8_t *)LABEL,
                              sizeof(LABEL) - 1);
    crypto_generichash_update(&h->transcript, &mode_byte, 1);
    crypto_generichash_update(&h->transcript, exporter, HTI_EXPORTER_BYTES);
}

void hti_transcript_add(struct hti_handshake *h, const void *data, size_t len)
{
    uint8_t length[8];
    uint64_t left = len;

    for (unsigned i = 8; i-- > 0; left >>= 8) {
        length[i] = (uint8_t)left;
    }
    crypto_generichash_update(&h->transcript, length, sizeof(length));
    crypto_generichash_update(&h->transcript, data, len);
}

void hti_transcript_end(struct hti_handshake *h)
{
    crypto_generichash_final(&h->transcript, h->t, sizeof(h->t));
}

void hti_prove_initiator(struct hti_handshake *h,
                         const struct hti_keys *keys,
                         uint8_t ret_mac[HTI_MAC_BYTES])
{
    crypto_generichash(ret_mac, HTI_MAC_BYTES, h->t, sizeof(h->t),
                       keys->mac_initiator, HTI_KEY_BYTES);
}

void hti_prove_acceptor(const struct hti_handshake *h,
                        const struct hti_keys *keys,
                        const uint8_t mac_i[HTI_MAC_BYTES],
                        uint8_t ret_mac[HTI_MAC_BYTES])
{
    uint8_t text[HTI_TRANSCRIPT_BYTES + HTI_MAC_BYTES];

    memcpy(text, h->t, HTI_TRANSCRIPT_BYTES);
    memcpy(text + HTI_TRANSCRIPT_BYTES, mac_i, HTI_MAC_BYTES);
    crypto_generichash(ret_mac, HTI_MAC_BYTES, text, sizeof(text),
                       keys->mac_acceptor, HTI_KEY_BYTES);
}

bool hti_proof_equal(const ProtobufCBinaryData *got, const uint8_t want[32])
{
    return got->len == 32 && sodium_memcmp(got->data, want, 32) == 0;
}

const struct hti_keys *hti_find_prover(struct hti_handshake *h,
                                       enum hti_session_mode mode,
                                       const ProtobufCBinaryData *mac)
{
    uint8_t want[HTI_MAC_BYTES];
    const struct hti_keys *found = NULL;
    /* Inside TLS with a cookie's key only that cookie will do: otherwise a
     * holder of one cookie could speak with the proof of another. */
    bool one = mode == HTI_MODE_COOKIE;
    size_t count = one ? 1 : hti_keyring_count(h->keys);

    for (size_t i = 0; i < count && found == NULL; i++) {
        const struct hti_keys *keys =
            one ? h->tls_key : hti_keyring_at(h->keys, i);

        hti_prove_initiator(h, keys, want);
        if (hti_proof_equal(mac, want)) {
            found = keys;
        }
    }
    sodium_memzero(want, sizeof(want));
    return found;
}

void hti_prove_ractor(const struct hti_keyring *ring,
                      size_t i,
                      uint32_t challenge,
                      uint8_t ret_digest[HTI_DIGEST_BYTES])
{
    ht_bytes cookie = hti_keyring_ractor_at(ring, i);

    hti_ractor_digest(cookie.data, cookie.len, challenge, ret_digest);
}

int hti_find_ractor_prover(const struct hti_keyring *ring,
                           uint32_t challenge,
                           const ProtobufCBinaryData *digest)
{
    uint8_t want[HTI_DIGEST_BYTES];
    size_t count = hti_keyring_ractor_count(ring);
    int found = -1;

    for (size_t i = 0; i < count && found < 0; i++) {
        hti_prove_ractor(ring, i, challenge, want);
        if (hti_proof_equal(digest, want)) {
            found = (int)i;
        }
    }
    sodium_memzero(want, sizeof(want));
    return found;
}
