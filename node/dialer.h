/* SPDX-License-Identifier: Apache-2.0 */
/* dialer.h - from an address to a connected socket.
 *
 *   RESOLVING --addresses--> CONNECTING --connected--> hti_conn_open()
 *        \                     |   ^  \
 *         \                    '---'   '--> hti_cluster_dial_failed()
 *          '------------------ next address
 *
 * Every address that a name has is tried in turn; each gets its share of the
 * time that is left.
 *
 * Thread: hti_dialer_start(): loop 0's, where the cluster ticks; the rest: the
 * dial's loop. Lifetime: until it has ended in one of the two.
 */
#ifndef HTI_NODE_DIALER_H
#define HTI_NODE_DIALER_H

#include "node/server.h"

/* Implements hti_cluster_io.dial. */
void hti_dialer_start(void *server, uint64_t id, const struct hti_target *t);
/* Tell the cluster of the dials that there was no memory for.  Loop 0's. */
void hti_dialer_tell_undialled(struct hti_server *server);
/* Give up; reported as failed with HT_ECLOSED. */
void hti_dialer_cancel(struct hti_dialer *dialer);
struct hti_dialer *hti_dialer_next(struct hti_dialer *dialer);

#endif /* HTI_NODE_DIALER_H */
