/* SPDX-License-Identifier: Apache-2.0 */
/* demo_kv.c - a store on three nodes, under load, while its leader is killed
 * and then cut off: a story that counts what was lost. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/demo_load.h"
#include "cli/demo_nodes.h"
#include "cli/demo_proxy.h"
#include "hardtack/kv.pb-c.h"

/* Acknowledged writes between two events. */
#define SOME 500

enum { ALPHA, BETA, GAMMA };

/* The cable between two nodes; the first of them dials. */
static const size_t cables[DEMO_NODES][2] = {
    {ALPHA, BETA}, {ALPHA, GAMMA}, {BETA, GAMMA}};

struct story {
    struct demo demo; /* first: what demo_wait() passes on is this */
    struct demo_proxy *proxies[DEMO_NODES];
    struct demo_load *load;
    char directories[DEMO_NODES][128];
    char addresses[DEMO_NODES][32];
    const char *more[DEMO_NODES][12];
    double stopped_ms[2]; /* writes, by the kill and by the partition */
};

static const char *full_name(const struct story *story, size_t i, char buf[64])
{
    snprintf(buf, 64, "%s@demo", story->demo.nodes[i].name);
    return buf;
}

/* ---- what a node says of the store --------------------------------------- */

/* NULL if it cannot be asked; freed by the caller. */
static Hardtack__Kv__StatusReply *status_of(struct demo *demo, size_t i)
{
    static const struct client_method to = {
        "hardtack.kv", &hardtack__kv__store__descriptor, "Status"};
    Hardtack__Empty request = HARDTACK__EMPTY__INIT;
    char reason[CLIENT_REASON_MAX];
    ProtobufCMessage *reply = NULL;

    if (!demo->nodes[i].connected) {
        return NULL;
    }
    (void)client_call(&demo->nodes[i].client, &to, &request.base, 1000, &reply,
                      reason);
    return (void *)reply;
}

static void free_status(Hardtack__Kv__StatusReply *status)
{
    protobuf_c_message_free_unpacked(status != NULL ? &status->base : NULL,
                                     NULL);
}

struct leader {
    size_t not_this; /* DEMO_NODES: any will do */
    size_t index;
    uint64_t term;
};

/* The node that leads in the highest term. */
static bool find_leader(struct demo *demo, void *arg)
{
    struct leader *leader = arg;
    bool found = false;

    for (size_t i = 0; i < DEMO_NODES; i++) {
        Hardtack__Kv__StatusReply *status =
            i != leader->not_this ? status_of(demo, i) : NULL;

        if (status != NULL && strcmp(status->role, "leader") == 0 &&
            (!found || status->term > leader->term)) {
            found = true;
            leader->index = i;
            leader->term = status->term;
        }
        free_status(status);
    }
    return found;
}

struct behind {
    size_t index;
    uint64_t applied; /* it has this */
};

static bool has_caught_up(struct demo *demo, void *arg)
{
    const struct behind *behind = arg;
    Hardtack__Kv__StatusReply *status = status_of(demo, behind->index);
    bool ok = status != NULL && strcmp(status->role, "follower") == 0 &&
              status->leader[0] != '\0' &&
              status->applied_index >= behind->applied;

    free_status(status);
    return ok;
}

/* Wait until a node has everything that the leader has now. */
static bool catch_up(struct story *story, size_t i, size_t leader)
{
    Hardtack__Kv__StatusReply *status = status_of(&story->demo, leader);
    struct behind behind = {i, status != NULL ? status->commit_index : 0};

    free_status(status);
    return behind.applied > 0 &&
           demo_wait(&story->demo, has_caught_up, &behind);
}

struct writes {
    struct demo_load *load;
    size_t until;
};

static bool has_written(struct demo *demo, void *arg)
{
    const struct writes *writes = arg;

    (void)demo;
    return demo_load_acknowledged(writes->load) >= writes->until;
}

/* Some more writes are acknowledged. */
static bool writes_go_on(struct story *story)
{
    struct writes writes = {story->load,
                            demo_load_acknowledged(story->load) + SOME};

    return demo_wait(&story->demo, has_written, &writes);
}

/* ---- the nodes ----------------------------------------------------------- */

/* Everything but the directory is as it is at every start. */
static void prepare_arguments(struct story *story, size_t i)
{
    const char **more = story->more[i];
    size_t n = 0;

    snprintf(story->directories[i], sizeof(story->directories[i]), "%s/%s.kv",
             story->demo.directory, story->demo.nodes[i].name);
    more[n++] = "--kv-directory";
    more[n++] = story->directories[i];
    more[n++] = "--heartbeat";
    more[n++] = "200ms";
    more[n++] = "--silence";
    more[n++] = "1s";
    for (size_t c = 0; c < DEMO_NODES; c++) {
        if (cables[c][0] == i) {
            more[n++] = "--connect";
            more[n++] = story->addresses[c];
        }
    }
    if (i == ALPHA) {
        more[n++] = "--kv-bootstrap";
    }
    more[n] = NULL;
    story->demo.nodes[i].more = more;
}

static bool start_proxies(struct story *story)
{
    for (size_t c = 0; c < DEMO_NODES; c++) {
        int port = 0;

        story->proxies[c] = demo_proxy_start(&port);
        if (story->proxies[c] == NULL) {
            return false;
        }
        snprintf(story->addresses[c], sizeof(story->addresses[c]),
                 "127.0.0.1:%d", port);
    }
    return true;
}

static bool start_node(struct story *story, size_t i)
{
    struct demo_node *node = &story->demo.nodes[i];
    bool ok = demo_start(&story->demo, i, node->port, 0) == EXIT_OK;

    for (size_t c = 0; ok && c < DEMO_NODES; c++) {
        if (cables[c][1] == i) {
            demo_proxy_aim(story->proxies[c], node->port);
        }
    }
    return demo_check(&story->demo, ok, "%-5s  process %ld, port %d",
                      node->name, (long)node->pid, node->port);
}

static void cut_off(struct story *story, size_t i, bool cut)
{
    for (size_t c = 0; c < DEMO_NODES; c++) {
        if (cables[c][0] == i || cables[c][1] == i) {
            demo_proxy_cut(story->proxies[c], cut);
        }
    }
}

static bool add_member(struct story *story, size_t i)
{
    char name[64];
    const char *add[] = {"raft",
                         "add",
                         full_name(story, i, name),
                         "--node",
                         story->demo.nodes[ALPHA].socket,
                         NULL};

    return demo_check(&story->demo, demo_run(&story->demo, add) == EXIT_OK,
                      "hardtack raft add %s", name);
}

/* ---- the story ----------------------------------------------------------- */

static bool start_all(struct story *story)
{
    struct demo *demo = &story->demo;
    struct leader leader = {.not_this = DEMO_NODES};
    char cookie[160];
    const char *make_cookie[] = {"cookie", "-o", cookie, NULL};

    demo->nodes[ALPHA].name = "alpha";
    demo->nodes[BETA].name = "beta";
    demo->nodes[GAMMA].name = "gamma";
    demo_heading("Three nodes, each with an empty directory; every cable "
                 "between them can be pulled.");
    snprintf(cookie, sizeof(cookie), "%s/cookie", demo->directory);
    if (!start_proxies(story) || demo_run(demo, make_cookie) != EXIT_OK) {
        return demo_check(demo, false, "cables and a cookie");
    }
    for (size_t i = DEMO_NODES; i-- > 0;) {
        prepare_arguments(story, i);
        if (!start_node(story, i)) {
            return false;
        }
    }
    demo_heading("Alpha begins a store; the others join it.");
    if (!demo_check(demo, demo_wait(demo, find_leader, &leader),
                    "alpha leads a group of one") ||
        !add_member(story, BETA) || !add_member(story, GAMMA)) {
        return false;
    }
    return true;
}

static bool begin_load(struct story *story)
{
    struct demo *demo = &story->demo;
    bool ok;

    demo_heading("Four writers put a new key after the other, at any node.");
    story->load = demo_load_start(demo);
    if (story->load == NULL) {
        return demo_check(demo, false, "writers");
    }
    ok = writes_go_on(story);
    demo_check(demo, ok, "%zu writes acknowledged",
               demo_load_acknowledged(story->load));
    (void)demo_load_gap_ms(story->load);
    return ok;
}

static bool kill_leader(struct story *story)
{
    struct demo *demo = &story->demo;
    struct leader old = {.not_this = DEMO_NODES};
    struct leader new = {.index = 0};
    bool ok = demo_wait(demo, find_leader, &old);

    demo_heading("The leader is killed (-9).");
    new.not_this = old.index;
    ok = demo_check(demo, ok && demo_kill(demo, old.index) == EXIT_OK,
                    "%s led in term %llu, and is dead",
                    demo->nodes[old.index].name, (unsigned long long)old.term);
    ok = ok && demo_wait(demo, find_leader, &new);
    ok = demo_check(demo, ok, "%s leads in term %llu",
                    demo->nodes[new.index].name, (unsigned long long)new.term);
    ok = ok && writes_go_on(story);
    story->stopped_ms[0] = demo_load_gap_ms(story->load);
    if (!demo_check(demo, ok, "writes go on after %.0f ms",
                    story->stopped_ms[0])) {
        return false;
    }
    demo_heading("It comes back, with what it has on disk.");
    return start_node(story, old.index) &&
           demo_check(demo, catch_up(story, old.index, new.index),
                      "%s follows, and has everything that was written "
                      "meanwhile",
                      demo->nodes[old.index].name);
}

/* A read of a node that is cut off: only a stale one is answered. */
static bool reads_at(struct demo *demo, size_t i, bool stale)
{
    static const struct client_method to = {
        "hardtack.kv", &hardtack__kv__store__descriptor, "Get"};
    Hardtack__Kv__GetRequest request = HARDTACK__KV__GET_REQUEST__INIT;
    char reason[CLIENT_REASON_MAX];
    ProtobufCMessage *reply = NULL;
    ht_err err;

    request.key = (char *)"demo/0000000";
    request.stale = stale;
    err = client_call(&demo->nodes[i].client, &to, &request.base, 1500, &reply,
                      reason);
    protobuf_c_message_free_unpacked(reply, NULL);
    return err == HT_OK;
}

static bool cut_leader(struct story *story)
{
    struct demo *demo = &story->demo;
    struct leader old = {.not_this = DEMO_NODES};
    struct leader new = {.index = 0};
    bool ok = demo_wait(demo, find_leader, &old);
    const char *name = demo->nodes[old.index].name;

    demo_heading("The leader is cut off from the two others.");
    (void)demo_load_gap_ms(story->load);
    cut_off(story, old.index, true);
    new.not_this = old.index;
    ok = ok && demo_wait(demo, find_leader, &new);
    ok = demo_check(demo, ok, "%s led, and is alone; %s leads in term %llu",
                    name, demo->nodes[new.index].name,
                    (unsigned long long)new.term);
    ok = ok && writes_go_on(story);
    story->stopped_ms[1] = demo_load_gap_ms(story->load);
    demo_check(demo, ok, "writes go on after %.0f ms", story->stopped_ms[1]);
    demo_check(demo, !reads_at(demo, old.index, false),
               "%s answers no read, since it cannot know what is new", name);
    demo_check(demo, reads_at(demo, old.index, true),
               "%s answers a read that may be stale", name);
    demo_heading("The cables are put back.");
    cut_off(story, old.index, false);
    return demo_check(demo, catch_up(story, old.index, new.index),
                      "%s follows %s, and has everything", name,
                      demo->nodes[new.index].name);
}

static void count(struct story *story)
{
    struct demo *demo = &story->demo;
    struct demo_count all = {0};

    demo_heading("Everything is read back, from each of them.");
    for (size_t i = 0; i < DEMO_NODES; i++) {
        struct demo_count here;
        bool ok = demo_load_count(story->load, i, &here);

        demo_check(demo, ok && here.lost == 0,
                   "%-5s  %zu acknowledged, %zu present, %zu lost",
                   demo->nodes[i].name, here.acknowledged, here.present,
                   here.lost);
        if (here.lost > all.lost || i == 0) {
            all = here;
        }
    }
    demo_heading("All of them stop.");
    demo_load_end(story->load);
    story->load = NULL;
    for (size_t i = 0; i < DEMO_NODES; i++) {
        demo_check(demo, demo_stop(demo, i) == EXIT_OK,
                   "%s drained and ended with status 0", demo->nodes[i].name);
    }
    printf("\nacknowledged %zu, present %zu, lost %zu; writes were stopped for "
           "%.0f ms by the kill,\n%.0f ms by the partition\n",
           all.acknowledged, all.present, all.lost, story->stopped_ms[0],
           story->stopped_ms[1]);
}

static void tell(struct story *story)
{
    if (start_all(story) && begin_load(story) && kill_leader(story) &&
        cut_leader(story)) {
        count(story);
    }
}

static void end(struct story *story)
{
    struct demo *demo = &story->demo;

    if (demo_interrupted()) {
        demo_check(demo, false, "interrupted");
    } else if (demo->failed > 0) {
        for (size_t i = 0; i < DEMO_NODES; i++) {
            demo_show_log(demo, i);
        }
    }
    demo_load_end(story->load);
    demo_fini(demo);
    for (size_t c = 0; c < DEMO_NODES; c++) {
        demo_proxy_end(story->proxies[c]);
    }
}

int demo_kv(void)
{
    static struct story story;
    double began = demo_now_ms();

    if (demo_init(&story.demo) != EXIT_OK) {
        demo_fini(&story.demo);
        return EXIT_FAILED;
    }
    tell(&story);
    end(&story);
    printf("\ndemo kv: %u passed, %u failed, in %.1f s\n", story.demo.passed,
           story.demo.failed, (demo_now_ms() - began) / 1000);
    return story.demo.failed == 0 ? EXIT_OK : EXIT_FAILED;
}
