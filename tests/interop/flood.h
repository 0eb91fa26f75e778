/* SPDX-License-Identifier: Apache-2.0 */
/* flood.h - an actor that casts as fast as it is let, and waits when the way is
 * full. */
#ifndef INTEROP_FLOOD_H
#define INTEROP_FLOOD_H

#include <hardtack.h>

/** Cast Seq(0) to Seq(count - 1); the result is reported under id. */
void start_flood(ht_node *node, ht_ref to, const char *id, uint64_t count);

#endif /* INTEROP_FLOOD_H */
