/* SPDX-License-Identifier: Apache-2.0 */
/* raft.c - `hardtack raft COMMAND`: the members of a replicated group, and
 * their directories. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hardtack/raft.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/pb_json.h"
#include "cli/table.h"
#include "hardtack/raft.pb-c.h"

#define ARGUMENTS_MAX 3
/* A new member first gets what the others have. */
#define CHANGE_MS 60000

enum { OPT_GROUP = 0x700, OPT_LEARNER };

struct raft {
    struct client_opts opts;
    const char *command;
    const char *group;
    const char *arguments[ARGUMENTS_MAX];
    size_t count;
    bool learner;
    bool asks; /* a node */
    struct client client;
    char actor[96];
};

/* ---- asking a member ----------------------------------------------------- */

/* What an error means for a command, where it came without words of its own. */
static const struct {
    const char *command;
    ht_err err;
    const char *words;
} meanings[] = {
    {"add", HT_EEXIST, "it is a member already"},
    {"add", HT_EBUSY, "another change is under way"},
    {"add", HT_EINVAL, "no such name of a node, or there are too many members"},
    {"remove", HT_ENOENT, "no member is there"},
    {"remove", HT_EBUSY, "another change is under way"},
    {"remove", HT_EINVAL, "it is the last one that votes"},
    {"transfer", HT_ENOENT, "no member that votes is there"},
    {"transfer", HT_EEXIST, "it leads already"},
    {"transfer", HT_EBUSY, "another change is under way"},
    {"snapshot", HT_EBUSY, "one is being taken, or received, just now"},
    {"snapshot", HT_ENOENT, "nothing is new since the last one"},
};

/* A reason is "NAME: words", the name of an error for programs. */
static const char *words_of(const char *command, const char *reason)
{
    const char *colon = strchr(reason, ':');
    char name[32];
    ht_err err;

    if (strncmp(reason, "HT_E", 4) != 0 || colon == NULL || colon[1] != ' ') {
        return reason;
    }
    snprintf(name, sizeof(name), "%.*s", (int)(colon - reason), reason);
    err = cli_err_named(name);
    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
        if (strcmp(meanings[i].command, command) == 0 &&
            meanings[i].err == err &&
            strcmp(colon + 2, ht_strerror(err)) == 0) {
            return meanings[i].words;
        }
    }
    return colon + 2;
}

static int ask(struct raft *raft,
               const char *method,
               const ProtobufCMessage *request,
               ProtobufCMessage **ret_out)
{
    const struct client_method to = {
        raft->actor, &hardtack__raft__member__descriptor, method};
    char reason[CLIENT_REASON_MAX];
    ht_err err = client_call(&raft->client, &to, request,
                             raft->client.timeout_ms, ret_out, reason);

    if (err == HT_OK) {
        return EXIT_OK;
    }
    if (err == HT_ENOPROC) {
        return cli_fail("%s has no member of the group \"%s\"",
                        raft->client.peer, raft->group);
    }
    return cli_fail("raft %s: %s", raft->command,
                    reason[0] != '\0' ? words_of(raft->command, reason)
                                      : ht_strerror(err));
}

/* A request that is answered with nothing. */
static int
change(struct raft *raft, const char *method, const ProtobufCMessage *request)
{
    ProtobufCMessage *reply = NULL;
    int code = ask(raft, method, request, &reply);

    protobuf_c_message_free_unpacked(reply, NULL);
    return code;
}

/* ---- status -------------------------------------------------------------- */

static double average_us(uint64_t sum, uint64_t count)
{
    return count != 0 ? (double)sum / (double)count : 0;
}

static void print_members(const Hardtack__Raft__Status *s)
{
    bool leads = strcmp(s->role, "leader") == 0;
    struct table table;

    table_init(&table, "MEMBER|ROLE|ONLINE|>STORED|>LAG");
    for (size_t i = 0; i < s->n_members; i++) {
        const Hardtack__Raft__MemberInfo *m = s->members[i];

        table_text(&table, m->node);
        table_text(&table, m->leader  ? "leader"
                           : m->voter ? "voter"
                                      : "learner");
        if (leads) {
            table_text(&table, m->online ? "yes" : "no");
            table_number(&table, m->match_index);
            table_number(&table, m->lag);
        } else {
            /* Only the leader knows. */
            table_text(&table, "?");
            table_text(&table, "?");
            table_text(&table, "?");
        }
    }
    table_print(&table, stdout);
    table_fini(&table);
}

static void print_state(const Hardtack__Raft__Status *s)
{
    printf("member     %s of group %s, %s%s%s\n", s->node, s->group, s->role,
           !s->member  ? ", in no configuration"
           : !s->voter ? ", learner"
                       : "",
           s->removed ? ", removed" : "");
    if (s->failed[0] != '\0') {
        printf("FAILED     %s\n", s->failed);
    }
    printf("leader     %s, term %" PRIu64 "\n",
           s->leader[0] != '\0' ? s->leader : "none", s->term);
    printf("log        %" PRIu64 " to %" PRIu64 ", stored %" PRIu64
           ", committed %" PRIu64 ", applied %" PRIu64 "\n",
           s->first_index, s->last_index, s->stored_index, s->commit_index,
           s->applied_index);
    printf("snapshot   at %" PRIu64 ", %" PRIu64 " bytes of log since\n",
           s->snapshot_index, s->log_bytes);
    printf("disk       %" PRIu64 " fsyncs, %.0f us each%s\n", s->fsyncs,
           average_us(s->fsync_us, s->fsyncs),
           s->disk_full ? "; FULL: no writes until there is room" : "");
    printf("proposals  %" PRIu64 ", %" PRIu64 " done here after %.0f us each, "
           "%" PRIu64 " waiting\n",
           s->proposals, s->commits, average_us(s->commit_us, s->commits),
           s->pending);
    printf("reads      %" PRIu64 " in %" PRIu64 " rounds\n\n", s->reads,
           s->read_rounds);
}

static int run_status(struct raft *raft)
{
    Hardtack__Empty request = HARDTACK__EMPTY__INIT;
    ProtobufCMessage *reply = NULL;
    int code = ask(raft, "RaftStatus", &request.base, &reply);

    if (code == EXIT_OK && raft->opts.json) {
        code = pb_json_print(pb_json(reply));
    } else if (code == EXIT_OK) {
        print_state((const void *)reply);
        print_members((const void *)reply);
    }
    protobuf_c_message_free_unpacked(reply, NULL);
    return code;
}

/* ---- changes ------------------------------------------------------------- */

/* "NAME is a voter", or the same as JSON. */
static int done(const struct raft *raft, const char *what, const char *words)
{
    if (raft->opts.json) {
        return pb_json_print(
            json_pack("{s:s, s:s}", "done", raft->command, "to", what));
    }
    printf("%s %s\n", what, words);
    return EXIT_OK;
}

static int run_add(struct raft *raft)
{
    Hardtack__Raft__AddRequest request = HARDTACK__RAFT__ADD_REQUEST__INIT;
    int code;

    request.node = (char *)raft->arguments[0];
    request.learner = raft->learner;
    code = change(raft, "RaftAdd", &request.base);
    return code != EXIT_OK ? code
           : raft->learner ? done(raft, request.node, "is a learner")
                           : done(raft, request.node, "is a voter");
}

static int run_remove(struct raft *raft)
{
    Hardtack__Raft__NodeRequest request = HARDTACK__RAFT__NODE_REQUEST__INIT;
    int code;

    request.node = (char *)raft->arguments[0];
    code = change(raft, "RaftRemove", &request.base);
    return code == EXIT_OK ? done(raft, request.node, "is no member any more")
                           : code;
}

static int run_transfer(struct raft *raft)
{
    Hardtack__Raft__NodeRequest request = HARDTACK__RAFT__NODE_REQUEST__INIT;
    int code;

    request.node = (char *)(raft->count > 0 ? raft->arguments[0] : "");
    code = change(raft, "RaftTransfer", &request.base);
    if (code != EXIT_OK) {
        return code;
    }
    return request.node[0] != '\0' ? done(raft, request.node, "leads")
                                   : done(raft, "another member", "leads");
}

static int run_snapshot(struct raft *raft)
{
    Hardtack__Empty request = HARDTACK__EMPTY__INIT;
    int code = change(raft, "RaftSnapshot", &request.base);

    return code == EXIT_OK
               ? done(raft, raft->client.peer, "has taken a snapshot")
               : code;
}

/* ---- directories --------------------------------------------------------- */

static int fail_of(const char *what, ht_err err)
{
    const char *words = ht_raft_start_error();

    return cli_fail("%s: %s", what,
                    words[0] != '\0' ? words : ht_strerror(err));
}

static int verify_json(const ht_raft_check *check)
{
    return pb_json_print(json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "id", (json_int_t)check->id,
        "term", (json_int_t)check->term, "snapshot_index",
        (json_int_t)check->snapshot_index, "snapshot_bytes",
        (json_int_t)check->snapshot_bytes, "first_index",
        (json_int_t)check->first_index, "last_index",
        (json_int_t)check->last_index, "entries", (json_int_t)check->entries,
        "torn_bytes", (json_int_t)check->torn_bytes));
}

static int run_verify(struct raft *raft)
{
    ht_raft_check check;
    ht_err err = ht_raft_verify(raft->arguments[0], &check);

    if (err != HT_OK) {
        return fail_of(raft->arguments[0], err);
    }
    if (raft->opts.json) {
        return verify_json(&check);
    }
    printf("%s: every record is whole\n", raft->arguments[0]);
    printf("member    %016" PRIx64 ", term %" PRIu64 "\n", check.id,
           check.term);
    if (check.snapshot_index != 0) {
        printf("snapshot  at %" PRIu64 ", %" PRIu64 " bytes\n",
               check.snapshot_index, check.snapshot_bytes);
    }
    printf("log       %" PRIu64 " entries, %" PRIu64 " to %" PRIu64 "\n",
           check.entries, check.first_index, check.last_index);
    if (check.torn_bytes != 0) {
        printf("          and %" PRIu64 " bytes of a write that a crash cut "
               "off, which the next start drops\n",
               check.torn_bytes);
    }
    return EXIT_OK;
}

static int run_backup(struct raft *raft)
{
    ht_err err = ht_raft_backup(raft->arguments[0], raft->arguments[1]);

    return err == HT_OK ? done(raft, raft->arguments[1], "is written")
                        : fail_of(raft->arguments[0], err);
}

static int run_restore(struct raft *raft)
{
    ht_err err = ht_raft_restore_backup(raft->arguments[0], raft->arguments[1],
                                        raft->arguments[2]);

    return err == HT_OK
               ? done(raft, raft->arguments[1],
                      "is a group of one: start its node, and add others")
               : fail_of(raft->arguments[0], err);
}

/* ---- which command ------------------------------------------------------- */

#define GROUP                                                                  \
    {                                                                          \
        "group", OPT_GROUP, "NAME", 0,                                         \
            "of the group of that name (default: kv)", 0                       \
    }
#define END                                                                    \
    {                                                                          \
        NULL, 0, NULL, 0, NULL, 0                                              \
    }

static const struct argp_option group_options[] = {GROUP, END};
static const struct argp_option add_options[] = {
    {"learner", OPT_LEARNER, NULL, 0,
     "it gets the log, and does not vote; added again without this it does", 0},
    GROUP,
    END};
static const struct argp_option file_options[] = {
    {"json", 'j', NULL, 0, "print JSON", 0}, END};

static const struct {
    const char *name;
    const char *summary;
    int (*run)(struct raft *raft);
    const struct argp_option *options;
    size_t least, most;  /* arguments */
    uint32_t timeout_ms; /* unless another is given; 0: asks no node */
    const char *arguments;
    const char *doc;
} commands[] = {
    {"status", "a member, and what it knows of the others", run_status,
     group_options, 0, 0, 5000, "",
     "A member, and what it knows of the others.  Ask the leader for their "
     "lag."},
    {"add", "make the member that waits on a node a voter", run_add,
     add_options, 1, 1, CHANGE_MS, "NODE@HOST",
     "Make the member that waits on a node a voter.  It gets what the others "
     "have first, and does not vote before."},
    {"remove", "remove a member, also a dead one", run_remove, group_options, 1,
     1, CHANGE_MS, "NODE@HOST",
     "Remove a member, also a dead one.  The leader hands the group over "
     "before it goes."},
    {"transfer", "let another member lead", run_transfer, group_options, 0, 1,
     CHANGE_MS, "[NODE@HOST]",
     "Let another member lead: that one, or the one that is furthest."},
    {"snapshot", "write the state, and drop the log before it", run_snapshot,
     group_options, 0, 0, CHANGE_MS, "",
     "Let the member asked write its state, and drop the log before it."},
    {"verify", "read every byte of a member's directory", run_verify,
     file_options, 1, 1, 0, "DIRECTORY",
     "Read every byte of the directory of a member that is stopped.  What is "
     "damaged, and where, is the error."},
    {"backup", "copy the newest snapshot of a directory to a file", run_backup,
     file_options, 2, 2, 0, "DIRECTORY FILE",
     "Copy the newest snapshot of a directory to a new file; its member may "
     "run.  `hardtack raft snapshot` makes a new one first."},
    {"restore", "make a group of one member from a backup", run_restore,
     file_options, 3, 3, 0, "FILE DIRECTORY NODE@HOST",
     "Make a directory that holds the state of a backup, as the only member "
     "of a new group, on the node of that name.  Start the node, without "
     "bootstrap, and add others."},
};
#define COMMANDS_COUNT (sizeof(commands) / sizeof(commands[0]))

static error_t parse_raft(int key, char *arg, struct argp_state *state)
{
    struct raft *raft = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        /* Those that ask no node have no options of one. */
        if (raft->asks) {
            state->child_inputs[0] = &raft->opts;
        }
        return 0;
    case OPT_GROUP:
        raft->group = arg;
        return 0;
    case OPT_LEARNER:
        raft->learner = true;
        return 0;
    case 'j':
        raft->opts.json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (raft->count == ARGUMENTS_MAX) {
            argp_error(state, "\"%s\" is an argument too many", arg);
        }
        raft->arguments[raft->count++] = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int ask_node(struct raft *raft, size_t i)
{
    int code;

    snprintf(raft->actor, sizeof(raft->actor), "hardtack.raft.%s", raft->group);
    if (raft->opts.timeout_ms == 0) {
        raft->opts.timeout_ms = commands[i].timeout_ms;
    }
    code = client_open(&raft->opts, &raft->client);
    if (code == EXIT_OK) {
        code = commands[i].run(raft);
        client_close(&raft->client);
    }
    return code;
}

static int run_command(size_t i, int argc, char **argv)
{
    static const struct argp_child children[] = {{&client_argp, 0, NULL, 0},
                                                 {NULL, 0, NULL, 0}};
    struct raft raft = {.command = commands[i].name,
                        .group = "kv",
                        .asks = commands[i].timeout_ms != 0};
    const struct argp argp = {commands[i].options,
                              parse_raft,
                              commands[i].arguments,
                              commands[i].doc,
                              raft.asks ? children : NULL,
                              NULL,
                              NULL};

    if (argp_parse(&argp, argc, argv, 0, NULL, &raft) != 0) {
        return EXIT_USAGE;
    }
    if (raft.count < commands[i].least || raft.count > commands[i].most) {
        (void)cli_fail("usage: hardtack raft %s %s", commands[i].name,
                       commands[i].arguments);
        return EXIT_USAGE;
    }
    return raft.asks ? ask_node(&raft, i) : commands[i].run(&raft);
}

static void print_help(FILE *out)
{
    fputs("usage: hardtack raft COMMAND [OPTION...] [ARGUMENT...]\n\n"
          "The members of a replicated group, such as the key-value store's, "
          "and their\ndirectories.  Changes may be asked of any member.\n\n",
          out);
    for (size_t i = 0; i < COMMANDS_COUNT; i++) {
        fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].summary);
    }
    fputs("\n`hardtack raft COMMAND --help` explains a command.\n", out);
}

int cmd_raft(int argc, char **argv)
{
    char name[64];

    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-?") == 0) {
        print_help(stdout);
        return EXIT_OK;
    }
    for (size_t i = 0; i < COMMANDS_COUNT; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            snprintf(name, sizeof(name), "hardtack raft %s", argv[1]);
            argv[1] = name;
            return run_command(i, argc - 1, argv + 1);
        }
    }
    (void)cli_fail("there is no command \"raft %s\"; `hardtack raft --help` "
                   "lists them",
                   argv[1]);
    return EXIT_USAGE;
}
