/* SPDX-License-Identifier: Apache-2.0 */
/* plugins.h - actors from shared objects (hardtack/plugin.h).
 *
 * All are loaded before the node starts, so that a missing one is told before
 * anything listens; started in order once it runs; stopped after every actor
 * has ended.  They are never unloaded: an actor's code may still be on some
 * stack.
 */
#ifndef CLI_PLUGINS_H
#define CLI_PLUGINS_H

#include <hardtack/plugin.h>

#include "cli/config.h"
#include "cli/log.h"

struct plugins {
    const ht_plugin *loaded[CONFIG_PLUGINS_MAX];
    size_t count;
    size_t started;
};

/* HT_OK, or HT_ECONFIG and words in error. */
HT_MUSTUSE ht_err plugins_load(struct plugins *plugins,
                               const struct config *config,
                               char error[CONFIG_ERROR_MAX]);
HT_MUSTUSE ht_err plugins_start(struct plugins *plugins,
                                const struct config *config,
                                ht_node *node,
                                struct logger *logger,
                                char error[CONFIG_ERROR_MAX]);
void plugins_stop(struct plugins *plugins);

#endif /* CLI_PLUGINS_H */
