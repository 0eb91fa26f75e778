/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "cli/cert_name.h"
#include "cli/cli.h"
#include "cli/setting.h"
#include "proto/admin/admin.pb-c.h"

#define ADMIN_NAME      "hardtack.admin"
#define CLIENT_NAME_MAX 300

enum {
    OPT_COOKIE_FILE = 0x100,
    OPT_ENCRYPTION,
    OPT_TLS_CERT,
    OPT_TLS_KEY,
    OPT_TLS_CA,
    OPT_PEER_NAME,
    OPT_VERBOSE,
};

static const struct argp_option options[] = {
    {NULL, 0, NULL, 0, "The node to talk to:", 10},
    {"node", 'n', "ADDRESS", 0,
     "unix:/PATH of its admin socket, or HOST:PORT (default: HARDTACK_NODE "
     "from "
     "the environment, else unix:$XDG_RUNTIME_DIR/hardtack.sock, else "
     "unix:/run/hardtack/hardtack.sock)",
     10},
    {"cookie-file", OPT_COOKIE_FILE, "FILE", 0,
     "the cluster's cookie, for HOST:PORT (default: HARDTACK_COOKIE_FILE from "
     "the environment)",
     10},
    {"node-name", OPT_PEER_NAME, "NAME@HOST", 0,
     "refuse a node of another name", 10},
    {"encryption", OPT_ENCRYPTION, "HOW", 0,
     "cookie (default), tls (default with --tls-cert) or none", 10},
    {"tls-cert", OPT_TLS_CERT, "FILE", 0,
     "our certificate chain, PEM, as `hardtack cert node` "
     "makes it",
     10},
    {"tls-key", OPT_TLS_KEY, "FILE", 0, "its key, PEM", 10},
    {"tls-ca", OPT_TLS_CA, "FILE", 0, "the authorities we trust, PEM", 10},
    {NULL, 0, NULL, 0, "Output:", 20},
    {"json", 'j', NULL, 0, "print JSON", 20},
    {"timeout", 't', "TIME", 0,
     "how long to wait for an answer: 500ms, 5s (default), or seconds", 20},
    {"verbose", OPT_VERBOSE, NULL, 0, "show what our own node logs", 20},
    {NULL, 0, NULL, 0, NULL, 0},
};

bool client_read_timeout(const char *text, uint32_t *ret_ms)
{
    char *end = NULL;
    double seconds = strtod(text, &end);

    if (end != text && *end == '\0' && seconds >= 0.001 && seconds <= 1e6) {
        *ret_ms = (uint32_t)(seconds * 1000);
        return true;
    }
    return setting_read(SETTING_DURATION, text, ret_ms) == NULL;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct client_opts *opts = state->input;
    ht_encryption encryption;

    switch (key) {
    case 'n':
        opts->node = arg;
        return 0;
    case 'j':
        opts->json = true;
        return 0;
    case 't':
        if (!client_read_timeout(arg, &opts->timeout_ms)) {
            argp_error(state,
                       "--timeout %s: expected a time such as 500ms or 5s",
                       arg);
        }
        return 0;
    case OPT_COOKIE_FILE:
        opts->cookie_file = arg;
        return 0;
    case OPT_ENCRYPTION:
        if (setting_read(SETTING_ENCRYPTION, arg, &encryption) != NULL) {
            argp_error(state, "--encryption %s: expected cookie, tls or none",
                       arg);
        }
        opts->encryption = arg;
        return 0;
    case OPT_TLS_CERT:
        opts->tls_cert = arg;
        return 0;
    case OPT_TLS_KEY:
        opts->tls_key = arg;
        return 0;
    case OPT_TLS_CA:
        opts->tls_ca = arg;
        return 0;
    case OPT_PEER_NAME:
        opts->name = arg;
        return 0;
    case OPT_VERBOSE:
        opts->verbose = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp client_argp = {options, parse_option, NULL, NULL,
                                 NULL,    NULL,         NULL};

static void
silent_log(ht_log_level level, const char *id, const char *text, void *arg)
{
    (void)level;
    (void)id;
    (void)text;
    (void)arg;
}

static void
verbose_log(ht_log_level level, const char *id, const char *text, void *arg)
{
    (void)level;
    (void)arg;
    fprintf(stderr, "%s %s\n", id, text);
}

/* The node to talk to, by option, environment, or the usual places. */
static const char *
find_address(const struct client_opts *opts, char *buf, size_t len)
{
    const char *env = getenv("HARDTACK_NODE");
    const char *asked = opts->node;
    char path[PATH_MAX];

    if (asked == NULL && env != NULL && env[0] != '\0') {
        asked = env;
    }
    if (asked != NULL && strncmp(asked, "unix:", 5) != 0) {
        return asked;
    }
    if (asked != NULL) {
        (void)cli_absolute(asked + 5, path, sizeof(path));
    } else {
        (void)cli_default_socket(path, sizeof(path));
        if (access(path, F_OK) != 0 &&
            access("/run/hardtack/hardtack.sock", F_OK) == 0) {
            snprintf(path, sizeof(path), "/run/hardtack/hardtack.sock");
        }
    }
    snprintf(buf, len, "unix:%s", path);
    return buf;
}

/* What the user can do about an error; "" if the error says it all. */
static const char *hint(ht_err err, bool is_unix)
{
    switch ((int)err) {
    case HT_ENOENT:
    case HT_ENOCONN:
        return is_unix ? "; is a node running, with this admin socket? "
                         "(--node ADDRESS names another)"
                       : "; is the node running, and this its address?";
    case HT_EAUTH:
        return "; is --cookie-file the cookie of this cluster?";
    case HT_ETLS:
        return "; do --encryption, the certificates and the cookie agree with "
               "the node's?";
    case HT_EACCES:
        return "; the admin socket is for the user that runs the node";
    case HT_EINVAL:
        return "; an address is HOST:PORT, [V6]:PORT or unix:/PATH";
    case HT_ENAME:
        return "; another node has this address";
    default:
        return "";
    }
}

static void find_peer(const ht_peer_info *info, void *arg)
{
    char **name = arg;

    if (*name == NULL && info->name[0] != '\0') {
        *name = strdup(info->name);
    }
}

/* What we are called: anything that nobody else is, or what our certificate
 * allows.  False: told. */
static bool choose_name(const struct client_opts *opts,
                        char name[CLIENT_NAME_MAX],
                        char **ret_host)
{
    uint8_t random[8];
    char mark[2 * sizeof(random) + 1];
    char *node = NULL;
    char *at;

    *ret_host = NULL;
    if (sodium_init() < 0) {
        (void)cli_fail("no source of random numbers");
        return false;
    }
    randombytes_buf(random, sizeof(random));
    (void)sodium_bin2hex(mark, sizeof(mark), random, sizeof(random));
    if (opts->tls_cert == NULL) {
        snprintf(name, CLIENT_NAME_MAX, "hardtack-cli-%s", mark);
        return true;
    }
    node = cert_node_name(opts->tls_cert);
    if (node == NULL) {
        return false;
    }
    at = strchr(node, '@');
    snprintf(name, CLIENT_NAME_MAX, "%.*s+%s", (int)(at - node), node, mark);
    *ret_host = strdup(at + 1);
    free(node);
    return *ret_host != NULL;
}

static int
start_node(const struct client_opts *opts, bool is_unix, ht_node **ret_node)
{
    char name[CLIENT_NAME_MAX];
    char *host;
    ht_config config = {
        .name = name,
        .hidden = true,
        .threads = 1,
        .log = opts->verbose ? verbose_log : silent_log,
        .log_level = HT_LOG_DEBUG,
        .cookie_file = opts->cookie_file,
        .tls_cert_file = opts->tls_cert,
        .tls_key_file = opts->tls_key,
        .tls_ca_file = opts->tls_ca,
    };
    const char *env = getenv("HARDTACK_COOKIE_FILE");
    ht_err err;

    if (config.cookie_file == NULL && env != NULL && env[0] != '\0') {
        config.cookie_file = env;
    }
    if (is_unix) {
        config.cookie_file = NULL; /* the kernel vouches for us */
    } else if (config.cookie_file == NULL) {
        return cli_fail("a node at %s wants to see the cluster's cookie: give "
                        "--cookie-file FILE or HARDTACK_COOKIE_FILE",
                        opts->node != NULL ? opts->node : "HOST:PORT");
    }
    if (!choose_name(opts, name, &host)) {
        return EXIT_FAILED;
    }
    config.hostname = host;
    err = ht_node_start(&config, ret_node);
    free(host);
    if (err != HT_OK) {
        const char *words = ht_start_error();
        return cli_fail("%s", words[0] != '\0' ? words : ht_strerror(err));
    }
    return EXIT_OK;
}

int client_open(const struct client_opts *opts, struct client *client)
{
    ht_connect_opts connect = {.name = opts->name, .once = true};
    bool is_unix;
    ht_err err;
    int code;

    memset(client, 0, sizeof(*client));
    client->timeout_ms = opts->timeout_ms != 0 ? opts->timeout_ms : 5000;
    client->address =
        find_address(opts, client->address_buf, sizeof(client->address_buf));
    is_unix = strncmp(client->address, "unix:", 5) == 0;
    code = start_node(opts, is_unix, &client->node);
    if (code != EXIT_OK) {
        return code;
    }
    connect.timeout_ms = client->timeout_ms;
    if (opts->encryption != NULL) {
        (void)setting_read(SETTING_ENCRYPTION, opts->encryption,
                           &connect.encryption);
    } else if (opts->tls_cert != NULL && !is_unix) {
        connect.encryption = HT_ENCRYPT_TLS;
    }
    err = ht_client_connect(client->node, client->address, &connect);
    if (err != HT_OK) {
        code = cli_fail("cannot connect to %s: %s%s", client->address,
                        ht_strerror(err), hint(err, is_unix));
        client_close(client);
        return code;
    }
    ht_peer_each(client->node, find_peer, &client->peer);
    if (client->peer == NULL) {
        code = cli_fail("the node at %s went away", client->address);
        client_close(client);
    }
    return code;
}

void client_close(struct client *client)
{
    ht_node_free(client->node);
    free(client->peer);
    client->node = NULL;
    client->peer = NULL;
}

ht_err client_call(struct client *client,
                   const struct client_method *to,
                   const ProtobufCMessage *request,
                   uint32_t timeout_ms,
                   ProtobufCMessage **ret_out,
                   char reason[CLIENT_REASON_MAX])
{
    const ProtobufCMethodDescriptor *descriptor =
        protobuf_c_service_descriptor_get_method_by_name(to->service,
                                                         to->method);
    ht_args args = HT_ARGS_INIT;
    ht_reply reply = {HT_OK, "", NULL, 0, NULL};
    ht_reader reader;
    ht_err err;

    ht_args_message(&args, request);
    err = args.err;
    if (err == HT_OK) {
        err =
            ht_call_name_wait(client->node, client->peer, to->actor, to->method,
                              args.data, args.len, timeout_ms, &reply);
    }
    ht_args_fini(&args);
    snprintf(reason, CLIENT_REASON_MAX, "%s", reply.reason);
    if (err == HT_OK) {
        reader = ht_reader_reply(&reply);
        *ret_out = ht_read_message(&reader, descriptor->output);
        if (*ret_out == NULL) {
            err = HT_EPROTO;
            snprintf(reason, CLIENT_REASON_MAX, "its answer is malformed");
        }
    }
    ht_reply_fini(&reply);
    return err;
}

int client_admin(struct client *client,
                 const char *method,
                 const ProtobufCMessage *request,
                 uint32_t extra_ms,
                 ProtobufCMessage **ret_out)
{
    const struct client_method to = {
        ADMIN_NAME, &hardtack__admin__admin__descriptor, method};
    char reason[CLIENT_REASON_MAX];
    ht_err err = client_call(client, &to, request,
                             client->timeout_ms + extra_ms, ret_out, reason);

    if (err == HT_OK) {
        return EXIT_OK;
    }
    return cli_fail("%s of %s: %s%s%s", method, client->peer, ht_strerror(err),
                    reason[0] != '\0' ? ": " : "", reason);
}
