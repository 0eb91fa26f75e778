/* SPDX-License-Identifier: Apache-2.0 */
/* survey_internal.h - what survey.c learns and survey_view.c shows. */
#ifndef HTI_SURVEY_INTERNAL_H
#define HTI_SURVEY_INTERNAL_H

#include <stdbool.h>
#include <sys/queue.h>

#include "survey/survey.h"

enum hti_seen_state {
    HTI_SEEN_NEW,    /* heard of, never yet reached */
    HTI_SEEN_UP,     /* answers */
    HTI_SEEN_SILENT, /* is connected, and does not answer */
    HTI_SEEN_RACTOR, /* is connected, and cannot be asked */
    HTI_SEEN_DOWN,   /* nobody is connected to it */
};

struct hti_point {
    uint32_t handled_rate, bytes_rate, queued, clients;
};

/* Two answers of one asker give rates. */
struct hti_answer {
    Hardtack__Admin__LookReply *look;            /* may be NULL */
    Hardtack__Dashboard__GatewayStatus *gateway; /* may be NULL */
    Hardtack__Dashboard__StoreAnswer *store;     /* may be NULL */
    uint64_t look_ms, gateway_ms, store_ms;
};

struct hti_seen {
    TAILQ_ENTRY(hti_seen) entry;
    char *name;
    char *via;    /* "": directly */
    char *reason; /* of silent and down; never NULL */
    enum hti_seen_state state;
    bool changed; /* of state, in the last round */
    uint64_t since_ms;
    bool ractor;
    uint64_t reached_round; /* somebody was connected to it */
    uint64_t asked_round, answered_round;
    struct hti_answer now, before;
    struct hti_point points[HTI_SURVEY_POINTS_MAX]; /* a ring */
    uint64_t points_count;                          /* so far */
};

struct hti_happened {
    uint64_t number, round, at_ms;
    const char *kind;
    char *node, *peer, *reason;
};

struct hti_survey {
    char *own_name; /* of the first node */
    bool through;
    uint64_t round;               /* the one that runs, or ended last */
    uint64_t ended;               /* the last that ended */
    TAILQ_HEAD(, hti_seen) nodes; /* our own first */
    size_t nodes_count;
    uint64_t left_out; /* nodes of the last round */
    struct hti_happened events[HTI_SURVEY_EVENTS_MAX]; /* a ring */
    uint64_t events_count;                             /* so far */
};

/* A second, from two values of a counter so many milliseconds apart; 0 when it
 * began anew. */
double hti_rate(uint64_t now, uint64_t before, uint64_t ms);
/* The same link in an earlier answer; NULL. */
const Hardtack__Admin__Node *
hti_survey_link(const Hardtack__Admin__LookReply *look,
                const Hardtack__Admin__Node *link);
bool hti_survey_ready(const Hardtack__Admin__Node *link);

#endif /* HTI_SURVEY_INTERNAL_H */
