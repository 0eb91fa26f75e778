/* SPDX-License-Identifier: Apache-2.0 */
/* link.c - connect, disconnect: a node's links to other nodes. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/pb_json.h"
#include "cli/setting.h"
#include "proto/admin/admin.pb-c.h"

enum { OPT_NAME = 0x300, OPT_WITH, OPT_ANY_PEER, OPT_SERVER_NAME, OPT_ONCE };

struct link {
    struct client_opts client;
    const char *argument;
    Hardtack__Admin__ConnectRequest request;
};

static error_t parse_link(int key, char *arg, struct argp_state *state)
{
    struct link *link = state->input;
    ht_encryption encryption;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &link->client;
        return 0;
    case OPT_NAME:
        link->request.name = arg;
        return 0;
    case OPT_WITH:
        if (setting_read(SETTING_ENCRYPTION, arg, &encryption) != NULL) {
            argp_error(state, "--with %s: expected cookie, tls or none", arg);
        }
        link->request.encryption = arg;
        return 0;
    case OPT_ANY_PEER:
        link->request.any_peer = true;
        return 0;
    case OPT_SERVER_NAME:
        link->request.server_name = arg;
        return 0;
    case OPT_ONCE:
        link->request.once = true;
        return 0;
    case ARGP_KEY_ARG:
        if (link->argument != NULL) {
            argp_error(state, "one argument, please");
        }
        link->argument = arg;
        return 0;
    case ARGP_KEY_END:
        if (link->argument == NULL) {
            argp_error(state, "tell which node");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {{&client_argp, 0, NULL, 0},
                                             {NULL, 0, NULL, 0}};

/* reply has an error and a reason, where "" is success. */
static int finish(const struct link *link,
                  const struct client *client,
                  const char *verb,
                  const char *past,
                  const char *error,
                  const char *reason)
{
    if (link->client.json) {
        int code = pb_json_print(json_pack("{s:s, s:s, s:s, s:s}", "node",
                                           client->peer, "peer", link->argument,
                                           "error", error, "reason", reason));
        return error[0] != '\0' ? EXIT_FAILED : code;
    }
    if (error[0] != '\0') {
        return cli_fail(
            "%s cannot %s %s: %s", client->peer, verb, link->argument,
            reason[0] != '\0' ? reason : ht_strerror(cli_err_named(error)));
    }
    printf("%s %s %s\n", client->peer, past, link->argument);
    return EXIT_OK;
}

int cmd_connect(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"name", OPT_NAME, "NAME@HOST", 0, "refuse a peer of another name", 0},
        {"with", OPT_WITH, "HOW", 0, "encrypt it with cookie, tls or none", 0},
        {"any-peer", OPT_ANY_PEER, NULL, 0, "also a ractor_cluster node", 0},
        {"server-name", OPT_SERVER_NAME, "NAME", 0, "in its certificate", 0},
        {"once", OPT_ONCE, NULL, 0, "do not redial it when it is lost", 0},
        {NULL, 0, NULL, 0, NULL, 0}};
    static const struct argp argp = {
        options,
        parse_link,
        "ADDRESS",
        "Tell a node (--node) to dial the one at ADDRESS, and wait until the "
        "two are connected.  The link is redialled whenever it is lost, until "
        "the node ends or `hardtack disconnect`.",
        children,
        NULL,
        NULL};
    struct link link = {.request = HARDTACK__ADMIN__CONNECT_REQUEST__INIT};
    struct client client;
    ProtobufCMessage *message = NULL;
    int code;

    if (argp_parse(&argp, argc, argv, 0, NULL, &link) != 0) {
        return EXIT_USAGE;
    }
    link.request.address = (char *)link.argument;
    code = client_open(&link.client, &client);
    if (code != EXIT_OK) {
        return code;
    }
    code = client_admin(&client, "Connect", &link.request.base, 5000, &message);
    if (code == EXIT_OK) {
        const Hardtack__Admin__ConnectReply *reply = (const void *)message;
        code = finish(&link, &client, "connect to", "is connected to",
                      reply->error, reply->reason);
    }
    protobuf_c_message_free_unpacked(message, NULL);
    client_close(&client);
    return code;
}

int cmd_disconnect(int argc, char **argv)
{
    static const struct argp argp = {
        NULL,
        parse_link,
        "NAME@HOST",
        "Tell a node (--node) to close its link to the node named, and not to "
        "redial it.",
        children,
        NULL,
        NULL};
    Hardtack__Admin__DisconnectRequest request =
        HARDTACK__ADMIN__DISCONNECT_REQUEST__INIT;
    struct link link = {.request = HARDTACK__ADMIN__CONNECT_REQUEST__INIT};
    struct client client;
    ProtobufCMessage *message = NULL;
    int code;

    if (argp_parse(&argp, argc, argv, 0, NULL, &link) != 0) {
        return EXIT_USAGE;
    }
    request.name = (char *)link.argument;
    code = client_open(&link.client, &client);
    if (code != EXIT_OK) {
        return code;
    }
    code = client_admin(&client, "Disconnect", &request.base, 0, &message);
    if (code == EXIT_OK) {
        const Hardtack__Admin__DisconnectReply *reply = (const void *)message;
        code = finish(&link, &client, "disconnect from", "is disconnected from",
                      reply->error, reply->reason);
    }
    protobuf_c_message_free_unpacked(message, NULL);
    client_close(&client);
    return code;
}
