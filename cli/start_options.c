/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/start_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SYSTEM_CONFIG "/etc/hardtack/hardtack.conf"

enum {
    OPT_FIRST = 0x500,
    OPT_NO_CONFIG = OPT_FIRST,
    OPT_CONNECT,
    OPT_LOAD,
    OPT_PORT_FILE,
    OPT_READY_FD,
    OPT_SETTING, /* OPT_SETTING + i is overrides_by_option[i] */
};

/* Options that are settings of the file under another name. */
static const struct {
    const char *section;
    const char *name;
    const char *value; /* of an option without argument */
} settings[] = {
    {"node", "name", NULL},
    {"node", "hostname", NULL},
    {"node", "port", NULL},
    {"node", "advertise", NULL},
    {"node", "admin_socket", NULL},
    {"node", "threads", NULL},
    {"node", "transitive", "yes"},
    {"security", "cookie_file", NULL},
    {"security", "ractor_cookie_file", NULL},
    {"security", "cluster", NULL},
    {"security", "weak_cookie", "yes"},
    {"security", "encryption", NULL},
    {"security", "peers", NULL},
    {"security", "tls_cert_file", NULL},
    {"security", "tls_key_file", NULL},
    {"security", "tls_ca_file", NULL},
    {"limits", "heartbeat", NULL},
    {"limits", "silence", NULL},
    {"limits", "redial_max", NULL},
    {"limits", "drain", NULL},
    {"log", "level", NULL},
    {"log", "format", NULL},
    {"gateway", "port", NULL},
    {"gateway", "public", NULL},
    {"gateway", "token_key_file", NULL},
    {"gateway", "dashboard", NULL},
    {"kv", "directory", NULL},
    {"kv", "bootstrap", "yes"},
    {"kv", "store", NULL},
};
#define SETTINGS_COUNT (sizeof(settings) / sizeof(settings[0]))

static const struct argp_option options[] = {
    {NULL, 0, NULL, 0, "Configuration:", 1},
    {"config", 'c', "FILE", 0, "configuration file (see hardtack.conf(5))", 1},
    {"no-config", OPT_NO_CONFIG, NULL, 0, "read no configuration file", 1},
    {NULL, 0, NULL, 0, "The node:", 2},
    {"name", OPT_SETTING + 0, "NAME", 0, "its name, before the @", 2},
    {"hostname", OPT_SETTING + 1, "HOST", 0, "its host, after the @", 2},
    {"port", OPT_SETTING + 2, "PORT", 0, "where it listens, or any", 2},
    {"advertise", OPT_SETTING + 3, "HOST:PORT", 0, "what it tells peers", 2},
    {"socket", OPT_SETTING + 4, "PATH", 0,
     "its admin socket, or none (default: $XDG_RUNTIME_DIR/hardtack.sock, else "
     "/run/hardtack/hardtack.sock)",
     2},
    {"threads", OPT_SETTING + 5, "N", 0, "schedulers (default: one a core)", 2},
    {"transitive", OPT_SETTING + 6, NULL, 0, "dial the peers of peers", 2},
    {"connect", OPT_CONNECT, "ADDRESS", 0,
     "a peer to dial for ever: HOST:PORT or unix:/PATH (repeat for more)", 2},
    {"load", OPT_LOAD, "PATH[:ARGS]", 0,
     "actors from a shared object (repeat for more)", 2},
    {NULL, 0, NULL, 0, "Security:", 3},
    {"cookie-file", OPT_SETTING + 7, "FILE", 0, "the cluster's cookie", 3},
    {"ractor-cookie-file", OPT_SETTING + 8, "FILE", 0,
     "the cookie for ractor_cluster peers", 3},
    {"cluster", OPT_SETTING + 9, "NAME", 0, "the cluster's name", 3},
    {"weak-cookie", OPT_SETTING + 10, NULL, 0, "accept a short cookie", 3},
    {"encryption", OPT_SETTING + 11, "HOW", 0, "cookie (default), tls or none",
     3},
    {"peers", OPT_SETTING + 12, "WHICH", 0, "hardtack (default) or any", 3},
    {"tls-cert", OPT_SETTING + 13, "FILE", 0, "certificate chain, PEM", 3},
    {"tls-key", OPT_SETTING + 14, "FILE", 0, "its key, PEM", 3},
    {"tls-ca", OPT_SETTING + 15, "FILE", 0, "authorities to trust, PEM", 3},
    {NULL, 0, NULL, 0, "Times:", 4},
    {"heartbeat", OPT_SETTING + 16, "TIME", 0, "between pings (1s)", 4},
    {"silence", OPT_SETTING + 17, "TIME", 0, "until a peer is dead (5s)", 4},
    {"redial-max", OPT_SETTING + 18, "TIME", 0, "longest between dials", 4},
    {"drain", OPT_SETTING + 19, "TIME", 0, "at most, after SIGTERM (30s)", 4},
    {NULL, 0, NULL, 0, "WebSocket and HTTP clients:", 6},
    {"gateway-port", OPT_SETTING + 22, "PORT", 0,
     "where the gateway listens, or any (default: no gateway)", 6},
    {"gateway-public", OPT_SETTING + 23, "LIST", 0,
     "actors and group:NAMEs that they reach without a token", 6},
    {"dashboard", OPT_SETTING + 25, "WHO", 0,
     "who sees the page /dashboard: off (default), token, or local: this "
     "machine too",
     6},
    {"token-key-file", OPT_SETTING + 24, "FILE", 0, "opens their tokens", 6},
    {NULL, 0, NULL, 0, "A member of a replicated store:", 7},
    {"kv-directory", OPT_SETTING + 26, "DIR", 0,
     "where it is kept (default: no member)", 7},
    {"kv-bootstrap", OPT_SETTING + 27, NULL, 0,
     "the first member: make a new store, if the directory is empty", 7},
    {"kv-store", OPT_SETTING + 28, "NAME", 0, "its name (default: kv)", 7},
    {NULL, 0, NULL, 0, "Output:", 5},
    {"log-level", OPT_SETTING + 20, "LEVEL", 0, "debug, info, warn, error", 5},
    {"log-format", OPT_SETTING + 21, "FORMAT", 0, "text or json", 5},
    {"port-file", OPT_PORT_FILE, "FILE", 0, "write the port here", 5},
    {"ready-fd", OPT_READY_FD, "FD", 0,
     "write a line to this descriptor once the node is ready, and close it", 5},
    {NULL, 0, NULL, 0, NULL, 0},
};

static void add_override(struct start_options *start,
                         size_t which,
                         const char *arg,
                         struct argp_state *state)
{
    struct start_override *override;

    if (start->overrides_count == START_OVERRIDES_MAX) {
        argp_error(state, "too many options");
        return;
    }
    override = &start->overrides[start->overrides_count++];
    override->section = settings[which].section;
    override->name = settings[which].name;
    override->value = arg != NULL ? arg : settings[which].value;
}

static void parse_ready_fd(struct start_options *start,
                           const char *arg,
                           struct argp_state *state)
{
    char *end = NULL;
    long fd = strtol(arg, &end, 10);

    if (end == arg || *end != '\0' || fd < 1 || fd > 65535) {
        argp_error(state, "--ready-fd %s: expected a descriptor", arg);
        return;
    }
    start->ready_fd = (int)fd;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct start_options *start = state->input;

    if (key >= OPT_SETTING && key < OPT_SETTING + (int)SETTINGS_COUNT) {
        add_override(start, (size_t)(key - OPT_SETTING), arg, state);
        return 0;
    }
    switch (key) {
    case 'c':
        start->file = arg;
        return 0;
    case OPT_NO_CONFIG:
        start->no_file = true;
        return 0;
    case OPT_CONNECT:
        if (start->connect_count == CONFIG_PEERS_MAX) {
            argp_error(state, "too many --connect");
        }
        start->connect[start->connect_count++] = arg;
        return 0;
    case OPT_LOAD:
        if (start->load_count == CONFIG_PLUGINS_MAX) {
            argp_error(state, "too many --load");
        }
        start->load[start->load_count++] = arg;
        return 0;
    case OPT_PORT_FILE:
        start->port_file = arg;
        return 0;
    case OPT_READY_FD:
        parse_ready_fd(start, arg, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp start_argp = {
    options,
    parse_option,
    NULL,
    "Run a node until SIGTERM or SIGINT, which drain it; a second one ends it "
    "at once.  SIGHUP reads cookies, certificates, log settings and peers "
    "again."
    "\vWithout --config, the first of these that exists is read: "
    "$HARDTACK_CONFIG, $XDG_CONFIG_HOME/hardtack/hardtack.conf (or below "
    "~/.config), " SYSTEM_CONFIG ".  Options win over the file.",
    NULL,
    NULL,
    NULL};

/* The file to read, "" if there is none. */
static void find_file(const struct start_options *start, char *buf, size_t len)
{
    const char *env = getenv("HARDTACK_CONFIG");
    const char *base = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");

    buf[0] = '\0';
    if (start->no_file) {
        return;
    }
    if (start->file != NULL || (env != NULL && env[0] != '\0')) {
        snprintf(buf, len, "%s", start->file != NULL ? start->file : env);
        return;
    }
    if (base != NULL && base[0] == '/') {
        snprintf(buf, len, "%s/hardtack/hardtack.conf", base);
    } else if (home != NULL && home[0] == '/') {
        snprintf(buf, len, "%s/.config/hardtack/hardtack.conf", home);
    }
    if (buf[0] == '\0' || access(buf, F_OK) != 0) {
        snprintf(buf, len, "%s", SYSTEM_CONFIG);
    }
    if (access(buf, F_OK) != 0) {
        buf[0] = '\0';
    }
}

static ht_err add_connects(const struct start_options *start,
                           struct config *config)
{
    for (size_t i = 0; i < start->connect_count; i++) {
        struct config_peer *peer = config_add_peer(config);

        if (peer == NULL) {
            return HT_ENOMEM;
        }
        peer->head.label = "--connect";
        peer->set.address = config_string(config, start->connect[i]);
        if (peer->set.address == NULL) {
            return HT_ENOMEM;
        }
    }
    return HT_OK;
}

static ht_err add_loads(const struct start_options *start,
                        struct config *config)
{
    for (size_t i = 0; i < start->load_count; i++) {
        struct config_plugin *plugin = config_add_plugin(config);
        const char *colon = strchr(start->load[i], ':');
        char path[4096];

        if (plugin == NULL) {
            return HT_ENOMEM;
        }
        snprintf(path, sizeof(path), "%.*s",
                 colon != NULL ? (int)(colon - start->load[i])
                               : (int)strlen(start->load[i]),
                 start->load[i]);
        plugin->head.label = "--load";
        plugin->path = config_string(config, path);
        plugin->args = config_string(config, colon != NULL ? colon + 1 : "");
        if (plugin->path == NULL || plugin->args == NULL) {
            return HT_ENOMEM;
        }
    }
    return HT_OK;
}

ht_err start_config(const struct start_options *start,
                    struct config *ret_config,
                    char error[CONFIG_ERROR_MAX])
{
    struct config config;
    char file[4096];
    ht_err err = HT_OK;

    config_init(&config);
    snprintf(error, CONFIG_ERROR_MAX, "%s", ht_strerror(HT_ENOMEM));
    find_file(start, file, sizeof(file));
    if (file[0] != '\0') {
        err = config_load(&config, file, error);
    }
    for (size_t i = 0; err == HT_OK && i < start->overrides_count; i++) {
        const struct start_override *override = &start->overrides[i];
        err = config_set(&config, override->section, override->name,
                         override->value, error);
    }
    if (err == HT_OK) {
        err = add_connects(start, &config);
    }
    if (err == HT_OK) {
        err = add_loads(start, &config);
    }
    if (err == HT_OK) {
        err = config_finish(&config, error);
    }
    if (err != HT_OK) {
        config_fini(&config);
        return err;
    }
    *ret_config = config;
    return HT_OK;
}
