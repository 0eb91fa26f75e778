/* SPDX-License-Identifier: Apache-2.0 */
/* Raft's five safety properties (figure 3.2 of its dissertation), over all
 * members, after every event of one. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/raft_internal.h"

static uint64_t hash_of(uint8_t type, const void *data, size_t len)
{
    const uint8_t *bytes = data;
    uint64_t hash = 14695981039346656037u ^ type;

    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ bytes[i]) * 1099511628211u;
    }
    return hash;
}

static struct rsim_index *at(struct rsim *sim, uint64_t index)
{
    while (index >= sim->log_cap) {
        size_t cap = sim->log_cap != 0 ? sim->log_cap * 2 : 1024;

        sim->log = realloc(sim->log, cap * sizeof(struct rsim_index));
        if (sim->log == NULL) {
            abort();
        }
        memset(sim->log + sim->log_cap, 0,
               (cap - sim->log_cap) * sizeof(struct rsim_index));
        sim->log_cap = cap;
    }
    return &sim->log[index];
}

/* ---- election safety: one leader a term --------------------------------- */

static void check_election(struct rsim *sim, struct rsim_member *m)
{
    uint64_t term = hti_core_term(m->core);
    uint64_t id = hti_core_id(m->core);

    while (term >= sim->leaders_cap) {
        size_t cap = sim->leaders_cap != 0 ? sim->leaders_cap * 2 : 256;

        sim->leaders = realloc(sim->leaders, cap * sizeof(uint64_t));
        if (sim->leaders == NULL) {
            abort();
        }
        memset(sim->leaders + sim->leaders_cap, 0,
               (cap - sim->leaders_cap) * sizeof(uint64_t));
        sim->leaders_cap = cap;
    }
    if (sim->leaders[term] != 0 && sim->leaders[term] != id) {
        rsim_breach(sim,
                    "two leaders of term %" PRIu64 ": %" PRIu64 " and %" PRIu64,
                    term, sim->leaders[term], id);
    }
    sim->leaders[term] = id;
}

/* ---- leader completeness: it has all that is committed ------------------ */

static void check_complete(struct rsim *sim, struct rsim_member *m)
{
    for (uint64_t i = m->shadow_first; i <= sim->committed; i++) {
        uint64_t want = at(sim, i)->committed_term;
        uint64_t have = hti_core_term_at(m->core, i);

        if (want != 0 && have != want &&
            at(sim, i)->committed_in < hti_core_term(m->core)) {
            rsim_breach(sim,
                        "%u leads term %" PRIu64 " without entry %" PRIu64
                        " of term %" PRIu64 " (has %" PRIu64 ")",
                        m->number, hti_core_term(m->core), i, want, have);
        }
    }
}

/* ---- log matching ------------------------------------------------------- */

static void check_entry(struct rsim *sim,
                        struct rsim_member *m,
                        uint64_t index,
                        const struct hti_entry *entry)
{
    struct rsim_index *slot = at(sim, index);
    uint64_t hash = hash_of(entry->type, entry->data, entry->len);
    uint64_t prev = index > 1 ? hti_core_term_at(m->core, index - 1) : 0;
    struct rsim_version *more;

    for (size_t i = 0; i < slot->count; i++) {
        struct rsim_version *version = &slot->versions[i];

        if (version->term != entry->term) {
            continue;
        }
        if (version->hash != hash || (prev != 0 && version->prev_term != 0 &&
                                      version->prev_term != prev)) {
            rsim_breach(sim,
                        "%u: entry %" PRIu64 " of term %" PRIu64
                        " differs from another's",
                        m->number, index, entry->term);
        }
        return;
    }
    more = realloc(slot->versions,
                   (slot->count + 1) * sizeof(struct rsim_version));
    if (more == NULL) {
        abort();
    }
    slot->versions = more;
    more[slot->count++] = (struct rsim_version){entry->term, hash, prev};
}

static void shadow_push(struct rsim_member *m, struct hti_entry *entry)
{
    if (m->shadow_count == m->shadow_cap) {
        m->shadow_cap = m->shadow_cap != 0 ? m->shadow_cap * 2 : 256;
        m->shadow =
            realloc(m->shadow, m->shadow_cap * sizeof(struct hti_entry *));
        if (m->shadow == NULL) {
            abort();
        }
    }
    m->shadow[m->shadow_count++] = hti_entry_ref(entry);
}

static void shadow_cut(struct rsim_member *m, size_t count)
{
    while (m->shadow_count > count) {
        hti_entry_unref(m->shadow[--m->shadow_count]);
    }
}

static void shadow_trim(struct rsim_member *m, uint64_t first)
{
    size_t gone = first - m->shadow_first < m->shadow_count
                      ? (size_t)(first - m->shadow_first)
                      : m->shadow_count;

    for (size_t i = 0; i < gone; i++) {
        hti_entry_unref(m->shadow[i]);
    }
    m->shadow_count -= gone;
    if (gone > 0) {
        memmove(m->shadow, m->shadow + gone,
                m->shadow_count * sizeof(struct hti_entry *));
    }
    m->shadow_first = first;
}

/* Bring the shadow up to date with the log, and check what is new in it.  A
 * leader only appends: what is replaced was not a leader's. */
static void check_log(struct rsim *sim, struct rsim_member *m, bool led)
{
    ht_raft_status status;
    uint64_t last = hti_core_last(m->core);
    uint64_t first;

    hti_core_status(m->core, &status);
    first = status.first_index;
    if (first < m->shadow_first) {
        shadow_cut(m, 0);
        m->shadow_first = first;
    }
    shadow_trim(m, first);
    for (size_t i = 0; i < m->shadow_count; i++) {
        size_t k = m->shadow_count - 1 - i;

        if (hti_core_entry(m->core, first + k) == m->shadow[k]) {
            shadow_cut(m, k + 1);
            break;
        }
        if (led) {
            rsim_breach(sim, "%u leads and replaced entry %" PRIu64, m->number,
                        first + k);
        }
        if (k == 0) {
            shadow_cut(m, 0);
        }
    }
    for (uint64_t i = first + m->shadow_count; i <= last; i++) {
        const struct hti_entry *entry = hti_core_entry(m->core, i);

        if (entry == NULL) {
            break; /* only the snapshot has it */
        }
        check_entry(sim, m, i, entry);
        shadow_push(m, (struct hti_entry *)(uintptr_t)entry);
    }
}

/* ---- what is committed stays -------------------------------------------- */

static void check_commit(struct rsim *sim, struct rsim_member *m)
{
    uint64_t commit = hti_core_commit(m->core);

    if (commit < m->commit) {
        rsim_breach(sim, "%u: commit index went from %" PRIu64 " to %" PRIu64,
                    m->number, m->commit, commit);
    }
    if (hti_core_applied(m->core) > commit) {
        rsim_breach(sim,
                    "%u applied %" PRIu64 " and only %" PRIu64 " is committed",
                    m->number, hti_core_applied(m->core), commit);
    }
    for (uint64_t i = m->commit + 1; i <= commit; i++) {
        uint64_t term = hti_core_term_at(m->core, i);
        struct rsim_index *slot = at(sim, i);

        if (term == 0) {
            continue; /* in a snapshot */
        }
        if (slot->committed_term != 0 && slot->committed_term != term) {
            rsim_breach(sim,
                        "%u committed entry %" PRIu64 " of term %" PRIu64
                        ", another that of term %" PRIu64,
                        m->number, i, term, slot->committed_term);
        }
        if (slot->committed_term == 0) {
            slot->committed_in = hti_core_term(m->core);
        }
        slot->committed_term = term;
        if (i > sim->committed) {
            sim->committed = i;
        }
    }
    m->commit = commit;
}

void rsim_check(struct rsim *sim, struct rsim_member *m)
{
    uint64_t term = hti_core_term(m->core);
    bool leads = hti_core_leads(m->core);

    if (term < m->term) {
        rsim_breach(sim, "%u: the term went back", m->number);
    }
    m->term = term;
    check_log(sim, m, leads && m->led_term == term);
    if (leads && m->led_term != term) {
        check_election(sim, m);
        check_complete(sim, m);
        m->led_term = term;
    }
    check_commit(sim, m);
}

/* State machine safety: all do the same at an index. */
void rsim_check_apply(struct rsim *sim,
                      struct rsim_member *m,
                      uint64_t index,
                      uint64_t time_ms,
                      ht_bytes command)
{
    struct rsim_index *slot = at(sim, index);
    uint64_t hash =
        hash_of(0, command.data, command.len) ^ time_ms * 1099511628211u;

    if (slot->applied && slot->applied_hash != hash) {
        rsim_breach(sim, "%u applied something else at %" PRIu64, m->number,
                    index);
    }
    slot->applied = true;
    slot->applied_hash = hash;
}

void rsim_check_down(struct rsim_member *m)
{
    shadow_cut(m, 0);
    free(m->shadow);
    m->shadow = NULL;
    m->shadow_cap = 0;
    m->shadow_first = 0;
    m->led_term = m->commit = m->term = 0;
}

void rsim_check_fini(struct rsim *sim)
{
    for (size_t i = 0; i < sim->log_cap; i++) {
        free(sim->log[i].versions);
    }
    free(sim->log);
    free(sim->leaders);
}
