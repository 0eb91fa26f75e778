/* SPDX-License-Identifier: Apache-2.0 */
/* survey.h - what was learnt of the cluster by asking its nodes, round after
 * round: who is up, what flows between them, what happened.
 *
 *   begin -> next, next, ... -> looked or silent for each -> next... -> end
 *
 * Our own node is asked first; its peers follow, and then theirs, through them.
 * It asks nobody itself: it does no I/O and knows no clock.
 *
 * Thread: one at a time.
 */
#ifndef GW_SURVEY_H
#define GW_SURVEY_H

#include <hardtack/base.h>
#include <stdbool.h>

#include "proto/admin/admin.pb-c.h"
#include "proto/dashboard.pb-c.h"

/* Beyond these, what comes last is left out and counted. */
#define GW_SURVEY_NODES_MAX   64
#define GW_SURVEY_LINKS_MAX   64 /* of a node */
#define GW_SURVEY_GROUPS_MAX  64
#define GW_SURVEY_MEMBERS_MAX 8
#define GW_SURVEY_ACTORS_MAX  20 /* of each list */
#define GW_SURVEY_EVENTS_MAX  100
#define GW_SURVEY_POINTS_MAX  300
/* A node that is down is shown for so long. */
#define GW_SURVEY_FORGET_MS 600000

struct gw_survey;

/* Now in milliseconds: of a clock that does not jump, and since 1970. */
struct gw_survey_now {
    uint64_t ms, unix_ms;
};

/* NULL: no memory. */
struct gw_survey *gw_survey_new(const char *own_name);
void gw_survey_free(struct gw_survey *survey); /* NULL is fine */

void gw_survey_begin(struct gw_survey *survey);
/* A node that has not been asked yet in this round; it is taken as asked now.
 * Lent until the round's end. NULL: there is none. */
const char *gw_survey_next(struct gw_survey *survey);
/* Through which node it is to be asked; "": directly. */
const char *gw_survey_via(const struct gw_survey *survey, const char *name);
/* Its answer; taken. */
void gw_survey_looked(struct gw_survey *survey,
                      const char *name,
                      Hardtack__Admin__LookReply *look,
                      struct gw_survey_now now);
/* It did not answer, and why. */
void gw_survey_silent(struct gw_survey *survey,
                      const char *name,
                      const char *reason);
/* Its gateway's; taken. NULL: it has none. */
void gw_survey_gateway(struct gw_survey *survey,
                       const char *name,
                       Hardtack__Dashboard__GatewayStatus *status,
                       struct gw_survey_now now);
/* The link from here to that node was lost, and why. false: no node that is
 * shown. */
bool gw_survey_lost(struct gw_survey *survey,
                    const char *name,
                    const char *reason);
/* Everybody who was asked has answered, or will not. */
void gw_survey_end(struct gw_survey *survey, struct gw_survey_now now);

/* How many rounds have ended. */
uint64_t gw_survey_rounds(const struct gw_survey *survey);

/* The picture after the last round, with what is newer than the round `after`
 * (0: everything); what it points to belongs to the survey and the view. NULL:
 * no memory. */
struct gw_view {
    Hardtack__Dashboard__ViewReply reply;
    void *memory;
};
HT_MUSTUSE ht_err gw_survey_view(const struct gw_survey *survey,
                                 uint64_t after,
                                 struct gw_survey_now now,
                                 struct gw_view *ret_view);
void gw_view_fini(struct gw_view *view);

#endif /* GW_SURVEY_H */
