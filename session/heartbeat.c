/* SPDX-License-Identifier: Apache-2.0 */
/* heartbeat.c - pings, pongs, and when a silent peer is dead.
 *
 * A ractor node pings every 1 to 5 s, at random, and never gives a peer up; we
 * ping it the same way, and give it up only once it has answered a ping, so
 * that a node that does not answer at all is not cut.  A Hardtack node is
 * pinged steadily.  Any byte is a sign of life.  (ractor-wire, section 8.)
 *
 * A process that was stopped, or a machine that slept, has not listened: what
 * its peers said meanwhile is still to be read, so silence counts from now.
 */
#include <inttypes.h>

#include "session/session_internal.h"

/* What a Timestamp may hold; beyond, old ractor nodes panic. */
#define TIMESTAMP_SECONDS_MAX INT64_C(253402300799)
#define NANOS_MAX             999999999
#define HELD_UP_MS_MIN        500

/* splitmix64: any seed will do, 0 included. */
static uint64_t next_random(uint64_t *rng)
{
    uint64_t z = *rng += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t next_ping_after(struct hti_session *s, uint64_t now_ms)
{
    struct hti_heartbeat *hb = &s->heartbeat;
    uint64_t span = HTI_RACTOR_PING_MAX_MS - HTI_RACTOR_PING_MIN_MS;

    if (hb->heartbeat_ms == HT_INFINITE) {
        return UINT64_MAX;
    }
    if (s->peer.hardtack) {
        return now_ms + hb->heartbeat_ms;
    }
    return now_ms + HTI_RACTOR_PING_MIN_MS + next_random(&hb->rng) % span;
}

void hti_heartbeat_start(struct hti_session *s, uint64_t now_ms)
{
    s->heartbeat.next_ping_ms = next_ping_after(s, now_ms);
    s->heartbeat.pong_second_ms = now_ms;
    s->heartbeat.forgiven_ms = UINT64_MAX; /* never */
}

static uint64_t fine_us(const struct hti_session *s)
{
    return s->ops->now_us != NULL ? s->ops->now_us(s->arg) : 0;
}

/* The timestamp is the session's age, so that it tells nobody our clock. */
static ht_err send_ping(struct hti_session *s, uint64_t now_ms)
{
    Hardtack__Wire__ControlMessage m = HARDTACK__WIRE__CONTROL_MESSAGE__INIT;
    Hardtack__Wire__Ping ping = HARDTACK__WIRE__PING__INIT;
    Hardtack__Wire__Timestamp at = HARDTACK__WIRE__TIMESTAMP__INIT;
    uint64_t age_ms = now_ms - s->created_ms;

    at.seconds = (int64_t)(age_ms / 1000);
    at.has_seconds = at.seconds != 0;
    at.nanos = (int32_t)(age_ms % 1000) * 1000000;
    at.has_nanos = at.nanos != 0;
    ping.timestamp = &at;
    m.msg_case = HARDTACK__WIRE__CONTROL_MESSAGE__MSG_PING;
    m.ping = &ping;
    s->heartbeat.pinged = true;
    s->heartbeat.last_ping_ms = now_ms;
    s->heartbeat.last_ping_us = fine_us(s);
    return hti_session_send_frame(s, hti_frame_control(&m));
}

static uint64_t dead_at(const struct hti_session *s)
{
    const struct hti_heartbeat *hb = &s->heartbeat;

    if (hb->silence_ms == HT_INFINITE || (!s->peer.hardtack && !hb->answered)) {
        return UINT64_MAX;
    }
    return s->received_ms + hb->silence_ms;
}

/* Whether this tick comes far later than it was asked for.  The least that
 * counts keeps a short silence_ms and a busy machine from looking like it. */
static bool was_held_up(const struct hti_heartbeat *hb, uint64_t now_ms)
{
    uint64_t late_ms = hb->silence_ms / 2;

    if (late_ms < HELD_UP_MS_MIN) {
        late_ms = HELD_UP_MS_MIN;
    }
    return hb->due_ms != 0 && now_ms > hb->due_ms &&
           now_ms - hb->due_ms >= late_ms;
}

ht_err hti_heartbeat_tick(struct hti_session *s,
                          uint64_t now_ms,
                          uint64_t *ret_deadline_ms)
{
    struct hti_heartbeat *hb = &s->heartbeat;
    uint64_t dead_ms = dead_at(s);
    ht_err err = HT_OK;
    char words[HTI_QUOTE_BYTES];

    /* Once: a loop that is always late must still find out. */
    if (now_ms >= dead_ms && was_held_up(hb, now_ms) &&
        s->received_ms != hb->forgiven_ms) {
        s->received_ms = hb->forgiven_ms = now_ms;
        dead_ms = dead_at(s);
    }
    if (now_ms >= dead_ms) {
        return hti_session_fail(
            s, HT_ETIMEDOUT, "%s has been silent for %" PRIu64 " ms",
            hti_session_peer_words(s, words), now_ms - s->received_ms);
    }
    if (now_ms >= hb->next_ping_ms) {
        err = send_ping(s, now_ms);
        hb->next_ping_ms = next_ping_after(s, now_ms);
    }
    if (err == HT_OK) {
        hb->due_ms = hb->next_ping_ms < dead_ms ? hb->next_ping_ms : dead_ms;
        *ret_deadline_ms = hb->due_ms;
    }
    return err;
}

static bool may_pong(struct hti_heartbeat *hb, uint64_t now_ms)
{
    if (now_ms - hb->pong_second_ms >= 1000) {
        hb->pong_second_ms = now_ms;
        hb->pong_count = 0;
    }
    return hb->pong_count++ < HTI_PONGS_PER_S_MAX;
}

ht_err hti_heartbeat_ping(struct hti_session *s,
                          uint64_t now_ms,
                          const Hardtack__Wire__Ping *ping)
{
    Hardtack__Wire__ControlMessage m = HARDTACK__WIRE__CONTROL_MESSAGE__INIT;
    Hardtack__Wire__Pong pong = HARDTACK__WIRE__PONG__INIT;
    Hardtack__Wire__Timestamp at = HARDTACK__WIRE__TIMESTAMP__INIT;

    if (!may_pong(&s->heartbeat, now_ms)) {
        return HT_OK;
    }
    /* Exactly what came, without fields that neither side knows. */
    if (ping->timestamp != NULL) {
        at.has_seconds = ping->timestamp->has_seconds;
        at.seconds = ping->timestamp->seconds;
        at.has_nanos = ping->timestamp->has_nanos;
        at.nanos = ping->timestamp->nanos;
        pong.timestamp = &at;
    }
    m.msg_case = HARDTACK__WIRE__CONTROL_MESSAGE__MSG_PONG;
    m.pong = &pong;
    return hti_session_send_frame(s, hti_frame_control(&m));
}

void hti_heartbeat_pong(struct hti_session *s,
                        uint64_t now_ms,
                        const Hardtack__Wire__Pong *pong)
{
    struct hti_heartbeat *hb = &s->heartbeat;
    const Hardtack__Wire__Timestamp *at = pong->timestamp;
    uint64_t sent_us, last_us;

    if (!hb->pinged || at == NULL || at->seconds < 0 ||
        at->seconds > TIMESTAMP_SECONDS_MAX || at->nanos < 0 ||
        at->nanos > NANOS_MAX) {
        return;
    }
    sent_us = (uint64_t)at->seconds * 1000000 + (uint64_t)at->nanos / 1000;
    last_us = (hb->last_ping_ms - s->created_ms) * 1000;
    if (sent_us > last_us) {
        return; /* of a ping that was never sent */
    }
    hb->answered = true;
    s->ops->on_rtt(s->arg, sent_us == last_us && s->ops->now_us != NULL
                               ? fine_us(s) - hb->last_ping_us
                               : (now_ms - s->created_ms) * 1000 - sent_us);
}
