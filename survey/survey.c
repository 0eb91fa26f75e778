/* SPDX-License-Identifier: Apache-2.0 */
#include "survey/survey_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- small things -------------------------------------------------------- */

double hti_rate(uint64_t now, uint64_t before, uint64_t ms)
{
    return ms > 0 && now >= before
               ? (double)(now - before) * 1000.0 / (double)ms
               : 0;
}

bool hti_survey_ready(const Hardtack__Admin__Node *link)
{
    return link != NULL && strcmp(link->state, "ready") == 0;
}

const Hardtack__Admin__Node *
hti_survey_link(const Hardtack__Admin__LookReply *look,
                const Hardtack__Admin__Node *link)
{
    const Hardtack__Admin__Node *found = NULL;

    for (size_t i = 0;
         look != NULL && look->nodes != NULL && i < look->nodes->n_nodes; i++) {
        const Hardtack__Admin__Node *other = look->nodes->nodes[i];

        if (strcmp(other->name, link->name) != 0) {
            continue;
        }
        if (strcmp(other->address, link->address) == 0) {
            return other;
        }
        if (found == NULL || hti_survey_ready(other)) {
            found = other;
        }
    }
    return found;
}

/* Without memory the words are lost, not the rest. */
static void set_text(char **at, const char *text)
{
    char *copy = strdup(text);

    if (copy != NULL) {
        free(*at);
        *at = copy;
    }
}

static void answer_free(struct hti_answer *answer)
{
    if (answer->look != NULL) {
        hardtack__admin__look_reply__free_unpacked(answer->look, NULL);
    }
    if (answer->gateway != NULL) {
        hardtack__dashboard__gateway_status__free_unpacked(answer->gateway,
                                                           NULL);
    }
    if (answer->store != NULL) {
        hardtack__dashboard__store_answer__free_unpacked(answer->store, NULL);
    }
}

/* ---- nodes --------------------------------------------------------------- */

static void seen_free(struct hti_seen *seen)
{
    answer_free(&seen->now);
    answer_free(&seen->before);
    free(seen->name);
    free(seen->via);
    free(seen->reason);
    free(seen);
}

static struct hti_seen *find(const struct hti_survey *survey, const char *name)
{
    struct hti_seen *seen;

    TAILQ_FOREACH (seen, &survey->nodes, entry) {
        if (strcmp(seen->name, name) == 0) {
            return seen;
        }
    }
    return NULL;
}

/* NULL: there are too many, or there is no memory. */
static struct hti_seen *find_or_add(struct hti_survey *survey, const char *name)
{
    struct hti_seen *seen = find(survey, name);

    if (seen != NULL || survey->nodes_count == HTI_SURVEY_NODES_MAX) {
        return seen;
    }
    seen = calloc(1, sizeof(*seen));
    if (seen == NULL) {
        return NULL;
    }
    seen->name = strdup(name);
    seen->via = strdup("");
    seen->reason = strdup("");
    if (seen->name == NULL || seen->via == NULL || seen->reason == NULL) {
        seen_free(seen);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&survey->nodes, seen, entry);
    survey->nodes_count++;
    return seen;
}

struct hti_survey *hti_survey_new(const char *first, bool through)
{
    struct hti_survey *survey = calloc(1, sizeof(*survey));

    if (survey == NULL) {
        return NULL;
    }
    TAILQ_INIT(&survey->nodes);
    survey->through = through;
    survey->own_name = strdup(first);
    if (survey->own_name == NULL || find_or_add(survey, first) == NULL) {
        hti_survey_free(survey);
        return NULL;
    }
    return survey;
}

static void happened_free(struct hti_happened *event)
{
    free(event->node);
    free(event->peer);
    free(event->reason);
}

void hti_survey_free(struct hti_survey *survey)
{
    struct hti_seen *seen;

    if (survey == NULL) {
        return;
    }
    while ((seen = TAILQ_FIRST(&survey->nodes)) != NULL) {
        TAILQ_REMOVE(&survey->nodes, seen, entry);
        seen_free(seen);
    }
    for (size_t i = 0; i < HTI_SURVEY_EVENTS_MAX; i++) {
        happened_free(&survey->events[i]);
    }
    free(survey->own_name);
    free(survey);
}

/* ---- events -------------------------------------------------------------- */

static void happened(struct hti_survey *survey,
                     struct hti_survey_now now,
                     const char *kind,
                     const char *node,
                     const char *peer,
                     const char *reason)
{
    struct hti_happened *event =
        &survey->events[survey->events_count % HTI_SURVEY_EVENTS_MAX];

    happened_free(event);
    *event = (struct hti_happened){
        .number = ++survey->events_count,
        .round = survey->round,
        .at_ms = now.unix_ms,
        .kind = kind,
        .node = strdup(node),
        .peer = strdup(peer),
        .reason = strdup(reason),
    };
}

/* ---- asking -------------------------------------------------------------- */

void hti_survey_begin(struct hti_survey *survey)
{
    struct hti_seen *own = TAILQ_FIRST(&survey->nodes);

    survey->round = survey->ended + 1;
    survey->left_out = 0;
    own->reached_round = survey->round;
}

const char *hti_survey_next(struct hti_survey *survey)
{
    struct hti_seen *seen;

    TAILQ_FOREACH (seen, &survey->nodes, entry) {
        if (seen->reached_round == survey->round &&
            seen->asked_round != survey->round && !seen->ractor) {
            seen->asked_round = survey->round;
            return seen->name;
        }
    }
    return NULL;
}

const char *hti_survey_via(const struct hti_survey *survey, const char *name)
{
    const struct hti_seen *seen = find(survey, name);

    return seen != NULL ? seen->via : "";
}

/* A peer of a node that answered: it is there, and how to ask it.  Directly if
 * we can; through one who is asked directly, and not further. */
static void reach(struct hti_survey *survey,
                  const struct hti_seen *asker,
                  const Hardtack__Admin__Node *link)
{
    bool direct = strcmp(asker->name, survey->own_name) == 0;
    struct hti_seen *peer;

    if (link->hidden || link->name[0] == '\0' || !hti_survey_ready(link)) {
        return;
    }
    peer = find_or_add(survey, link->name);
    if (peer == NULL) {
        survey->left_out += direct;
        return;
    }
    if (peer->reached_round == survey->round ||
        (!direct && asker->via[0] != '\0')) {
        return;
    }
    peer->reached_round = survey->round;
    peer->ractor = strcmp(link->auth, "ractor") == 0;
    set_text(&peer->via, direct && !survey->through ? "" : asker->name);
}

void hti_survey_looked(struct hti_survey *survey,
                       const char *name,
                       Hardtack__Admin__LookReply *look,
                       struct hti_survey_now now)
{
    struct hti_seen *seen = find(survey, name);

    if (seen == NULL || look->status == NULL) {
        hardtack__admin__look_reply__free_unpacked(look, NULL);
        return;
    }
    if (seen->before.look != NULL) {
        hardtack__admin__look_reply__free_unpacked(seen->before.look, NULL);
    }
    seen->before.look = seen->now.look;
    seen->before.look_ms = seen->now.look_ms;
    seen->now.look = look;
    seen->now.look_ms = now.ms;
    seen->answered_round = survey->round;
    for (size_t i = 0; look->nodes != NULL && i < look->nodes->n_nodes; i++) {
        reach(survey, seen, look->nodes->nodes[i]);
    }
}

void hti_survey_silent(struct hti_survey *survey,
                       const char *name,
                       const char *reason)
{
    struct hti_seen *seen = find(survey, name);

    if (seen != NULL) {
        set_text(&seen->reason, reason);
    }
}

bool hti_survey_lost(struct hti_survey *survey,
                     const char *name,
                     const char *reason)
{
    if (find(survey, name) == NULL) {
        return false;
    }
    hti_survey_silent(survey, name, reason);
    return true;
}

void hti_survey_gateway(struct hti_survey *survey,
                        const char *name,
                        Hardtack__Dashboard__GatewayStatus *status,
                        struct hti_survey_now now)
{
    struct hti_seen *seen = find(survey, name);

    if (seen == NULL) {
        if (status != NULL) {
            hardtack__dashboard__gateway_status__free_unpacked(status, NULL);
        }
        return;
    }
    if (seen->before.gateway != NULL) {
        hardtack__dashboard__gateway_status__free_unpacked(seen->before.gateway,
                                                           NULL);
    }
    seen->before.gateway = seen->now.gateway;
    seen->before.gateway_ms = seen->now.gateway_ms;
    seen->now.gateway = status;
    seen->now.gateway_ms = now.ms;
}

void hti_survey_store(struct hti_survey *survey,
                      const char *name,
                      Hardtack__Dashboard__StoreAnswer *store,
                      struct hti_survey_now now)
{
    struct hti_seen *seen = find(survey, name);

    if (seen == NULL) {
        if (store != NULL) {
            hardtack__dashboard__store_answer__free_unpacked(store, NULL);
        }
        return;
    }
    if (seen->before.store != NULL) {
        hardtack__dashboard__store_answer__free_unpacked(seen->before.store,
                                                         NULL);
    }
    seen->before.store = seen->now.store;
    seen->before.store_ms = seen->now.store_ms;
    seen->now.store = store;
    seen->now.store_ms = now.ms;
}

/* ---- the end of a round -------------------------------------------------- */

static bool is_there(const struct hti_seen *seen)
{
    return seen->state == HTI_SEEN_UP || seen->state == HTI_SEEN_SILENT ||
           seen->state == HTI_SEEN_RACTOR;
}

/* Why a node is gone: what our own link said, or what one that dials it does.
 */
static const char *why_down(const struct hti_survey *survey,
                            const struct hti_seen *gone)
{
    const struct hti_seen *seen;

    if (gone->reason[0] != '\0') {
        return gone->reason;
    }
    TAILQ_FOREACH (seen, &survey->nodes, entry) {
        const Hardtack__Admin__NodesReply *nodes =
            seen->answered_round == survey->round ? seen->now.look->nodes
                                                  : NULL;

        for (size_t i = 0; nodes != NULL && i < nodes->n_nodes; i++) {
            if (strcmp(nodes->nodes[i]->name, gone->name) == 0 &&
                nodes->nodes[i]->last_error[0] != '\0') {
                return nodes->nodes[i]->last_error;
            }
        }
    }
    return "";
}

static enum hti_seen_state state_of(const struct hti_survey *survey,
                                    const struct hti_seen *seen)
{
    if (seen->reached_round != survey->round) {
        return seen->state == HTI_SEEN_NEW ? HTI_SEEN_NEW : HTI_SEEN_DOWN;
    }
    if (seen->ractor) {
        return HTI_SEEN_RACTOR;
    }
    return seen->answered_round == survey->round ? HTI_SEEN_UP
                                                 : HTI_SEEN_SILENT;
}

static void settle_node(struct hti_survey *survey,
                        struct hti_seen *seen,
                        struct hti_survey_now now)
{
    enum hti_seen_state state = state_of(survey, seen);
    const Hardtack__Admin__LookReply *before = seen->before.look;
    bool was_there = is_there(seen);

    seen->changed = state != seen->state;
    if (!seen->changed) {
        if (state == HTI_SEEN_UP && before != NULL &&
            before->status->incarnation !=
                seen->now.look->status->incarnation) {
            seen->since_ms = now.ms;
            seen->changed = true;
            happened(survey, now, "restarted", seen->name, "", "");
        }
        return;
    }
    seen->state = state;
    seen->since_ms = now.ms;
    if (state == HTI_SEEN_DOWN) {
        set_text(&seen->reason, why_down(survey, seen));
        happened(survey, now, "down", seen->name, "", seen->reason);
    } else if (state == HTI_SEEN_SILENT) {
        happened(survey, now, "silent", seen->name, "", seen->reason);
    } else {
        happened(survey, now, was_there ? "answers" : "up", seen->name, "", "");
        set_text(&seen->reason, "");
    }
}

/* Each end tells of a link; the first by name does, if both can. */
static bool tells_of(const struct hti_survey *survey,
                     const struct hti_seen *seen,
                     const Hardtack__Admin__Node *link)
{
    const struct hti_seen *peer = find(survey, link->name);

    return !link->hidden && peer != NULL && is_there(peer) && !peer->changed &&
           !seen->changed &&
           (peer->answered_round != survey->round ||
            strcmp(seen->name, peer->name) < 0);
}

/* Ready in one, and not in the other. */
static void compare_links(struct hti_survey *survey,
                          const struct hti_seen *seen,
                          bool up,
                          struct hti_survey_now now)
{
    const Hardtack__Admin__LookReply *with =
        up ? seen->now.look : seen->before.look;
    const Hardtack__Admin__LookReply *without =
        up ? seen->before.look : seen->now.look;

    for (size_t i = 0; with->nodes != NULL && i < with->nodes->n_nodes; i++) {
        const Hardtack__Admin__Node *link = with->nodes->nodes[i];
        const Hardtack__Admin__Node *other = hti_survey_link(without, link);

        if (hti_survey_ready(link) && !hti_survey_ready(other) &&
            tells_of(survey, seen, link)) {
            happened(survey, now, up ? "link_up" : "link_down", seen->name,
                     link->name, !up && other != NULL ? other->last_error : "");
        }
    }
}

static uint32_t cut(uint64_t value)
{
    return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

static void add_point(struct hti_seen *seen)
{
    struct hti_point *point =
        &seen->points[seen->points_count++ % HTI_SURVEY_POINTS_MAX];
    const Hardtack__Admin__LookReply *now = seen->now.look;
    const Hardtack__Admin__LookReply *before = seen->before.look;
    uint64_t ms = seen->now.look_ms - seen->before.look_ms;
    double bytes = 0;

    *point = (struct hti_point){0};
    if (seen->state != HTI_SEEN_UP || now == NULL) {
        return;
    }
    point->queued = cut(now->mailbox_messages);
    if (seen->now.gateway != NULL) {
        point->clients = cut(seen->now.gateway->websockets);
    }
    if (before == NULL) {
        return;
    }
    point->handled_rate = cut(
        (uint64_t)hti_rate(now->status->handled, before->status->handled, ms));
    for (size_t i = 0; now->nodes != NULL && i < now->nodes->n_nodes; i++) {
        const Hardtack__Admin__Node *link = now->nodes->nodes[i];
        const Hardtack__Admin__Node *old = hti_survey_link(before, link);

        if (old != NULL) {
            bytes += hti_rate(link->sent_bytes, old->sent_bytes, ms) +
                     hti_rate(link->received_bytes, old->received_bytes, ms);
        }
    }
    point->bytes_rate = cut((uint64_t)bytes);
}

/* One that has been away for long, or was never reached. */
static void forget_old(struct hti_survey *survey, struct hti_survey_now now)
{
    struct hti_seen *seen;
    struct hti_seen *next;

    for (seen = TAILQ_FIRST(&survey->nodes); seen != NULL; seen = next) {
        next = TAILQ_NEXT(seen, entry);
        if (seen->state == HTI_SEEN_NEW ||
            (seen->state == HTI_SEEN_DOWN &&
             now.ms - seen->since_ms > HTI_SURVEY_FORGET_MS)) {
            TAILQ_REMOVE(&survey->nodes, seen, entry);
            survey->nodes_count--;
            seen_free(seen);
        }
    }
}

void hti_survey_end(struct hti_survey *survey, struct hti_survey_now now)
{
    struct hti_seen *seen;

    TAILQ_FOREACH (seen, &survey->nodes, entry) {
        settle_node(survey, seen, now);
    }
    TAILQ_FOREACH (seen, &survey->nodes, entry) {
        if (seen->answered_round == survey->round &&
            seen->before.look != NULL) {
            compare_links(survey, seen, true, now);
            compare_links(survey, seen, false, now);
        }
        add_point(seen);
    }
    survey->ended = survey->round;
    forget_old(survey, now);
}

uint64_t hti_survey_rounds(const struct hti_survey *survey)
{
    return survey->ended;
}
