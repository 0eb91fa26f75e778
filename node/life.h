/* SPDX-License-Identifier: Apache-2.0 */
/* life.h - waiting for a node: what start.c and connect.c need of life.c. */
#ifndef HTI_NODE_LIFE_H
#define HTI_NODE_LIFE_H

#include "node/server.h"

/* A condition on the monotonic clock. */
void hti_cond_init(pthread_cond_t *cond);
/* cond is of hti_cond_init(); false: at_ms has passed. */
bool hti_cond_wait_until(pthread_cond_t *cond,
                         pthread_mutex_t *lock,
                         uint64_t at_ms);
/* Wait until is() holds, or until_ms (UINT64_MAX: for ever) has passed: false.
 * What makes it true must happen on a loop, or call hti_server_changed().
 * Drives a single-threaded node meanwhile.  Not from a loop's thread. */
bool hti_server_wait(struct hti_server *server,
                     bool (*is)(struct hti_server *server),
                     uint64_t until_ms);
void hti_server_stop_listening(struct hti_server *server);

#endif /* HTI_NODE_LIFE_H */
