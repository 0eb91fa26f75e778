/* SPDX-License-Identifier: Apache-2.0 */
/* peers.c - nodes by name.  An entry stays after its links: its slot keeps refs
 * alive over a reconnect, and its pin keeps a ractor node from taking the name.
 */
#include <stdlib.h>
#include <string.h>

#include "cluster/internal.h"

struct hti_peer *hti_peer_find(struct hti_cluster *c, const char *name)
{
    struct hti_peer *peer;

    HASH_FIND_STR(c->peers, name, peer);
    return peer;
}

static void peer_remove(struct hti_cluster *c, struct hti_peer *peer)
{
    if (peer->slot != NULL) {
        hti_slots_retire(&c->slots, peer->slot);
    }
    HASH_DEL(c->peers, peer);
    free(peer);
}

/* Oldest first: the table keeps the order of insertion.  Names cost a ractor
 * node nothing, and a forgotten pin is a name that it may take next. */
static bool evict_one(struct hti_cluster *c, bool for_hardtack)
{
    struct hti_peer *peer, *next;

    HASH_ITER(hh, c->peers, peer, next)
    {
        if (TAILQ_EMPTY(&peer->links) && !peer->configured &&
            (for_hardtack || !peer->hardtack)) {
            peer_remove(c, peer);
            return true;
        }
    }
    return false;
}

struct hti_peer *
hti_peer_get(struct hti_cluster *c, const char *name, bool hardtack)
{
    struct hti_peer *peer = hti_peer_find(c, name);

    if (peer != NULL) {
        return peer;
    }
    if (HASH_COUNT(c->peers) >= HTI_PEERS_MAX && !evict_one(c, hardtack)) {
        return NULL;
    }
    peer = calloc(1, sizeof *peer);
    if (peer == NULL) {
        return NULL;
    }
    strncpy(peer->name, name, HTI_NAME_BYTES_MAX);
    TAILQ_INIT(&peer->links);
    /* The analyzer takes the evicted one for the head of the table. */
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    HASH_ADD_STR(c->peers, name, peer);
    if (!hti_in_table(&peer->hh)) {
        free(peer);
        return NULL;
    }
    return peer;
}

/* What is worth nothing without a link: hidden clients, whose names are made
 * anew each time, and ractor nodes, whose handles end with the session. */
void hti_peer_forget(struct hti_cluster *c, struct hti_peer *peer)
{
    if (TAILQ_EMPTY(&peer->links) && !peer->hardtack) {
        peer_remove(c, peer);
    }
}

void hti_peers_fini(struct hti_cluster *c)
{
    struct hti_peer *peer = c->peers;

    /* The chain of insertion outlives the table; the slots go with theirs. */
    HASH_CLEAR(hh, c->peers);
    while (peer != NULL) {
        struct hti_peer *next = peer->hh.next;

        free(peer);
        peer = next;
    }
}

bool hti_peer_is_connected(struct hti_cluster *c, const char *name)
{
    struct hti_peer *peer = hti_peer_find(c, name);

    return peer != NULL && !TAILQ_EMPTY(&peer->links);
}
