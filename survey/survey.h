/* SPDX-License-Identifier: Apache-2.0 */
/* survey.h - what was learnt of the cluster by asking its nodes, round after
 * round: who is up, what flows between them, what happened.
 *
 *   begin -> next, next, ... -> looked or silent for each -> next... -> end
 *
 * The first node is asked first; its peers follow, and then theirs, through
 * them. From a program that is connected to the first one only, its peers are
 * asked through that, and nobody beyond. It asks nobody itself: it does no I/O
 * and knows no clock.
 *
 * Thread: one at a time.
 */
#ifndef HTI_SURVEY_H
#define HTI_SURVEY_H

#include <hardtack/base.h>
#include <stdbool.h>

#include "proto/admin/admin.pb-c.h"
#include "proto/dashboard.pb-c.h"

/* Beyond these, what comes last is left out and counted. */
#define HTI_SURVEY_NODES_MAX   64
#define HTI_SURVEY_LINKS_MAX   64 /* of a node */
#define HTI_SURVEY_GROUPS_MAX  64
#define HTI_SURVEY_MEMBERS_MAX 8
#define HTI_SURVEY_ACTORS_MAX  20 /* of each list */
#define HTI_SURVEY_EVENTS_MAX  100
#define HTI_SURVEY_POINTS_MAX  300
/* A node that is down is shown for so long. */
#define HTI_SURVEY_FORGET_MS 600000

struct hti_survey;

/* Now in milliseconds: of a clock that does not jump, and since 1970. */
struct hti_survey_now {
    uint64_t ms, unix_ms;
};

/* first: the node to begin with, our own unless `through` it all others are to
 * be asked. NULL: no memory. */
struct hti_survey *hti_survey_new(const char *first, bool through);
void hti_survey_free(struct hti_survey *survey); /* NULL is fine */

void hti_survey_begin(struct hti_survey *survey);
/* A node that has not been asked yet in this round; it is taken as asked now.
 * Lent until the round's end. NULL: there is none. */
const char *hti_survey_next(struct hti_survey *survey);
/* Through which node it is to be asked; "": directly. */
const char *hti_survey_via(const struct hti_survey *survey, const char *name);
/* Its answer; taken. */
void hti_survey_looked(struct hti_survey *survey,
                       const char *name,
                       Hardtack__Admin__LookReply *look,
                       struct hti_survey_now now);
/* It did not answer, and why. */
void hti_survey_silent(struct hti_survey *survey,
                       const char *name,
                       const char *reason);
/* Its gateway's; taken. NULL: it has none. */
void hti_survey_gateway(struct hti_survey *survey,
                        const char *name,
                        Hardtack__Dashboard__GatewayStatus *status,
                        struct hti_survey_now now);
/* Its member of the replicated store; likewise. */
void hti_survey_store(struct hti_survey *survey,
                      const char *name,
                      Hardtack__Dashboard__StoreAnswer *store,
                      struct hti_survey_now now);
/* The link from here to that node was lost, and why. false: no node that is
 * shown. */
bool hti_survey_lost(struct hti_survey *survey,
                     const char *name,
                     const char *reason);
/* Everybody who was asked has answered, or will not. */
void hti_survey_end(struct hti_survey *survey, struct hti_survey_now now);

/* How many rounds have ended. */
uint64_t hti_survey_rounds(const struct hti_survey *survey);

/* The picture after the last round, with what is newer than the round `after`
 * (0: everything); what it points to belongs to the survey and the view. NULL:
 * no memory. */
struct hti_view {
    Hardtack__Dashboard__ViewReply reply;
    void *memory;
};
HT_MUSTUSE ht_err hti_survey_view(const struct hti_survey *survey,
                                  uint64_t after,
                                  struct hti_survey_now now,
                                  struct hti_view *ret_view);
void hti_view_fini(struct hti_view *view);

#endif /* HTI_SURVEY_H */
