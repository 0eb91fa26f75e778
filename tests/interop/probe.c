/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/interop/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "tests/interop/calc.h"
#include "tests/interop/report.h"

/* A call that is answered when its timer fires. */
struct late {
    LIST_ENTRY(late) entry;
    ht_call call;
    uint64_t ms;
};

struct probe {
    LIST_HEAD(, late) lates;
    uint64_t seq_next;
    bool seq_ok;
    char label[];
};

static ht_err answer_u64(ht_actor *self, ht_call call, uint64_t x)
{
    ht_args reply = HT_REPLY_INIT;

    ht_args_u64(&reply, x);
    ht_args_reply(self, call, &reply);
    return HT_OK;
}

/* ---- what the messages do ------------------------------------------------ */

static ht_err
handle_echo(ht_actor *self, ht_call call, const struct value *args)
{
    ht_args reply = HT_REPLY_INIT;

    value_put(&args[0], &reply);
    ht_args_reply(self, call, &reply);
    return HT_OK;
}

static ht_err
handle_nothing(ht_actor *self, ht_call call, const struct value *args)
{
    (void)self;
    (void)call;
    (void)args;
    return HT_OK;
}

static ht_err
handle_failure(ht_actor *self, ht_call call, const struct value *args)
{
    (void)self;
    (void)call;
    (void)args;
    return HT_EFAILED;
}

static ht_err handle_seq(ht_actor *self, ht_call call, const struct value *args)
{
    struct probe *probe = ht_state(self);
    uint64_t n = *(const uint64_t *)args[0].items;

    (void)call;
    probe->seq_ok = probe->seq_ok && n == probe->seq_next;
    probe->seq_next++;
    return HT_OK;
}

static ht_err
handle_seq_check(ht_actor *self, ht_call call, const struct value *args)
{
    struct probe *probe = ht_state(self);
    uint64_t answer = probe->seq_ok ? probe->seq_next : UINT64_MAX;

    (void)args;
    probe->seq_next = 0;
    probe->seq_ok = true;
    return answer_u64(self, call, answer);
}

static ht_err
handle_ping(ht_actor *self, ht_call call, const struct value *args)
{
    ht_args reply = HT_REPLY_INIT;

    (void)args;
    ht_args_unit(&reply);
    ht_args_reply(self, call, &reply);
    return HT_OK;
}

static ht_err
handle_join(ht_actor *self, ht_call call, const struct value *args)
{
    ht_args reply = HT_REPLY_INIT;
    char *text = NULL;

    if (asprintf(&text, "%u %lld %.*s", *(const uint8_t *)args[0].items,
                 (long long)*(const int64_t *)args[1].items, (int)args[2].count,
                 (const char *)args[2].items) < 0) {
        return HT_ENOMEM;
    }
    ht_args_str(&reply, text);
    ht_args_reply(self, call, &reply);
    free(text);
    return HT_OK;
}

static ht_err
handle_port_first(ht_actor *self, ht_call call, const struct value *args)
{
    return answer_u64(self, call,
                      *(const uint32_t *)args[0].items + args[1].count);
}

static ht_err
handle_late(ht_actor *self, ht_call call, const struct value *args)
{
    struct probe *probe = ht_state(self);
    struct late *late = calloc(1, sizeof(*late));
    uint64_t timer;
    ht_err err;

    if (late == NULL) {
        return HT_ENOMEM;
    }
    late->call = call;
    late->ms = *(const uint64_t *)args[0].items;
    err = ht_timer_start(self, (uint32_t)late->ms, 0, late, &timer);
    if (err) {
        free(late);
        return err;
    }
    LIST_INSERT_HEAD(&probe->lates, late, entry);
    return HT_OK;
}

static const struct message special[] = {
    {"Tick", false, false, {NULL}, NULL, handle_nothing},
    {"Pair", false, false, {"Str", "U64"}, NULL, handle_nothing},
    {"Named", false, false, {"U32", "Str"}, NULL, handle_nothing},
    {"Seq", false, true, {"U64"}, NULL, handle_seq},
    {"Die", false, false, {NULL}, NULL, handle_failure},
    {"Ping", true, false, {NULL}, "Unit", handle_ping},
    {"Join", true, false, {"U8", "I64", "Str"}, "Str", handle_join},
    {"PortFirst", true, false, {"U32", "Str"}, "U64", handle_port_first},
    {"SeqCheck", true, true, {NULL}, "U64", handle_seq_check},
    {"Never", true, false, {NULL}, "U8", handle_nothing},
    {"Drop", true, false, {NULL}, "U8", handle_nothing},
    {"Late", true, false, {"U64"}, "U64", handle_late},
    {"Panic", true, false, {NULL}, "U8", handle_failure},
};

bool message_find(const char *variant, struct message *ret_message)
{
    bool echo = strncmp(variant, "Echo", 4) == 0;
    const char *type = echo ? variant + 4 : variant;

    for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
        if (strcmp(special[i].variant, variant) == 0) {
            *ret_message = special[i];
            return true;
        }
    }
    if (type_find(type) == NULL) {
        return false;
    }
    *ret_message = (struct message){
        .variant = variant,
        .call = echo,
        .args = {type},
        .reply = echo ? type : NULL,
        .handle = echo ? handle_echo : handle_nothing,
    };
    return true;
}

/* ---- the actor ----------------------------------------------------------- */

static ht_err probe_init(ht_actor *self, void *arg)
{
    const char *label = arg;
    struct probe *probe = calloc(1, sizeof(*probe) + strlen(label) + 1);

    if (probe == NULL) {
        return HT_ENOMEM;
    }
    LIST_INIT(&probe->lates);
    probe->seq_ok = true;
    memcpy(probe->label, label, strlen(label) + 1);
    ht_set_state(self, probe);
    return HT_OK;
}

/* HT_EARGS if they do not fit; *ret_count are to be freed in any case. */
static ht_err read_args(const struct message *message,
                        const ht_msg *msg,
                        struct value *args,
                        size_t *ret_count)
{
    ht_reader r = ht_reader_args(msg);
    size_t count = 0;

    while (count < MESSAGE_ARGS_MAX && message->args[count] != NULL &&
           value_read(type_find(message->args[count]), &r, &args[count])) {
        count++;
    }
    *ret_count = count;
    return ht_read_end(&r);
}

static void
probe_report(const char *label, const struct message *m, struct value *args)
{
    json_t *texts = json_array();

    for (size_t i = 0; i < MESSAGE_ARGS_MAX && m->args[i] != NULL; i++) {
        char *text = value_show(&args[i]);

        json_array_append_new(texts, json_string(text != NULL ? text : "?"));
        free(text);
    }
    report_message(m->call ? "call" : "cast", label, m->variant, texts);
}

static ht_err probe_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    struct probe *probe = ht_state(self);
    struct value args[MESSAGE_ARGS_MAX] = {{0}};
    struct message message;
    size_t count = 0;
    ht_err err = HT_OK;

    /* What does not fit is answered, where the peer knows error replies, and
     * forgotten; the actor lives on. */
    if (!message_find(ht_msg_variant(msg), &message) ||
        message.call != (call.id != 0)) {
        err = HT_ENOVARIANT;
    } else {
        err = read_args(&message, msg, args, &count);
    }
    if (err) {
        if (call.id != 0) {
            ht_reply_error(self, call, err, NULL);
        }
        err = HT_OK;
    } else {
        if (!message.quiet) {
            probe_report(probe->label, &message, args);
        }
        err = message.handle(self, call, args);
    }
    for (size_t i = 0; i < count; i++) {
        value_fini(&args[i]);
    }
    return err;
}

static ht_err probe_on_event(ht_actor *self, const ht_event *event)
{
    struct late *late;

    if (event->kind != HT_EVENT_TIMER) {
        return HT_OK;
    }
    late = event->u.timer.arg;
    LIST_REMOVE(late, entry);
    answer_u64(self, late->call, late->ms);
    free(late);
    return HT_OK;
}

static void probe_terminate(ht_actor *self, const ht_exit *why)
{
    struct probe *probe = ht_state(self);
    struct late *late;

    (void)why;
    while ((late = LIST_FIRST(&probe->lates)) != NULL) {
        LIST_REMOVE(late, entry);
        free(late);
    }
    free(probe);
}

static const ht_behavior probe_behavior = {probe_init, probe_handle,
                                           probe_on_event, probe_terminate};

/* ---- an actor whose message type is a bare String ------------------------ */

static ht_err text_handle(ht_actor *self, const ht_msg *msg, ht_call call)
{
    struct probe *probe = ht_state(self);
    ht_bytes bytes = ht_msg_args(msg);
    struct value value = {type_find("Bytes"), bytes.len, NULL, NULL};
    char *text;

    if (call.id != 0 || ht_msg_variant(msg)[0] != '\0') {
        return HT_OK;
    }
    value.items = malloc(bytes.len ? bytes.len : 1);
    if (value.items == NULL) {
        return HT_ENOMEM;
    }
    if (bytes.len != 0) {
        memcpy(value.items, bytes.data, bytes.len);
    }
    text = value_show(&value);
    report_message("cast", probe->label, "", json_pack("[s]", text));
    free(text);
    value_fini(&value);
    return HT_OK;
}

static const ht_behavior text_behavior = {probe_init, text_handle, NULL,
                                          probe_terminate};

ht_err spawn_kind(ht_node *node,
                  const char *kind,
                  const char *label,
                  const ht_spawn_opts *opts,
                  ht_ref *ret_ref)
{
    char *arg = (char *)(uintptr_t)label; /* init only reads it */

    if (strcmp(kind, "probe") == 0) {
        return ht_spawn(node, &probe_behavior, arg, opts, ret_ref);
    }
    if (strcmp(kind, "text") == 0) {
        return ht_spawn(node, &text_behavior, arg, opts, ret_ref);
    }
    if (strcmp(kind, "calc") == 0) {
        return spawn_calc(node, label, opts, ret_ref);
    }
    return HT_ENOENT;
}
