/* SPDX-License-Identifier: Apache-2.0 */
/* topology.c - who else is there: each node is asked once, after it is
 * authenticated, and answers with the nodes that it has authenticated itself.
 * (ractor-wire, section 3.10.)
 */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "cluster/internal.h"

/* Peers that other peers told us of. */
#define TRANSITIVE_MAX 1024u

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

void hti_topology_answer(struct hti_link *link)
{
    Hardtack__Wire__ControlMessage m = HARDTACK__WIRE__CONTROL_MESSAGE__INIT;
    Hardtack__Wire__NodeSessions sessions = HARDTACK__WIRE__NODE_SESSIONS__INIT;
    Hardtack__Wire__NameMessage **names;
    struct entry *entries;
    size_t count;

    entries = list(link->cluster, link, &count);
    if (entries == NULL) {
        return; /* as ractor: no answer */
    }
    names = malloc((count + 1) * sizeof(Hardtack__Wire__NameMessage *));
    if (names != NULL) {
        for (size_t i = 0; i < count; i++) {
            put_name(&entries[i].m, &entries[i].flags, entries[i].name,
                     entries[i].connection_string);
            names[i] = &entries[i].m;
        }
        sessions.n_sessions = count;
        sessions.sessions = names;
        m.msg_case = CASE(NODE_SESSIONS);
        m.node_sessions = &sessions;
        hti_link_push(link, hti_frame_control(&m));
    }
    free(names);
    free(entries);
}

/* ---- learning ------------------------------------------------------------ */

static bool text_of(const ProtobufCBinaryData *data, char buf[HTI_NAME_BUF])
{
    if (data->len == 0 || data->len > HTI_NAME_BYTES_MAX ||
        memchr(data->data, '\0', data->len) != NULL ||
        !hti_utf8_valid(data->data, data->len)) {
        return false;
    }
    memcpy(buf, data->data, data->len);
    buf[data->len] = '\0';
    return true;
}

static bool
is_known(struct hti_cluster *c, const char *name, const char *connection_string)
{
    const struct hti_link *link;
    const struct hti_dial *dial;

    if (strcmp(name, c->name) == 0 ||
        strcmp(connection_string, c->connection_string) == 0) {
        return true;
    }
    TAILQ_FOREACH (link, &c->links, entry) {
        if (link->peer != NULL &&
            (strcmp(link->name, name) == 0 ||
             strcmp(link->connection_string, connection_string) == 0)) {
            return true;
        }
    }
    TAILQ_FOREACH (dial, &c->dials, entry) {
        if (strcmp(dial->address, connection_string) == 0 ||
            hti_dial_is_for(dial, name, connection_string)) {
            return true;
        }
    }
    return false;
}

static void learn(struct hti_cluster *c,
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
    struct hti_dial *dial;

    if (!c->stopping && c->transitive_count < TRANSITIVE_MAX &&
        !is_known(c, name, connection_string) &&
        hti_dial_new(c, &target, now_ms, &dial) == HT_OK) {
        dial->transitive = true;
        c->transitive_count++;
    }
}

void hti_topology_learn(struct hti_link *link,
                        const Hardtack__Wire__NodeSessions *m)
{
    struct hti_cluster *c = link->cluster;
    char name[HTI_NAME_BUF];
    char connection_string[HTI_NAME_BUF];

    if (!c->config.transitive) {
        return;
    }
    for (size_t i = 0; i < m->n_sessions; i++) {
        const Hardtack__Wire__NameMessage *s = m->sessions[i];

        /* A peer may send us to other machines, not to our own sockets. */
        if (!text_of(&s->name, name) ||
            !text_of(&s->connection_string, connection_string) ||
            strncmp(connection_string, "unix:", 5) == 0) {
            continue;
        }
        pthread_mutex_lock(&c->lock);
        learn(c, name, connection_string, link->now_ms);
        pthread_mutex_unlock(&c->lock);
    }
    c->io->tick_at(c->io_arg, link->now_ms);
}
