/* SPDX-License-Identifier: Apache-2.0 */
/* supervisor.h - what a supervisor (supervisor.c) is asked for by the functions
 * of the public API (supervise.c).
 *
 * A request is answered with an ht_err as it lies in memory: it need not be one
 * that a call can end with.
 */
#ifndef HTI_ACTOR_SUPERVISOR_H
#define HTI_ACTOR_SUPERVISOR_H

#include <hardtack.h>

#define HTI_SUPERVISOR_ADD    "add"    /* struct hti_add_request */
#define HTI_SUPERVISOR_REMOVE "remove" /* id NUL */

/* A child spec on its way to the supervisor; behind it id NUL name NUL. */
struct hti_add_request {
    ht_child_spec spec;
    uint32_t id_len;
    bool has_name;
};

bool hti_child_spec_is_valid(const ht_child_spec *spec);

#endif /* HTI_ACTOR_SUPERVISOR_H */
