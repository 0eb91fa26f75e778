/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of hardtack/raft.proto.  A change is the leader's to make: a
 * member that does not lead hands the call on, and its answer back. */
#include <hardtack/args.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hardtack/raft.pb-c.h"
#include "raft/member.h"

/* Catching up may take long. */
#define CHANGE_TIMEOUT_MS 600000

struct asked {
    ht_raft *raft;
    ht_call call;
};

static const char *role_name(ht_raft_role role)
{
    return role == HT_RAFT_LEADER      ? "leader"
           : role == HT_RAFT_CANDIDATE ? "candidate"
                                       : "follower";
}

static void answer_change(void *arg, ht_err err, const char *text)
{
    struct asked *asked = arg;
    Hardtack__Empty empty = HARDTACK__EMPTY__INIT;
    ht_args args = HT_REPLY_INIT;
    char reason[300];

    if (asked->raft->self != NULL && err == HT_OK) {
        ht_args_message(&args, &empty.base);
        (void)ht_args_reply(asked->raft->self, asked->call, &args);
    } else if (asked->raft->self != NULL) {
        (void)snprintf(reason, sizeof(reason), "%s: %s", ht_errname(err),
                       text[0] != '\0' ? text : ht_strerror(err));
        (void)ht_reply_error(asked->raft->self, asked->call, HT_EFAILED,
                             reason);
    }
    free(asked);
}

/* ---- handing on -------------------------------------------------------- */

static void on_answer(ht_actor *self, const ht_reply *reply, void *arg)
{
    struct asked *asked = arg;
    char reason[300];

    if (reply->err == HT_OK) {
        (void)ht_reply_ok(self, asked->call, reply->data, reply->len);
    } else {
        (void)snprintf(reason, sizeof(reason), "%s%s",
                       reply->err == HT_EFAILED ? "" : "HT_ENOTLEADER: ",
                       reply->reason[0] != '\0' ? reply->reason
                                                : ht_strerror(reply->err));
        (void)ht_reply_error(self, asked->call, HT_EFAILED, reason);
    }
    free(asked);
}

static ht_err hand_on(ht_raft *raft, const ht_msg *msg, struct asked *asked)
{
    ht_bytes args = ht_msg_args(msg);
    ht_ref ref;
    const char *node = ht_raft_leader(raft, &ref);

    /* From a member, whose leader should have been this one: no circles. */
    if (node[0] == '\0' || strcmp(node, ht_node_name(raft->node)) == 0 ||
        hti_core_from_member(raft->core,
                             ht_ref_node_name(raft->node, ht_msg_from(msg)))) {
        return HT_ENOTLEADER;
    }
    return ht_call_name_async(raft->self, node, raft->name, ht_msg_variant(msg),
                              args.data, args.len, CHANGE_TIMEOUT_MS, on_answer,
                              asked, NULL);
}

/* ---- the methods ------------------------------------------------------- */

static ht_err change(ht_raft *raft,
                     const char *method,
                     const ProtobufCMessage *in,
                     struct asked *asked)
{
    const Hardtack__Raft__AddRequest *add = (const void *)in;
    const Hardtack__Raft__NodeRequest *node = (const void *)in;

    if (strcmp(method, "RaftAdd") == 0) {
        return ht_raft_add(raft, add->node, !add->learner, answer_change,
                           asked);
    }
    if (strcmp(method, "RaftRemove") == 0) {
        return ht_raft_remove(raft, node->node, answer_change, asked);
    }
    if (strcmp(method, "RaftTransfer") == 0) {
        return ht_raft_transfer(raft, node->node[0] != '\0' ? node->node : NULL,
                                answer_change, asked);
    }
    return ht_raft_snapshot(raft, answer_change, asked);
}

static ht_err ask_change(ht_raft *raft,
                         const ht_msg *msg,
                         ht_call call,
                         const ProtobufCMessage *in)
{
    struct asked *asked = calloc(1, sizeof(*asked));
    const char *method = ht_msg_variant(msg);
    ht_err err;

    if (asked == NULL) {
        (void)ht_reply_error(raft->self, call, HT_EFAILED,
                             "HT_ENOMEM: out of memory");
        return HT_OK;
    }
    asked->raft = raft;
    asked->call = call;
    err = change(raft, method, in, asked);
    if (err == HT_ENOTLEADER) {
        err = hand_on(raft, msg, asked);
    }
    if (err != HT_OK) {
        answer_change(asked, err, "");
    }
    return HT_OK;
}

static void fill_status(Hardtack__Raft__Status *out, ht_raft_status *status)
{
    out->group = status->group;
    out->node = status->node;
    out->id = status->id;
    out->role = (char *)(uintptr_t)role_name(status->role);
    out->member = status->member;
    out->voter = status->voter;
    out->removed = status->removed;
    out->disk_full = status->disk_full;
    out->failed = status->failed;
    out->leader = status->leader;
    out->term = status->term;
    out->first_index = status->first_index;
    out->last_index = status->last_index;
    out->stored_index = status->stored_index;
    out->commit_index = status->commit_index;
    out->applied_index = status->applied_index;
    out->snapshot_index = status->snapshot_index;
    out->log_bytes = status->log_bytes;
    out->fsyncs = status->fsyncs;
    out->fsync_us = status->fsync_us;
    out->proposals = status->proposals;
    out->commits = status->commits;
    out->commit_us = status->commit_us;
    out->reads = status->reads;
    out->read_rounds = status->read_rounds;
    out->elections = status->elections;
    out->snapshots = status->snapshots;
    out->messages_sent = status->messages_sent;
    out->messages_received = status->messages_received;
    out->messages_refused = status->messages_refused;
    out->pending = status->pending;
    out->n_commit_us_bucket = 24;
    out->commit_us_bucket = status->commit_us_bucket;
}

static void fill_member(Hardtack__Raft__MemberInfo *out,
                        const ht_raft_status *status,
                        ht_raft_member *member)
{
    hardtack__raft__member_info__init(out);
    out->id = member->id;
    out->node = member->node;
    out->voter = member->voter;
    out->leader = member->leader;
    out->online = member->online;
    out->match_index = member->match_index;
    if (status->role == HT_RAFT_LEADER &&
        member->match_index < status->last_index) {
        out->lag = status->last_index - member->match_index;
    }
    out->snapshot_sent_bytes = member->snapshot_sent_bytes;
}

static ht_err answer_status(ht_raft *raft, ht_call call)
{
    Hardtack__Raft__Status out = HARDTACK__RAFT__STATUS__INIT;
    Hardtack__Raft__MemberInfo members[HT_RAFT_MEMBERS_MAX];
    Hardtack__Raft__MemberInfo *list[HT_RAFT_MEMBERS_MAX];
    ht_args args = HT_REPLY_INIT;
    ht_raft_status status;

    ht_raft_status_get(raft, &status);
    fill_status(&out, &status);
    for (uint32_t i = 0; i < status.members_count; i++) {
        fill_member(&members[i], &status, &status.members[i]);
        list[i] = &members[i];
    }
    out.n_members = status.members_count;
    out.members = list;
    ht_args_message(&args, &out.base);
    (void)ht_args_reply(raft->self, call, &args);
    return HT_OK;
}

ht_err hti_member_service(ht_raft *raft,
                          ht_actor *self,
                          const ht_msg *msg,
                          ht_call call)
{
    const ProtobufCMethodDescriptor *method =
        protobuf_c_service_descriptor_get_method_by_name(
            &hardtack__raft__member__descriptor, ht_msg_variant(msg));
    ht_reader reader = ht_reader_args(msg);
    ProtobufCMessage *in;

    (void)self;
    if (method == NULL) {
        return HT_ENOVARIANT;
    }
    in = ht_read_message(&reader, method->input);
    if (in == NULL || ht_read_end(&reader) != HT_OK) {
        if (in != NULL) {
            protobuf_c_message_free_unpacked(in, NULL);
        }
        return HT_EARGS;
    }
    if (strcmp(method->name, "RaftStatus") == 0) {
        (void)answer_status(raft, call);
    } else {
        (void)ask_change(raft, msg, call, in);
    }
    protobuf_c_message_free_unpacked(in, NULL);
    return HT_OK;
}
