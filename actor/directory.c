/* SPDX-License-Identifier: Apache-2.0 */
/* Actors and their names. Groups are in groups.c. */
#include "actor/directory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "actor/groups.h"
#include "actor/internal.h"
#include "base/utf8.h"

ht_err hti_directory_new(ht_node *node, struct hti_directory **ret_directory)
{
    struct hti_directory *dir = calloc(1, sizeof *dir);

    if (dir == NULL) {
        return HT_ENOMEM;
    }
    if (pthread_mutex_init(&dir->lock, NULL) != 0) {
        free(dir);
        return HT_ENOMEM;
    }
    dir->node = node;
    *ret_directory = dir;
    return HT_OK;
}

int hti_name_len(const char *text)
{
    size_t len = text != NULL ? strnlen(text, HTI_NAME_BYTES_MAX + 1) : 0;

    if (text == NULL || len > HTI_NAME_BYTES_MAX ||
        !hti_utf8_valid(text, len)) {
        return -1;
    }
    return (int)len;
}

/* ---- records ------------------------------------------------------------- */

struct hti_dir_actor *hti_dir_actor_find(struct hti_directory *dir, ht_ref ref)
{
    struct hti_dir_actor *actor;

    HASH_FIND(hh, dir->actors, &ref, sizeof ref, actor);
    return actor;
}

static void peer_tidy(struct hti_directory *dir, struct hti_dir_peer *peer)
{
    if (LIST_EMPTY(&peer->actors)) {
        HASH_DEL(dir->peers, peer);
        free(peer);
    }
}

static struct hti_dir_peer *peer_get(struct hti_directory *dir, uint64_t node)
{
    struct hti_dir_peer *peer;

    HASH_FIND(hh, dir->peers, &node, sizeof node, peer);
    if (peer != NULL) {
        return peer;
    }
    peer = calloc(1, sizeof *peer);
    if (peer == NULL) {
        return NULL;
    }
    peer->node = node;
    HASH_ADD(hh, dir->peers, node, sizeof peer->node, peer);
    if (!hti_in_table(&peer->hh)) {
        free(peer);
        return NULL;
    }
    return peer;
}

struct hti_dir_actor *hti_dir_actor_get(struct hti_directory *dir, ht_ref ref)
{
    struct hti_dir_actor *actor = hti_dir_actor_find(dir, ref);

    if (actor != NULL) {
        return actor;
    }
    actor = calloc(1, sizeof *actor);
    if (actor == NULL) {
        return NULL;
    }
    actor->ref = ref;
    TAILQ_INIT(&actor->names);
    HASH_ADD(hh, dir->actors, ref, sizeof actor->ref, actor);
    if (!hti_in_table(&actor->hh)) {
        free(actor);
        return NULL;
    }
    if (ref.node != hti_rt_local_handle(dir->node)) {
        actor->peer = peer_get(dir, ref.node);
        if (actor->peer == NULL) {
            HASH_DEL(dir->actors, actor);
            free(actor);
            return NULL;
        }
        LIST_INSERT_HEAD(&actor->peer->actors, actor, of_peer);
    }
    return actor;
}

void hti_dir_actor_tidy(struct hti_directory *dir, struct hti_dir_actor *actor)
{
    if (actor->advertised || !TAILQ_EMPTY(&actor->names) ||
        !LIST_EMPTY(&actor->members) || !LIST_EMPTY(&actor->watches)) {
        return;
    }
    if (actor->peer != NULL) {
        LIST_REMOVE(actor, of_peer);
        peer_tidy(dir, actor->peer);
    }
    HASH_DEL(dir->actors, actor);
    free(actor);
}

const char *hti_dir_actor_name(const struct hti_dir_actor *actor)
{
    const struct hti_dir_name *name;

    TAILQ_FOREACH (name, &actor->names, of_actor) {
        if (!name->private) {
            return name->text;
        }
    }
    return "";
}

void hti_dir_advertise(struct hti_directory *dir, struct hti_dir_actor *actor)
{
    const struct hti_remote_ops *remote = dir->node->remote;

    if (actor->advertised ||
        !hti_actor_set_advertised(dir->node, actor->ref.pid)) {
        return;
    }
    actor->advertised = true;
    if (remote != NULL) {
        remote->advertise(dir->node->remote_arg, actor->ref.pid,
                          hti_dir_actor_name(actor));
    }
}

/* ---- names --------------------------------------------------------------- */

static struct hti_dir_name *
name_find(struct hti_directory *dir, const void *text, size_t len)
{
    struct hti_dir_name *name;

    HASH_FIND(hh, dir->names, text, len, name);
    return name;
}

static void name_free(struct hti_directory *dir, struct hti_dir_name *name)
{
    TAILQ_REMOVE(&name->actor->names, name, of_actor);
    HASH_DEL(dir->names, name);
    free(name);
}

static ht_err name_add(struct hti_directory *dir,
                       struct hti_dir_actor *actor,
                       const void *text,
                       size_t len,
                       bool private)
{
    struct hti_dir_name *name = malloc(sizeof *name + len + 1);

    if (name == NULL) {
        return HT_ENOMEM;
    }
    name->actor = actor;
    name->len = len;
    name->private = private;
    memcpy(name->text, text, len);
    name->text[len] = '\0';
    HASH_ADD_KEYPTR(hh, dir->names, name->text, len, name);
    if (!hti_in_table(&name->hh)) {
        free(name);
        return HT_ENOMEM;
    }
    TAILQ_INSERT_TAIL(&actor->names, name, of_actor);
    return HT_OK;
}

static ht_err register_locked(struct hti_directory *dir,
                              uint64_t pid,
                              const void *text,
                              size_t len,
                              bool private)
{
    ht_ref ref = {hti_rt_local_handle(dir->node), pid};
    struct hti_dir_actor *actor;
    ht_err err;

    if (name_find(dir, text, len) != NULL) {
        return HT_EEXIST;
    }
    /* Under the lock: an actor that ceases to be live after this is taken out
     * again by hti_directory_actor_ended(), which waits for the lock. */
    if (!hti_actor_is_live(dir->node, pid)) {
        return HT_ENOPROC;
    }
    actor = hti_dir_actor_get(dir, ref);
    if (actor == NULL) {
        return HT_ENOMEM;
    }
    err = name_add(dir, actor, text, len, private);
    if (err == HT_OK && !private) {
        hti_dir_advertise(dir, actor);
    }
    hti_dir_actor_tidy(dir, actor);
    return err;
}

ht_err hti_directory_register(struct hti_directory *dir,
                              uint64_t pid,
                              const char *name)
{
    int len = hti_name_len(name);
    ht_err err;

    if (len <= 0) {
        return HT_EINVAL;
    }
    pthread_mutex_lock(&dir->lock);
    err = register_locked(dir, pid, name, (size_t)len, false);
    pthread_mutex_unlock(&dir->lock);
    return err;
}

static uint64_t find(struct hti_directory *dir, const void *name, size_t len)
{
    struct hti_dir_name *found = NULL;
    uint64_t pid = 0;
    unsigned hash = hti_hash(name, len);

    pthread_mutex_lock(&dir->lock);
    HASH_FIND_BYHASHVALUE(hh, dir->names, name, len, hash, found);
    if (found != NULL) {
        pid = found->actor->ref.pid;
    }
    pthread_mutex_unlock(&dir->lock);
    return pid;
}

uint64_t
hti_directory_find(struct hti_directory *dir, const void *name, size_t len)
{
    /* A NUL would reach the private names. */
    if (len == 0 || len > HTI_NAME_BYTES_MAX || memchr(name, 0, len) != NULL) {
        return 0;
    }
    return find(dir, name, len);
}

/* ---- private names ------------------------------------------------------- */

/* NUL, the owner's pid, the name: no name of others begins with a NUL. */
struct private_name {
    char bytes[1 + sizeof(uint64_t) + HTI_NAME_BYTES_MAX];
    size_t len;
};

static bool
private_make(struct private_name *key, uint64_t owner, const char *name)
{
    int len = hti_name_len(name);

    if (len <= 0) {
        return false;
    }
    key->bytes[0] = '\0';
    memcpy(key->bytes + 1, &owner, sizeof owner);
    memcpy(key->bytes + 1 + sizeof owner, name, (size_t)len);
    key->len = 1 + sizeof owner + (size_t)len;
    return true;
}

ht_err hti_directory_register_child(struct hti_directory *dir,
                                    uint64_t owner,
                                    const char *id,
                                    uint64_t pid)
{
    struct private_name key;
    ht_err err;

    if (!private_make(&key, owner, id)) {
        return HT_EINVAL;
    }
    pthread_mutex_lock(&dir->lock);
    err = register_locked(dir, pid, key.bytes, key.len, true);
    pthread_mutex_unlock(&dir->lock);
    return err;
}

uint64_t hti_directory_find_child(struct hti_directory *dir,
                                  uint64_t owner,
                                  const char *id)
{
    struct private_name key;

    return private_make(&key, owner, id) ? find(dir, key.bytes, key.len) : 0;
}

/* ---- reading ------------------------------------------------------------- */

const char *hti_directory_name(struct hti_directory *dir,
                               uint64_t pid,
                               char buf[HTI_NAME_BYTES_MAX + 1])
{
    ht_ref ref = {hti_rt_local_handle(dir->node), pid};
    const struct hti_dir_actor *actor;

    buf[0] = '\0';
    pthread_mutex_lock(&dir->lock);
    actor = hti_dir_actor_find(dir, ref);
    if (actor != NULL) {
        const char *name = hti_dir_actor_name(actor);

        memcpy(buf, name, strlen(name) + 1);
    }
    pthread_mutex_unlock(&dir->lock);
    return buf;
}

ht_err ht_register(ht_node *node, const char *name, ht_ref ref)
{
    if (ref.node != hti_rt_local_handle(node) || ref.pid == 0) {
        return HT_EINVAL;
    }
    return hti_directory_register(node->directory, ref.pid, name);
}

ht_err ht_unregister(ht_node *node, const char *text)
{
    struct hti_directory *dir = node->directory;
    struct hti_dir_name *name = NULL;
    int len = hti_name_len(text);

    if (len <= 0) {
        return HT_EINVAL;
    }
    pthread_mutex_lock(&dir->lock);
    name = name_find(dir, text, (size_t)len);
    if (name != NULL) {
        struct hti_dir_actor *actor = name->actor;

        name_free(dir, name);
        hti_dir_actor_tidy(dir, actor);
    }
    pthread_mutex_unlock(&dir->lock);
    return name != NULL ? HT_OK : HT_ENOENT;
}

ht_ref ht_whereis(ht_node *node, const char *name)
{
    ht_ref ref = {0, 0};

    if (name != NULL) {
        ref.pid = hti_directory_find(node->directory, name,
                                     strnlen(name, HTI_NAME_BYTES_MAX + 1));
    }
    if (ref.pid != 0) {
        ref.node = hti_rt_local_handle(node);
    }
    return ref;
}

/* ---- ends ---------------------------------------------------------------- */

static void names_free(struct hti_directory *dir, struct hti_dir_actor *actor)
{
    while (!TAILQ_EMPTY(&actor->names)) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): each leaves the list */
        name_free(dir, TAILQ_FIRST(&actor->names));
    }
}

void hti_directory_actor_ended(struct hti_directory *dir, uint64_t pid)
{
    ht_ref ref = {hti_rt_local_handle(dir->node), pid};
    const struct hti_remote_ops *remote = dir->node->remote;
    struct hti_dir_actor *actor;

    pthread_mutex_lock(&dir->lock);
    actor = hti_dir_actor_find(dir, ref);
    if (actor != NULL) {
        /* Peers take the end of an actor for its leaving every group, so they
         * are told this alone. */
        if (actor->advertised && remote != NULL) {
            remote->withdraw(dir->node->remote_arg, pid);
        }
        actor->advertised = false;
        hti_dir_unwatch_all(dir, actor);
        hti_dir_leave_all(dir, actor);
        names_free(dir, actor);
        hti_dir_actor_tidy(dir, actor);
    }
    pthread_mutex_unlock(&dir->lock);
}

void hti_directory_node_down(struct hti_directory *dir, uint64_t node)
{
    struct hti_dir_peer *peer;

    pthread_mutex_lock(&dir->lock);
    HASH_FIND(hh, dir->peers, &node, sizeof node, peer);
    if (peer != NULL) {
        hti_dir_peer_down(dir, peer);
    }
    pthread_mutex_unlock(&dir->lock);
}

void hti_directory_free(struct hti_directory *dir)
{
    struct hti_dir_actor *actor, *next;

    if (dir == NULL) {
        return;
    }
    /* No lock: nobody else is left.  Watchers go first, so that nothing is
     * posted to them. */
    HASH_ITER(hh, dir->actors, actor, next)
    {
        hti_dir_unwatch_all(dir, actor);
    }
    HASH_ITER(hh, dir->actors, actor, next)
    {
        actor->advertised = false;
        hti_dir_leave_all(dir, actor);
        names_free(dir, actor);
        hti_dir_actor_tidy(dir, actor);
    }
    assert(dir->actors == NULL && dir->names == NULL && dir->groups == NULL);
    assert(dir->members == NULL && dir->topics == NULL && dir->peers == NULL);
    pthread_mutex_destroy(&dir->lock);
    free(dir);
}
