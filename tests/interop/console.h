/* SPDX-License-Identifier: Apache-2.0 */
/* console.h - the actor that takes the commands from standard input, and
 * reports sessions and groups as they change.  The end of standard input ends
 * the node. */
#ifndef INTEROP_CONSOLE_H
#define INTEROP_CONSOLE_H

#include <hardtack.h>

struct console_opts {
    char **dial; /* dialled at the start */
    size_t dial_count;
};

/** Borrows opts for the node's life. */
ht_err spawn_console(ht_node *node, const struct console_opts *opts);

#endif /* INTEROP_CONSOLE_H */
