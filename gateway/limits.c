/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/limits.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/table.h"

/* ---- addresses ----------------------------------------------------------- */

static const uint8_t v4_prefix[12] = {[10] = 0xff, [11] = 0xff};

void gw_address_key(const struct sockaddr_storage *address,
                    uint8_t ret_key[GW_ADDRESS_KEY_BYTES])
{
    memset(ret_key, 0, GW_ADDRESS_KEY_BYTES);
    if (address->ss_family == AF_INET) {
        struct sockaddr_in in;

        memcpy(&in, address, sizeof(in));
        memcpy(ret_key, v4_prefix, sizeof(v4_prefix));
        memcpy(ret_key + sizeof(v4_prefix), &in.sin_addr, 4);
    } else if (address->ss_family == AF_INET6) {
        struct sockaddr_in6 in6;

        memcpy(&in6, address, sizeof(in6));
        memcpy(ret_key, &in6.sin6_addr, 16);
        /* Whoever has one address of IPv6 has the 2^64 of its network. */
        if (!IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr) &&
            !IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr)) {
            memset(ret_key + 8, 0, 8);
        }
    }
}

bool gw_address_is_loopback(const uint8_t key[GW_ADDRESS_KEY_BYTES])
{
    static const uint8_t v6[16] = {[15] = 1};

    return memcmp(key, v6, sizeof(v6)) == 0 ||
           (memcmp(key, v4_prefix, sizeof(v4_prefix)) == 0 && key[12] == 127);
}

void gw_address_text(const struct sockaddr_storage *address,
                     char *text,
                     size_t text_len)
{
    char ip[INET6_ADDRSTRLEN] = "?";

    if (address->ss_family == AF_INET) {
        struct sockaddr_in in;

        memcpy(&in, address, sizeof(in));
        inet_ntop(AF_INET, &in.sin_addr, ip, sizeof(ip));
        snprintf(text, text_len, "%s:%u", ip, ntohs(in.sin_port));
    } else {
        struct sockaddr_in6 in6;

        memcpy(&in6, address, sizeof(in6));
        inet_ntop(AF_INET6, &in6.sin6_addr, ip, sizeof(ip));
        snprintf(text, text_len, "[%s]:%u", ip, ntohs(in6.sin6_port));
    }
}

struct entry {
    uint8_t key[GW_ADDRESS_KEY_BYTES];
    uint32_t count;
    UT_hash_handle hh;
};

struct gw_addresses {
    pthread_mutex_t lock;
    struct entry *entries;
};

struct gw_addresses *gw_addresses_new(void)
{
    struct gw_addresses *a = calloc(1, sizeof(*a));

    if (a != NULL) {
        pthread_mutex_init(&a->lock, NULL);
    }
    return a;
}

void gw_addresses_free(struct gw_addresses *a)
{
    struct entry *e, *next;

    if (a == NULL) {
        return;
    }
    HASH_ITER(hh, a->entries, e, next)
    {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): each leaves the list */
        HASH_DEL(a->entries, e);
        free(e);
    }
    pthread_mutex_destroy(&a->lock);
    free(a);
}

/* With the lock. */
static ht_err enter(struct gw_addresses *a, const uint8_t *key, uint32_t max)
{
    struct entry *e;

    HASH_FIND(hh, a->entries, key, GW_ADDRESS_KEY_BYTES, e);
    if (e == NULL) {
        e = calloc(1, sizeof(*e));
        if (e == NULL) {
            return HT_ENOMEM;
        }
        memcpy(e->key, key, GW_ADDRESS_KEY_BYTES);
        HASH_ADD(hh, a->entries, key, GW_ADDRESS_KEY_BYTES, e);
        if (!hti_in_table(&e->hh)) {
            free(e);
            return HT_ENOMEM;
        }
    }
    if (e->count >= max) {
        return HT_EBUSY;
    }
    e->count++;
    return HT_OK;
}

ht_err gw_addresses_enter(struct gw_addresses *a,
                          const uint8_t key[GW_ADDRESS_KEY_BYTES],
                          uint32_t max)
{
    ht_err err;

    pthread_mutex_lock(&a->lock);
    err = enter(a, key, max);
    pthread_mutex_unlock(&a->lock);
    return err;
}

void gw_addresses_leave(struct gw_addresses *a,
                        const uint8_t key[GW_ADDRESS_KEY_BYTES])
{
    struct entry *e;

    pthread_mutex_lock(&a->lock);
    HASH_FIND(hh, a->entries, key, GW_ADDRESS_KEY_BYTES, e);
    if (e != NULL && --e->count == 0) {
        HASH_DEL(a->entries, e);
        free(e);
    }
    pthread_mutex_unlock(&a->lock);
}

/* ---- rate ---------------------------------------------------------------- */

#define TOKEN 1000 /* milli */

void gw_bucket_init(struct gw_bucket *bucket, uint32_t burst, uint64_t now_ms)
{
    bucket->milli = (uint64_t)burst * TOKEN;
    bucket->at_ms = now_ms;
}

bool gw_bucket_take(struct gw_bucket *bucket,
                    uint32_t per_second,
                    uint32_t burst,
                    uint64_t now_ms)
{
    uint64_t full = (uint64_t)burst * TOKEN;
    uint64_t elapsed = now_ms > bucket->at_ms ? now_ms - bucket->at_ms : 0;

    /* per_second tokens in 1000 ms are per_second thousandths in one. */
    if (elapsed >= full / per_second + 1) {
        bucket->milli = full;
    } else {
        bucket->milli += elapsed * per_second;
        if (bucket->milli > full) {
            bucket->milli = full;
        }
    }
    bucket->at_ms = now_ms;
    if (bucket->milli < TOKEN) {
        return false;
    }
    bucket->milli -= TOKEN;
    return true;
}

/* ---- origins ------------------------------------------------------------- */

bool gw_origin_is_allowed(const char *origin,
                          const char *host,
                          const char *const *origins,
                          size_t count)
{
    const char *at;

    for (size_t i = 0; i < count; i++) {
        if (strcmp(origins[i], "*") == 0 ||
            strcasecmp(origins[i], origin) == 0) {
            return true;
        }
    }
    if (count > 0 || host == NULL) {
        return false;
    }
    at = strstr(origin, "://");
    return at != NULL && strcasecmp(at + 3, host) == 0;
}

bool gw_host_is_local(const char *host)
{
    char name[64];
    uint8_t address[16];
    size_t len;

    if (host == NULL) {
        return true;
    }
    if (host[0] == '[') {
        host++;
        len = strcspn(host, "]");
    } else {
        len = strcspn(host, ":");
    }
    if (len >= sizeof(name)) {
        return false;
    }
    memcpy(name, host, len);
    name[len] = '\0';
    return strcasecmp(name, "localhost") == 0 ||
           inet_pton(AF_INET, name, address) == 1 ||
           inet_pton(AF_INET6, name, address) == 1;
}
