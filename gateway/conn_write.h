/* SPDX-License-Identifier: Apache-2.0 */
/* conn_write.h - what a connection has to write. */
#ifndef GW_CONN_WRITE_H
#define GW_CONN_WRITE_H

#include "gateway/conn.h"

/* Forget all of it. */
void gw_conn_drop_output(struct gw_conn *conn);
/* Forget what control frames have not been begun. */
void gw_conn_drop_control(struct gw_conn *conn);

#endif /* GW_CONN_WRITE_H */
