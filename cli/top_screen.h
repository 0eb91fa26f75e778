/* SPDX-License-Identifier: Apache-2.0 */
/* top_screen.h - the picture of a cluster as text: what `hardtack top` shows.
 * Pure. */
#ifndef CLI_TOP_SCREEN_H
#define CLI_TOP_SCREEN_H

#include <stdbool.h>
#include <stdio.h>

#include "proto/dashboard.pb-c.h"

struct top_screen {
    unsigned rows, columns; /* 0: as many as it takes */
    bool colours;
    bool by_mailbox; /* the actors; else by messages */
};

/* Lines, each with its line feed. */
void top_screen_print(const struct top_screen *screen,
                      const Hardtack__Dashboard__ViewReply *view,
                      FILE *out);

#endif /* CLI_TOP_SCREEN_H */
