/* SPDX-License-Identifier: Apache-2.0 */
/* survey_internal.h - what survey.c learns and survey_view.c shows. */
#ifndef GW_SURVEY_INTERNAL_H
#define GW_SURVEY_INTERNAL_H

#include <stdbool.h>
#include <sys/queue.h>

#include "gateway/survey.h"

enum gw_seen_state {
    GW_SEEN_NEW,    /* heard of, never yet reached */
    GW_SEEN_UP,     /* answers */
    GW_SEEN_SILENT, /* is connected, and does not answer */
    GW_SEEN_RACTOR, /* is connected, and cannot be asked */
    GW_SEEN_DOWN,   /* nobody is connected to it */
};

struct gw_point {
    uint32_t handled_rate, bytes_rate, queued, clients;
};

/* Two answers of one asker give rates. */
struct gw_answer {
    Hardtack__Admin__LookReply *look;            /* may be NULL */
    Hardtack__Dashboard__GatewayStatus *gateway; /* may be NULL */
    uint64_t look_ms, gateway_ms;
};

struct gw_seen {
    TAILQ_ENTRY(gw_seen) entry;
    char *name;
    char *via;    /* "": directly */
    char *reason; /* of silent and down; never NULL */
    enum gw_seen_state state;
    bool changed; /* of state, in the last round */
    uint64_t since_ms;
    bool ractor;
    uint64_t reached_round; /* somebody was connected to it */
    uint64_t asked_round, answered_round;
    struct gw_answer now, before;
    struct gw_point points[GW_SURVEY_POINTS_MAX]; /* a ring */
    uint64_t points_count;                        /* so far */
};

struct gw_happened {
    uint64_t number, round, at_ms;
    const char *kind;
    char *node, *peer, *reason;
};

struct gw_survey {
    char *own_name;
    uint64_t round;              /* the one that runs, or ended last */
    uint64_t ended;              /* the last that ended */
    TAILQ_HEAD(, gw_seen) nodes; /* our own first */
    size_t nodes_count;
    uint64_t left_out; /* nodes of the last round */
    struct gw_happened events[GW_SURVEY_EVENTS_MAX]; /* a ring */
    uint64_t events_count;                           /* so far */
};

/* A second, from two values of a counter so many milliseconds apart; 0 when it
 * began anew. */
double gw_rate(uint64_t now, uint64_t before, uint64_t ms);
/* The same link in an earlier answer; NULL. */
const Hardtack__Admin__Node *gw_link_in(const Hardtack__Admin__LookReply *look,
                                        const Hardtack__Admin__Node *link);
bool gw_link_is_ready(const Hardtack__Admin__Node *link);

#endif /* GW_SURVEY_INTERNAL_H */
