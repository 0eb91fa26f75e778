/* SPDX-License-Identifier: Apache-2.0 */
/* metrics_node.h - the process, the node and its peers in Prometheus' text
 * format, through the public API.
 *
 * Thread: any.
 */
#ifndef GW_METRICS_NODE_H
#define GW_METRICS_NODE_H

#include <hardtack.h>
#include <stdio.h>

/* The two lines above a family's samples. */
void gw_metric_family(FILE *out,
                      const char *name,
                      const char *type,
                      const char *help);

/* A label's value, without its quotes: names of peers are theirs to choose. */
void gw_metric_label(FILE *out, const char *s);

/* false: no memory. */
bool gw_metrics_node(FILE *out, ht_node *node);

#endif /* GW_METRICS_NODE_H */
