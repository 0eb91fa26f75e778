/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/dashboard.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/clients.h"
#include "gateway/dashboard_files.h"
#include "gateway/gateway.h"
#include "gateway/operator.h"
#include "gateway/pages.h"
#include "survey/asker.h"

/* After a link was lost: at once, but not for every link of many. */
#define SOON_MS 100
/* Views that wait for the next round. */
#define WAITING_MAX 256

/* A view that waits. */
struct waiting {
    Hardtack__Dashboard__ViewReply_Closure reply;
    void *call;
    uint64_t after;
};

struct dashboard {
    Hardtack__Dashboard__Dashboard_Service service;
    struct ht_gateway *gateway;
    ht_actor *self;
    struct hti_asker *asker;
    bool soon; /* the next round */
    uint64_t timer, soon_timer;
    struct waiting waiting[WAITING_MAX];
    size_t waiting_count;
    struct gw_clients_asks asks;
};

/* ---- showing ------------------------------------------------------------- */

static void show(struct dashboard *d, const struct waiting *to)
{
    struct hti_view view;
    ht_err err = hti_survey_view(hti_asker_survey(d->asker), to->after,
                                 hti_asker_now(), &view);

    if (err != HT_OK) {
        ht_fail(to->call, HT_EFAILED, ht_strerror(err));
        return;
    }
    view.reply.interval_ms = HTI_ASKER_INTERVAL_MS;
    to->reply(&view.reply, to->call);
    hti_view_fini(&view);
}

static void on_view(Hardtack__Dashboard__Dashboard_Service *service,
                    const Hardtack__Dashboard__ViewRequest *in,
                    Hardtack__Dashboard__ViewReply_Closure reply,
                    void *data)
{
    struct dashboard *d = (struct dashboard *)service;
    struct waiting who = {.reply = reply, .call = data, .after = in->after};
    uint64_t rounds = hti_survey_rounds(hti_asker_survey(d->asker));

    if (rounds > 0 && in->after != rounds) {
        show(d, &who);
    } else if (d->waiting_count == WAITING_MAX) {
        ht_fail(data, HT_EOVERLOAD, "too many look");
    } else {
        d->waiting[d->waiting_count++] = who;
    }
}

static void on_clients(Hardtack__Dashboard__Dashboard_Service *service,
                       const Hardtack__Dashboard__ClientsOf *in,
                       Hardtack__Dashboard__ClientsReply_Closure reply,
                       void *data)
{
    struct dashboard *d = (struct dashboard *)service;

    gw_clients_relay(&d->asks, in->node, false, reply, data);
}

/* ---- rounds -------------------------------------------------------------- */

/* A round has ended: who waited for it is shown what it gave. */
static void on_round(void *arg)
{
    struct dashboard *d = arg;

    for (size_t i = 0; i < d->waiting_count; i++) {
        show(d, &d->waiting[i]);
    }
    d->waiting_count = 0;
}

static void round_soon(struct dashboard *d)
{
    if (!d->soon &&
        ht_timer_start(d->self, SOON_MS, 0, NULL, &d->soon_timer) == HT_OK) {
        d->soon = true;
    }
}

static ht_err on_event(ht_actor *self, const ht_event *event)
{
    struct dashboard *d = ht_state(self);

    if (event->kind == HT_EVENT_TIMER) {
        if (event->u.timer.timer == d->soon_timer) {
            d->soon = false;
        }
        hti_asker_begin(d->asker);
    } else if (event->kind == HT_EVENT_NODE &&
               event->u.node.event == HT_NODE_DISCONNECTED &&
               hti_survey_lost(hti_asker_survey(d->asker), event->u.node.name,
                               event->u.node.text)) {
        round_soon(d);
    }
    return HT_OK;
}

/* ---- life ---------------------------------------------------------------- */

static ht_err on_init(ht_actor *self, void *arg)
{
    struct dashboard *d = arg;
    ht_err err;

    ht_set_state(self, d);
    d->self = self;
    d->asker = hti_asker_new(self, ht_node_name(d->gateway->view.node), false,
                             on_round, d);
    err = d->asker != NULL ? ht_monitor_nodes(self, true) : HT_ENOMEM;
    return err == HT_OK
               ? ht_timer_start(self, 0, HTI_ASKER_INTERVAL_MS, NULL, &d->timer)
               : err;
}

static void dashboard_free(struct dashboard *d)
{
    hti_asker_free(d->asker);
    gw_clients_asks_fini(&d->asks);
    gw_release(d->gateway);
    free(d);
}

static void on_end(ht_actor *self, const ht_exit *why)
{
    (void)why;
    dashboard_free(ht_state(self));
}

static ht_err spawn(struct ht_gateway *gateway)
{
    static const ht_behavior around = {
        .init = on_init, .on_event = on_event, .terminate = on_end};
    static const Hardtack__Dashboard__Dashboard_Service service =
        HARDTACK__DASHBOARD__DASHBOARD__INIT(on_);
    ht_spawn_opts opts = {
        .name = GW_DASHBOARD_NAME, .local_only = true, .unlisted = true};
    struct dashboard *d = calloc(1, sizeof(*d));
    ht_err err;

    if (d == NULL) {
        return HT_ENOMEM;
    }
    d->service = service;
    d->gateway = gateway;
    gw_hold(gateway);
    err = ht_spawn_service_opts(gateway->view.node, &d->service.base, &around,
                                d, &opts, &gateway->dashboard);
    if (err != HT_OK) {
        dashboard_free(d);
    }
    return err;
}

static ht_err put_pages(struct ht_gateway *gateway)
{
    ht_err err = HT_OK;

    for (size_t i = 0; err == HT_OK && gw_dashboard_files[i].path != NULL;
         i++) {
        const struct gw_dashboard_file *file = &gw_dashboard_files[i];

        err = gw_pages_put(gateway->pages, file->path, file->type, file->data,
                           (size_t)(file->end - file->data));
    }
    return err;
}

ht_err gw_dashboard_start(struct ht_gateway *gateway)
{
    ht_err err;

    if (gateway->view.config->dashboard == HT_DASHBOARD_OFF) {
        return HT_OK;
    }
    err = put_pages(gateway);
    if (err == HT_OK) {
        err = spawn(gateway);
    }
    if (err == HT_OK) {
        err = gw_operator_start(gateway);
    }
    /* Another gateway of this node has them. */
    return err == HT_EEXIST ? HT_OK : err;
}
