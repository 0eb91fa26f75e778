/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/config.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ini.h>

enum section {
    SECTION_NODE,
    SECTION_SECURITY,
    SECTION_LIMITS,
    SECTION_LOG,
    SECTION_GATEWAY,
    SECTION_LISTEN,
    SECTION_PEER,
    SECTION_PLUGIN,
    SECTION_ALLOW,
    SECTION_NONE,
};

static const char *const section_names[] = {
    "node",   "security", "limits", "log",   "gateway",
    "listen", "peer",     "plugin", "allow",
};

struct setting {
    enum section section;
    enum setting_type type;
    const char *name;
    size_t offset; /* in struct config, or in the section's own struct */
};

#define NODE(section, name, type, field)                                       \
    {                                                                          \
        SECTION_##section, SETTING_##type, name,                               \
            offsetof(struct config, node.field)                                \
    }
#define OWN(section, name, type, field)                                        \
    {                                                                          \
        SECTION_##section, SETTING_##type, name,                               \
            offsetof(struct config, field)                                     \
    }
#define LISTEN(name, type, field)                                              \
    {                                                                          \
        SECTION_LISTEN, SETTING_##type, name,                                  \
            offsetof(struct config_listener, set.field)                        \
    }
#define PEER(name, type, field)                                                \
    {                                                                          \
        SECTION_PEER, SETTING_##type, name,                                    \
            offsetof(struct config_peer, set.field)                            \
    }
#define PLUGIN(name, type, field)                                              \
    {                                                                          \
        SECTION_PLUGIN, SETTING_##type, name,                                  \
            offsetof(struct config_plugin, field)                              \
    }

#define GATEWAY(name, type, field)                                             \
    {                                                                          \
        SECTION_GATEWAY, SETTING_##type, name,                                 \
            offsetof(struct config, gateway.field)                             \
    }
#define ALLOW(name, type, field)                                               \
    {                                                                          \
        SECTION_ALLOW, SETTING_##type, name,                                   \
            offsetof(struct config_allow, field)                               \
    }

/* Every setting there is; config/hardtack.conf and hardtack.conf(5) list the
 * same, and tests/cli/test_config.c checks that they do. */
static const struct setting settings[] = {
    NODE(NODE, "name", STRING, name),
    NODE(NODE, "hostname", STRING, hostname),
    NODE(NODE, "port", PORT, port),
    NODE(NODE, "advertise", STRING, advertise),
    NODE(NODE, "transitive", BOOL, transitive),
    NODE(NODE, "threads", COUNT, threads),
    NODE(NODE, "pool_threads", COUNT, pool_threads),
    NODE(NODE, "spin", MICROS, spin_us),
    OWN(NODE, "admin_socket", STRING, admin_socket),

    NODE(SECURITY, "cookie_file", STRING, cookie_file),
    NODE(SECURITY, "cookie_env", STRING, cookie_env),
    NODE(SECURITY, "ractor_cookie_file", STRING, ractor_cookie_file),
    NODE(SECURITY, "cluster", STRING, cluster),
    NODE(SECURITY, "weak_cookie", BOOL, weak_cookie),
    NODE(SECURITY, "encryption", ENCRYPTION, encryption),
    NODE(SECURITY, "peers", PEERS, peers),
    NODE(SECURITY, "tls_cert_file", STRING, tls_cert_file),
    NODE(SECURITY, "tls_key_file", STRING, tls_key_file),
    NODE(SECURITY, "tls_ca_file", STRING, tls_ca_file),

    NODE(LIMITS, "connect_timeout", DURATION, connect_timeout_ms),
    NODE(LIMITS, "handshake_timeout", DURATION, handshake_timeout_ms),
    NODE(LIMITS, "heartbeat", DURATION, heartbeat_ms),
    NODE(LIMITS, "silence", DURATION, silence_ms),
    NODE(LIMITS, "redial_min", DURATION, redial_min_ms),
    NODE(LIMITS, "redial_max", DURATION, redial_max_ms),
    NODE(LIMITS, "drain", DURATION, drain_ms),
    NODE(LIMITS, "mailbox_messages", COUNT, mailbox_messages_max),
    NODE(LIMITS, "mailbox_bytes", SIZE, mailbox_bytes_max),
    NODE(LIMITS, "outbox_bytes", SIZE, outbox_bytes_max),
    NODE(LIMITS, "calls", COUNT, calls_max),
    NODE(LIMITS, "pending", COUNT, pending_max),
    NODE(LIMITS, "pending_per_address", COUNT, pending_per_address_max),
    NODE(LIMITS, "frame_bytes", SIZE, frame_bytes_max),
    NODE(LIMITS, "message_bytes", SIZE, message_bytes_max),

    NODE(LOG, "level", LEVEL, log_level),
    OWN(LOG, "format", FORMAT, log_format),

    LISTEN("address", STRING, address),
    LISTEN("port", PORT, port),
    LISTEN("encryption", ENCRYPTIONS, encryption),
    LISTEN("peers", PEERS, peers),
    LISTEN("client_cert", CLIENT_CERT, client_cert),
    LISTEN("mode", MODE, unix_mode),
    LISTEN("admin", BOOL, admin),

    PEER("address", STRING, address),
    PEER("name", STRING, name),
    PEER("encryption", ENCRYPTION, encryption),
    PEER("peers", PEERS, peers),
    PEER("server_name", STRING, server_name),

    PLUGIN("path", STRING, path),
    PLUGIN("args", STRING, args),

    GATEWAY("address", STRING, address),
    GATEWAY("port", PORT, port),
    GATEWAY("certificate", STRING, certificate),
    GATEWAY("private_key", STRING, private_key),
    GATEWAY("token_key_file", STRING, token_key_file),
    OWN(GATEWAY, "public", STRING, gateway_public),
    OWN(GATEWAY, "origins", STRING, gateway_origins),
    GATEWAY("connections", COUNT, connections_max),
    GATEWAY("connections_per_address", COUNT, connections_per_address_max),
    GATEWAY("message_bytes", SIZE, message_bytes_max),
    GATEWAY("messages_per_second", COUNT, messages_per_second_max),
    GATEWAY("messages_burst", COUNT, messages_burst_max),
    GATEWAY("queued_bytes", SIZE, queued_bytes_max),
    GATEWAY("resume_bytes", SIZE, resume_bytes_max),
    GATEWAY("resume_messages", COUNT, resume_messages_max),
    GATEWAY("calls", COUNT, calls_max),
    GATEWAY("subscriptions", COUNT, subscriptions_max),
    GATEWAY("handshake_timeout", DURATION, handshake_timeout_ms),
    GATEWAY("idle", DURATION, idle_ms),
    GATEWAY("grace", DURATION, grace_ms),
    GATEWAY("call_timeout", DURATION, call_timeout_ms),
    GATEWAY("deflate", BOOL, deflate),

    ALLOW("claim", STRING, claim),
    ALLOW("targets", STRING, targets),
};
#define SETTINGS_COUNT (sizeof(settings) / sizeof(settings[0]))

/* A setting's bit among those of its section. */
static uint64_t setting_bit(const struct setting *setting)
{
    unsigned number = 0;

    for (const struct setting *at = settings; at != setting; at++) {
        number += at->section == setting->section;
    }
    assert(number < 64);
    return UINT64_C(1) << number;
}

/* What parsing is in the middle of. */
struct parse {
    struct config *config;
    const char *file;
    const char *text; /* what the reader has yet to give */
    const char *end;
    unsigned line;
    enum section section;
    void *target;    /* where the section's fields are */
    uint64_t *given; /* its bits */
    ht_err err;
    char *error;
};

struct config_text {
    struct config_text *next;
    char text[];
};

/* ---- a config ------------------------------------------------------------ */

void config_init(struct config *config)
{
    memset(config, 0, sizeof(*config));
    config->node.size = sizeof(config->node);
    config->gateway.size = sizeof(config->gateway);
    config->file = "";
}

void config_fini(struct config *config)
{
    struct config_text *text;

    while ((text = config->texts) != NULL) {
        config->texts = text->next;
        free(text);
    }
    free(config->listeners);
    free(config->peers);
    free(config->plugins);
    free(config->allows);
    free(config->listener_array);
    free(config->peer_array);
    free(config->word_array);
    free(config->rule_array);
    config_init(config);
}

const char *config_string(struct config *config, const char *s)
{
    size_t size = strlen(s) + 1;
    struct config_text *text = malloc(sizeof(*text) + size);

    if (text == NULL) {
        return NULL;
    }
    memcpy(text->text, s, size);
    text->next = config->texts;
    config->texts = text;
    return text->text;
}

/* items with room for one more, zeroed, at the end; NULL at max. */
static void *grow(void *items, size_t count, size_t max, size_t size)
{
    char *grown = count < max ? realloc(items, (count + 1) * size) : NULL;

    if (grown != NULL) {
        memset(grown + count * size, 0, size);
    }
    return grown;
}

struct config_listener *config_add_listener(struct config *config)
{
    struct config_listener *items =
        grow(config->listeners, config->listeners_count, CONFIG_LISTENERS_MAX,
             sizeof(*items));

    if (items == NULL) {
        return NULL;
    }
    config->listeners = items;
    return &items[config->listeners_count++];
}

struct config_peer *config_add_peer(struct config *config)
{
    struct config_peer *items = grow(config->peers, config->peers_count,
                                     CONFIG_PEERS_MAX, sizeof(*items));

    if (items == NULL) {
        return NULL;
    }
    config->peers = items;
    return &items[config->peers_count++];
}

struct config_plugin *config_add_plugin(struct config *config)
{
    struct config_plugin *items = grow(config->plugins, config->plugins_count,
                                       CONFIG_PLUGINS_MAX, sizeof(*items));

    if (items == NULL) {
        return NULL;
    }
    config->plugins = items;
    return &items[config->plugins_count++];
}

struct config_allow *config_add_allow(struct config *config)
{
    struct config_allow *items = grow(config->allows, config->allows_count,
                                      CONFIG_ALLOWS_MAX, sizeof(*items));

    if (items == NULL) {
        return NULL;
    }
    config->allows = items;
    return &items[config->allows_count++];
}

/* ---- sections ------------------------------------------------------------ */

static int fail(struct parse *parse, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Returns 0, which stops the reader. Only the first mistake is told. */
static int fail(struct parse *parse, const char *format, ...)
{
    va_list args;
    int len;

    if (parse->err != HT_OK) {
        return 0;
    }
    parse->err = HT_ECONFIG;
    len = snprintf(parse->error, CONFIG_ERROR_MAX, "%s:%u: ", parse->file,
                   parse->line);
    if (len < 0 || len >= CONFIG_ERROR_MAX) {
        return 0;
    }
    va_start(args, format);
    (void)vsnprintf(parse->error + len, (size_t)(CONFIG_ERROR_MAX - len),
                    format, args);
    va_end(args);
    return 0;
}

static int no_memory(struct parse *parse)
{
    parse->err = HT_ENOMEM;
    snprintf(parse->error, CONFIG_ERROR_MAX, "%s", ht_strerror(HT_ENOMEM));
    return 0;
}

static enum section find_section(const char *name, size_t len)
{
    for (size_t i = 0; i < SECTION_NONE; i++) {
        if (strlen(section_names[i]) == len &&
            strncmp(section_names[i], name, len) == 0) {
            return (enum section)i;
        }
    }
    return SECTION_NONE;
}

static bool label_is_taken(const struct config *config,
                           enum section section,
                           const char *label)
{
    for (size_t i = 0; section == SECTION_LISTEN && i < config->listeners_count;
         i++) {
        if (strcmp(config->listeners[i].label, label) == 0) {
            return true;
        }
    }
    for (size_t i = 0; section == SECTION_PEER && i < config->peers_count;
         i++) {
        if (strcmp(config->peers[i].label, label) == 0) {
            return true;
        }
    }
    for (size_t i = 0; section == SECTION_PLUGIN && i < config->plugins_count;
         i++) {
        if (strcmp(config->plugins[i].label, label) == 0) {
            return true;
        }
    }
    for (size_t i = 0; section == SECTION_ALLOW && i < config->allows_count;
         i++) {
        if (strcmp(config->allows[i].label, label) == 0) {
            return true;
        }
    }
    return false;
}

static void open_labelled(struct parse *parse, const char *label)
{
    struct config *config = parse->config;
    const char *copy;

    if (label_is_taken(config, parse->section, label)) {
        fail(parse, "[%s %s] is there twice", section_names[parse->section],
             label);
        return;
    }
    copy = config_string(config, label);
    if (copy == NULL) {
        no_memory(parse);
        return;
    }
    parse->target = NULL;
    if (parse->section == SECTION_LISTEN) {
        struct config_listener *listener = config_add_listener(config);
        parse->target = listener;
        if (listener != NULL) {
            listener->label = copy;
            listener->line = parse->line;
            parse->given = &listener->given;
        }
    } else if (parse->section == SECTION_PEER) {
        struct config_peer *peer = config_add_peer(config);
        parse->target = peer;
        if (peer != NULL) {
            peer->label = copy;
            peer->line = parse->line;
            parse->given = &peer->given;
        }
    } else if (parse->section == SECTION_ALLOW) {
        struct config_allow *allow = config_add_allow(config);
        parse->target = allow;
        if (allow != NULL) {
            allow->label = copy;
            allow->line = parse->line;
            parse->given = &allow->given;
        }
    } else {
        struct config_plugin *plugin = config_add_plugin(config);
        parse->target = plugin;
        if (plugin != NULL) {
            plugin->label = copy;
            plugin->line = parse->line;
            parse->given = &plugin->given;
        }
    }
    if (parse->target == NULL) {
        fail(parse, "too many [%s] sections, or no memory",
             section_names[parse->section]);
    }
}

/* line is "[name]" or "[name label]", with whatever follows. */
static void open_section(struct parse *parse, char *line)
{
    char *end = strchr(line, ']');
    char *name = line + 1;
    char *label;
    size_t len;

    if (end == NULL) {
        fail(parse, "\"[\" without \"]\"");
        return;
    }
    *end = '\0';
    end++;
    end += strspn(end, " \t\r\n");
    if (*end != '\0' && *end != ';' && *end != '#') {
        fail(parse, "something follows \"]\"");
        return;
    }
    name += strspn(name, " \t");
    len = strcspn(name, " \t");
    label = name + len + strspn(name + len, " \t");
    for (char *tail = label + strlen(label);
         tail > label && (tail[-1] == ' ' || tail[-1] == '\t');) {
        *--tail = '\0';
    }
    parse->section = find_section(name, len);
    if (parse->section == SECTION_NONE) {
        fail(parse, "unknown section [%.*s]", (int)len, name);
    } else if (parse->section >= SECTION_LISTEN && *label == '\0') {
        fail(parse, "[%s] needs a name of its own: [%s NAME]",
             section_names[parse->section], section_names[parse->section]);
    } else if (parse->section >= SECTION_LISTEN) {
        open_labelled(parse, label);
    } else if (*label != '\0') {
        fail(parse, "[%s] takes no name", section_names[parse->section]);
    } else {
        parse->target = parse->config;
        parse->given = &parse->config->given[parse->section];
    }
}

/* ---- settings ------------------------------------------------------------ */

static const struct setting *find_setting(enum section section,
                                          const char *name)
{
    for (size_t i = 0; i < SETTINGS_COUNT; i++) {
        if (settings[i].section == section &&
            strcmp(settings[i].name, name) == 0) {
            return &settings[i];
        }
    }
    return NULL;
}

/* Where else the setting would be right: the usual mistake. */
static const char *section_that_has(const char *name)
{
    for (size_t i = 0; i < SETTINGS_COUNT; i++) {
        if (strcmp(settings[i].name, name) == 0) {
            return section_names[settings[i].section];
        }
    }
    return NULL;
}

static int unknown_setting(struct parse *parse, const char *name)
{
    const char *other = section_that_has(name);

    if (strcmp(name, "cookie") == 0) {
        return fail(parse,
                    "a cookie does not belong in a configuration file; put it "
                    "into a file of its own and say [security] cookie_file");
    }
    if (other != NULL) {
        return fail(parse, "unknown setting \"%s\" in [%s]; it belongs in [%s]",
                    name, section_names[parse->section], other);
    }
    return fail(parse, "unknown setting \"%s\" in [%s]", name,
                section_names[parse->section]);
}

static int read_value(struct parse *parse,
                      const struct setting *setting,
                      const char *value)
{
    const char *text = value;
    const char *expected;

    if (setting->type == SETTING_STRING) {
        text = config_string(parse->config, value);
        if (text == NULL) {
            return no_memory(parse);
        }
    }
    expected = setting_read(setting->type, text,
                            (char *)parse->target + setting->offset);
    if (expected != NULL) {
        return fail(parse, "%s = \"%s\": expected %s", setting->name, value,
                    expected);
    }
    return 1;
}

/* inih's callback.  The section is ours (open_section): inih cuts long ones and
 * does not mention empty ones. */
static int
on_setting(void *user, const char *section, const char *name, const char *value)
{
    struct parse *parse = user;
    const struct setting *setting;
    uint64_t bit;

    (void)section;
    if (parse->err != HT_OK) {
        return 0;
    }
    if (parse->section == SECTION_NONE) {
        return fail(parse, "setting \"%s\" comes before any [section]", name);
    }
    setting = find_setting(parse->section, name);
    if (setting == NULL) {
        return unknown_setting(parse, name);
    }
    bit = setting_bit(setting);
    if ((*parse->given & bit) != 0) {
        return fail(parse, "\"%s\" is given twice", name);
    }
    *parse->given |= bit;
    return read_value(parse, setting, value);
}

/* inih's reader: the next line, without its indentation (which inih would take
 * for the continuation of the line before). */
static char *next_line(char *buf, int size, void *stream)
{
    struct parse *parse = stream;
    const char *newline;
    size_t len;

    if (parse->err != HT_OK || parse->text >= parse->end) {
        return NULL;
    }
    parse->line++;
    newline = memchr(parse->text, '\n', (size_t)(parse->end - parse->text));
    len = (size_t)((newline != NULL ? newline : parse->end) - parse->text);
    if (memchr(parse->text, '\0', len) != NULL) {
        fail(parse, "a NUL byte");
        return NULL;
    }
    if (len > CONFIG_LINE_MAX || len + 2 > (size_t)size) {
        fail(parse, "line of more than %d characters", CONFIG_LINE_MAX);
        return NULL;
    }
    memcpy(buf, parse->text, len);
    buf[len] = '\0';
    parse->text += len + (newline != NULL);
    memmove(buf, buf + strspn(buf, " \t\r\v\f"),
            len + 1 - strspn(buf, " \t\r\v\f"));
    if (buf[0] == '[') {
        open_section(parse, buf);
        buf[0] = '\0'; /* seen to */
    }
    return buf;
}

ht_err config_parse(struct config *config,
                    const char *file,
                    const char *text,
                    size_t len,
                    char error[CONFIG_ERROR_MAX])
{
    struct parse parse = {
        .config = config,
        .file = file,
        .text = text,
        .end = text + len,
        .section = SECTION_NONE,
        .error = error,
    };
    int bad_line;

    error[0] = '\0';
    if (len > CONFIG_BYTES_MAX) {
        snprintf(error, CONFIG_ERROR_MAX, "%s: larger than 1 MiB", file);
        return HT_ECONFIG;
    }
    config->file = config_string(config, file);
    if (config->file == NULL) {
        config->file = "";
        return HT_ENOMEM;
    }
    bad_line = ini_parse_stream(next_line, &parse, on_setting, &parse);
    if (bad_line > 0 &&
        (parse.err == HT_OK || (unsigned)bad_line < parse.line)) {
        parse.err = HT_OK; /* an earlier line was no setting at all */
        parse.line = (unsigned)bad_line;
        fail(&parse, "expected a setting, \"name = value\"");
    } else if (bad_line < 0 && parse.err == HT_OK) {
        return HT_ENOMEM;
    }
    return parse.err;
}

ht_err config_load(struct config *config,
                   const char *path,
                   char error[CONFIG_ERROR_MAX])
{
    FILE *file = fopen(path, "re");
    char *text = malloc(CONFIG_BYTES_MAX + 1);
    size_t len;
    ht_err err = HT_ENOMEM;

    if (file == NULL) {
        err = errno == ENOENT   ? HT_ENOENT
              : errno == EACCES ? HT_EACCES
                                : HT_EIO;
        snprintf(error, CONFIG_ERROR_MAX,
                 "cannot read the configuration file %s: %s", path,
                 strerror(errno));
    } else if (text != NULL) {
        len = fread(text, 1, CONFIG_BYTES_MAX + 1, file);
        if (ferror(file)) {
            err = HT_EIO;
            snprintf(error, CONFIG_ERROR_MAX,
                     "cannot read the configuration file %s: %s", path,
                     strerror(errno));
        } else {
            err = config_parse(config, path, text, len, error);
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    free(text);
    return err;
}

ht_err config_set(struct config *config,
                  const char *section,
                  const char *name,
                  const char *value,
                  char error[CONFIG_ERROR_MAX])
{
    struct parse parse = {
        .config = config,
        .file = "options",
        .section = find_section(section, strlen(section)),
        .target = config,
        .error = error,
    };
    const struct setting *setting;

    assert(parse.section < SECTION_LISTEN);
    setting = find_setting(parse.section, name);
    assert(setting != NULL);
    (void)read_value(&parse, setting, value);
    return parse.err;
}

/* ---- all together -------------------------------------------------------- */

static ht_err wrong(const struct config *config,
                    char *error,
                    unsigned line,
                    const char *section,
                    const char *label,
                    const char *what)
{
    if (line == 0) {
        snprintf(error, CONFIG_ERROR_MAX, "[%s %s] %s", section, label, what);
    } else {
        snprintf(error, CONFIG_ERROR_MAX, "%s:%u: [%s %s] %s", config->file,
                 line, section, label, what);
    }
    return HT_ECONFIG;
}

static ht_err check_listener(const struct config *config,
                             const struct config_listener *listener,
                             char *error)
{
    const ht_listener_config *set = &listener->set;
    bool is_unix =
        set->address != NULL && strncmp(set->address, "unix:", 5) == 0;
    const char *what = NULL;

    if (is_unix && set->port != 0) {
        what = "has a port, and a Unix socket has none";
    } else if (!is_unix && set->port == 0) {
        what = "needs a port, or an address of unix:/PATH";
    } else if (!is_unix && set->admin) {
        what = "admin is for Unix sockets only";
    } else if (!is_unix && set->unix_mode != 0) {
        what = "mode is for Unix sockets only";
    }
    return what == NULL ? HT_OK
                        : wrong(config, error, listener->line, "listen",
                                listener->label, what);
}

static ht_err check(const struct config *config, char *error)
{
    ht_err err = HT_OK;

    if (config->node.name == NULL) {
        snprintf(error, CONFIG_ERROR_MAX,
                 "the node has no name: give --name, or [node] name in the "
                 "configuration file");
        return HT_ECONFIG;
    }
    for (size_t i = 0; err == HT_OK && i < config->listeners_count; i++) {
        err = check_listener(config, &config->listeners[i], error);
    }
    for (size_t i = 0; err == HT_OK && i < config->peers_count; i++) {
        const struct config_peer *peer = &config->peers[i];
        if (peer->set.address == NULL) {
            err = wrong(config, error, peer->line, "peer", peer->label,
                        "needs an address");
        }
    }
    for (size_t i = 0; err == HT_OK && i < config->plugins_count; i++) {
        const struct config_plugin *plugin = &config->plugins[i];
        if (plugin->path == NULL) {
            err = wrong(config, error, plugin->line, "plugin", plugin->label,
                        "needs a path");
        }
    }
    for (size_t i = 0; err == HT_OK && i < config->allows_count; i++) {
        const struct config_allow *allow = &config->allows[i];
        if (allow->claim == NULL || allow->targets == NULL) {
            err = wrong(config, error, allow->line, "allow", allow->label,
                        "needs a claim and targets");
        }
    }
    if (err == HT_OK && config->gateway.port == 0 &&
        (config->given[SECTION_GATEWAY] != 0 || config->allows_count > 0)) {
        snprintf(error, CONFIG_ERROR_MAX,
                 "%s: the gateway needs a port: [gateway] port", config->file);
        err = HT_ECONFIG;
    }
    return err;
}

ht_err config_finish(struct config *config, char error[CONFIG_ERROR_MAX])
{
    ht_err err = check(config, error);

    if (err != HT_OK) {
        return err;
    }
    free(config->listener_array);
    free(config->peer_array);
    config->listener_array =
        calloc(config->listeners_count + 1, sizeof(ht_listener_config));
    config->peer_array =
        calloc(config->peers_count + 1, sizeof(ht_peer_config));
    if (config->listener_array == NULL || config->peer_array == NULL) {
        snprintf(error, CONFIG_ERROR_MAX, "%s", ht_strerror(HT_ENOMEM));
        return HT_ENOMEM;
    }
    for (size_t i = 0; i < config->listeners_count; i++) {
        config->listener_array[i] = config->listeners[i].set;
    }
    for (size_t i = 0; i < config->peers_count; i++) {
        config->peer_array[i] = config->peers[i].set;
    }
    config->node.listeners = config->listener_array;
    config->node.listeners_count = config->listeners_count;
    config->node.peers_list = config->peer_array;
    config->node.peers_list_count = config->peers_count;
    err = config_finish_gateway(config);
    if (err != HT_OK) {
        snprintf(error, CONFIG_ERROR_MAX, "%s", ht_strerror(err));
    }
    return err;
}

/* ---- comparing ----------------------------------------------------------- */

static bool value_equal(const struct setting *setting,
                        const void *before,
                        const void *after)
{
    const char *a = (const char *)before + setting->offset;
    const char *b = (const char *)after + setting->offset;

    if (setting->type == SETTING_STRING) {
        const char *left = *(const char *const *)(const void *)a;
        const char *right = *(const char *const *)(const void *)b;

        return left == right ||
               (left != NULL && right != NULL && strcmp(left, right) == 0);
    }
    return memcmp(a, b, setting_size(setting->type)) == 0;
}

static bool section_equal(enum section section, const void *a, const void *b)
{
    for (size_t i = 0; i < SETTINGS_COUNT; i++) {
        if (settings[i].section == section &&
            !value_equal(&settings[i], a, b)) {
            return false;
        }
    }
    return true;
}

bool config_peer_equal(const struct config_peer *a, const struct config_peer *b)
{
    return section_equal(SECTION_PEER, a, b);
}

void config_differences(const struct config *before,
                        const struct config *after,
                        void (*fn)(void *arg,
                                   const char *section,
                                   const char *name),
                        void *arg)
{
    bool same = before->listeners_count == after->listeners_count;

    for (size_t i = 0; i < SETTINGS_COUNT; i++) {
        if (settings[i].section < SECTION_LISTEN &&
            !value_equal(&settings[i], before, after)) {
            fn(arg, section_names[settings[i].section], settings[i].name);
        }
    }
    for (size_t i = 0; same && i < before->listeners_count; i++) {
        same = section_equal(SECTION_LISTEN, &before->listeners[i],
                             &after->listeners[i]);
    }
    if (!same) {
        fn(arg, "listen", "");
    }
    same = before->plugins_count == after->plugins_count;
    for (size_t i = 0; same && i < before->plugins_count; i++) {
        same = section_equal(SECTION_PLUGIN, &before->plugins[i],
                             &after->plugins[i]);
    }
    if (!same) {
        fn(arg, "plugin", "");
    }
    same = before->allows_count == after->allows_count;
    for (size_t i = 0; same && i < before->allows_count; i++) {
        same =
            section_equal(SECTION_ALLOW, &before->allows[i], &after->allows[i]);
    }
    if (!same) {
        fn(arg, "allow", "");
    }
}

/* The settings of a section that were given in any of that name. */
static uint64_t given_in(const struct config *config, enum section section)
{
    uint64_t given = section < SECTION_LISTEN ? config->given[section] : 0;

    for (size_t i = 0; section == SECTION_LISTEN && i < config->listeners_count;
         i++) {
        given |= config->listeners[i].given;
    }
    for (size_t i = 0; section == SECTION_PEER && i < config->peers_count;
         i++) {
        given |= config->peers[i].given;
    }
    for (size_t i = 0; section == SECTION_PLUGIN && i < config->plugins_count;
         i++) {
        given |= config->plugins[i].given;
    }
    for (size_t i = 0; section == SECTION_ALLOW && i < config->allows_count;
         i++) {
        given |= config->allows[i].given;
    }
    return given;
}

bool config_every_setting_given(const struct config *config)
{
    for (size_t i = 0; i < SETTINGS_COUNT; i++) {
        if ((given_in(config, settings[i].section) &
             setting_bit(&settings[i])) == 0) {
            return false;
        }
    }
    return true;
}
