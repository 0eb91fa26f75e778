/* SPDX-License-Identifier: Apache-2.0 */
/* config_internal.h - what the files of the configuration share: the list of
 * sections and of their settings, which reading, comparing and the sample's
 * test all walk.  Nobody else includes it.
 *
 *   config.c          a struct config, and what only all settings can tell
 *   config_table.c    the sections and the settings there are
 *   config_parse.c    text in
 *   config_compare.c  what differs between two
 *   config_gateway.c  the gateway's lists
 */
#ifndef CLI_CONFIG_INTERNAL_H
#define CLI_CONFIG_INTERNAL_H

#include "cli/config.h"

/* Those that come once, then those that come once a label. */
enum section {
    SECTION_NODE,
    SECTION_SECURITY,
    SECTION_LIMITS,
    SECTION_LOG,
    SECTION_GATEWAY,
    SECTION_KV,
    SECTION_LISTEN,
    SECTION_PEER,
    SECTION_PLUGIN,
    SECTION_ALLOW,
    SECTION_NONE,
};
#define SECTION_LABELLED SECTION_LISTEN

struct section_kind {
    const char *name;
    /* Of one with a label: where struct config has its items, each of which
     * begins with a struct config_head. */
    size_t items;
    size_t count;
    size_t item_size;
    size_t max;
};

struct setting {
    enum section section;
    enum setting_type type;
    const char *name;
    size_t offset; /* in struct config, or in the section's own struct */
};

/* SECTION_NONE entries. */
extern const struct section_kind config_sections[];
extern const struct setting config_settings[];
extern const size_t config_settings_count;

/* NULL: no such setting in it. */
const struct setting *config_find_setting(enum section section,
                                          const char *name);
/* A setting's bit among those of its section. */
uint64_t config_setting_bit(const struct setting *setting);

/* The items of a section with labels. */
size_t config_item_count(const struct config *config, enum section section);
struct config_head *
config_item(const struct config *config, enum section section, size_t i);
/* One more, zeroed; NULL: no memory, or too many. */
struct config_head *config_add_item(struct config *config,
                                    enum section section);

#endif /* CLI_CONFIG_INTERNAL_H */
