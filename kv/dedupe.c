/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/dedupe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void forget_first(struct hti_kv_dedupe *dedupe,
                         struct hti_kv_client *client)
{
    struct hti_kv_remembered *answer = TAILQ_FIRST(&client->answers);

    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): each leaves the list */
    if (answer->sequence > client->forgotten) {
        client->forgotten = answer->sequence;
    }
    client->count--;
    client->bytes -= sizeof(*answer) + answer->len;
    dedupe->bytes -= sizeof(*answer) + answer->len;
    TAILQ_REMOVE(&client->answers, answer, link);
    free(answer);
}

static void forget_client(struct hti_kv_dedupe *dedupe,
                          struct hti_kv_client *client)
{
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): one is there */
    while (client->count > 0) {
        forget_first(dedupe, client);
    }
    HASH_DEL(dedupe->clients, client);
    dedupe->count--;
    dedupe->bytes -= sizeof(*client);
    free(client);
}

void hti_kv_dedupe_fini(struct hti_kv_dedupe *dedupe)
{
    while (dedupe->clients != NULL) {
        forget_client(dedupe, dedupe->clients);
    }
}

static struct hti_kv_client *find(const struct hti_kv_dedupe *dedupe,
                                  const char *name)
{
    struct hti_kv_client *client = NULL;

    HASH_FIND(hh, dedupe->clients, name, strlen(name), client);
    return client;
}

enum hti_kv_seen hti_kv_dedupe_find(const struct hti_kv_dedupe *dedupe,
                                    const char *client,
                                    uint64_t sequence,
                                    ht_bytes *ret_answer)
{
    const struct hti_kv_client *known = find(dedupe, client);
    const struct hti_kv_remembered *answer;

    if (known == NULL) {
        return HTI_KV_NEW;
    }
    TAILQ_FOREACH_REVERSE(answer, &known->answers, hti_kv_remembers, link)
    {
        if (answer->sequence == sequence) {
            *ret_answer = (ht_bytes){answer->answer, answer->len};
            return HTI_KV_AGAIN;
        }
    }
    return sequence <= known->forgotten ? HTI_KV_FORGOTTEN : HTI_KV_NEW;
}

/* At the end of the table's order. */
static bool enter(struct hti_kv_dedupe *dedupe, struct hti_kv_client *client)
{
    memset(&client->hh, 0, sizeof(client->hh));
    HASH_ADD_KEYPTR(hh, dedupe->clients, client->name, strlen(client->name),
                    client);
    return hti_in_table(&client->hh);
}

struct hti_kv_client *hti_kv_dedupe_client(struct hti_kv_dedupe *dedupe,
                                           const char *name)
{
    struct hti_kv_client *client = calloc(1, sizeof(*client));

    if (client == NULL) {
        return NULL;
    }
    TAILQ_INIT(&client->answers);
    (void)snprintf(client->name, sizeof(client->name), "%s", name);
    if (!enter(dedupe, client)) {
        free(client);
        return NULL;
    }
    dedupe->count++;
    dedupe->bytes += sizeof(*client);
    return client;
}

/* The client becomes the one that wrote last.  NULL: no memory. */
static struct hti_kv_client *touch(struct hti_kv_dedupe *dedupe,
                                   const char *name)
{
    struct hti_kv_client *client = find(dedupe, name);

    if (client == NULL) {
        return hti_kv_dedupe_client(dedupe, name);
    }
    if (client->hh.next == NULL) {
        return client; /* it is that already */
    }
    HASH_DEL(dedupe->clients, client);
    if (!enter(dedupe, client)) {
        dedupe->count--;
        while (client->count > 0) {
            forget_first(dedupe, client);
        }
        dedupe->bytes -= sizeof(*client);
        free(client);
        return NULL;
    }
    return client;
}

/* What came before sequence is over: one of those that still comes, late, from
 * somewhere, is not done any more. */
static void settle(struct hti_kv_dedupe *dedupe,
                   struct hti_kv_client *client,
                   uint64_t sequence)
{
    while (client->count > 0) {
        forget_first(dedupe, client);
    }
    if (sequence > 0 && client->forgotten < sequence - 1) {
        client->forgotten = sequence - 1;
    }
}

/* Down to the bound: of those who wrote longest ago the answers, but not that
 * there were any.  Who is still asking then is told so, and does not do it
 * twice. */
static void forget_answers(struct hti_kv_dedupe *dedupe)
{
    struct hti_kv_client *client = dedupe->clients;

    while (
        dedupe->bytes > HTI_KV_ANSWERS_BYTES_MAX && client != NULL &&
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): who is freed has left */
        client->hh.next != NULL) {
        while (client->count > 0) {
            forget_first(dedupe, client);
        }
        client = client->hh.next;
    }
}

ht_err hti_kv_dedupe_add(struct hti_kv_dedupe *dedupe,
                         const char *name,
                         uint64_t sequence,
                         bool settled,
                         ht_bytes answer)
{
    struct hti_kv_remembered *entry = malloc(sizeof(*entry) + answer.len);
    struct hti_kv_client *client;

    if (entry == NULL) {
        return HT_ENOMEM;
    }
    client = touch(dedupe, name);
    if (client == NULL) {
        free(entry);
        return HT_ENOMEM;
    }
    if (settled) {
        settle(dedupe, client, sequence);
    }
    entry->sequence = sequence;
    entry->len = answer.len;
    memcpy(entry->answer, answer.data, answer.len);
    TAILQ_INSERT_TAIL(&client->answers, entry, link);
    client->count++;
    client->bytes += sizeof(*entry) + answer.len;
    dedupe->bytes += sizeof(*entry) + answer.len;
    if (client->count > HTI_KV_WINDOW_MAX) {
        forget_first(dedupe, client);
    }
    while (dedupe->count > HTI_KV_CLIENTS_MAX) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): each leaves the table */
        forget_client(dedupe, dedupe->clients);
    }
    forget_answers(dedupe);
    return HT_OK;
}
