/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/config_internal.h"

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
    config->kv.size = sizeof(config->kv);
    config->file = "";
}

void config_fini(struct config *config)
{
    struct config_text *text;

    while ((text = config->texts) != NULL) {
        config->texts = text->next;
        free(text);
    }
    for (int i = SECTION_LABELLED; i < SECTION_NONE; i++) {
        if (config_item_count(config, (enum section)i) > 0) {
            free(config_item(config, (enum section)i, 0));
        }
    }
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

struct config_listener *config_add_listener(struct config *config)
{
    return (void *)config_add_item(config, SECTION_LISTEN);
}

struct config_peer *config_add_peer(struct config *config)
{
    return (void *)config_add_item(config, SECTION_PEER);
}

struct config_plugin *config_add_plugin(struct config *config)
{
    return (void *)config_add_item(config, SECTION_PLUGIN);
}

struct config_allow *config_add_allow(struct config *config)
{
    return (void *)config_add_item(config, SECTION_ALLOW);
}

/* ---- all together -------------------------------------------------------- */

static ht_err wrong(const struct config *config,
                    char *error,
                    enum section section,
                    const struct config_head *head,
                    const char *what)
{
    if (head->line == 0) {
        snprintf(error, CONFIG_ERROR_MAX, "[%s %s] %s",
                 config_sections[section].name, head->label, what);
    } else {
        snprintf(error, CONFIG_ERROR_MAX, "%s:%u: [%s %s] %s", config->file,
                 head->line, config_sections[section].name, head->label, what);
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
    return what == NULL
               ? HT_OK
               : wrong(config, error, SECTION_LISTEN, &listener->head, what);
}

/* What a section with a label cannot do without: strings. */
struct required {
    enum section section;
    const char *setting;
    const char *what;
};
static const struct required required[] = {
    {SECTION_PEER, "address", "needs an address"},
    {SECTION_PLUGIN, "path", "needs a path"},
    {SECTION_ALLOW, "claim", "needs a claim and targets"},
    {SECTION_ALLOW, "targets", "needs a claim and targets"},
};
#define REQUIRED_COUNT (sizeof(required) / sizeof(required[0]))

static ht_err check_required(const struct config *config,
                             const struct required *need,
                             char *error)
{
    enum section section = need->section;
    size_t offset = config_find_setting(section, need->setting)->offset;

    for (size_t i = 0; i < config_item_count(config, section); i++) {
        const struct config_head *head = config_item(config, section, i);
        const char *value;

        memcpy(&value, (const char *)head + offset, sizeof(value));
        if (value == NULL) {
            return wrong(config, error, section, head, need->what);
        }
    }
    return HT_OK;
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
    for (size_t i = 0; err == HT_OK && i < REQUIRED_COUNT; i++) {
        err = check_required(config, &required[i], error);
    }
    if (err == HT_OK && config->gateway.port == 0 &&
        (config->given[SECTION_GATEWAY] != 0 || config->allows_count > 0)) {
        snprintf(error, CONFIG_ERROR_MAX,
                 "%s: the gateway needs a port: [gateway] port", config->file);
        err = HT_ECONFIG;
    }
    if (err == HT_OK && config->kv.directory == NULL &&
        config->given[SECTION_KV] != 0) {
        snprintf(error, CONFIG_ERROR_MAX,
                 "%s: the store needs a directory: [kv] directory",
                 config->file[0] != '\0' ? config->file : "options");
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
