/* SPDX-License-Identifier: Apache-2.0 */
/* kv.c - `hardtack kv COMMAND`: which one, its options, and how it calls. */
#include "cli/kv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sodium.h>

#include "cli/cli.h"
#include "cli/setting.h"

/* Between two tries while there is no leader. */
#define AGAIN_MS  50
#define STDIN_MAX (16u << 20)

enum {
    OPT_STORE = 0x600,
    OPT_PREFIX,
    OPT_EXPECT,
    OPT_EXPECT_REVISION,
    OPT_ABSENT,
    OPT_REMOVE,
    OPT_FROM,
    OPT_LEASE,
    OPT_TTL,
    OPT_STALE,
    OPT_RAW,
    OPT_KEYS,
    OPT_PREVIOUS,
};

/* ---- options ------------------------------------------------------------- */

#define STORE                                                                  \
    {                                                                          \
        "store", OPT_STORE, "NAME", 0, "the store of that name (default: kv)", \
            0                                                                  \
    }
#define STALE                                                                  \
    {                                                                          \
        "stale", OPT_STALE, NULL, 0,                                           \
            "what the node asked has, which may be behind; works without a "   \
            "majority",                                                        \
            0                                                                  \
    }
#define TTL                                                                    \
    {                                                                          \
        "ttl", OPT_TTL, "TIME", 0, "the key ends in so long: 30s, 5m", 0       \
    }
#define LEASE                                                                  \
    {                                                                          \
        "lease", OPT_LEASE, "NUMBER", 0, "the key ends with this lease", 0     \
    }
#define PREFIX                                                                 \
    {                                                                          \
        "prefix", OPT_PREFIX, "TEXT", 0, "every key that begins so", 0         \
    }
#define END                                                                    \
    {                                                                          \
        NULL, 0, NULL, 0, NULL, 0                                              \
    }

static const struct argp_option get_options[] = {
    STALE,
    {"raw", OPT_RAW, NULL, 0, "the value as it is, without a line's end", 0},
    STORE,
    END};
static const struct argp_option put_options[] = {
    TTL,
    LEASE,
    {"previous", OPT_PREVIOUS, NULL, 0, "print the value before", 0},
    STORE,
    END};
static const struct argp_option del_options[] = {
    PREFIX,
    {"previous", OPT_PREVIOUS, NULL, 0, "print the value before", 0},
    STORE,
    END};
static const struct argp_option cas_options[] = {
    {"expect", OPT_EXPECT, "VALUE", 0, "what the key must hold", 0},
    {"expect-revision", OPT_EXPECT_REVISION, "N", 0,
     "the revision that the key must have", 0},
    {"absent", OPT_ABSENT, NULL, 0, "there must be no such key", 0},
    {"remove", OPT_REMOVE, NULL, 0, "delete it, instead of a VALUE", 0},
    TTL,
    LEASE,
    STORE,
    END};
static const struct argp_option ls_options[] = {
    {"keys", OPT_KEYS, NULL, 0, "only the keys, one a line", 0},
    {"limit", 'l', "N", 0, "at most so many (default: all)", 0},
    STALE,
    STORE,
    END};
static const struct argp_option watch_options[] = {
    PREFIX,
    {"from", OPT_FROM, "REVISION", 0,
     "changes of this revision on (default: from now on)", 0},
    {"limit", 'l', "N", 0, "end after so many changes", 0},
    {"keys", OPT_KEYS, NULL, 0, "without values", 0},
    STORE,
    END};
static const struct argp_option store_options[] = {STORE, END};

static void need_number(const char *option,
                        const char *text,
                        uint64_t *ret,
                        struct argp_state *state)
{
    char *end = NULL;

    *ret = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0') {
        argp_error(state, "--%s %s: expected a number", option, text);
    }
}

static void need_ttl(struct kv *kv, const char *text, struct argp_state *state)
{
    uint32_t ms = 0;

    if (!client_read_timeout(text, &ms) || ms == 0) {
        argp_error(state, "--ttl %s: expected a time such as 30s or 5m", text);
    }
    kv->ttl_ms = ms;
}

static error_t parse_flag(struct kv *kv, int key)
{
    switch (key) {
    case OPT_ABSENT:
        kv->absent = true;
        return 0;
    case OPT_REMOVE:
        kv->remove = true;
        return 0;
    case OPT_STALE:
        kv->stale = true;
        return 0;
    case OPT_RAW:
        kv->raw = true;
        return 0;
    case OPT_KEYS:
        kv->keys_only = true;
        return 0;
    case OPT_PREVIOUS:
        kv->previous = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_kv(int key, char *arg, struct argp_state *state)
{
    struct kv *kv = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &kv->opts;
        return 0;
    case OPT_STORE:
        kv->store = arg;
        return 0;
    case OPT_PREFIX:
        kv->prefix = arg;
        return 0;
    case OPT_EXPECT:
        kv->expect = arg;
        return 0;
    case OPT_EXPECT_REVISION:
        kv->has_expect_revision = true;
        need_number("expect-revision", arg, &kv->expect_revision, state);
        return 0;
    case OPT_FROM:
        need_number("from", arg, &kv->from_revision, state);
        return 0;
    case OPT_LEASE:
        need_number("lease", arg, &kv->lease, state);
        return 0;
    case 'l':
        need_number("limit", arg, &kv->limit, state);
        return 0;
    case OPT_TTL:
        need_ttl(kv, arg, state);
        return 0;
    case ARGP_KEY_ARG:
        if (kv->count == KV_ARGUMENTS_MAX) {
            argp_error(state, "\"%s\" is an argument too many", arg);
        }
        kv->arguments[kv->count++] = arg;
        return 0;
    default:
        return parse_flag(kv, key);
    }
}

/* ---- what must be given -------------------------------------------------- */

/* NULL, or what is wrong with what was given. */
static const char *check_get(const struct kv *kv)
{
    return kv->count == 1 ? NULL : "tell which KEY";
}

static const char *check_put(const struct kv *kv)
{
    return kv->count == 2 ? NULL : "tell which KEY, and its VALUE";
}

static const char *check_del(const struct kv *kv)
{
    return kv->count + (kv->prefix != NULL) == 1
               ? NULL
               : "tell which KEY, or a --prefix";
}

static const char *check_cas(const struct kv *kv)
{
    int ways = (kv->expect != NULL) + kv->has_expect_revision + kv->absent;

    if (ways != 1) {
        return "give one of --expect, --expect-revision and --absent";
    }
    return kv->count == (kv->remove ? 1u : 2u)
               ? NULL
               : "tell which KEY, and its VALUE or --remove";
}

static const char *check_ls(const struct kv *kv)
{
    return kv->count <= 1 ? NULL : "one PREFIX is enough";
}

static const char *check_watch(const struct kv *kv)
{
    return check_del(kv);
}

static const char *check_txn(const struct kv *kv)
{
    return kv->count <= 1 ? NULL : "one FILE is enough";
}

static const char *check_status(const struct kv *kv)
{
    return kv->count == 0 ? NULL : "it takes no argument";
}

static const char *check_lease(const struct kv *kv)
{
    return kv->count == 2 ? NULL
                          : "tell what: grant TIME, keep NUMBER, revoke "
                            "NUMBER or info NUMBER";
}

#define TXN_TEXT                                                               \
    "\vFILE (default: standard input) has a step a line; words with blanks "   \
    "stand in \"quotes\":\n\n"                                                 \
    "  if KEY = VALUE          also != < >\n"                                  \
    "  if KEY exists           or: if KEY absent\n"                            \
    "  if KEY revision = N     also version, create, lease\n"                  \
    "  put KEY VALUE           del KEY           get KEY\n"                    \
    "  else                    what follows is done if a condition fails\n\n"  \
    "Exit status 0: what stands before `else` was done; 1: it was not."

static const struct {
    const char *name;
    const char *summary;
    int (*run)(struct kv *kv);
    const char *(*check)(const struct kv *kv);
    const struct argp_option *options;
    const char *arguments;
    const char *doc;
} commands[] = {
    {"get", "print the value of a key", kv_get, check_get, get_options, "KEY",
     "Print the value of a key.  Exit status 1: there is no such key."},
    {"put", "set a key to a value", kv_put, check_put, put_options, "KEY VALUE",
     "Set a key to a value; - reads it from standard input."},
    {"del", "delete a key, or all that begin so", kv_del, check_del,
     del_options, "KEY", "Delete a key, or with --prefix every one of many."},
    {"cas", "set a key if it is as expected", kv_cas, check_cas, cas_options,
     "KEY [VALUE]",
     "Set a key if it is as expected, in one step.  Exit status 1: it was "
     "not, and is left alone."},
    {"ls", "list keys and values", kv_ls, check_ls, ls_options, "[PREFIX]",
     "List the keys, or those that begin with PREFIX."},
    {"watch", "print changes as they happen", kv_watch, check_watch,
     watch_options, "KEY",
     "Print the changes of a key, or with --prefix of many, as they happen."},
    {"txn", "several steps, all or nothing", kv_txn, check_txn, store_options,
     "[FILE]", "Do several steps together, all or nothing." TXN_TEXT},
    {"lease", "grant, keep alive, revoke or look at a lease", kv_lease,
     check_lease, store_options, "grant TIME|keep N|revoke N|info N",
     "Leases: keys put with --lease NUMBER end when it does."},
    {"status", "the store as a node sees it", kv_status, check_status,
     store_options, "", "The store as the node asked sees it."},
};
#define COMMANDS_COUNT (sizeof(commands) / sizeof(commands[0]))

/* ---- calls --------------------------------------------------------------- */

static double now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* Whether to try again, rather than to tell. */
static bool is_passing(ht_err err, const char *reason, bool repeatable)
{
    if (err == HT_EFAILED && begins(reason, "no_leader")) {
        return true;
    }
    return err == HT_EFAILED && begins(reason, "unknown") && repeatable;
}

static int tell(const struct kv *kv, ht_err err, const char *reason)
{
    if (err == HT_ENOPROC) {
        return cli_fail("%s has no store \"%s\"; see [raft] in "
                        "hardtack.conf(5)",
                        kv->client.peer, kv->store != NULL ? kv->store : "kv");
    }
    if (reason[0] != '\0') {
        return cli_fail("kv %s: %s", kv->command, reason);
    }
    return cli_fail("kv %s: %s", kv->command, ht_strerror(err));
}

static ht_err call_store(struct kv *kv,
                         const char *method,
                         const ProtobufCMessage *request,
                         uint32_t timeout_ms,
                         ProtobufCMessage **ret_out,
                         char reason[CLIENT_REASON_MAX])
{
    const struct client_method to = {kv->actor,
                                     &hardtack__kv__store__descriptor, method};

    return client_call(&kv->client, &to, request, timeout_ms, ret_out, reason);
}

int kv_call_once(struct kv *kv,
                 const char *method,
                 const ProtobufCMessage *request,
                 uint32_t extra_ms,
                 ProtobufCMessage **ret_out)
{
    char reason[CLIENT_REASON_MAX];
    ht_err err = call_store(kv, method, request,
                            kv->client.timeout_ms + extra_ms, ret_out, reason);

    return err == HT_OK ? EXIT_OK : tell(kv, err, reason);
}

int kv_call(struct kv *kv,
            const char *method,
            const ProtobufCMessage *request,
            bool repeatable,
            ProtobufCMessage **ret_out)
{
    const struct timespec again = {0, AGAIN_MS * 1000000L};
    double end = now_ms() + kv->client.timeout_ms;
    char reason[CLIENT_REASON_MAX];
    char passing[CLIENT_REASON_MAX] = "";
    ht_err err;

    for (;;) {
        double left = end - now_ms();

        err = call_store(kv, method, request, left > 1 ? (uint32_t)left : 1,
                         ret_out, reason);
        if (!is_passing(err, reason, repeatable) || now_ms() + AGAIN_MS > end) {
            break;
        }
        memcpy(passing, reason, sizeof(passing));
        (void)nanosleep(&again, NULL);
    }
    if (err == HT_OK) {
        return EXIT_OK;
    }
    /* The last try had little time left: the ones before say why. */
    if ((err == HT_ETIMEDOUT || err == HT_EEXPIRED) && passing[0] != '\0') {
        return tell(kv, HT_EFAILED, passing);
    }
    return tell(kv, err, reason);
}

Hardtack__Kv__RequestId *kv_request_id(struct kv *kv)
{
    uint64_t sequence = kv->request.sequence + 1;
    uint8_t random[16];

    if (kv->request_client[0] == '\0') {
        randombytes_buf(random, sizeof(random));
        (void)sodium_bin2hex(kv->request_client, sizeof(kv->request_client),
                             random, sizeof(random));
    }
    hardtack__kv__request_id__init(&kv->request);
    kv->request.client = kv->request_client;
    kv->request.sequence = sequence;
    return &kv->request;
}

ht_bytes kv_value(const Hardtack__Kv__KeyValue *pair)
{
    if (pair->text[0] != '\0') {
        return (ht_bytes){(const uint8_t *)pair->text, strlen(pair->text)};
    }
    return (ht_bytes){pair->value.data, pair->value.len};
}

int kv_read_value(const char *text, uint8_t **ret_data, size_t *ret_len)
{
    bool from_stdin = strcmp(text, "-") == 0;
    size_t len = from_stdin ? STDIN_MAX + 1u : strlen(text);
    uint8_t *data = malloc(len + 1);

    if (data == NULL) {
        return cli_fail("out of memory");
    }
    if (from_stdin) {
        len = fread(data, 1, len, stdin);
        if (ferror(stdin) || len > STDIN_MAX) {
            free(data);
            return cli_fail("the value cannot be read from standard input, or "
                            "is more than 16 MiB");
        }
    } else {
        memcpy(data, text, len);
    }
    *ret_data = data;
    *ret_len = len;
    return EXIT_OK;
}

/* ---- which command ------------------------------------------------------- */

static int run_command(size_t i, int argc, char **argv)
{
    static const struct argp_child children[] = {{&client_argp, 0, NULL, 0},
                                                 {NULL, 0, NULL, 0}};
    const struct argp argp = {commands[i].options,
                              parse_kv,
                              commands[i].arguments,
                              commands[i].doc,
                              children,
                              NULL,
                              NULL};
    struct kv kv = {.command = commands[i].name};
    const char *wrong;
    int code;

    if (argp_parse(&argp, argc, argv, 0, NULL, &kv) != 0) {
        return EXIT_USAGE;
    }
    wrong = commands[i].check(&kv);
    if (wrong != NULL) {
        (void)cli_fail("kv %s: %s", kv.command, wrong);
        return EXIT_USAGE;
    }
    snprintf(kv.actor, sizeof(kv.actor), "hardtack.kv%s%s",
             kv.store != NULL ? "." : "", kv.store != NULL ? kv.store : "");
    code = client_open(&kv.opts, &kv.client);
    if (code == EXIT_OK) {
        code = commands[i].run(&kv);
        client_close(&kv.client);
    }
    return code;
}

static void print_help(FILE *out)
{
    fputs("usage: hardtack kv COMMAND [OPTION...] [ARGUMENT...]\n\n"
          "The replicated key-value store, through any node that has it.\n\n",
          out);
    for (size_t i = 0; i < COMMANDS_COUNT; i++) {
        fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].summary);
    }
    fputs("  verify   read every byte of a member's directory\n"
          "\n`hardtack kv COMMAND --help` explains a command.\n",
          out);
}

int cmd_kv(int argc, char **argv)
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
            snprintf(name, sizeof(name), "hardtack kv %s", argv[1]);
            argv[1] = name;
            return run_command(i, argc - 1, argv + 1);
        }
    }
    /* A store's directory is its member's. */
    if (strcmp(argv[1], "verify") == 0) {
        return cmd_raft(argc, argv);
    }
    (void)cli_fail("there is no command \"kv %s\"; `hardtack kv --help` lists "
                   "them",
                   argv[1]);
    return EXIT_USAGE;
}
