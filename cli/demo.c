/* SPDX-License-Identifier: Apache-2.0 */
/* demo.c - three nodes at work, and one of them dying: a story that checks
 * itself while it is told. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/demo_nodes.h"
#include "cli/invoke.h"

enum { ALPHA, BETA, GAMMA };
#define ALL ((1u << ALPHA) | (1u << BETA) | (1u << GAMMA))

struct story {
    struct demo demo;
};

/* ---- what a node sees ---------------------------------------------------- */

/* The row of a node's list for a peer, into *ret_node (whose strings do not
 * outlive the call); false if it is not there. */
static bool see_node(struct demo *demo,
                     size_t from,
                     const char *name,
                     Hardtack__Admin__Node *ret_node)
{
    Hardtack__Admin__PageRequest request = HARDTACK__ADMIN__PAGE_REQUEST__INIT;
    ProtobufCMessage *message = NULL;
    bool found = false;

    if (client_admin(&demo->nodes[from].client, "Nodes", &request.base, 0,
                     &message) == EXIT_OK) {
        const Hardtack__Admin__NodesReply *reply = (const void *)message;

        for (size_t i = 0; i < reply->n_nodes && !found; i++) {
            const Hardtack__Admin__Node *node = reply->nodes[i];

            found = strcmp(node->name, name) == 0 &&
                    strcmp(node->state, "ready") == 0 &&
                    strcmp(node->encryption, "cookie") == 0 &&
                    strcmp(node->auth, "hardtack") == 0;
            if (found) {
                *ret_node = *node;
            }
        }
    }
    protobuf_c_message_free_unpacked(message, NULL);
    return found;
}

static const char *
full_name(const struct demo *demo, size_t i, char *buf, size_t len)
{
    snprintf(buf, len, "%s@demo", demo->nodes[i].name);
    return buf;
}

/* Every node of the bits sees every other one, encrypted and authenticated. */
static bool all_connected(struct demo *demo, void *arg)
{
    unsigned nodes = *(const unsigned *)arg;

    for (size_t from = 0; from < DEMO_NODES; from++) {
        for (size_t to = 0; to < DEMO_NODES; to++) {
            Hardtack__Admin__Node node;
            char name[64];

            if (from != to && (nodes & (1u << from)) != 0 &&
                (nodes & (1u << to)) != 0 &&
                !see_node(demo, from, full_name(demo, to, name, sizeof(name)),
                          &node)) {
                return false;
            }
        }
    }
    return true;
}

struct group_view {
    size_t from;
    size_t want;
    char members[512];
};

/* Whether a node counts so many members in the group; fills in who. */
static bool group_has(struct demo *demo, void *arg)
{
    struct group_view *view = arg;
    Hardtack__Admin__GroupsRequest request =
        HARDTACK__ADMIN__GROUPS_REQUEST__INIT;
    ProtobufCMessage *message = NULL;
    size_t count = 0;
    size_t len = 0;

    request.group = (char *)"calculators";
    view->members[0] = '\0';
    if (client_admin(&demo->nodes[view->from].client, "Groups", &request.base,
                     0, &message) != EXIT_OK) {
        return false;
    }
    for (size_t g = 0;
         g < ((const Hardtack__Admin__GroupsReply *)(void *)message)->n_groups;
         g++) {
        const Hardtack__Admin__Group *group =
            ((const Hardtack__Admin__GroupsReply *)(void *)message)->groups[g];

        count += group->count;
        for (size_t m = 0; m < group->n_members && len < 400; m++) {
            int n = snprintf(view->members + len, sizeof(view->members) - len,
                             "%s%.*s", len > 0 ? ", " : "",
                             (int)strcspn(group->members[m] + 1, "."),
                             group->members[m] + 1);
            len += n > 0 ? (size_t)n : 0;
        }
    }
    protobuf_c_message_free_unpacked(message, NULL);
    return count == view->want;
}

static void show_groups(struct story *story, unsigned nodes, size_t want)
{
    for (size_t i = 0; i < DEMO_NODES; i++) {
        struct group_view view = {.from = i, .want = want};

        if ((nodes & (1u << i)) != 0) {
            bool ok = demo_wait(&story->demo, group_has, &view);

            demo_check(&story->demo, ok,
                       "seen from %-5s  group \"calculators\": %s",
                       story->demo.nodes[i].name, view.members);
        }
    }
}

/* ---- calls --------------------------------------------------------------- */

/* Ask a node to call or cast; false if it could not even be asked. */
static bool ask(struct client *client,
                const char *target,
                const char *method,
                const char *json,
                bool cast,
                struct invoke_result *ret_result)
{
    struct invoke_target to;
    json_t *value = json_loads(json, 0, NULL);
    struct invoke in = {
        .client = client,
        .target = target,
        .to = &to.target,
        .method = method,
        .kind = INVOKE_TYPED,
        .json = value,
        .cast = cast,
    };
    bool ok = value != NULL && invoke_target(&to, target, NULL) == NULL &&
              invoke(&in, ret_result) == EXIT_OK;

    json_decref(value);
    return ok;
}

static void call_and_expect(struct story *story,
                            size_t from,
                            const char *target,
                            const char *method,
                            const char *json,
                            double want)
{
    struct invoke_result result = {.err = HT_OK};
    double got = 0;
    bool ok = ask(&story->demo.nodes[from].client, target, method, json, false,
                  &result) &&
              result.err == HT_OK;

    if (ok) {
        got = json_number_value(json_object_get(result.reply, "value"));
    }
    demo_check(&story->demo, ok && got == want, "%s calls %s %s %s -> %g%s%s",
               story->demo.nodes[from].name, target, method, json, got,
               result.err != HT_OK ? ", error: " : "",
               result.err != HT_OK ? ht_strerror(result.err) : "");
    invoke_result_fini(&result);
}

static void call_and_fail(struct story *story,
                          size_t from,
                          const char *target,
                          const char *method,
                          const char *json,
                          ht_err want,
                          const char *want_reason)
{
    struct invoke_result result = {.err = HT_OK};
    bool ok = ask(&story->demo.nodes[from].client, target, method, json, false,
                  &result) &&
              result.err == want && strstr(result.reason, want_reason) != NULL;

    demo_check(&story->demo, ok, "%s calls %s %s %s -> error \"%s\", %s",
               story->demo.nodes[from].name, target, method, json,
               ht_strerror(result.err), result.reason);
    invoke_result_fini(&result);
}

/* Three calls to the group reach three nodes. */
static void call_group(struct story *story)
{
    unsigned reached = 0;

    for (int n = 0; n < DEMO_NODES; n++) {
        struct invoke_result result = {.err = HT_OK};

        if (ask(&story->demo.nodes[BETA].client, "group:calculators", "Mul",
                "{\"a\": 6, \"b\": 7}", false, &result) &&
            result.err == HT_OK) {
            for (size_t i = 0; i < DEMO_NODES; i++) {
                const char *name = story->demo.nodes[i].name;

                if (strncmp(result.ref + 1, name, strlen(name)) == 0) {
                    reached |= 1u << i;
                }
            }
            printf("          beta calls group:calculators Mul 6 * 7 -> %g, by "
                   "%s\n",
                   json_number_value(json_object_get(result.reply, "value")),
                   result.ref);
        }
        invoke_result_fini(&result);
    }
    demo_check(&story->demo, reached == ALL,
               "three calls to the group were answered by three nodes");
}

/* A cast answers nothing: look at what it did. */
static bool is_stored(struct demo *demo, void *arg)
{
    struct invoke_result result = {.err = HT_OK};
    double want = *(const double *)arg;
    bool ok = ask(&demo->nodes[ALPHA].client, "memory", "Recall", "{}", false,
                  &result) &&
              result.err == HT_OK &&
              json_number_value(json_object_get(result.reply, "value")) == want;

    invoke_result_fini(&result);
    return ok;
}

static void cast_across(struct story *story)
{
    struct invoke_result result = {.err = HT_OK};
    double want = 42;
    bool ok = ask(&story->demo.nodes[GAMMA].client, "memory@alpha@demo",
                  "Store", "{\"value\": 42}", true, &result) &&
              result.err == HT_OK;

    invoke_result_fini(&result);
    ok = ok && demo_wait(&story->demo, is_stored, &want);
    demo_check(
        &story->demo, ok,
        "gamma casts memory@alpha@demo Store {\"value\": 42}; alpha recalls "
        "it");
}

/* ---- a death ------------------------------------------------------------- */

struct in_flight {
    struct client client;
    struct invoke_result result;
    bool asked;
};

/* Its bytes are written out: to ask gamma what Add takes would be a question to
 * a process that is stopped. */
static void *call_in_flight(void *arg)
{
    static const uint8_t add_1_1[] = {
        0,    0, 0, 0, 0, 0, 0, 19,         /* one argument of 19 bytes */
        18,                                 /* a message of 18 */
        0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, /* a = 1 */
        0x11, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, /* b = 1 */
    };
    struct in_flight *call = arg;
    struct invoke_target to;
    struct invoke in = {
        .client = &call->client,
        .target = "calculator@gamma@demo",
        .to = &to.target,
        .method = "Add",
        .kind = INVOKE_RAW,
        .raw = add_1_1,
        .raw_len = sizeof(add_1_1),
    };

    call->asked = invoke_target(&to, in.target, NULL) == NULL &&
                  invoke(&in, &call->result) == EXIT_OK;
    return NULL;
}

static bool is_in_flight(struct demo *demo, void *arg)
{
    Hardtack__Admin__Node node;

    (void)arg;
    return see_node(demo, ALPHA, "gamma@demo", &node) &&
           node.calls_in_flight > 0;
}

/* Gamma is stopped, so that a call to it cannot be answered; then killed. */
static void kill_gamma(struct story *story)
{
    struct demo *demo = &story->demo;
    struct client_opts opts = {.node = demo->nodes[ALPHA].socket,
                               .timeout_ms = 20000};
    struct in_flight call = {.asked = false};
    pthread_t thread;
    double killed;
    bool waits;

    call_and_expect(story, ALPHA, "calculator@gamma@demo", "Sub",
                    "{\"a\": 10, \"b\": 5}", 5);
    if (client_open(&opts, &call.client) != EXIT_OK) {
        demo_check(&story->demo, false, "a second connection to alpha");
        return;
    }
    (void)kill(demo->nodes[GAMMA].pid, SIGSTOP);
    if (pthread_create(&thread, NULL, call_in_flight, &call) != 0) {
        demo_check(&story->demo, false, "a thread to wait for the answer in");
        client_close(&call.client);
        return;
    }
    waits = demo_wait(demo, is_in_flight, NULL);
    demo_check(&story->demo, waits,
               "gamma is stopped; a call from alpha waits for it");
    killed = demo_now_ms();
    demo_check(&story->demo, demo_kill(demo, GAMMA) == EXIT_OK,
               "gamma is killed (-9)");
    (void)pthread_join(thread, NULL);
    demo_check(&story->demo, call.asked && call.result.err == HT_ENODEDOWN,
               "the call in flight ends after %.0f ms with \"%s\"",
               demo_now_ms() - killed, ht_strerror(call.result.err));
    invoke_result_fini(&call.result);
    client_close(&call.client);
}

/* ---- the story ----------------------------------------------------------- */

static bool start_all(struct story *story)
{
    static const unsigned dials[DEMO_NODES] = {
        [ALPHA] = (1u << BETA) | (1u << GAMMA),
        [BETA] = 1u << GAMMA,
        [GAMMA] = 0,
    };
    struct demo *demo = &story->demo;
    char cookie[160];
    const char *make_cookie[] = {"cookie", "-o", cookie, NULL};
    unsigned all = ALL;

    demo->nodes[ALPHA].name = "alpha";
    demo->nodes[BETA].name = "beta";
    demo->nodes[GAMMA].name = "gamma";
    demo_heading("Three nodes share a cookie.");
    snprintf(cookie, sizeof(cookie), "%s/cookie", demo->directory);
    if (!demo_check(&story->demo, demo_run(demo, make_cookie) == EXIT_OK,
                    "a cookie of 256 random bits, made for this run")) {
        return false;
    }
    for (size_t i = DEMO_NODES; i-- > 0;) {
        bool ok = demo_start(demo, i, 0, dials[i]) == EXIT_OK;

        if (!demo_check(&story->demo, ok, "%-5s  process %ld, port %d",
                        demo->nodes[i].name, (long)demo->nodes[i].pid,
                        demo->nodes[i].port)) {
            return false;
        }
    }
    return demo_check(
        &story->demo, demo_wait(demo, all_connected, &all),
        "every node is connected to the two others, encrypted and "
        "authenticated by the cookie");
}

static void restart_gamma(struct story *story, uint64_t before)
{
    struct demo *demo = &story->demo;
    Hardtack__Admin__Node node = {.incarnation = 0};
    unsigned all = ALL;
    bool ok;

    demo_heading("Gamma comes back, and dials nobody: it is redialled.");
    ok = demo_start(demo, GAMMA, demo->nodes[GAMMA].port, 0) == EXIT_OK;
    if (!demo_check(&story->demo, ok, "gamma  process %ld, port %d",
                    (long)demo->nodes[GAMMA].pid, demo->nodes[GAMMA].port)) {
        return;
    }
    demo_check(&story->demo, demo_wait(demo, all_connected, &all),
               "alpha and beta have found it again");
    ok = see_node(demo, ALPHA, "gamma@demo", &node) &&
         node.incarnation != before;
    demo_check(&story->demo, ok, "it is a new incarnation: %llu, before %llu",
               (unsigned long long)node.incarnation,
               (unsigned long long)before);
    show_groups(story, ALL, 3);
    call_and_expect(story, ALPHA, "calculator@gamma@demo", "Eval",
                    "{\"text\": \"10 + 5\"}", 15);
}

static void tell(struct story *story)
{
    struct demo *demo = &story->demo;
    Hardtack__Admin__Node gamma = {.incarnation = 0};

    if (!start_all(story)) {
        return;
    }
    demo_heading("Their actors found each other through a process group.");
    show_groups(story, ALL, 3);

    demo_heading("Calls and casts go to any of them, from any of them.");
    call_and_expect(story, ALPHA, "calculator", "Add", "{\"a\": 10, \"b\": 5}",
                    15);
    call_and_expect(story, ALPHA, "calculator@gamma@demo", "Eval",
                    "{\"text\": \"10 + 5 * 2\"}", 20);
    call_and_fail(story, BETA, "calculator@alpha@demo", "Div",
                  "{\"a\": 1, \"b\": 0}", HT_EFAILED, "division by zero");
    call_group(story);
    cast_across(story);
    if (story->demo.failed > 0) {
        return;
    }
    (void)see_node(demo, ALPHA, "gamma@demo", &gamma);

    demo_heading("One of them dies.");
    kill_gamma(story);
    show_groups(story, (1u << ALPHA) | (1u << BETA), 2);
    if (story->demo.failed > 0) {
        return;
    }
    restart_gamma(story, gamma.incarnation);

    demo_heading("All of them stop.");
    for (size_t i = 0; i < DEMO_NODES; i++) {
        demo_check(&story->demo, demo_stop(demo, i) == EXIT_OK,
                   "%s drained and ended with status 0", demo->nodes[i].name);
    }
}

struct demo_opts {
    const char *plugin;
    bool kv;
};

static error_t parse_demo(int key, char *arg, struct argp_state *state)
{
    struct demo_opts *opts = state->input;

    if (key == 'p') {
        opts->plugin = arg;
        return 0;
    }
    if (key == ARGP_KEY_ARG && strcmp(arg, "kv") == 0) {
        opts->kv = true;
        return 0;
    }
    if (key == ARGP_KEY_ARG) {
        argp_error(state, "there is no demo \"%s\"", arg);
    }
    return ARGP_ERR_UNKNOWN;
}

int cmd_demo(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"plugin", 'p', "PATH", 0, "calculator_plugin.so", 0},
        {NULL, 0, NULL, 0, NULL, 0}};
    static const struct argp argp = {
        options,
        parse_demo,
        "[kv]",
        "Run three nodes on this machine and show what they do: connect, find "
        "each other's actors, call and cast; one is killed, and comes back.  "
        "`kv`: a replicated store under load, whose leader is killed and then "
        "cut off.  "
        "Ends by itself, with status 0 if everything was as it should be.",
        NULL,
        NULL,
        NULL};
    static struct story story;
    struct demo_opts opts = {.kv = false};
    double began = demo_now_ms();

    if (argp_parse(&argp, argc, argv, 0, NULL, &opts) != 0) {
        return EXIT_USAGE;
    }
    if (opts.kv) {
        return demo_kv();
    }
    if (demo_init(&story.demo) != EXIT_OK ||
        demo_find_plugin(&story.demo, opts.plugin) != EXIT_OK) {
        demo_fini(&story.demo);
        return EXIT_FAILED;
    }
    tell(&story);
    if (demo_interrupted()) {
        demo_check(&story.demo, false, "interrupted");
    } else if (story.demo.failed > 0) {
        for (size_t i = 0; i < DEMO_NODES; i++) {
            demo_show_log(&story.demo, i);
        }
    }
    demo_fini(&story.demo);
    printf("\ndemo: %u passed, %u failed, in %.1f s\n", story.demo.passed,
           story.demo.failed, (demo_now_ms() - began) / 1000);
    return story.demo.failed == 0 ? EXIT_OK : EXIT_FAILED;
}
