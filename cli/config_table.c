/* SPDX-License-Identifier: Apache-2.0 */
/* config_table.c - the sections and the settings there are.  A new setting is a
 * line here, one in config/hardtack.conf and one in hardtack.conf(5). */
#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cli/config_internal.h"

#define ONCE(name)                                                             \
    {                                                                          \
        name, 0, 0, 0, 0                                                       \
    }
#define LABELLED(name, field, max)                                             \
    {                                                                          \
        name, offsetof(struct config, field),                                  \
            offsetof(struct config, field##_count),                            \
            sizeof(*((struct config *)0)->field), max                          \
    }

const struct section_kind config_sections[] = {
    [SECTION_NODE] = ONCE("node"),
    [SECTION_SECURITY] = ONCE("security"),
    [SECTION_LIMITS] = ONCE("limits"),
    [SECTION_LOG] = ONCE("log"),
    [SECTION_GATEWAY] = ONCE("gateway"),
    [SECTION_KV] = ONCE("kv"),
    [SECTION_LISTEN] = LABELLED("listen", listeners, CONFIG_LISTENERS_MAX),
    [SECTION_PEER] = LABELLED("peer", peers, CONFIG_PEERS_MAX),
    [SECTION_PLUGIN] = LABELLED("plugin", plugins, CONFIG_PLUGINS_MAX),
    [SECTION_ALLOW] = LABELLED("allow", allows, CONFIG_ALLOWS_MAX),
};
static_assert(sizeof(config_sections) / sizeof(config_sections[0]) ==
                  SECTION_NONE,
              "a section without a kind");
static_assert(CONFIG_SECTIONS_ONCE == SECTION_LABELLED,
              "config.given has a word for each section that comes once");

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
#define KV(name, type, field)                                                  \
    {                                                                          \
        SECTION_KV, SETTING_##type, name, offsetof(struct config, kv.field)    \
    }
#define ALLOW(name, type, field)                                               \
    {                                                                          \
        SECTION_ALLOW, SETTING_##type, name,                                   \
            offsetof(struct config_allow, field)                               \
    }

/* config/hardtack.conf and hardtack.conf(5) list the same, and
 * tests/cli/test_config.c checks that they do. */
const struct setting config_settings[] = {
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
    GATEWAY("pages", STRING, pages),
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
    GATEWAY("dashboard", DASHBOARD, dashboard),

    KV("store", STRING, store),
    KV("directory", STRING, directory),
    KV("bootstrap", BOOL, bootstrap),
    KV("heartbeat", DURATION, heartbeat_ms),
    KV("election", DURATION, election_ms),
    KV("segment_bytes", SIZE, segment_bytes),
    KV("snapshot_entries", COUNT, snapshot_after_entries),
    KV("snapshot_bytes", SIZE, snapshot_after_bytes),
    KV("trailing_entries", COUNT, trailing_entries),
    KV("bytes", SIZE64, bytes_max),
    KV("leases", COUNT, leases_max),
    KV("watchers", COUNT, watchers_max),
    KV("history", COUNT, history_max),
    KV("history_bytes", SIZE, history_bytes_max),
    KV("requests", COUNT, requests_max),
    KV("request_timeout", DURATION, request_timeout_ms),

    ALLOW("claim", STRING, claim),
    ALLOW("targets", STRING, targets),
};
const size_t config_settings_count =
    sizeof(config_settings) / sizeof(config_settings[0]);

const struct setting *config_find_setting(enum section section,
                                          const char *name)
{
    for (size_t i = 0; i < config_settings_count; i++) {
        if (config_settings[i].section == section &&
            strcmp(config_settings[i].name, name) == 0) {
            return &config_settings[i];
        }
    }
    return NULL;
}

uint64_t config_setting_bit(const struct setting *setting)
{
    unsigned number = 0;

    for (const struct setting *at = config_settings; at != setting; at++) {
        number += at->section == setting->section;
    }
    assert(number < 64);
    return UINT64_C(1) << number;
}

/* ---- items --------------------------------------------------------------- */

/* Through memcpy(): the array's pointer has the type of its items. */
static char *items_of(const struct config *config, enum section section)
{
    char *items;

    memcpy(&items, (const char *)config + config_sections[section].items,
           sizeof(items));
    return items;
}

size_t config_item_count(const struct config *config, enum section section)
{
    size_t count = 0;

    if (section >= SECTION_LABELLED) {
        memcpy(&count, (const char *)config + config_sections[section].count,
               sizeof(count));
    }
    return count;
}

struct config_head *
config_item(const struct config *config, enum section section, size_t i)
{
    char *items = items_of(config, section);

    return (void *)(items + i * config_sections[section].item_size);
}

struct config_head *config_add_item(struct config *config, enum section section)
{
    const struct section_kind *kind = &config_sections[section];
    size_t count = config_item_count(config, section);
    char *grown = NULL;

    if (count < kind->max) {
        grown =
            realloc(items_of(config, section), (count + 1) * kind->item_size);
    }
    if (grown == NULL) {
        return NULL;
    }
    memset(grown + count * kind->item_size, 0, kind->item_size);
    memcpy((char *)config + kind->items, &grown, sizeof(grown));
    count++;
    memcpy((char *)config + kind->count, &count, sizeof(count));
    return config_item(config, section, count - 1);
}
