/* SPDX-License-Identifier: Apache-2.0 */
#include "base/table.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include <sodium.h>

static unsigned char hash_key[crypto_shorthash_KEYBYTES];

static void hash_key_draw(void)
{
    randombytes_buf(hash_key, sizeof hash_key);
}

unsigned hti_hash(const void *key, size_t len)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    uint64_t hash;

    pthread_once(&once, hash_key_draw);
    crypto_shorthash((unsigned char *)&hash, key, len, hash_key);
    return (unsigned)(hash ^ hash >> 32);
}
