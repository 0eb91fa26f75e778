/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#include <pthread.h>
#include <sodium.h>
#include <string.h>

static unsigned char hash_key[crypto_shorthash_KEYBYTES];

static void draw(void)
{
    if (sodium_init() >= 0) {
        crypto_shorthash_keygen(hash_key);
    }
}

unsigned table_hash(const void *key, size_t len)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    unsigned char hash[crypto_shorthash_BYTES];
    unsigned value;

    pthread_once(&once, draw);
    crypto_shorthash(hash, key, len, hash_key);
    memcpy(&value, hash, sizeof(value));
    return value;
}
