/* SPDX-License-Identifier: Apache-2.0 */
/* demo_proxy.h - a cable between two nodes that can be pulled: a TCP proxy on
 * loopback that, while it is cut, holds what it is sent, and says nothing.
 *
 * Threads of its own; the functions are for the one that started it.
 */
#ifndef CLI_DEMO_PROXY_H
#define CLI_DEMO_PROXY_H

#include <stdbool.h>

struct demo_proxy;

/* Listen on a free port of loopback.  The first connection is passed on once
 * demo_proxy_aim() has said where to.  An error has been told; returns NULL. */
struct demo_proxy *demo_proxy_start(int *ret_port);
void demo_proxy_aim(struct demo_proxy *proxy, int port);
void demo_proxy_cut(struct demo_proxy *proxy, bool cut);
/* NULL is fine. */
void demo_proxy_end(struct demo_proxy *proxy);

#endif /* CLI_DEMO_PROXY_H */
