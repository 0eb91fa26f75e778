/* SPDX-License-Identifier: Apache-2.0 */
/* topology.c - who else is there: each node is asked once, after it is
 * authenticated, and answers with the nodes that it has authenticated itself.
 * (ractor-wire, section 3.10.)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "cluster/internal.h"

/* Peers that other peers told us of. */
#define TRANSITIVE_MAX 1024u
/* Of one answer, so many are looked at. */
#define LEARN_MAX 4096u
/* What an entry of an answer takes beside its two texts, at most. */
#define ENTRY_BYTES    32
#define ASKED_EVERY_MS 1000
#define ASKED_MAX      4 /* in that time */

#define CASE(name)     HARDTACK__WIRE__CONTROL_MESSAGE__MSG_##name

static void put_name(Hardtack__Wire__NameMessage *m,
                     Hardtack__Wire__NodeFlags *flags,
                     const char *name,
                     const char *connection_string)
{
    hardtack__wire__node_flags__init(flags);
    flags->has_version = true;
    flags->version = 1;
    hardtack__wire__name_message__init(m);
    m->flags = flags;
    m->name = hti_pb_bytes(name, strlen(name));
    m->has_name = m->name.len > 0;
    m->connection_string =
        hti_pb_bytes(connection_string, strlen(connection_string));
    m->has_connection_string = m->connection_string.len > 0;
}

void hti_topology_ask(struct hti_link *link)
{
    Hardtack__Wire__ControlMessage m = HARDTACK__WIRE__CONTROL_MESSAGE__INIT;
    Hardtack__Wire__NameMessage name;
    Hardtack__Wire__NodeFlags flags;
    struct hti_cluster *c = link->cluster;

    if (!c->config.transitive) {
        return;
    }
    put_name(&name, &flags, c->name, c->connection_string);
    m.msg_case = CASE(ENUMERATE_NODE_SESSIONS);
    m.enumerate_node_sessions = &name;
    hti_link_push(link, hti_frame_control(&m));
}

/* ---- answering ----------------------------------------------------------- */

struct entry {
    char name[HTI_NAME_BUF];
    char connection_string[HTI_NAME_BUF];
    Hardtack__Wire__NameMessage m;
    Hardtack__Wire__NodeFlags flags;
};

/* Worth telling to the asker: not hidden, not itself, and to be reached. */
static bool is_listed(const struct hti_link *link, const struct hti_link *asker)
{
    return link->peer != NULL && !link->hidden && !link->admin &&
           link->connection_string[0] != '\0' &&
           strcmp(link->name, asker->name) != 0 &&
           strcmp(link->connection_string, asker->connection_string) != 0;
}

static size_t count_listed(struct hti_cluster *c, const struct hti_link *asker)
{
    const struct hti_link *link;
    size_t count = 0;

    TAILQ_FOREACH (link, &c->links, entry) {
        count += is_listed(link, asker);
    }
    return count;
}

static struct entry *
list(struct hti_cluster *c, const struct hti_link *asker, size_t *ret_count)
{
    const struct hti_link *link;
    struct entry *entries;
    size_t n = 0, count;

    pthread_mutex_lock(&c->lock);
    count = count_listed(c, asker);
    entries = calloc(count + 1, sizeof *entries);
    if (entries != NULL) {
        TAILQ_FOREACH (link, &c->links, entry) {
            if (is_listed(link, asker)) {
                memcpy(entries[n].name, link->name, sizeof link->name);
                memcpy(entries[n].connection_string, link->connection_string,
                       sizeof link->connection_string);
                n++;
            }
        }
    }
    pthread_mutex_unlock(&c->lock);
    *ret_count = n;
    return entries;
}

/* How many of the entries fit into one frame. */
static size_t
answer_batch(const struct entry *entries, size_t count, uint64_t payload_max)
{
    size_t bytes = 64, n = 0;

    while (n < count) {
        bytes += ENTRY_BYTES + strlen(entries[n].name) +
                 strlen(entries[n].connection_string);
        if (n > 0 && bytes > payload_max) {
            break;
        }
        n++;
    }
    return n;
}

void hti_topology_answer(struct hti_link *link)
{
    Hardtack__Wire__ControlMessage m = HARDTACK__WIRE__CONTROL_MESSAGE__INIT;
    Hardtack__Wire__NodeSessions sessions = HARDTACK__WIRE__NODE_SESSIONS__INIT;
    Hardtack__Wire__NameMessage **names;
    struct entry *entries;
    size_t count;

    /* The question is a few bytes, the answer may be a million. */
    if (link->asked == 0 || link->now_ms >= link->asked_ms + ASKED_EVERY_MS) {
        link->asked = 0;
        link->asked_ms = link->now_ms;
    }
    if (link->asked == ASKED_MAX) {
        hti_link_dropped(link, "asks for our nodes too often");
        return;
    }
    link->asked++;
    entries = list(link->cluster, link, &count);
    if (entries == NULL) {
        return; /* as ractor: no answer */
    }
    names = malloc((count + 1) * sizeof(Hardtack__Wire__NameMessage *));
    for (size_t i = 0; names != NULL && i < count; i++) {
        put_name(&entries[i].m, &entries[i].flags, entries[i].name,
                 entries[i].connection_string);
        names[i] = &entries[i].m;
    }
    m.msg_case = CASE(NODE_SESSIONS);
    m.node_sessions = &sessions;
    /* One at least, and none larger than the peer takes. */
    for (size_t at = 0; names != NULL && (at < count || at == 0);
         at += sessions.n_sessions + (count == 0)) {
        sessions.sessions = names + at;
        sessions.n_sessions =
            answer_batch(entries + at, count - at, link->payload_max);
        hti_link_push(link, hti_frame_control(&m));
    }
    free(names);
    free(entries);
}

/* ---- learning ------------------------------------------------------------ */

static bool text_of(const ProtobufCBinaryData *data, char buf[HTI_NAME_BUF])
{
    if (data->len == 0 || data->len > HTI_NAME_BYTES_MAX ||
        !hti_utf8_printable(data->data, data->len)) {
        return false;
    }
    memcpy(buf, data->data, data->len);
    buf[data->len] = '\0';
    return true;
}

/* The names and addresses that are known, so that an answer costs what it has
 * entries, however many nodes there are. */
struct known {
    UT_hash_handle hh;
    char text[]; /* 'n' and a name, or 'a' and an address */
};

static bool knows(struct known *known, char kind, const char *text)
{
    char key[HTI_NAME_BUF + 1];
    struct known *k;

    snprintf(key, sizeof key, "%c%s", kind, text);
    HASH_FIND_STR(known, key, k);
    return k != NULL;
}

/* False: no memory. */
static bool know(struct known **known, char kind, const char *text)
{
    struct known *k;

    if (text[0] == '\0' || knows(*known, kind, text)) {
        return true;
    }
    k = malloc(sizeof *k + strlen(text) + 2);
    if (k == NULL) {
        return false;
    }
    k->text[0] = kind;
    memcpy(k->text + 1, text, strlen(text) + 1);
    HASH_ADD_STR(*known, text, k);
    if (!hti_in_table(&k->hh)) {
        free(k);
        return false;
    }
    return true;
}

static void known_free(struct known *known)
{
    struct known *at = known, *next;

    /* The chain of insertion outlives the table. */
    HASH_CLEAR(hh, known);
    for (; at != NULL; at = next) {
        next = at->hh.next;
        free(at);
    }
}

/* What a ractor node says its address is, is not known to be. */
static bool know_all(struct hti_cluster *c, struct known **known)
{
    const struct hti_link *link;
    const struct hti_dial *dial;
    bool good =
        know(known, 'n', c->name) && know(known, 'a', c->connection_string);

    TAILQ_FOREACH (link, &c->links, entry) {
        if (link->peer != NULL && link->hardtack) {
            good = good && know(known, 'a', link->connection_string);
        }
    }
    TAILQ_FOREACH (dial, &c->dials, entry) {
        good = good && know(known, 'n', hti_dial_peer_name(dial)) &&
               know(known, 'a', dial->address);
    }
    return good;
}

/* One that is connected by a link of its own making is remembered, too: that
 * link may be dead already, and its maker may have forgotten us.
 * False: there is no room for more. */
static bool learn(struct hti_cluster *c,
                  struct known **known,
                  const char *name,
                  const char *connection_string,
                  uint64_t now_ms)
{
    struct hti_target target = {
        .address = connection_string,
        .name = name,
        .encryption = c->config.encryption,
        .any_peer = c->config.any_peer,
    };
    struct hti_waiters done = TAILQ_HEAD_INITIALIZER(done);
    bool connected = hti_peer_is_connected(c, name);
    const struct hti_link *link;
    struct hti_dial *dial;

    if (knows(*known, 'n', name) ||
        (!connected && knows(*known, 'a', connection_string))) {
        return true;
    }
    if (c->stopping || c->transitive_count >= TRANSITIVE_MAX ||
        !know(known, 'n', name) || !know(known, 'a', connection_string) ||
        hti_dial_new(c, &target, now_ms, &dial) != HT_OK) {
        return false;
    }
    dial->transitive = true;
    c->transitive_count++;
    link = hti_dial_find_link(c, dial);
    if (link != NULL) {
        memcpy(dial->peer_name, link->name, sizeof dial->peer_name);
        dial->state = HTI_TARGET_MET;
    } else if (connected) {
        /* Under another protection than ours would be, and that is its maker's
         * business. */
        hti_dial_free(c, dial, HT_ECANCELLED, &done);
    }
    return true;
}

void hti_topology_learn(struct hti_link *link,
                        const Hardtack__Wire__NodeSessions *m)
{
    struct hti_cluster *c = link->cluster;
    char name[HTI_NAME_BUF];
    char connection_string[HTI_NAME_BUF];
    struct known *known = NULL;
    bool more;

    if (!c->config.transitive) {
        return;
    }
    pthread_mutex_lock(&c->lock);
    more = know_all(c, &known);
    for (size_t i = 0; more && i < m->n_sessions && i < LEARN_MAX; i++) {
        const Hardtack__Wire__NameMessage *s = m->sessions[i];

        /* A peer may send us to other machines, not to our own sockets. */
        if (text_of(&s->name, name) &&
            text_of(&s->connection_string, connection_string) &&
            strncmp(connection_string, "unix:", 5) != 0) {
            more = learn(c, &known, name, connection_string, link->now_ms);
        }
    }
    pthread_mutex_unlock(&c->lock);
    known_free(known);
    c->io->tick_at(c->io_arg, link->now_ms);
}
