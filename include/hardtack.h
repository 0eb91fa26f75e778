/* SPDX-License-Identifier: Apache-2.0 */
/* hardtack.h - Erlang-style clustering for C: the whole public API. */
#ifndef HARDTACK_H
#define HARDTACK_H

#include <hardtack/base.h>

#include <hardtack/actor.h>
#include <hardtack/args.h>
#include <hardtack/node.h>
#include <hardtack/service.h>

#endif /* HARDTACK_H */
