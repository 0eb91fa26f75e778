/* SPDX-License-Identifier: Apache-2.0 */
/* calc.h - the calculator of the examples as actor and as caller, both by
 * protobuf-c's generated service. */
#ifndef INTEROP_CALC_H
#define INTEROP_CALC_H

#include <hardtack.h>

ht_err spawn_calc(ht_node *node,
                  const char *label,
                  const ht_spawn_opts *opts,
                  ht_ref *ret_ref);

/** Call method of the calculator to from a handler; the words are its operands
 *  or its expression.  Reports the result under id, errors included, now or
 *  later as a turn of the caller. */
void calc_call(ht_node *node,
               ht_ref to,
               const char *id,
               const char *method,
               uint32_t timeout_ms,
               char *const *words,
               size_t count);

/** The README's word for a call that ended with err. */
const char *calc_error(ht_err err);

#endif /* INTEROP_CALC_H */
