/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "raft/core_internal.h"

static void
hold(struct hti_core *core, uint64_t id, const char *node, struct hti_wbuf *buf)
{
    struct hti_held *held;

    /* Lost, as on the way: Raft says everything again. */
    if (core->held_count >= HTI_HELD_MAX ||
        (held = calloc(1, sizeof(*held))) == NULL) {
        hti_wbuf_fini(buf);
        return;
    }
    held->id = id;
    held->node = strdup(node);
    held->buf = *buf;
    *buf = (struct hti_wbuf){0};
    core->held_count++;
    STAILQ_INSERT_TAIL(&core->held, held, link);
}

static void release(struct hti_core *core, bool send)
{
    struct hti_held *held;

    while ((held = STAILQ_FIRST(&core->held)) != NULL) {
        STAILQ_REMOVE_HEAD(&core->held, link);
        if (send && held->node != NULL) {
            core->ops->send(core->ops_arg, held->id, held->node, held->buf.data,
                            held->buf.len);
            core->stats.messages_sent++;
        }
        hti_wbuf_fini(&held->buf);
        free(held->node);
        free(held);
    }
    core->held_count = 0;
}

void hti_core_release(struct hti_core *core)
{
    release(core, true);
}

void hti_core_send_fini(struct hti_core *core)
{
    release(core, false);
}

void hti_core_send(struct hti_core *core,
                   uint64_t id,
                   const char *node,
                   struct hti_wire *wire)
{
    struct hti_wbuf buf = {0};

    wire->group = core->meta.group;
    wire->from = core->meta.id;
    wire->to = id;
    hti_wire_encode(&buf, wire);
    if (!buf.failed && core->metas > 0) {
        hold(core, id, node, &buf);
    } else if (!buf.failed) {
        core->ops->send(core->ops_arg, id, node, buf.data, buf.len);
        core->stats.messages_sent++;
    }
    hti_wbuf_fini(&buf);
}

/* Entries [first, end) in one message. */
static void send_some(struct hti_core *core,
                      const struct raft_message *message,
                      uint64_t first,
                      uint64_t end)
{
    const struct raft_append_entries *args = &message->append_entries;
    struct hti_wbuf entries = {0};
    struct hti_wire wire = {.kind = HTI_WIRE_APPEND, .term = args->term};

    for (uint64_t i = first; i < end; i++) {
        hti_wire_put_entry(&entries, hti_cache_get(&core->cache, i));
    }
    wire.u.append.prev_index = first - 1;
    wire.u.append.prev_term = first - 1 == args->prev_log_index
                                  ? args->prev_log_term
                                  : hti_core_term_at(core, first - 1);
    wire.u.append.commit = args->leader_commit;
    wire.u.append.count = (uint32_t)(end - first);
    wire.u.append.entries = entries.data;
    wire.u.append.entries_len = entries.len;
    if (!entries.failed) {
        hti_core_send(core, message->server_id, message->server_address, &wire);
    }
    hti_wbuf_fini(&entries);
}

static void send_append(struct hti_core *core,
                        const struct raft_message *message)
{
    const struct raft_append_entries *args = &message->append_entries;
    uint64_t first = args->prev_log_index + 1;
    uint64_t end = first + args->n_entries;

    do {
        uint64_t to = first;
        size_t bytes = 0;

        while (to < end && (to == first || bytes < HTI_APPEND_BYTES_MAX) &&
               to - first < HTI_WIRE_ENTRIES_MAX) {
            const struct hti_entry *entry = hti_cache_get(&core->cache, to);

            if (entry == NULL) {
                return; /* libraft would be wrong about its own log */
            }
            bytes += entry->len + HTI_WIRE_ENTRY_HEAD;
            to++;
        }
        send_some(core, message, first, to);
        first = to;
    } while (first < end);
}

static void send_vote(struct hti_core *core, const struct raft_message *message)
{
    const struct raft_request_vote *args = &message->request_vote;
    struct hti_wire wire = {.kind = HTI_WIRE_VOTE, .term = args->term};

    wire.u.vote.candidate = args->candidate_id;
    wire.u.vote.last_index = args->last_log_index;
    wire.u.vote.last_term = args->last_log_term;
    wire.u.vote.disrupt = args->disrupt_leader;
    wire.u.vote.pre = args->pre_vote;
    hti_core_send(core, message->server_id, message->server_address, &wire);
}

static void send_vote_result(struct hti_core *core,
                             const struct raft_message *message)
{
    const struct raft_request_vote_result *args = &message->request_vote_result;
    struct hti_wire wire = {.kind = HTI_WIRE_VOTE_RESULT, .term = args->term};

    wire.u.vote_result.granted = args->vote_granted;
    wire.u.vote_result.pre = args->pre_vote;
    wire.u.vote_result.features = args->features;
    wire.u.vote_result.capacity = args->capacity;
    hti_core_send(core, message->server_id, message->server_address, &wire);
}

static void send_result(struct hti_core *core,
                        const struct raft_message *message)
{
    const struct raft_append_entries_result *args =
        &message->append_entries_result;
    struct hti_wire wire = {.kind = HTI_WIRE_APPEND_RESULT, .term = args->term};

    wire.u.append_result.rejected = args->rejected;
    wire.u.append_result.last_index = args->last_log_index;
    wire.u.append_result.features = args->features;
    wire.u.append_result.capacity = args->capacity;
    hti_core_send(core, message->server_id, message->server_address, &wire);
}

void hti_core_send_raft(struct hti_core *core,
                        const struct raft_message *message)
{
    struct hti_wire wire = {.kind = HTI_WIRE_TIMEOUT_NOW};

    if (message->server_id == core->meta.id) {
        return; /* the vote of hti_core_lead_alone() */
    }
    switch (message->type) {
    case RAFT_APPEND_ENTRIES:
        send_append(core, message);
        break;
    case RAFT_APPEND_ENTRIES_RESULT:
        send_result(core, message);
        break;
    case RAFT_REQUEST_VOTE:
        send_vote(core, message);
        break;
    case RAFT_REQUEST_VOTE_RESULT:
        send_vote_result(core, message);
        break;
    case RAFT_INSTALL_SNAPSHOT:
        hti_core_xfer_want(core, message->server_id, message->server_address);
        break;
    case RAFT_TIMEOUT_NOW:
        wire.term = message->timeout_now.term;
        wire.u.timeout_now.last_index = message->timeout_now.last_log_index;
        wire.u.timeout_now.last_term = message->timeout_now.last_log_term;
        hti_core_send(core, message->server_id, message->server_address, &wire);
        break;
    }
}
