/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong, and who joins and leaves. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/raft_internal.h"

/* ---- members ------------------------------------------------------------ */

static struct rsim_member *any_leader(struct rsim *sim)
{
    for (unsigned i = 0; i < sim->count; i++) {
        if (rsim_leads(sim, i) &&
            sim->members[i].paused_until_us <= sim->now_us) {
            return &sim->members[i];
        }
    }
    return NULL;
}

static void flush(struct rsim *sim, struct rsim_member *m)
{
    rsim_after(sim, m, hti_core_flush(m->core, rsim_when(m)));
}

/* Who was taken out may come back as it was, to disturb or to be added again,
 * or with a new disk. */
static void changed(void *arg, ht_err err, const char *text)
{
    struct rsim *sim = arg;

    sim->changing = false;
    rsim_note(sim, "change: %s %s", ht_errname(err), text);
    if (err == HT_OK && sim->change_removes && rsim_random(sim, 2) == 0) {
        sim->members[sim->change_target].damaged = false;
        sim->members[sim->change_target].paused_until_us = 0;
        sim->wipe = sim->change_target + 1;
    }
}

static bool is_in(const ht_raft_status *status, const char *name, bool voter)
{
    for (uint32_t i = 0; i < status->members_count; i++) {
        if (strcmp(status->members[i].node, name) == 0) {
            return !voter || status->members[i].voter;
        }
    }
    return false;
}

static void try_change(struct rsim *sim, bool remove)
{
    struct rsim_member *lead = any_leader(sim);
    unsigned target = (unsigned)rsim_random(sim, sim->count);
    struct rsim_member *m = &sim->members[target];
    ht_raft_status status;
    ht_err err;

    if (lead == NULL || sim->changing) {
        return;
    }
    hti_core_status(lead->core, &status);
    if (remove ? !is_in(&status, m->name, false) || status.members_count <= 2
               : is_in(&status, m->name, true) ||
                     status.members_count > sim->voters) {
        return;
    }
    sim->changing = true;
    sim->change_removes = remove;
    sim->change_target = target;
    err = remove ? hti_core_remove(lead->core, m->name, changed, sim)
                 : hti_core_add(lead->core, m->name, true, changed, sim);
    rsim_note(sim, "%s %u: %s", remove ? "remove" : "add", target,
              ht_errname(err));
    if (err != HT_OK) {
        sim->changing = false;
        return;
    }
    flush(sim, lead);
}

void rsim_grow(struct rsim *sim)
{
    struct rsim_member *lead = any_leader(sim);
    ht_raft_status status;

    if (lead == NULL) {
        return;
    }
    hti_core_status(lead->core, &status);
    if (status.members_count < sim->voters) {
        try_change(sim, false);
    }
}

static void transfer(struct rsim *sim)
{
    struct rsim_member *lead = any_leader(sim);
    unsigned target = (unsigned)rsim_random(sim, sim->count);
    ht_err err;

    if (lead == NULL || sim->changing) {
        return;
    }
    sim->changing = true;
    sim->change_removes = false;
    err = hti_core_transfer(
        lead->core, rsim_random(sim, 2) == 0 ? NULL : sim->members[target].name,
        changed, sim);
    rsim_note(sim, "transfer: %s", ht_errname(err));
    if (err != HT_OK) {
        sim->changing = false;
        return;
    }
    flush(sim, lead);
}

/* ---- the network -------------------------------------------------------- */

static void partition(struct rsim *sim)
{
    uint64_t side = rsim_random(sim, 1u << sim->count);
    bool one_way = rsim_random(sim, 3) == 0;

    for (unsigned i = 0; i < sim->count; i++) {
        for (unsigned j = 0; j < sim->count; j++) {
            bool apart = ((side >> i) & 1) != ((side >> j) & 1);

            sim->blocked[i][j] = apart && (!one_way || ((side >> i) & 1));
        }
    }
    rsim_note(sim, "partition %" PRIx64 "%s", side, one_way ? " one way" : "");
}

static void cut_off(struct rsim *sim)
{
    unsigned i = (unsigned)rsim_random(sim, sim->count);
    uint64_t how = rsim_random(sim, 3);

    for (unsigned j = 0; j < sim->count; j++) {
        sim->blocked[i][j] |= how != 0;
        sim->blocked[j][i] |= how != 1;
    }
    rsim_note(sim, "cut off %u, %" PRIu64, i, how);
}

static void mend(struct rsim *sim)
{
    memset(sim->blocked, 0, sizeof(sim->blocked));
    rsim_note(sim, "mended");
}

static void weather(struct rsim *sim)
{
    static const unsigned loses[] = {0, 0, 10, 100, 300};

    sim->lose = loses[rsim_random(sim, 5)];
    sim->twice = loses[rsim_random(sim, 5)];
    sim->delay_us = rsim_random(sim, 4) == 0 ? 60000 : 2000;
    rsim_note(sim, "network: lose %u twice %u delay %u", sim->lose, sim->twice,
              sim->delay_us);
}

/* Those who had a link to somebody who is gone are told. */
static void link_lost(struct rsim *sim, unsigned gone)
{
    for (unsigned i = 0; i < sim->count; i++) {
        struct rsim_member *m = &sim->members[i];

        if (i != gone && m->core != NULL && m->paused_until_us <= sim->now_us) {
            rsim_after(
                sim, m,
                hti_core_lost(m->core, rsim_when(m), sim->members[gone].name));
        }
    }
}

/* ---- members' machines and disks ---------------------------------------- */

static void crash(struct rsim *sim, unsigned i)
{
    struct rsim_member *m = &sim->members[i];

    if (m->core == NULL) {
        return;
    }
    if (rsim_random(sim, 3) == 0) {
        /* In the middle of something. */
        rdisk_die_after(m->disk, 1 + (unsigned)rsim_random(sim, 30));
        return;
    }
    rsim_crash_member(sim, i, rsim_random(sim, 2) == 0);
    if (rsim_random(sim, 2) == 0) {
        link_lost(sim, i);
    }
}

/* A bit of what was durable: both copies of the meta file are not hit at once,
 * and the log is hit where a later batch says so. */
static void damage(struct rsim *sim, unsigned i)
{
    struct rsim_member *m = &sim->members[i];
    uint8_t bit = (uint8_t)rsim_random(sim, 8);

    if (m->core != NULL || m->damaged || m->life == 0) {
        return;
    }
    if (rsim_random(sim, 2) == 0) {
        if (!m->meta_hit) {
            m->meta_hit = true;
            (void)rdisk_flip(m->disk, "meta",
                             rsim_random(sim, 2) * 4096 + rsim_random(sim, 64),
                             bit);
            rsim_note(sim, "%u: meta damaged", i);
        }
        return;
    }
    /* The first record of the oldest file, if it is not the last of all. */
    m->flip_at = 64 + 25;
    if (rsim_log_has_more(m) &&
        rdisk_flip(m->disk, m->flip_name, m->flip_at, 3)) {
        m->damaged = true;
        rsim_note(sim, "%u: log damaged", i);
        rsim_start_member(sim, i);
        m->damaged = false;
        (void)rdisk_flip(m->disk, m->flip_name, m->flip_at, 3);
    }
}

static void restart(struct rsim *sim, unsigned i)
{
    rsim_start_member(sim, i);
}

static void wipe(struct rsim *sim)
{
    unsigned i = sim->wipe - 1;
    struct rsim_member *m = &sim->members[i];

    sim->wipe = 0;
    rsim_note(sim, "%u gets a new disk", i);
    rsim_crash_member(sim, i, false);
    rdisk_wipe(m->disk);
    rsim_start_member(sim, i);
}

static void disk_trouble(struct rsim *sim, unsigned i)
{
    struct rsim_member *m = &sim->members[i];
    uint64_t what = rsim_random(sim, 4);

    switch (what) {
    case 0:
        m->slow = !m->slow;
        break;
    case 1:
        rdisk_full(m->disk, true);
        break;
    case 2:
        rdisk_full(m->disk, false);
        break;
    default:
        if (m->core != NULL && rsim_random(sim, 3) == 0) {
            rdisk_fail_sync(m->disk);
        }
        break;
    }
    rsim_note(sim, "%u: disk trouble %" PRIu64, i, what);
}

static void one_fault(struct rsim *sim)
{
    unsigned i = (unsigned)rsim_random(sim, sim->count);
    struct rsim_member *m = &sim->members[i];

    switch (rsim_random(sim, 20)) {
    case 0:
        partition(sim);
        break;
    case 1:
        cut_off(sim);
        break;
    case 2:
    case 3:
    case 4:
        mend(sim);
        break;
    case 5:
        weather(sim);
        break;
    case 6:
    case 7:
        crash(sim, i);
        break;
    case 8:
    case 9:
    case 10:
    case 11:
        restart(sim, i);
        break;
    case 12:
        m->paused_until_us = sim->now_us + rsim_random(sim, 1500000);
        rsim_note(sim, "%u stands still", i);
        break;
    case 13:
        disk_trouble(sim, i);
        break;
    case 14:
        m->clock_ms += (int64_t)rsim_random(sim, 20000) - 10000;
        break;
    case 15:
        damage(sim, i);
        break;
    case 16:
        transfer(sim);
        break;
    case 17:
        try_change(sim, true);
        break;
    case 18:
        try_change(sim, false);
        break;
    default:
        if (m->core != NULL && m->paused_until_us <= sim->now_us) {
            (void)!hti_core_snapshot(m->core, NULL, NULL);
            flush(sim, m);
        }
        break;
    }
}

/* First the group grows to its size; then faults, until they are over. */
void rsim_fault(struct rsim *sim)
{
    struct rsim_event again = {.kind = RSIM_FAULT};

    if (sim->wipe != 0) {
        wipe(sim);
    }
    if (sim->faults && sim->now_us > 4000000) {
        one_fault(sim);
        if (rsim_random(sim, 4) == 0) {
            rsim_grow(sim);
        }
    } else {
        /* A disk that had died is noticed only when it is used. */
        for (unsigned i = 0; i < sim->count; i++) {
            rsim_start_member(sim, i);
        }
        rsim_grow(sim);
    }
    rsim_post(sim, 1000 + rsim_random(sim, 200000), again);
}

void rsim_heal(struct rsim *sim)
{
    mend(sim);
    sim->lose = sim->twice = 0;
    sim->delay_us = 2000;
    for (unsigned i = 0; i < sim->count; i++) {
        struct rsim_member *m = &sim->members[i];

        m->slow = false;
        m->paused_until_us = 0;
        rdisk_calm(m->disk);
        rsim_start_member(sim, i);
    }
}
