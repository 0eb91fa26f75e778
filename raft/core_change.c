/* SPDX-License-Identifier: Apache-2.0 */
/* Who is a member: one change at a time, one member at a time.
 *
 * add:     hello -> learner -> caught up -> voter
 * remove:  one entry.  A leader does not remove itself: libraft lets one that
 * is not in its newest configuration neither vote nor stand, and until that is
 * committed its vote may be needed.  It hands over and asks the new leader.
 * transfer: libraft's
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raft/core_internal.h"

/* Rounds of catching up may take that many election timeouts without a step
 * forward. */
#define CATCH_TIMEOUTS 20

void hti_core_change_end(struct hti_core *core, ht_err err, const char *text)
{
    struct hti_change change = core->change;

    core->change = (struct hti_change){0};
    hti_core_say(core, HT_LOG_INFO, "HT-RAFT-CHANGE",
                 "group=%s node=%s err=\"%s\" text=\"%s\"", core->group,
                 change.node, ht_strerror(err), text);
    if (change.done != NULL) {
        change.done(change.arg, err, text);
    }
}

static void until(struct hti_core *core, unsigned timeouts)
{
    core->change.until_us =
        core->now.us + (uint64_t)core->config.election_ms * 1000 * timeouts;
}

static ht_err allowed(const struct hti_core *core)
{
    if (!hti_core_is(core, RAFT_LEADER) || core->failed != HT_OK) {
        return HT_ENOTLEADER;
    }
    /* Not before an entry of its own term is committed: a configuration of an
     * earlier leader, which this one has not, might still win an election, and
     * the majorities of the two need not meet. */
    if (!hti_core_settled(core)) {
        return HT_EBUSY;
    }
    if (core->change.kind != HTI_CHANGE_NONE ||
        core->raft.configuration_uncommitted_index != 0 ||
        core->raft.leader_state.transferee != 0) {
        return HT_EBUSY;
    }
    return HT_OK;
}

static void begin(struct hti_core *core,
                  enum hti_change_kind kind,
                  const char *node,
                  uint64_t id,
                  ht_raft_change_fn done,
                  void *arg)
{
    core->change =
        (struct hti_change){.kind = kind, .id = id, .done = done, .arg = arg};
    (void)snprintf(core->change.node, sizeof(core->change.node), "%s", node);
}

/* ---- configurations ---------------------------------------------------- */

/* As it is now, with the member in that role (added if it is new), or without
 * it: role -1. */
static ht_err
make_conf(struct hti_core *core, int role, struct raft_configuration *ret_conf)
{
    const struct raft_configuration *from = &core->raft.configuration;
    uint64_t id = core->change.id;
    int rv = 0;

    raft_configuration_init(ret_conf);
    for (unsigned i = 0; i < from->n && rv == 0; i++) {
        const struct raft_server *server = &from->servers[i];

        if (server->id != id || role >= 0) {
            rv = raft_configuration_add(ret_conf, server->id, server->address,
                                        server->id == id ? role : server->role);
        }
    }
    if (rv == 0 && role >= 0 && hti_conf_by_id(from, id) == NULL) {
        rv = raft_configuration_add(ret_conf, id, core->change.node, role);
    }
    if (rv != 0) {
        raft_configuration_close(ret_conf);
        return rv == RAFT_NOMEM ? HT_ENOMEM : HT_EEXIST;
    }
    return HT_OK;
}

static struct hti_entry *conf_entry(struct raft_configuration *conf)
{
    struct raft_buffer buf = {0};
    struct hti_entry *entry = NULL;

    if (raft_configuration_encode(conf, &buf) == 0) {
        entry = hti_entry_new(1, HTI_ENTRY_CHANGE, buf.len);
        if (entry != NULL) {
            memcpy(entry->data, buf.base, buf.len);
        }
        raft_free(buf.base);
    }
    return entry;
}

/* Submit it; the change goes on when its entry is applied. */
static ht_err submit_conf(struct hti_core *core, int role)
{
    struct raft_configuration conf;
    struct hti_entry *entry;
    ht_err err = make_conf(core, role, &conf);
    int rv = 0;

    if (err != HT_OK) {
        hti_core_change_end(core, err, "another member has that name");
        return HT_OK;
    }
    entry = conf_entry(&conf);
    raft_configuration_close(&conf);
    if (entry == NULL) {
        return hti_core_fail(core, HT_ENOMEM, "out of memory");
    }
    core->change.index = hti_core_index(core) + 1;
    err = hti_core_submit_entries(core, &entry, 1, &rv);
    hti_entry_unref(entry);
    if (err == HT_OK && rv != 0) {
        hti_core_change_end(core,
                            rv == RAFT_NOSPACE     ? HT_ENOSPC
                            : rv == RAFT_NOTLEADER ? HT_ECANCELLED
                                                   : HT_EBUSY,
                            raft_strerror(rv));
    }
    return err;
}

/* ---- asked for --------------------------------------------------------- */

/* Again and again: its link may come up a moment later. */
static void say_hello(struct hti_core *core)
{
    struct hti_wire wire = {.kind = HTI_WIRE_HELLO,
                            .term = core->raft.current_term};

    core->change.round_us = core->now.us;
    hti_core_send(core, 0, core->change.node, &wire);
}

ht_err hti_core_add(struct hti_core *core,
                    const char *node,
                    bool voter,
                    ht_raft_change_fn done,
                    void *arg)
{
    const struct raft_server *server;
    ht_err err = allowed(core);

    if (err != HT_OK) {
        return err;
    }
    if (node == NULL || node[0] == '\0' || strlen(node) >= HT_RAFT_NAME_MAX) {
        return HT_EINVAL;
    }
    server = hti_conf_by_name(&core->raft.configuration, node);
    if (server != NULL && (server->role == RAFT_VOTER || !voter)) {
        return HT_EEXIST;
    }
    if (server == NULL && core->raft.configuration.n >= HT_RAFT_MEMBERS_MAX) {
        return HT_EINVAL;
    }
    begin(core, server != NULL ? HTI_CHANGE_CATCH : HTI_CHANGE_HELLO, node,
          server != NULL ? server->id : 0, done, arg);
    core->change.voter = voter;
    if (server == NULL) {
        until(core, 3);
        say_hello(core);
    } else {
        until(core, CATCH_TIMEOUTS);
        core->change.goal = hti_core_index(core);
        core->change.round_us = core->now.us;
    }
    return HT_OK;
}

static ht_err leave(struct hti_core *core, ht_raft_change_fn done, void *arg)
{
    struct raft_event event = {.type = RAFT_TRANSFER};
    int rv = 0;
    ht_err err = hti_core_step(core, &event, &rv);

    if (err != HT_OK || rv != 0) {
        return err != HT_OK          ? err
               : rv == RAFT_NOTFOUND ? HT_EINVAL
                                     : HT_ENOTLEADER;
    }
    begin(core, HTI_CHANGE_LEAVE, core->node, core->meta.id, done, arg);
    until(core, CATCH_TIMEOUTS);
    return HT_OK;
}

void hti_core_asked_to_remove(struct hti_core *core, const char *node)
{
    (void)!hti_core_remove(core, node, NULL, NULL);
}

void hti_core_was_removed(struct hti_core *core)
{
    core->removed = !hti_core_is(core, RAFT_LEADER);
    if (core->change.kind == HTI_CHANGE_LEAVE) {
        hti_core_change_end(core, HT_OK, "");
    }
}

/* Whether those who stay could choose a leader: libraft lets nobody vote who
 * does not know yet that it is a voter, and one that was just promoted may
 * still have to learn of it. */
static bool can_do_without(const struct hti_core *core, uint64_t id)
{
    const struct raft_configuration *conf = &core->raft.configuration;
    unsigned voters = 0;
    unsigned knowing = 0;

    for (unsigned i = 0; i < conf->n; i++) {
        const struct raft_server *server = &conf->servers[i];
        raft_index match = 0;

        if (server->role != RAFT_VOTER || server->id == id) {
            continue;
        }
        voters++;
        knowing += server->id == core->meta.id ||
                   (raft_match_index(&core->raft, server->id, &match) == 0 &&
                    match >= core->raft.configuration_committed_index);
    }
    return knowing > voters / 2;
}

ht_err hti_core_remove(struct hti_core *core,
                       const char *node,
                       ht_raft_change_fn done,
                       void *arg)
{
    const struct raft_server *server;
    ht_err err = allowed(core);

    if (err != HT_OK) {
        return err;
    }
    server =
        node != NULL ? hti_conf_by_name(&core->raft.configuration, node) : NULL;
    if (server == NULL) {
        return HT_ENOENT;
    }
    if (server->role == RAFT_VOTER &&
        hti_conf_voters(&core->raft.configuration) == 1) {
        return HT_EINVAL;
    }
    if (server->role == RAFT_VOTER && !can_do_without(core, server->id)) {
        return HT_EBUSY;
    }
    if (server->id == core->meta.id) {
        return leave(core, done, arg);
    }
    begin(core, HTI_CHANGE_REMOVE, node, server->id, done, arg);
    return HT_OK;
}

ht_err hti_core_transfer(struct hti_core *core,
                         const char *node,
                         ht_raft_change_fn done,
                         void *arg)
{
    const struct raft_server *server = NULL;
    struct raft_event event = {.type = RAFT_TRANSFER};
    ht_err err = allowed(core);
    int rv = 0;

    if (err != HT_OK) {
        return err;
    }
    if (node != NULL && node[0] != '\0') {
        server = hti_conf_by_name(&core->raft.configuration, node);
        if (server == NULL || server->role != RAFT_VOTER) {
            return HT_ENOENT;
        }
        if (server->id == core->meta.id) {
            return HT_EEXIST;
        }
    }
    event.transfer.server_id = server != NULL ? server->id : 0;
    err = hti_core_step(core, &event, &rv);
    if (err != HT_OK || rv != 0) {
        return err != HT_OK          ? err
               : rv == RAFT_NOTFOUND ? HT_ENOENT
                                     : HT_ENOTLEADER;
    }
    begin(core, HTI_CHANGE_TRANSFER, node != NULL ? node : "",
          core->raft.leader_state.transferee, done, arg);
    until(core, 3);
    return HT_OK;
}

/* ---- going on ---------------------------------------------------------- */

void hti_core_hello_ack(struct hti_core *core,
                        const char *node,
                        const struct hti_wire *wire)
{
    struct hti_change *change = &core->change;

    if (change->kind != HTI_CHANGE_HELLO || strcmp(change->node, node) != 0) {
        return;
    }
    if (wire->group != 0 && wire->group != core->meta.group) {
        hti_core_change_end(core, HT_EDENIED,
                            "its directory belongs to another group");
        return;
    }
    change->id = wire->from;
    change->kind = HTI_CHANGE_LEARN;
}

/* A round of catching up: what the log had when it began.  One that was short
 * shows that the member keeps up. */
static ht_err catch_up(struct hti_core *core)
{
    struct hti_change *change = &core->change;
    raft_index match = 0;

    if (raft_match_index(&core->raft, change->id, &match) != 0) {
        hti_core_change_end(core, HT_ENOENT, "it is no member any more");
        return HT_OK;
    }
    if (match > change->seen) {
        change->seen = match;
        until(core, CATCH_TIMEOUTS);
    }
    if (match < change->goal) {
        return HT_OK;
    }
    if (match < hti_core_index(core) &&
        core->now.us - change->round_us >
            (uint64_t)core->config.election_ms * 1000) {
        change->goal = hti_core_index(core);
        change->round_us = core->now.us;
        return HT_OK;
    }
    change->kind = HTI_CHANGE_PROMOTE;
    change->index = 0;
    return submit_conf(core, RAFT_VOTER);
}

static void expire(struct hti_core *core)
{
    if (core->change.kind == HTI_CHANGE_HELLO) {
        hti_core_change_end(core, HT_ENOCONN,
                            "no member waits there, or it is not connected");
    } else if (core->change.kind == HTI_CHANGE_CATCH) {
        hti_core_change_end(core, HT_ETIMEDOUT,
                            "it does not catch up; it stays a learner");
    } else {
        hti_core_change_end(core, HT_ETIMEDOUT, "");
    }
}

/* libraft tells the next leader to take over at its first answer, maybe before
 * it has everything, which it then ignores; and only once.  So it is told again
 * when it has. */
static void tell_next_leader(struct hti_core *core)
{
    uint64_t id = core->raft.leader_state.transferee;
    uint64_t index = hti_core_index(core);
    const struct raft_server *server =
        hti_conf_by_id(&core->raft.configuration, id);
    struct hti_wire wire = {.kind = HTI_WIRE_TIMEOUT_NOW,
                            .term = core->raft.current_term};
    raft_index match = 0;

    if (server == NULL || raft_match_index(&core->raft, id, &match) != 0 ||
        match != index ||
        core->now.us - core->change.asked_us <
            (uint64_t)core->config.heartbeat_ms * 1000) {
        return;
    }
    core->change.asked_us = core->now.us;
    wire.u.timeout_now.last_index = index;
    wire.u.timeout_now.last_term = hti_core_term_at(core, index);
    hti_core_send(core, id, server->address, &wire);
}

static void watch_transfer(struct hti_core *core)
{
    uint64_t leader = 0;

    (void)hti_core_leader(core, &leader);
    if (hti_core_is(core, RAFT_LEADER)) {
        if (core->raft.leader_state.transferee == 0) {
            hti_core_change_end(core, HT_ETIMEDOUT,
                                "it does not take over in time");
        } else {
            tell_next_leader(core);
        }
    } else if (leader != 0) {
        hti_core_change_end(
            core, leader == core->change.id ? HT_OK : HT_ECANCELLED, "");
    }
}

/* Another leads: it is asked, again and again, to do the rest. */
static void run_leave(struct hti_core *core)
{
    struct hti_change *change = &core->change;
    struct hti_wire wire = {.kind = HTI_WIRE_LEAVE,
                            .term = core->raft.current_term};
    uint64_t leader = 0;
    const char *node = hti_core_leader(core, &leader);

    if (hti_core_is(core, RAFT_LEADER)) {
        if (core->raft.leader_state.transferee == 0) {
            hti_core_change_end(core, HT_ETIMEDOUT,
                                "no other takes the lead in time");
        } else {
            tell_next_leader(core);
        }
    } else if (leader != 0 && core->now.us - change->asked_us >=
                                  (uint64_t)core->config.election_ms * 1000) {
        change->asked_us = core->now.us;
        hti_core_send(core, leader, node, &wire);
    }
}

static void tell_removed(struct hti_core *core)
{
    struct hti_wire wire = {.kind = HTI_WIRE_REMOVED,
                            .term = core->raft.current_term};

    hti_core_send(core, core->change.id, core->change.node, &wire);
}

ht_err hti_core_change_run(struct hti_core *core)
{
    struct hti_change *change = &core->change;
    ht_err err = HT_OK;

    if (change->kind == HTI_CHANGE_NONE) {
        return HT_OK;
    }
    if (change->kind == HTI_CHANGE_TRANSFER) {
        watch_transfer(core);
    } else if (change->kind == HTI_CHANGE_LEAVE) {
        run_leave(core);
    } else if (!hti_core_is(core, RAFT_LEADER)) {
        hti_core_change_end(core, HT_ECANCELLED,
                            "the leader lost the lead meanwhile");
    } else if (change->kind == HTI_CHANGE_HELLO &&
               core->now.us - change->round_us >=
                   (uint64_t)core->config.heartbeat_ms * 1000) {
        say_hello(core);
    } else if (change->kind == HTI_CHANGE_LEARN && change->index == 0) {
        err = submit_conf(core, RAFT_STANDBY);
    } else if (change->kind == HTI_CHANGE_REMOVE && change->index == 0) {
        err = submit_conf(core, -1);
    } else if (change->kind == HTI_CHANGE_CATCH) {
        err = catch_up(core);
    }
    if (core->change.kind != HTI_CHANGE_NONE && core->change.until_us != 0 &&
        core->now.us >= core->change.until_us) {
        expire(core);
    }
    return err;
}

void hti_core_change_applied(struct hti_core *core, uint64_t index)
{
    struct hti_change *change = &core->change;

    if (change->index != index || change->kind == HTI_CHANGE_NONE ||
        change->kind == HTI_CHANGE_TRANSFER) {
        return;
    }
    if (change->kind == HTI_CHANGE_REMOVE) {
        tell_removed(core);
    }
    if (change->kind == HTI_CHANGE_LEARN && change->voter) {
        change->kind = HTI_CHANGE_CATCH;
        change->index = 0;
        change->goal = hti_core_index(core);
        change->round_us = core->now.us;
        until(core, CATCH_TIMEOUTS);
        return;
    }
    hti_core_change_end(core, HT_OK, "");
}

/* ---- looking in -------------------------------------------------------- */

bool hti_core_leads(const struct hti_core *core)
{
    return hti_core_is(core, RAFT_LEADER);
}
