/* SPDX-License-Identifier: Apache-2.0 */
/* probe.h - the actors under test: the probe, with a cast and a call for every
 * argument type and the ways in which a call can go wrong; the calculator, a
 * protobuf service; and one whose message is a bare string.  Each reports what
 * it receives.
 *
 * Thread: the callers of messages and spawns are any; the actors their own.
 */
#ifndef INTEROP_PROBE_H
#define INTEROP_PROBE_H

#include <hardtack.h>

#include "tests/interop/value.h"

#define MESSAGE_ARGS_MAX 3

/* A message of the probe. */
struct message {
    const char *variant;
    bool call; /* else a cast */
    bool quiet;
    const char *args[MESSAGE_ARGS_MAX]; /* names of types, NULL after them */
    const char *reply;
    ht_err (*handle)(ht_actor *self, ht_call call, const struct value *args);
};

/** False if the probe has no such message; variant is borrowed. */
bool message_find(const char *variant, struct message *ret_message);

/** kind: "probe", "calc" or "text"; label is what reports call it; HT_ENOENT
 *  for another kind. Copies label; opts say under which name it registers. */
ht_err spawn_kind(ht_node *node,
                  const char *kind,
                  const char *label,
                  const ht_spawn_opts *opts,
                  ht_ref *ret_ref);

#endif /* INTEROP_PROBE_H */
