/* SPDX-License-Identifier: Apache-2.0 */
/* demo_load.h - writers for `hardtack demo kv`: each puts one new key after the
 * other, at whichever node answers, until it is acknowledged; and what became
 * of them.
 *
 * Threads of its own; the functions are for the one that started it.
 */
#ifndef CLI_DEMO_LOAD_H
#define CLI_DEMO_LOAD_H

#include "cli/demo_nodes.h"

struct demo_load;

/* Begin to write.  An error has been told; returns NULL. */
struct demo_load *demo_load_start(struct demo *demo);
/* How many writes have been acknowledged so far. */
size_t demo_load_acknowledged(struct demo_load *load);
/* The longest time, in ms, between two acknowledgements in a row since this was
 * called last, or since the start. */
double demo_load_gap_ms(struct demo_load *load);

struct demo_count {
    size_t acknowledged, present, lost;
    size_t unasked; /* present, but nobody was told: its writer was stopped */
};
/* Stop writing, then read everything back through node i. False: it could not
 * be read. */
bool demo_load_count(struct demo_load *load,
                     size_t i,
                     struct demo_count *ret_count);
/* NULL is fine. */
void demo_load_end(struct demo_load *load);

#endif /* CLI_DEMO_LOAD_H */
