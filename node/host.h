/* SPDX-License-Identifier: Apache-2.0 */
/* host.h - the functions that the layers below call back: the runtime's host
 * and the cluster's io.  Their argument is the struct hti_server. */
#ifndef HTI_NODE_HOST_H
#define HTI_NODE_HOST_H

#include "node/server.h"

extern const struct hti_host_ops hti_server_host_ops;
extern const struct hti_cluster_io hti_server_cluster_io;
void hti_server_tick_at(void *server, uint64_t at_ms);
/* From the system; there is no way to go on without. */
void hti_host_random(void *buf, size_t len);

#endif /* HTI_NODE_HOST_H */
