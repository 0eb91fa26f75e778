/* SPDX-License-Identifier: Apache-2.0 */
/* Who is told of what happens in groups. */
#include <stdlib.h>
#include <string.h>

#include "actor/groups.h"
#include "actor/internal.h"

/* What ractor monitors to hear of everything. */
#define WORLD_SCOPE "__world_scope__"
#define WORLD_GROUP "__world_group_"

/* ---- topics ---------------------------------------------------------------
 */

/* A topic's key: each part is "=text" or "*", and a NUL. */
struct pattern {
    char bytes[2 * (HTI_NAME_BYTES_MAX + 2)];
    size_t len;
};

static void pattern_add(struct pattern *pattern, const char *part)
{
    if (part == NULL) {
        memcpy(pattern->bytes + pattern->len, "*", 2);
        pattern->len += 2;
    } else {
        size_t len = strlen(part);

        pattern->bytes[pattern->len++] = '=';
        memcpy(pattern->bytes + pattern->len, part, len + 1);
        pattern->len += len + 1;
    }
}

/* NULL parts match everything. */
static void
pattern_make(struct pattern *pattern, const char *scope, const char *group)
{
    pattern->len = 0;
    pattern_add(pattern, scope);
    pattern_add(pattern, group);
}

static struct hti_dir_topic *topic_find(struct hti_directory *dir,
                                        const struct pattern *pattern)
{
    struct hti_dir_topic *topic;

    HASH_FIND(hh, dir->topics, pattern->bytes, pattern->len, topic);
    return topic;
}

static struct hti_dir_topic *topic_get(struct hti_directory *dir,
                                       const struct pattern *pattern)
{
    struct hti_dir_topic *topic = topic_find(dir, pattern);

    if (topic != NULL) {
        return topic;
    }
    topic = calloc(1, sizeof *topic + pattern->len);
    if (topic == NULL) {
        return NULL;
    }
    memcpy(topic->key, pattern->bytes, pattern->len);
    topic->key_len = pattern->len;
    HASH_ADD_KEYPTR(hh, dir->topics, topic->key, topic->key_len, topic);
    if (!hti_in_table(&topic->hh)) {
        free(topic);
        return NULL;
    }
    return topic;
}

static void topic_tidy(struct hti_directory *dir, struct hti_dir_topic *topic)
{
    if (LIST_EMPTY(&topic->watches)) {
        HASH_DEL(dir->topics, topic);
        free(topic);
    }
}

static void watch_free(struct hti_directory *dir, struct hti_dir_watch *watch)
{
    LIST_REMOVE(watch, of_topic);
    LIST_REMOVE(watch, of_actor);
    topic_tidy(dir, watch->topic);
    free(watch);
}

void hti_dir_unwatch_all(struct hti_directory *dir, struct hti_dir_actor *actor)
{
    while (!LIST_EMPTY(&actor->watches)) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): each leaves the list */
        watch_free(dir, LIST_FIRST(&actor->watches));
    }
}

/* ---- telling ------------------------------------------------------------- */

/* One allocation a change, shared by all who are told: the refs and the key
 * that the events of its items point to. */
struct news {
    _Atomic unsigned refs;
    ht_event event;
    ht_ref members[];
};

struct news_item {
    struct hti_event_item event;
    ht_actor *watcher; /* its slot, which outlives it */
    struct news *news;
};

static void news_unref(struct news *news)
{
    /* acq_rel: every reader's reads come before the free. */
    if (news != NULL &&
        atomic_fetch_sub_explicit(&news->refs, 1, memory_order_acq_rel) == 1) {
        hti_free(news);
    }
}

static struct news *news_new(const struct hti_dir_group *group,
                             bool joined,
                             const struct hti_dir_change *change)
{
    const struct hti_dir_member *m;
    struct news *news;
    size_t count = 0;
    char *key;

    SLIST_FOREACH (m, change, of_change) {
        count++;
    }
    news = hti_alloc(sizeof *news + count * sizeof(ht_ref) + group->key_len);
    if (news == NULL) {
        return NULL;
    }
    key = (char *)(news->members + count);
    memcpy(key, group->key, group->key_len);
    atomic_init(&news->refs, 1);
    news->event = (ht_event){.kind = HT_EVENT_GROUP};
    news->event.u.group.scope = key;
    news->event.u.group.group = key + (group->group - group->key);
    news->event.u.group.joined = joined;
    news->event.u.group.refs = news->members;
    news->event.u.group.count = count;
    /* A change is a stack: what came first is told first. */
    SLIST_FOREACH (m, change, of_change) {
        news->members[--count] = m->key.ref;
    }
    return news;
}

static void news_item_release(struct hti_item *item)
{
    struct news_item *self = (struct news_item *)(void *)item;

    atomic_fetch_sub_explicit(&self->watcher->news, 1, memory_order_relaxed);
    news_unref(self->news);
    hti_free(self);
}

/* A watcher that does not keep up loses events rather than the node its memory;
 * they are counted with what its mailbox refused. */
static void news_lost(ht_node *node, ht_actor *watcher)
{
    atomic_fetch_add_explicit(&watcher->dropped, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&node->dropped, 1, memory_order_relaxed);
}

static void news_post(ht_node *node, uint64_t pid, struct news *news)
{
    ht_actor *watcher = hti_slot_of(node, pid);
    struct news_item *item = NULL;

    if (atomic_fetch_add_explicit(&watcher->news, 1, memory_order_relaxed) <
        HTI_GROUP_EVENTS_MAX) {
        item = hti_alloc(sizeof *item);
    }
    if (item == NULL) {
        atomic_fetch_sub_explicit(&watcher->news, 1, memory_order_relaxed);
        news_lost(node, watcher);
        return;
    }
    atomic_fetch_add_explicit(&news->refs, 1, memory_order_relaxed);
    item->watcher = watcher;
    item->news = news;
    item->event.item.kind = HTI_ITEM_EVENT;
    item->event.event = news->event;
    item->event.release = news_item_release;
    hti_post(node, pid, &item->event.item);
}

/* Tell each watcher once, by however many topics it watches. */
static void topic_tell(struct hti_directory *dir,
                       const struct hti_dir_topic *topic,
                       struct news *news)
{
    struct hti_dir_watch *watch;

    LIST_FOREACH (watch, &topic->watches, of_topic) {
        if (watch->actor->last_change != dir->changes) {
            watch->actor->last_change = dir->changes;
            news_post(dir->node, watch->actor->ref.pid, news);
        }
    }
}

void hti_dir_tell_watchers(struct hti_directory *dir,
                           const struct hti_dir_group *group,
                           bool joined,
                           const struct hti_dir_change *change)
{
    const char *scopes[2] = {group->key, NULL};
    const char *groups[2] = {group->group, NULL};
    struct news *news = NULL;

    if (dir->topics == NULL || SLIST_EMPTY(change)) {
        return;
    }
    dir->changes++;
    for (unsigned i = 0; i < 4; i++) {
        struct hti_dir_topic *topic;
        struct pattern pattern;

        pattern_make(&pattern, scopes[i / 2], groups[i % 2]);
        topic = topic_find(dir, &pattern);
        if (topic == NULL) {
            continue;
        }
        if (news == NULL) {
            news = news_new(group, joined, change);
        }
        if (news == NULL) {
            return;
        }
        topic_tell(dir, topic, news);
    }
    news_unref(news);
}

/* ---- watching -------------------------------------------------------------
 */

static struct hti_dir_watch *watch_find(const struct hti_dir_actor *actor,
                                        const struct hti_dir_topic *topic)
{
    struct hti_dir_watch *watch;

    LIST_FOREACH (watch, &actor->watches, of_actor) {
        if (watch->topic == topic) {
            return watch;
        }
    }
    return NULL;
}

static ht_err watch_add(struct hti_directory *dir,
                        struct hti_dir_actor *actor,
                        const struct pattern *pattern)
{
    struct hti_dir_topic *topic = topic_get(dir, pattern);
    struct hti_dir_watch *watch;

    if (topic == NULL) {
        return HT_ENOMEM;
    }
    if (watch_find(actor, topic) != NULL) {
        return HT_OK;
    }
    watch = malloc(sizeof *watch);
    if (watch == NULL) {
        topic_tidy(dir, topic);
        return HT_ENOMEM;
    }
    watch->topic = topic;
    watch->actor = actor;
    LIST_INSERT_HEAD(&topic->watches, watch, of_topic);
    LIST_INSERT_HEAD(&actor->watches, watch, of_actor);
    return HT_OK;
}

static ht_err
pattern_read(struct pattern *pattern, const char *scope, const char *group)
{
    if (scope != NULL && strcmp(scope, WORLD_SCOPE) == 0) {
        scope = NULL;
    }
    if (group != NULL && strcmp(group, WORLD_GROUP) == 0) {
        group = NULL;
    }
    if ((scope != NULL && hti_name_len(scope) < 0) ||
        (group != NULL && hti_name_len(group) < 0)) {
        return HT_EINVAL;
    }
    pattern_make(pattern, scope, group);
    return HT_OK;
}

ht_err ht_group_monitor(ht_actor *self, const char *scope, const char *group)
{
    ht_node *node = ht_actor_node(self);
    struct hti_directory *dir = node->directory;
    struct hti_dir_actor *actor;
    ht_ref ref = ht_self(self);
    struct pattern pattern;
    ht_err err = pattern_read(&pattern, scope, group);

    if (err != HT_OK) {
        return err;
    }
    pthread_mutex_lock(&dir->lock);
    /* Not from terminate(): nobody would take the watch away again. */
    if (!hti_actor_is_live(node, ref.pid)) {
        err = HT_ENOPROC;
    } else if ((actor = hti_dir_actor_get(dir, ref)) == NULL) {
        err = HT_ENOMEM;
    } else {
        err = watch_add(dir, actor, &pattern);
        hti_dir_actor_tidy(dir, actor);
    }
    pthread_mutex_unlock(&dir->lock);
    return err;
}

ht_err ht_group_demonitor(ht_actor *self, const char *scope, const char *group)
{
    struct hti_directory *dir = ht_actor_node(self)->directory;
    const struct hti_dir_topic *topic;
    struct hti_dir_watch *watch = NULL;
    struct hti_dir_actor *actor;
    struct pattern pattern;
    ht_err err = pattern_read(&pattern, scope, group);

    if (err != HT_OK) {
        return err;
    }
    pthread_mutex_lock(&dir->lock);
    topic = topic_find(dir, &pattern);
    actor = hti_dir_actor_find(dir, ht_self(self));
    if (topic != NULL && actor != NULL) {
        watch = watch_find(actor, topic);
    }
    if (watch != NULL) {
        watch_free(dir, watch);
        hti_dir_actor_tidy(dir, actor);
    }
    pthread_mutex_unlock(&dir->lock);
    return watch != NULL ? HT_OK : HT_ENOENT;
}
