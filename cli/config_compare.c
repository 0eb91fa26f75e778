/* SPDX-License-Identifier: Apache-2.0 */
/* config_compare.c - what differs between two configurations, and what one of
 * them gives. */
#include <string.h>

#include "cli/config_internal.h"

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

static bool item_equal(enum section section, const void *a, const void *b)
{
    for (size_t i = 0; i < config_settings_count; i++) {
        if (config_settings[i].section == section &&
            !value_equal(&config_settings[i], a, b)) {
            return false;
        }
    }
    return true;
}

bool config_peer_equal(const struct config_peer *a, const struct config_peer *b)
{
    return item_equal(SECTION_PEER, a, b);
}

/* Item by item, in the order of the file. */
static bool items_equal(enum section section,
                        const struct config *a,
                        const struct config *b)
{
    size_t count = config_item_count(a, section);
    bool same = count == config_item_count(b, section);

    for (size_t i = 0; same && i < count; i++) {
        same = item_equal(section, config_item(a, section, i),
                          config_item(b, section, i));
    }
    return same;
}

void config_differences(const struct config *before,
                        const struct config *after,
                        void (*fn)(void *arg,
                                   const char *section,
                                   const char *name),
                        void *arg)
{
    for (size_t i = 0; i < config_settings_count; i++) {
        const struct setting *setting = &config_settings[i];

        if (setting->section < SECTION_LABELLED &&
            !value_equal(setting, before, after)) {
            fn(arg, config_sections[setting->section].name, setting->name);
        }
    }
    for (int section = SECTION_LABELLED; section < SECTION_NONE; section++) {
        if (section != SECTION_PEER &&
            !items_equal((enum section)section, before, after)) {
            fn(arg, config_sections[section].name, "");
        }
    }
}

/* The settings of a section that were given in any of that name. */
static uint64_t given_in(const struct config *config, enum section section)
{
    uint64_t given = section < SECTION_LABELLED ? config->given[section] : 0;

    for (size_t i = 0; i < config_item_count(config, section); i++) {
        given |= config_item(config, section, i)->given;
    }
    return given;
}

bool config_every_setting_given(const struct config *config)
{
    for (size_t i = 0; i < config_settings_count; i++) {
        if ((given_in(config, config_settings[i].section) &
             config_setting_bit(&config_settings[i])) == 0) {
            return false;
        }
    }
    return true;
}
