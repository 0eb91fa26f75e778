/* SPDX-License-Identifier: Apache-2.0 */
/* asker.h - asks the nodes of a cluster what a survey wants to know, round
 * after round: each once a round, at the same time, with a time-out.
 *
 * It is a part of an actor, whose timer begins the rounds.  They do not
 * overlap: a round that is begun while one runs is that one.
 *
 * Thread: turns of its actor.
 */
#ifndef HTI_SURVEY_ASKER_H
#define HTI_SURVEY_ASKER_H

#include <hardtack.h>

#include "survey/survey.h"

/* How often it is worth to ask. */
#define HTI_ASKER_INTERVAL_MS 2000
/* What a gateway's own numbers are asked of. */
#define HTI_GATEWAY_NAME "hardtack.gateway"
/* And a member of the store's. */
#define HTI_STORE_NAME "hardtack.kv"

struct hti_asker;

/* first and through as hti_survey_new(). on_round is called at the end of each.
 * NULL: no memory. */
struct hti_asker *hti_asker_new(ht_actor *self,
                                const char *first,
                                bool through,
                                void (*on_round)(void *arg),
                                void *arg);
/* In the actor's terminate, or before; NULL is fine. */
void hti_asker_free(struct hti_asker *asker);
void hti_asker_begin(struct hti_asker *asker);
/* Lent: to be looked at. */
struct hti_survey *hti_asker_survey(const struct hti_asker *asker);
struct hti_survey_now hti_asker_now(void);

#endif /* HTI_SURVEY_ASKER_H */
