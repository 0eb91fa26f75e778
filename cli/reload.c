/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/reload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_difference(void *arg, const char *section, const char *name)
{
    struct logger *logger = arg;

    if (strcmp(section, "log") == 0) {
        return;
    }
    logger_line(logger, HT_LOG_WARN, "HT-NODE-RELOAD-RESTART",
                "section=%s%s%s text=\"this change needs a restart\"", section,
                name[0] != '\0' ? " setting=" : "", name);
}

static bool has_peer(const struct config *config,
                     const struct config_peer *peer)
{
    for (size_t i = 0; i < config->peers_count; i++) {
        if (config_peer_equal(&config->peers[i], peer)) {
            return true;
        }
    }
    return false;
}

struct search {
    const char *address;
    char *name;
};

static void find_address(const ht_peer_info *info, void *arg)
{
    struct search *search = arg;

    if (search->name == NULL && info->initiated && info->name[0] != '\0' &&
        strcmp(info->address, search->address) == 0) {
        search->name = strdup(info->name);
    }
}

static void remove_peer(ht_node *node,
                        struct logger *logger,
                        const struct config_peer *peer)
{
    struct search search = {.address = peer->set.address};
    char quoted[512];
    ht_err err = HT_ENOENT;

    (void)logger_quote(quoted, sizeof(quoted), peer->set.address);
    if (peer->set.name != NULL) {
        err = ht_disconnect(node, peer->set.name);
    } else {
        ht_peer_each(node, find_address, &search);
        if (search.name != NULL) {
            err = ht_disconnect(node, search.name);
        }
    }
    if (err == HT_OK) {
        logger_line(logger, HT_LOG_INFO, "HT-NODE-RELOAD-PEER", "removed=%s",
                    quoted);
    } else {
        /* Never met: its name is not known, and there is no other handle. */
        logger_line(logger, HT_LOG_WARN, "HT-NODE-RELOAD-RESTART",
                    "section=peer address=%s text=\"its node was never met: "
                    "dialling it ends with a restart\"",
                    quoted);
    }
    free(search.name);
}

static void
add_peer(ht_node *node, struct logger *logger, const struct config_peer *peer)
{
    ht_connect_opts opts = {
        .name = peer->set.name,
        .encryption = peer->set.encryption,
        .peers = peer->set.peers,
        .server_name = peer->set.server_name,
    };
    char quoted[512];
    ht_err err = ht_connect(node, peer->set.address, &opts);

    (void)logger_quote(quoted, sizeof(quoted), peer->set.address);
    logger_line(logger, err == HT_OK ? HT_LOG_INFO : HT_LOG_ERROR,
                "HT-NODE-RELOAD-PEER", "added=%s err=\"%s\"", quoted,
                err == HT_OK ? "" : ht_strerror(err));
}

static void reload_peers(ht_node *node,
                         struct logger *logger,
                         const struct config *before,
                         const struct config *after)
{
    for (size_t i = 0; i < before->peers_count; i++) {
        if (!has_peer(after, &before->peers[i])) {
            remove_peer(node, logger, &before->peers[i]);
        }
    }
    for (size_t i = 0; i < after->peers_count; i++) {
        if (!has_peer(before, &after->peers[i])) {
            add_peer(node, logger, &after->peers[i]);
        }
    }
}

void reload(ht_node *node,
            struct logger *logger,
            struct config *before,
            struct config *after)
{
    ht_err err = ht_node_reload(node);

    if (err != HT_OK) {
        char quoted[512];

        logger_line(logger, HT_LOG_ERROR, "HT-NODE-RELOAD-FAILED",
                    "err=\"%s\" text=%s", ht_strerror(err),
                    logger_quote(quoted, sizeof(quoted), ht_start_error()));
        config_fini(after);
        return;
    }
    config_differences(before, after, on_difference, logger);
    reload_peers(node, logger, before, after);
    atomic_store(&logger->level,
                 (int)(after->node.log_level != 0 ? after->node.log_level
                                                  : HT_LOG_INFO));
    atomic_store(&logger->format, (int)after->log_format);
    config_fini(before);
    *before = *after;
    config_init(after);
    logger_line(logger, HT_LOG_INFO, "HT-NODE-RELOADED", "%s", "");
}
