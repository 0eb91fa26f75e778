/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/interop/console.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "tests/interop/calc.h"
#include "tests/interop/flood.h"
#include "tests/interop/probe.h"
#include "tests/interop/report.h"
#include "tests/interop/value.h"

#define LINE_BYTES_MAX  65536
#define WORDS_MAX       32
#define MEMBERS_MAX     4096
#define MAILBOX_MSG_MAX (1u << 20)
#define MAILBOX_MAX     (256u << 20)

/* A call in flight; its answer is reported under the command's id. */
struct call {
    LIST_ENTRY(call) entry;
    const struct type *reply;
    char id[];
};

struct console {
    ht_actor *self;
    ht_node *node;
    LIST_HEAD(, call) calls;
    size_t line_len;
    char line[LINE_BYTES_MAX];
};

/* A command, its words split. */
struct command {
    struct console *console;
    const char *id;
    char **args;
    size_t count;
};

/* ---- groups -------------------------------------------------------------- */

static bool is_local(ht_ref ref)
{
    return ref.node == ht_self(ht_current()).node;
}

static int by_pid(const void *a, const void *b)
{
    const ht_ref *x = a;
    const ht_ref *y = b;

    if (x->pid != y->pid) {
        return x->pid < y->pid ? -1 : 1;
    }
    return x->node < y->node ? -1 : x->node > y->node;
}

static json_t *members_json(ht_node *node, const ht_ref *refs, size_t count)
{
    ht_ref *sorted = calloc(count ? count : 1, sizeof(*sorted));
    json_t *list = json_array();

    if (sorted == NULL) {
        abort();
    }
    if (count != 0) {
        memcpy(sorted, refs, count * sizeof(*sorted));
    }
    qsort(sorted, count, sizeof(*sorted), by_pid);
    for (size_t i = 0; i < count; i++) {
        bool local = is_local(sorted[i]);

        json_array_append_new(
            list, json_pack("{s:I, s:b, s:s?}", "pid",
                            (json_int_t)sorted[i].pid, "remote", !local, "node",
                            local ? NULL : ht_ref_node_name(node, sorted[i])));
    }
    free(sorted);
    return list;
}

static size_t members_of(ht_node *node,
                         const char *scope,
                         const char *group,
                         ht_ref *ret_refs)
{
    size_t count = ht_group_members(node, scope, group, ret_refs, MEMBERS_MAX);

    qsort(ret_refs, count < MEMBERS_MAX ? count : MEMBERS_MAX,
          sizeof(*ret_refs), by_pid);
    return count < MEMBERS_MAX ? count : MEMBERS_MAX;
}

/* GROUP is its first remote member, GROUP#PID the one of that pid. */
static bool find_target(ht_node *node, const char *target, ht_ref *ret_ref)
{
    ht_ref refs[MEMBERS_MAX];
    size_t len = strcspn(target, "#");
    const char *pid = target[len] != '\0' ? target + len + 1 : NULL;
    char *group = strndup(target, len);
    size_t count = group ? members_of(node, NULL, group, refs) : 0;

    free(group);
    for (size_t i = 0; i < count; i++) {
        if (!is_local(refs[i]) &&
            (pid == NULL || strtoull(pid, NULL, 10) == refs[i].pid)) {
            *ret_ref = refs[i];
            return true;
        }
    }
    return false;
}

static void add_group(const char *scope,
                      const char *group,
                      const ht_ref *refs,
                      size_t count,
                      void *arg)
{
    (void)refs;
    if (count != 0) {
        json_array_append_new(arg, json_pack("[s, s]", scope, group));
    }
}

/* ---- commands ------------------------------------------------------------ */

static void done(const struct command *c, ht_err err)
{
    if (err) {
        report_error(c->id, ht_strerror(err));
    } else {
        report_value(c->id, json_string("done"));
    }
}

/* A dial waits in the blocking pool until the peer is ready or refused. */
struct dial {
    ht_node *node;
    char *id;
    char *address;
    char *server_name; /* NULL: without TLS */
    ht_err err;
};

static void dial_free(void *arg)
{
    struct dial *dial = arg;

    free(dial->id);
    free(dial->address);
    free(dial->server_name);
    free(dial);
}

static void dial_work(void *arg)
{
    struct dial *dial = arg;
    ht_connect_opts opts = {
        .encryption = dial->server_name ? HT_ENCRYPT_TLS : HT_ENCRYPT_NONE,
        .peers = HT_PEERS_ANY,
        .server_name = dial->server_name,
        .once = true,
    };

    dial->err = ht_client_connect(dial->node, dial->address, &opts);
}

static void dial_done(ht_actor *self, void *arg)
{
    struct dial *dial = arg;

    (void)self;
    if (dial->err) {
        report_error(dial->id, ht_strerror(dial->err));
    } else {
        report_value(dial->id, json_string("connected"));
    }
    dial_free(dial);
}

static void start_dial(struct console *console,
                       const char *id,
                       const char *address,
                       const char *server_name)
{
    struct dial *dial = calloc(1, sizeof(*dial));
    ht_err err;

    if (dial == NULL) {
        abort();
    }
    dial->node = console->node;
    dial->id = strdup(id);
    dial->address = strdup(address);
    dial->server_name = server_name != NULL ? strdup(server_name) : NULL;
    err = ht_block(console->self, dial_work, dial_done, dial_free, dial);
    if (err) {
        report_error(id, ht_strerror(err));
        dial_free(dial);
    }
}

static void do_dial(const struct command *c)
{
    start_dial(c->console, c->id, c->args[0], c->count > 1 ? c->args[1] : NULL);
}

static void add_session(const ht_peer_info *info, void *arg)
{
    if (info->auth[0] == '\0' || info->node == 0 ||
        strcmp(info->state, "waiting") == 0) {
        return;
    }
    json_array_append_new(
        arg, json_pack("{s:I, s:s, s:s, s:b}", "node", (json_int_t)info->node,
                       "peer", info->name, "connection", info->address,
                       "accepted", !info->initiated));
}

static void do_sessions(const struct command *c)
{
    json_t *list = json_array();

    ht_peer_each(c->console->node, add_session, list);
    report_value(c->id, list);
}

static void do_spawn(const struct command *c)
{
    ht_node *node = c->console->node;
    bool unnamed = strcmp(c->args[1], "-") == 0;
    /* Tests flood it, and send it the largest frames. */
    ht_spawn_opts opts = {.name = unnamed ? NULL : c->args[1],
                          .mailbox_messages_max = MAILBOX_MSG_MAX,
                          .mailbox_bytes_max = MAILBOX_MAX};
    ht_ref ref;
    ht_err err = spawn_kind(node, c->args[0], c->args[1], &opts, &ref);

    for (size_t i = 2; i < c->count && !err; i++) {
        err = ht_group_join(node, c->args[i], ref);
    }
    if (err) {
        done(c, err);
    } else {
        report_value(c->id, json_integer((json_int_t)ref.pid));
    }
}

static void do_join(const struct command *c)
{
    ht_node *node = c->console->node;
    const char *scope = c->count > 2 ? c->args[2] : NULL;

    done(c, ht_group_join_scoped(node, scope, c->args[1],
                                 ht_whereis(node, c->args[0])));
}

static void do_leave(const struct command *c)
{
    ht_node *node = c->console->node;
    const char *scope = c->count > 2 ? c->args[2] : NULL;

    done(c, ht_group_leave_scoped(node, scope, c->args[1],
                                  ht_whereis(node, c->args[0])));
}

static void do_stop(const struct command *c)
{
    ht_node *node = c->console->node;

    done(c, ht_stop(node, ht_whereis(node, c->args[0]), NULL));
}

static void do_kill(const struct command *c)
{
    ht_node *node = c->console->node;

    done(c, ht_kill(node, ht_whereis(node, c->args[0])));
}

static void do_stop_remote(const struct command *c)
{
    ht_ref ref;

    done(c, find_target(c->console->node, c->args[0], &ref)
                ? ht_stop(c->console->node, ref, NULL)
                : HT_ENOENT);
}

static void do_groups(const struct command *c)
{
    json_t *list = json_array();

    ht_group_each(c->console->node, add_group, list);
    report_value(c->id, list);
}

static void do_members(const struct command *c)
{
    ht_ref refs[MEMBERS_MAX];
    const char *scope = c->count > 1 ? c->args[1] : NULL;
    size_t count = members_of(c->console->node, scope, c->args[0], refs);

    report_value(c->id, members_json(c->console->node, refs, count));
}

/* The words from the first on as the message's arguments. */
static const char *build_args(const struct command *c,
                              size_t first,
                              const struct message *message,
                              ht_args *args)
{
    for (size_t i = 0; i < MESSAGE_ARGS_MAX && message->args[i] != NULL; i++) {
        struct value value = {0};

        if (first + i >= c->count || !value_parse(type_find(message->args[i]),
                                                  c->args[first + i], &value)) {
            return "bad argument";
        }
        value_put(&value, args);
        value_fini(&value);
    }
    return NULL;
}

static void do_cast(const struct command *c)
{
    ht_args args = HT_ARGS_INIT;
    struct message message;
    ht_ref to;
    const char *error = NULL;

    if (!find_target(c->console->node, c->args[0], &to)) {
        error = "no member";
    } else if (!message_find(c->args[1], &message) || message.call) {
        error = "no such variant";
    } else {
        error = build_args(c, 2, &message, &args);
    }
    if (error != NULL) {
        ht_args_fini(&args);
        report_error(c->id, error);
        return;
    }
    done(c, ht_args_cast(c->console->node, to, c->args[1], &args));
}

static void do_cast_text(const struct command *c)
{
    struct value text;
    ht_ref to;

    if (!find_target(c->console->node, c->args[0], &to)) {
        report_error(c->id, "no member");
    } else if (!value_parse(type_find("Str"), c->args[1], &text)) {
        report_error(c->id, "bad argument");
    } else {
        done(c, ht_cast(c->console->node, to, "", text.items, text.count));
        value_fini(&text);
    }
}

static void on_reply(ht_actor *self, const ht_reply *reply, void *arg)
{
    struct call *call = arg;
    ht_reader r;
    struct value value = {0};

    (void)self;
    if (reply->err) {
        report_error(call->id, calc_error(reply->err));
    } else {
        r = ht_reader_reply(reply);
        if (value_read(call->reply, &r, &value) && ht_read_end(&r) == HT_OK) {
            char *text = value_show(&value);

            report_value(call->id, json_string(text));
            free(text);
        } else {
            report_error(call->id, "bad reply");
        }
    }
    value_fini(&value);
    LIST_REMOVE(call, entry);
    free(call);
}

static void do_call(const struct command *c)
{
    struct console *console = c->console;
    uint32_t timeout_ms = strcmp(c->args[2], "-") == 0
                              ? HT_INFINITE
                              : (uint32_t)strtoul(c->args[2], NULL, 10);
    ht_args args = HT_ARGS_INIT;
    struct message message;
    struct call *call;
    const char *error;
    ht_ref to;
    ht_err err;

    if (!find_target(console->node, c->args[0], &to)) {
        report_error(c->id, "no member");
        return;
    }
    if (!message_find(c->args[1], &message) || !message.call) {
        calc_call(console->node, to, c->id, c->args[1], timeout_ms, c->args + 3,
                  c->count - 3);
        return;
    }
    error = build_args(c, 3, &message, &args);
    if (error != NULL) {
        ht_args_fini(&args);
        report_error(c->id, error);
        return;
    }
    call = calloc(1, sizeof(*call) + strlen(c->id) + 1);
    if (call == NULL) {
        abort();
    }
    call->reply = type_find(message.reply);
    memcpy(call->id, c->id, strlen(c->id) + 1);
    err = ht_args_call_async(console->self, to, c->args[1], &args, timeout_ms,
                             on_reply, call);
    if (err) {
        report_error(c->id, calc_error(err));
        free(call);
        return;
    }
    LIST_INSERT_HEAD(&console->calls, call, entry);
}

/* ---- the table ------------------------------------------------------------
 */

static void do_flood(const struct command *c)
{
    ht_ref to;

    if (find_target(c->console->node, c->args[0], &to)) {
        start_flood(c->console->node, to, c->id,
                    strtoull(c->args[1], NULL, 10));
    } else {
        report_error(c->id, "no member");
    }
}

static void do_quit(const struct command *c)
{
    ht_node_stop(c->console->node);
}

static const struct {
    const char *name;
    size_t args_min;
    size_t args_max;
    void (*run)(const struct command *c);
} commands[] = {
    {"dial", 1, 1, do_dial},
    {"dial-tls", 2, 2, do_dial},
    {"sessions", 0, 0, do_sessions},
    {"spawn", 2, WORDS_MAX, do_spawn},
    {"join", 2, 3, do_join},
    {"leave", 2, 3, do_leave},
    {"stop", 1, 1, do_stop},
    {"kill", 1, 1, do_kill},
    {"stop-remote", 1, 1, do_stop_remote},
    {"groups", 0, 0, do_groups},
    {"members", 1, 2, do_members},
    {"cast", 2, WORDS_MAX, do_cast},
    {"cast-text", 2, 2, do_cast_text},
    {"call", 3, WORDS_MAX, do_call},
    {"flood", 2, 2, do_flood},
    {"quit", 0, 0, do_quit},
};

static void execute(struct console *console, char *line)
{
    char *words[WORDS_MAX];
    char *rest = NULL;
    size_t count = 0;
    struct command c = {.console = console};

    for (char *word = strtok_r(line, " ", &rest);
         word != NULL && count < WORDS_MAX; word = strtok_r(NULL, " ", &rest)) {
        words[count++] = word;
    }
    if (count < 2) {
        return;
    }
    c.id = words[0];
    c.args = words + 2;
    c.count = count - 2;
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].name, words[1]) == 0 &&
            c.count >= commands[i].args_min &&
            c.count <= commands[i].args_max) {
            commands[i].run(&c);
            return;
        }
    }
    report_error(c.id, "bad command");
}

/* ---- the actor ----------------------------------------------------------- */

static ht_err on_input(ht_actor *self, int fd, int events, void *arg)
{
    struct console *console = arg;
    char *start = console->line;
    char *end;
    ssize_t n = read(fd, console->line + console->line_len,
                     LINE_BYTES_MAX - console->line_len);

    (void)events;
    if (n <= 0) {
        ht_node_stop(console->node);
        return ht_watch(self, fd, 0, NULL, NULL);
    }
    console->line_len += (size_t)n;
    while ((end = memchr(start, '\n',
                         console->line_len -
                             (size_t)(start - console->line))) != NULL) {
        *end = '\0';
        execute(console, start);
        start = end + 1;
    }
    console->line_len -= (size_t)(start - console->line);
    memmove(console->line, start, console->line_len);
    return HT_OK;
}

static ht_err console_init(ht_actor *self, void *arg)
{
    const struct console_opts *opts = arg;
    struct console *console = calloc(1, sizeof(*console));
    ht_err err;

    if (console == NULL) {
        return HT_ENOMEM;
    }
    console->self = self;
    console->node = ht_actor_node(self);
    ht_set_state(self, console);
    err = ht_monitor_nodes(self, true);
    if (!err) {
        err = ht_group_monitor(self, NULL, NULL);
    }
    if (!err) {
        err = ht_watch(self, STDIN_FILENO, HT_READ, on_input, console);
    }
    if (err) {
        free(console);
        return err;
    }
    for (size_t i = 0; i < opts->dial_count; i++) {
        start_dial(console, "dial", opts->dial[i], NULL);
    }
    return HT_OK;
}

static void report_node(const ht_event *event)
{
    static const char *const words[] = {
        [HT_NODE_OPENED] = "opened",
        [HT_NODE_AUTHENTICATED] = "authenticated",
        [HT_NODE_READY] = "ready",
        [HT_NODE_DISCONNECTED] = "disconnected",
    };
    const char *name = event->u.node.name;

    report(json_pack(
        "{s:s, s:s?, s:s?, s:s, s:s?}", "ev", words[event->u.node.event],
        "peer", name[0] != '\0' ? name : NULL, "connection",
        event->u.node.address, "reason", ht_strerror(event->u.node.reason),
        "text", event->u.node.text));
}

static ht_err console_on_event(ht_actor *self, const ht_event *event)
{
    if (event->kind == HT_EVENT_NODE) {
        report_node(event);
    } else if (event->kind == HT_EVENT_GROUP) {
        report(json_pack("{s:s, s:s, s:s, s:o}", "ev",
                         event->u.group.joined ? "join" : "leave", "scope",
                         event->u.group.scope, "group", event->u.group.group,
                         "members",
                         members_json(ht_actor_node(self), event->u.group.refs,
                                      event->u.group.count)));
    }
    return HT_OK;
}

/* The calls in flight are not answered any more. */
static void console_terminate(ht_actor *self, const ht_exit *why)
{
    struct console *console = ht_state(self);
    struct call *call;

    (void)why;
    while ((call = LIST_FIRST(&console->calls)) != NULL) {
        LIST_REMOVE(call, entry);
        free(call);
    }
    free(console);
}

ht_err spawn_console(ht_node *node, const struct console_opts *opts)
{
    static const ht_behavior behavior = {console_init, NULL, console_on_event,
                                         console_terminate};
    ht_spawn_opts spawn = {.mailbox_messages_max = MAILBOX_MSG_MAX,
                           .mailbox_bytes_max = MAILBOX_MAX,
                           .local_only = true};
    ht_ref ref;

    return ht_spawn(node, &behavior, (void *)(uintptr_t)opts, &spawn, &ref);
}
