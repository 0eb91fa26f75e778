/* SPDX-License-Identifier: Apache-2.0 */
/* look.c - ping, status, nodes, groups, actors: what a node knows. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/pb_json.h"
#include "cli/table.h"
#include "proto/admin/admin.pb-c.h"

#define PAGE 500

struct look {
    struct client_opts client;
    const char *scope;
    const char *group;
    unsigned long count;
};

enum { OPT_SCOPE = 0x200 };

static error_t parse_look(int key, char *arg, struct argp_state *state)
{
    struct look *look = state->input;
    char *end = NULL;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &look->client;
        return 0;
    case OPT_SCOPE:
        look->scope = arg;
        return 0;
    case 'c':
        look->count = strtoul(arg, &end, 10);
        if (*end != '\0' || look->count == 0 || look->count > 1000000) {
            argp_error(state, "--count %s: expected a number above 0", arg);
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_group(int key, char *arg, struct argp_state *state)
{
    struct look *look = state->input;

    if (key == ARGP_KEY_ARG && look->group == NULL) {
        look->group = arg;
        return 0;
    }
    return parse_look(key, arg, state);
}

static error_t parse_address(int key, char *arg, struct argp_state *state)
{
    struct look *look = state->input;

    if (key == ARGP_KEY_ARG && look->client.node == NULL) {
        look->client.node = arg;
        return 0;
    }
    return parse_look(key, arg, state);
}

static const struct argp_child children[] = {{&client_argp, 0, NULL, 0},
                                             {NULL, 0, NULL, 0}};

/* ---- ping ---------------------------------------------------------------- */

static double now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int ping_once(struct client *client, double *ret_ms)
{
    Hardtack__Admin__Target request = HARDTACK__ADMIN__TARGET__INIT;
    ProtobufCMessage *reply = NULL;
    double start = now_ms();
    int code;

    request.name = (char *)"hardtack.admin";
    code = client_admin(client, "Whereis", &request.base, 0, &reply);
    *ret_ms = now_ms() - start;
    protobuf_c_message_free_unpacked(reply, NULL);
    return code;
}

static int
ping_json(const struct client *client, const double *ms, size_t count)
{
    json_t *times = json_array();

    for (size_t i = 0; i < count; i++) {
        (void)json_array_append_new(times, json_real(ms[i]));
    }
    return pb_json_print(
        json_pack("{s:s, s:o}", "name", client->peer, "ms", times));
}

int cmd_ping(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"count", 'c', "N", 0, "how often (default 1)", 0},
        {NULL, 0, NULL, 0, NULL, 0}};
    static const struct argp argp = {
        options,
        parse_address,
        "[ADDRESS]",
        "Connect to a node, ask it for something small, and tell how long the "
        "answer took.",
        children,
        NULL,
        NULL};
    struct look look = {.count = 1};
    struct client client;
    double *ms;
    int code;

    if (argp_parse(&argp, argc, argv, 0, NULL, &look) != 0) {
        return EXIT_USAGE;
    }
    code = client_open(&look.client, &client);
    if (code != EXIT_OK) {
        return code;
    }
    ms = calloc(look.count, sizeof(double));
    if (ms == NULL) {
        client_close(&client);
        return cli_fail("out of memory");
    }
    for (size_t i = 0; code == EXIT_OK && i < look.count; i++) {
        code = ping_once(&client, &ms[i]);
        if (code == EXIT_OK && !look.client.json) {
            printf("%s answers after %.3f ms\n", client.peer, ms[i]);
        }
    }
    if (code == EXIT_OK && look.client.json) {
        code = ping_json(&client, ms, look.count);
    }
    free(ms);
    client_close(&client);
    return code;
}

/* ---- status -------------------------------------------------------------- */

static void print_status(const Hardtack__Admin__StatusReply *s)
{
    printf("node         %s\n", s->name);
    printf("incarnation  %" PRIu64 "\n", s->incarnation);
    printf("version      %s, process %" PRIu64 "\n", s->version, s->pid);
    printf("up           %" PRIu64 ".%03" PRIu64 " s\n", s->uptime_ms / 1000,
           s->uptime_ms % 1000);
    if (s->port != 0) {
        printf("port         %u\n", s->port);
    } else {
        printf("port         none\n");
    }
    printf("nodes        %" PRIu64 " ready of %" PRIu64 " known\n",
           s->nodes_ready, s->nodes);
    printf("actors       %" PRIu64 ", %" PRIu64 " runnable\n", s->actors,
           s->runnable);
    printf("groups       %" PRIu64 "\n", s->groups);
    printf("messages     %" PRIu64 " handled, %" PRIu64 " dropped\n",
           s->handled, s->dropped);
    printf("calls        %" PRIu64 " in flight, %" PRIu64 " timers\n", s->calls,
           s->timers);
    printf("strangers    %" PRIu64 " waiting, %" PRIu64 " evicted, %" PRIu64
           " barred\n",
           s->strangers_waiting, s->strangers_evicted, s->strangers_barred);
}

int cmd_status(int argc, char **argv)
{
    static const struct argp argp = {
        NULL,     parse_address, "[ADDRESS]", "A node in one page.",
        children, NULL,          NULL};
    Hardtack__Admin__StatusRequest request =
        HARDTACK__ADMIN__STATUS_REQUEST__INIT;
    struct look look = {0};
    struct client client;
    ProtobufCMessage *reply = NULL;
    int code;

    if (argp_parse(&argp, argc, argv, 0, NULL, &look) != 0) {
        return EXIT_USAGE;
    }
    code = client_open(&look.client, &client);
    if (code != EXIT_OK) {
        return code;
    }
    code = client_admin(&client, "Status", &request.base, 0, &reply);
    if (code == EXIT_OK && look.client.json) {
        code = pb_json_print(pb_json(reply));
    } else if (code == EXIT_OK) {
        print_status((const Hardtack__Admin__StatusReply *)(void *)reply);
    }
    protobuf_c_message_free_unpacked(reply, NULL);
    client_close(&client);
    return code;
}

/* ---- lists --------------------------------------------------------------- */

/* What a list command does with one page: add its rows, tell how many there
 * were and where the next page begins. */
typedef size_t (*page_fn)(const ProtobufCMessage *reply,
                          struct table *table,
                          json_t *array,
                          uint64_t *after);

static size_t nodes_page(const ProtobufCMessage *message,
                         struct table *table,
                         json_t *array,
                         uint64_t *after)
{
    const Hardtack__Admin__NodesReply *reply = (const void *)message;

    for (size_t i = 0; i < reply->n_nodes; i++) {
        const Hardtack__Admin__Node *node = reply->nodes[i];

        (void)json_array_append_new(array, pb_json(&node->base));
        table_text(table, node->name[0] != '\0' ? node->name : "?");
        table_text(table, node->address);
        table_text(table, node->hidden ? "client" : node->state);
        table_text(table, node->encryption);
        table_text(table, node->auth);
        table_duration(table, node->since_ms);
        table_text(table, node->initiated ? "us" : "them");
        table_bytes(table, node->sent_bytes);
        table_bytes(table, node->received_bytes);
        table_number(table, node->calls_in_flight);
        table_text(table, node->last_error);
    }
    *after += reply->n_nodes;
    return reply->n_nodes;
}

static size_t groups_page(const ProtobufCMessage *message,
                          struct table *table,
                          json_t *array,
                          uint64_t *after)
{
    const Hardtack__Admin__GroupsReply *reply = (const void *)message;

    for (size_t i = 0; i < reply->n_groups; i++) {
        const Hardtack__Admin__Group *group = reply->groups[i];

        (void)json_array_append_new(array, pb_json(&group->base));
        for (size_t m = 0; m < group->n_members; m++) {
            table_text(table, m == 0 ? group->scope : "");
            table_text(table, m == 0 ? group->group : "");
            table_text(table, group->members[m]);
        }
        if (group->count > group->n_members) {
            table_text(table, "");
            table_text(table, "");
            table_text(table, "...");
        }
    }
    *after += reply->n_groups;
    return reply->n_groups;
}

static size_t actors_page(const ProtobufCMessage *message,
                          struct table *table,
                          json_t *array,
                          uint64_t *after)
{
    const Hardtack__Admin__ActorsReply *reply = (const void *)message;

    for (size_t i = 0; i < reply->n_actors; i++) {
        const Hardtack__Admin__Actor *actor = reply->actors[i];

        (void)json_array_append_new(array, pb_json(&actor->base));
        table_text(table, actor->ref);
        table_text(table, actor->name);
        table_number(table, actor->mailbox_messages);
        table_bytes(table, actor->mailbox_bytes);
        table_number(table, actor->handled);
        table_number(table, actor->dropped);
        *after = actor->pid;
    }
    return reply->n_actors;
}

/* Ask for page after page; request's cursor is *after. */
static int run_list(const struct look *look,
                    const char *method,
                    const ProtobufCMessage *request,
                    uint64_t *after,
                    page_fn add_page,
                    const char *header)
{
    struct client client;
    struct table table;
    json_t *array = json_array();
    size_t added = PAGE;
    int code = client_open(&look->client, &client);

    if (code != EXIT_OK) {
        json_decref(array);
        return code;
    }
    table_init(&table, header);
    while (code == EXIT_OK && added == PAGE) {
        ProtobufCMessage *reply = NULL;

        code = client_admin(&client, method, request, 0, &reply);
        if (code == EXIT_OK) {
            added = add_page(reply, &table, array, after);
        }
        protobuf_c_message_free_unpacked(reply, NULL);
    }
    client_close(&client);
    if (code == EXIT_OK && look->client.json) {
        code = pb_json_print(json_incref(array));
    } else if (code == EXIT_OK) {
        table_print(&table, stdout);
    }
    json_decref(array);
    table_fini(&table);
    return code;
}

int cmd_nodes(int argc, char **argv)
{
    static const struct argp argp = {
        NULL,        parse_address,
        "[ADDRESS]", "The nodes that a node is connected to, or dials.",
        children,    NULL,
        NULL};
    Hardtack__Admin__PageRequest request = HARDTACK__ADMIN__PAGE_REQUEST__INIT;
    struct look look = {0};

    if (argp_parse(&argp, argc, argv, 0, NULL, &look) != 0) {
        return EXIT_USAGE;
    }
    request.limit = PAGE;
    return run_list(
        &look, "Nodes", &request.base, &request.after, nodes_page,
        "NODE|ADDRESS|STATE|ENCRYPTION|AUTH|>SINCE|DIALLED BY|>SENT|"
        ">RECEIVED|>CALLS|LAST ERROR");
}

int cmd_groups(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"scope", OPT_SCOPE, "SCOPE", 0, "only this scope", 0},
        {NULL, 0, NULL, 0, NULL, 0}};
    static const struct argp argp = {
        options,   parse_group,
        "[GROUP]", "Process groups and their members, as a node sees them.",
        children,  NULL,
        NULL};
    Hardtack__Admin__GroupsRequest request =
        HARDTACK__ADMIN__GROUPS_REQUEST__INIT;
    struct look look = {0};

    if (argp_parse(&argp, argc, argv, 0, NULL, &look) != 0) {
        return EXIT_USAGE;
    }
    request.limit = PAGE;
    if (look.scope != NULL) {
        request.scope = (char *)look.scope;
    }
    if (look.group != NULL) {
        request.group = (char *)look.group;
    }
    return run_list(&look, "Groups", &request.base, &request.after, groups_page,
                    "SCOPE|GROUP|MEMBERS");
}

int cmd_actors(int argc, char **argv)
{
    static const struct argp argp = {
        NULL,     parse_address, "[ADDRESS]", "The actors of a node.",
        children, NULL,          NULL};
    Hardtack__Admin__PageRequest request = HARDTACK__ADMIN__PAGE_REQUEST__INIT;
    struct look look = {0};

    if (argp_parse(&argp, argc, argv, 0, NULL, &look) != 0) {
        return EXIT_USAGE;
    }
    request.limit = PAGE;
    return run_list(&look, "Actors", &request.base, &request.after, actors_page,
                    "ACTOR|NAME|>QUEUED|>BYTES|>HANDLED|>DROPPED");
}
