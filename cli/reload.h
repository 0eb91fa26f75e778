/* SPDX-License-Identifier: Apache-2.0 */
/* reload.h - SIGHUP: read the configuration again and take over what can change
 * while the node runs.
 *
 *   cookies and certificates   the files named at the start, read again
 *   [log] level and format     at once
 *   [peer]                     new ones are dialled, removed ones disconnected
 *   everything else            logged as needing a restart
 *
 * A mistake in the file is logged, and then nothing changes.
 */
#ifndef CLI_RELOAD_H
#define CLI_RELOAD_H

#include "cli/config.h"
#include "cli/log.h"

/* before is what the node runs with; it becomes after on success (after is
 * emptied), and after is dropped on failure. */
void reload(ht_node *node,
            struct logger *logger,
            struct config *before,
            struct config *after);

#endif /* CLI_RELOAD_H */
