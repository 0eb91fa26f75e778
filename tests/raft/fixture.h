/* SPDX-License-Identifier: Apache-2.0 */
/* fixture.h - members on real nodes and disks: a state machine that keeps a
 * running checksum of the commands, asked by messages. */
#ifndef TESTS_RAFT_FIXTURE_H
#define TESTS_RAFT_FIXTURE_H

#include <dirent.h>
#include <hardtack/raft.h>

#include "tests/node/fixture.h"

/* The state: how many commands, and a hash of all of them in order. */
struct machine {
    uint64_t count;
    uint64_t hash;
    uint64_t seen; /* of a restore */
    uint8_t restoring[16];
    _Atomic uint64_t applied;
    _Atomic unsigned leads;
    _Atomic unsigned restores;
    ht_raft *raft;
    ht_actor *self;
    uint8_t result[16];
    size_t padding; /* bytes that a snapshot has more */
};

struct cursor {
    uint8_t state[16];
    size_t at;
    size_t len;
};

static inline void machine_state(const struct machine *m, uint8_t out[16])
{
    memcpy(out, &m->count, 8);
    memcpy(out + 8, &m->hash, 8);
}

static inline ht_err machine_apply(void *machine,
                                   uint64_t index,
                                   uint64_t time_ms,
                                   ht_bytes command,
                                   ht_bytes *ret_result)
{
    struct machine *m = machine;
    const uint8_t *bytes = command.data;

    CHECK(time_ms > 0 && index > 0);
    for (size_t i = 0; i < command.len; i++) {
        m->hash = (m->hash ^ bytes[i]) * 1099511628211u;
    }
    m->count++;
    machine_state(m, m->result);
    *ret_result = (ht_bytes){m->result, sizeof(m->result)};
    atomic_store(&m->applied, m->count);
    return HT_OK;
}

static inline ht_err machine_open(void *machine, void **ret_cursor)
{
    struct machine *m = machine;
    struct cursor *cursor = calloc(1, sizeof(*cursor));

    CHECK(cursor != NULL);
    machine_state(m, cursor->state);
    cursor->len = 16 + m->padding;
    *ret_cursor = cursor;
    return HT_OK;
}

static inline ht_err machine_read(
    void *machine, void *cursor, void *buf, size_t cap, size_t *ret_len)
{
    struct cursor *c = cursor;
    uint8_t *to = buf;
    size_t n = 0;

    (void)machine;
    for (; n < cap && c->at < c->len; n++, c->at++) {
        to[n] = c->at < 16 ? c->state[c->at] : (uint8_t)(c->at * 7);
    }
    *ret_len = n;
    return HT_OK;
}

static inline void machine_close(void *machine, void *cursor)
{
    (void)machine;
    free(cursor);
}

static inline ht_err
machine_restore(void *machine, ht_raft_restore what, ht_bytes piece)
{
    struct machine *m = machine;
    const uint8_t *bytes = piece.data;

    switch (what) {
    case HT_RAFT_RESTORE_BEGIN:
        m->count = m->hash = m->seen = 0;
        break;
    case HT_RAFT_RESTORE_DATA:
        for (size_t i = 0; i < piece.len; i++, m->seen++) {
            if (m->seen < 16) {
                m->restoring[m->seen] = bytes[i];
            } else {
                CHECK(bytes[i] == (uint8_t)(m->seen * 7));
            }
        }
        break;
    case HT_RAFT_RESTORE_END:
        if (m->seen > 0) {
            CHECK(m->seen >= 16);
            memcpy(&m->count, m->restoring, 8);
            memcpy(&m->hash, m->restoring + 8, 8);
            atomic_fetch_add(&m->restores, 1);
        }
        atomic_store(&m->applied, m->count);
        break;
    }
    return HT_OK;
}

static inline void machine_start(void *machine, ht_raft *raft, ht_actor *self)
{
    struct machine *m = machine;

    m->raft = raft;
    m->self = self;
}

static inline void machine_role(void *machine, ht_raft_role role, uint64_t term)
{
    struct machine *m = machine;

    (void)term;
    atomic_store(&m->leads, role == HT_RAFT_LEADER);
}

struct pending {
    struct machine *m;
    ht_call call;
};

static inline void
machine_done(void *arg, ht_err err, ht_bytes result, uint64_t index)
{
    struct pending *p = arg;

    (void)index;
    if (p->m->self != NULL && err == HT_OK) {
        (void)ht_reply_ok(p->m->self, p->call, result.data, result.len);
    } else if (p->m->self != NULL) {
        (void)ht_reply_error(p->m->self, p->call, HT_EFAILED, ht_errname(err));
    }
    free(p);
}

static inline void machine_ready(void *arg, ht_err err)
{
    struct pending *p = arg;
    uint8_t state[16];

    machine_state(p->m, state);
    machine_done(p, err, (ht_bytes){state, sizeof(state)}, 0);
}

static inline ht_err
machine_message(void *machine, ht_actor *self, const ht_msg *msg, ht_call call)
{
    struct machine *m = machine;
    struct pending *p = calloc(1, sizeof(*p));
    ht_err err = HT_ENOVARIANT;

    CHECK(p != NULL);
    *p = (struct pending){m, call};
    if (strcmp(ht_msg_variant(msg), "Do") == 0) {
        err = ht_raft_propose(m->raft, ht_msg_args(msg), machine_done, p);
    } else if (strcmp(ht_msg_variant(msg), "Read") == 0) {
        err = ht_raft_read(m->raft, machine_ready, p);
    }
    if (err != HT_OK) {
        (void)ht_reply_error(self, call, HT_EFAILED, ht_errname(err));
        free(p);
    }
    return HT_OK;
}

static inline void machine_stop(void *machine)
{
    struct machine *m = machine;

    m->self = NULL;
    atomic_store(&m->leads, 0);
}

static const ht_raft_machine machine_table = {
    .apply = machine_apply,
    .snapshot_open = machine_open,
    .snapshot_read = machine_read,
    .snapshot_close = machine_close,
    .restore = machine_restore,
    .on_start = machine_start,
    .on_role = machine_role,
    .on_message = machine_message,
    .on_stop = machine_stop,
};

/* ---- members ------------------------------------------------------------ */

struct member {
    ht_node *node;
    ht_raft *raft;
    struct machine machine;
    char *dir;
    char name[32];
};

static inline ht_raft_config member_config(const char *dir, bool bootstrap)
{
    return (ht_raft_config){.group = "test",
                            .directory = dir,
                            .bootstrap = bootstrap,
                            .heartbeat_ms = 20,
                            .election_ms = 200,
                            .segment_bytes = 256u << 10};
}

static inline void member_start(struct member *m, const ht_raft_config *config)
{
    ht_err err =
        ht_raft_start(m->node, config, &machine_table, &m->machine, &m->raft);

    if (err != HT_OK) {
        print_error("start: %s\n", ht_raft_start_error());
    }
    CHECK_OK(err);
}

/* Do a command on a member; the number of it, 0 if it was refused. */
static inline uint64_t member_do(struct member *m, const char *text)
{
    ht_reply reply;
    uint64_t count = 0;

    if (ht_call_wait(m->node, ht_raft_ref(m->raft), "Do", text, strlen(text),
                     PATIENCE_MS, &reply) == HT_OK) {
        assert_int_equal(reply.len, 16);
        memcpy(&count, reply.data, 8);
    }
    ht_reply_fini(&reply);
    return count;
}

static inline uint64_t member_read(struct member *m)
{
    ht_reply reply;
    uint64_t count = 0;

    if (ht_call_wait(m->node, ht_raft_ref(m->raft), "Read", NULL, 0,
                     PATIENCE_MS, &reply) == HT_OK) {
        memcpy(&count, reply.data, 8);
    }
    ht_reply_fini(&reply);
    return count;
}

static inline ht_raft_status member_status(struct member *m)
{
    ht_raft_status status;

    ht_raft_status_get(m->raft, &status);
    return status;
}

static inline void remove_dir(char *dir)
{
    DIR *list = opendir(dir);
    struct dirent *entry;

    if (list == NULL) {
        fail_msg("%s: cannot be listed", dir);
        return;
    }
    while ((entry = readdir(list)) != NULL) {
        if (entry->d_name[0] != '.') {
            (void)unlinkat(dirfd(list), entry->d_name, 0);
        }
    }
    closedir(list);
    (void)rmdir(dir);
    free(dir);
}

#endif /* TESTS_RAFT_FIXTURE_H */
