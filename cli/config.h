/* SPDX-License-Identifier: Apache-2.0 */
/* config.h - the configuration file of `hardtack start`: text in, a ht_config
 * out.
 *
 *   [node] [security] [limits] [log] [gateway] [kv]        at most once each
 *   [listen NAME] [peer NAME] [plugin NAME] [allow NAME]   as many as wanted
 *
 * Every mistake is an error that names the file and the line: an unknown
 * section or setting, one given twice, a value that does not fit, a line that
 * is no setting.  Nothing is guessed and nothing ignored, since a misspelt
 * `encryption` that is skipped is an unencrypted node.
 *
 * Pure but for config_load(), which reads a file.  What a config's strings
 * point to lives until config_fini().
 */
#ifndef CLI_CONFIG_H
#define CLI_CONFIG_H

#include <hardtack.h>
#include <hardtack/gateway.h>
#include <hardtack/kv.h>

#include "cli/setting.h"

#define CONFIG_LISTENERS_MAX 64
#define CONFIG_PEERS_MAX     1024
#define CONFIG_PLUGINS_MAX   64
#define CONFIG_ALLOWS_MAX    1024
/* How many sections there are that come once. */
#define CONFIG_SECTIONS_ONCE 6
#define CONFIG_ERROR_MAX     512
/* Of a file. */
#define CONFIG_BYTES_MAX (1u << 20)
/* Of a line; what lies beyond would be cut by the INI reader. */
#define CONFIG_LINE_MAX 190

/* What every section with a label has, as its first member. */
struct config_head {
    const char *label;
    unsigned line;  /* 0: not from a file */
    uint64_t given; /* bits: settings that were given */
};

struct config_listener {
    struct config_head head;
    ht_listener_config set;
};

struct config_peer {
    struct config_head head;
    ht_peer_config set;
};

struct config_plugin {
    struct config_head head;
    const char *path;
    const char *args; /* NULL: none */
};

/* Who may reach what through the gateway. */
struct config_allow {
    struct config_head head;
    const char *claim;
    const char *targets; /* words between commas */
};

struct config_text;

struct config {
    ht_config node;           /* complete after config_finish() */
    const char *admin_socket; /* NULL: the default place; "none": none */
    enum log_format log_format;
    const char *file; /* that was read, "" if none; for messages */

    struct config_listener *listeners;
    size_t listeners_count;
    struct config_peer *peers;
    size_t peers_count;
    struct config_plugin *plugins;
    size_t plugins_count;

    ht_gateway_config gateway;  /* port 0: none; complete as node is */
    const char *gateway_public; /* words, as above */
    const char *gateway_origins;
    struct config_allow *allows;
    size_t allows_count;

    ht_kv_config kv; /* directory NULL: no member of a store */

    uint64_t given[CONFIG_SECTIONS_ONCE];
    struct config_text *texts;
    ht_listener_config *listener_array; /* what node.listeners points to */
    ht_peer_config *peer_array;
    const char **word_array; /* what gateway points to */
    ht_gateway_rule *rule_array;
};

void config_init(struct config *config);
void config_fini(struct config *config);

/* Read text into config; file is for messages.  HT_ECONFIG with
 * "FILE:LINE: what is wrong" in error, or HT_ENOMEM. */
HT_MUSTUSE ht_err config_parse(struct config *config,
                               const char *file,
                               const char *text,
                               size_t len,
                               char error[CONFIG_ERROR_MAX]);
/* The same for a file; HT_ENOENT, HT_EACCES, HT_EIO with words in error. */
HT_MUSTUSE ht_err config_load(struct config *config,
                              const char *path,
                              char error[CONFIG_ERROR_MAX]);
/* Give a setting of a section that comes once from elsewhere, over what the
 * file said. HT_ECONFIG, HT_ENOMEM. */
HT_MUSTUSE ht_err config_set(struct config *config,
                             const char *section,
                             const char *name,
                             const char *value,
                             char error[CONFIG_ERROR_MAX]);
/* Add a [peer], [listen], [plugin] or [allow] from elsewhere; NULL: no memory
 * or too many.  Strings are copied by config_string(). */
struct config_listener *config_add_listener(struct config *config);
struct config_peer *config_add_peer(struct config *config);
struct config_plugin *config_add_plugin(struct config *config);
struct config_allow *config_add_allow(struct config *config);
/* A copy that lives as long as config; NULL: no memory. */
const char *config_string(struct config *config, const char *text);

/* Check what only all settings together can tell, and point node at the
 * arrays. HT_ECONFIG, HT_ENOMEM. */
HT_MUSTUSE ht_err config_finish(struct config *config,
                                char error[CONFIG_ERROR_MAX]);

/* The part of it that points gateway at its lists; in a file of its own.
 * HT_ENOMEM. */
HT_MUSTUSE ht_err config_finish_gateway(struct config *config);

/* Call fn for every setting outside [peer] that differs. */
void config_differences(const struct config *before,
                        const struct config *after,
                        void (*fn)(void *arg,
                                   const char *section,
                                   const char *name),
                        void *arg);
/* Whether every setting that exists was given somewhere: what the commented
 * sample must do. */
bool config_every_setting_given(const struct config *config);
bool config_peer_equal(const struct config_peer *a,
                       const struct config_peer *b);

#endif /* CLI_CONFIG_H */
