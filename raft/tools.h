/* SPDX-License-Identifier: Apache-2.0 */
/* tools.h - shared by the public functions of raft/. */
#ifndef HTI_RAFT_TOOLS_H
#define HTI_RAFT_TOOLS_H

#include <hardtack/base.h>

/* What ht_raft_start_error() says in this thread: "what: text". */
void hti_raft_set_error(const char *what, const char *text);
/* Not 0. */
HT_MUSTUSE ht_err hti_raft_draw_id(uint64_t *ret_id);

#endif /* HTI_RAFT_TOOLS_H */
