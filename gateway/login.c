/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/login.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct gw_keys {
    pthread_mutex_t lock;
    ht_token_keys *keys; /* NULL: no token is good */
};

uint64_t gw_now_s(void)
{
    return (uint64_t)time(NULL);
}

/* ---- keys ---------------------------------------------------------------- */

ht_err gw_keys_load(const char *file,
                    struct gw_keys **ret_keys,
                    char *why,
                    size_t why_len)
{
    struct gw_keys *keys = calloc(1, sizeof(*keys));
    ht_err err = HT_OK;

    if (keys == NULL) {
        return HT_ENOMEM;
    }
    if (file != NULL) {
        err = ht_token_keys_load(file, &keys->keys, why, why_len);
    }
    if (err != HT_OK) {
        free(keys);
        return err;
    }
    (void)pthread_mutex_init(&keys->lock, NULL);
    *ret_keys = keys;
    return HT_OK;
}

void gw_keys_replace(struct gw_keys *keys, struct gw_keys *other)
{
    ht_token_keys *old;

    (void)pthread_mutex_lock(&keys->lock);
    old = keys->keys;
    keys->keys = other->keys;
    other->keys = NULL;
    (void)pthread_mutex_unlock(&keys->lock);
    ht_token_keys_free(old);
}

void gw_keys_free(struct gw_keys *keys)
{
    if (keys != NULL) {
        ht_token_keys_free(keys->keys);
        (void)pthread_mutex_destroy(&keys->lock);
        free(keys);
    }
}

/* ---- identities ---------------------------------------------------------- */

void gw_identity_free(struct gw_identity *identity)
{
    if (identity != NULL) {
        ht_token_fini(&identity->token);
        free(identity);
    }
}

bool gw_identity_same_user(const struct gw_identity *a,
                           const struct gw_identity *b)
{
    if (a == NULL || b == NULL) {
        return a == b;
    }
    return strcmp(a->token.user, b->token.user) == 0;
}

static ht_err open_token(struct gw_keys *keys,
                         const char *text,
                         size_t len,
                         struct gw_identity **ret_identity)
{
    struct gw_identity *identity = calloc(1, sizeof(*identity));
    ht_err err;

    if (identity == NULL) {
        return HT_ENOMEM;
    }
    (void)pthread_mutex_lock(&keys->lock);
    err = ht_token_open(keys->keys, text, len, gw_now_s(), &identity->token);
    (void)pthread_mutex_unlock(&keys->lock);
    if (err != HT_OK) {
        free(identity);
        return err;
    }
    *ret_identity = identity;
    return HT_OK;
}

/* A client stays the user that it is: what was sent to one must not be resumed
 * by another.  A token of the same user renews the first. */
ht_err gw_message_login(struct gw_client *client,
                        const char *token,
                        size_t len,
                        const char **ret_reason)
{
    struct gw_identity *identity = NULL;
    ht_err err =
        open_token(gw_view(client->gateway)->keys, token, len, &identity);

    if (err == HT_OK && client->identity != NULL &&
        !gw_identity_same_user(identity, client->identity)) {
        gw_identity_free(identity);
        *ret_reason = "this client has logged in as another user";
        err = HT_EDENIED;
    } else if (err == HT_OK) {
        gw_identity_free(client->identity);
        client->identity = identity;
    } else if (err == HT_EEXPIRED) {
        *ret_reason = "the token has expired";
        err = HT_EAUTH;
    } else {
        *ret_reason =
            err == HT_ENOMEM ? "out of memory" : "the token is not valid here";
    }
    gw_count(client->loop, err == HT_OK ? GW_LOGINS : GW_LOGINS_FAILED, 1);
    return err;
}
