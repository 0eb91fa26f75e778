/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_screen.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/table.h"

#define BOLD  "\033[1m"
#define RED   "\033[31m"
#define PLAIN "\033[0m"

typedef Hardtack__Dashboard__ViewReply view_reply;

/* ---- cells --------------------------------------------------------------- */

static void table_rate(struct table *table, double rate)
{
    char text[32];

    snprintf(text, sizeof(text), rate < 10 && rate > 0 ? "%.1f" : "%.0f", rate);
    table_text(table, text);
}

static void table_micros(struct table *table, uint64_t us)
{
    char text[32];

    if (us == 0) {
        table_text(table, "-");
        return;
    }
    if (us < 1000) {
        snprintf(text, sizeof(text), "%" PRIu64 " us", us);
    } else {
        snprintf(text, sizeof(text), "%.1f ms", (double)us / 1000);
    }
    table_text(table, text);
}

static void table_empty(struct table *table, unsigned cells)
{
    while (cells-- > 0) {
        table_text(table, "");
    }
}

/* ---- the parts ----------------------------------------------------------- */

struct sums {
    uint64_t up, links, actors, queued, dropped, clients;
    double handled, bytes;
};

static void add_up(const view_reply *view, struct sums *sums)
{
    for (size_t i = 0; i < view->n_nodes; i++) {
        const Hardtack__Dashboard__Node *node = view->nodes[i];

        sums->up += strcmp(node->state, "down") != 0;
        sums->actors += node->actors;
        sums->queued += node->mailbox_messages;
        sums->dropped += node->dropped;
        sums->handled += node->handled_rate;
        sums->clients += node->gateway != NULL ? node->gateway->websockets : 0;
        for (size_t l = 0; l < node->n_links; l++) {
            sums->links += strcmp(node->links[l]->state, "ready") == 0;
            sums->bytes += node->links[l]->sent_bytes_rate;
        }
    }
}

static void print_summary(const view_reply *view, FILE *out)
{
    struct sums sums = {0};
    time_t now = (time_t)(view->now_ms / 1000);
    struct tm local = {0};
    char clock[16] = "";

    add_up(view, &sums);
    if (localtime_r(&now, &local) != NULL) {
        (void)strftime(clock, sizeof(clock), "%H:%M:%S", &local);
    }
    fprintf(out,
            "%s  from %s: %" PRIu64 " of %zu nodes up, %" PRIu64 " links, "
            "%" PRIu64 " actors, %" PRIu64 " clients\n",
            clock, view->node, sums.up, view->n_nodes, sums.links, sums.actors,
            sums.clients);
    fprintf(out,
            "%.0f messages/s, %.0f bytes/s between nodes, %" PRIu64
            " queued, %" PRIu64 " dropped\n",
            sums.handled, sums.bytes, sums.queued, sums.dropped);
    if (view->nodes_left_out > 0) {
        fprintf(out, "%" PRIu64 " nodes are left out\n", view->nodes_left_out);
    }
}

static void add_node(struct table *table, const Hardtack__Dashboard__Node *node)
{
    char state[300];

    table_text(table, node->name);
    snprintf(state, sizeof(state), "%s%s%s", node->state,
             node->reason[0] != '\0' ? ": " : "", node->reason);
    if (strcmp(node->state, "up") != 0) {
        table_empty(table, 8);
        table_text(table, state);
        return;
    }
    table_duration(table, node->uptime_ms);
    table_number(table, node->actors);
    table_rate(table, node->handled_rate);
    table_number(table, node->mailbox_messages);
    table_number(table, node->dropped);
    table_number(table, node->calls);
    if (node->gateway != NULL) {
        table_number(table, node->gateway->websockets);
        table_bytes(table, node->gateway->queued_bytes);
    } else {
        table_empty(table, 2);
    }
    table_text(table, state);
}

static void print_nodes(const view_reply *view, FILE *out)
{
    struct table table;

    table_init(&table, "NODE|>UP|>ACTORS|>MESSAGES/S|>QUEUED|>DROPPED|>CALLS|"
                       ">CLIENTS|>TO WRITE|STATE");
    for (size_t i = 0; i < view->n_nodes; i++) {
        add_node(&table, view->nodes[i]);
    }
    table_print(&table, out);
    table_fini(&table);
}

static void add_link(struct table *table,
                     const Hardtack__Dashboard__Node *node,
                     const Hardtack__Dashboard__Link *link)
{
    bool ready = strcmp(link->state, "ready") == 0;
    char state[300];

    table_text(table, node->name);
    table_text(table, link->peer[0] != '\0' ? link->peer : link->address);
    table_text(table, ready ? link->encryption : "");
    table_micros(table, link->rtt_us);
    table_bytes(table, (uint64_t)link->sent_bytes_rate);
    table_bytes(table, (uint64_t)link->received_bytes_rate);
    table_rate(table, link->sent_frames_rate + link->received_frames_rate);
    table_bytes(table, link->outbox_bytes);
    table_number(table, link->calls_in_flight);
    snprintf(state, sizeof(state), "%s%s%s", ready ? "ready" : link->state,
             !ready && link->last_error[0] != '\0' ? ": " : "",
             ready ? "" : link->last_error);
    table_text(table, state);
}

static void print_links(const view_reply *view, FILE *out)
{
    struct table table;

    table_init(&table, "FROM|TO|ENCRYPTION|>ROUND TRIP|>SENT/S|>RECEIVED/S|"
                       ">MESSAGES/S|>QUEUE|>CALLS|STATE");
    for (size_t i = 0; i < view->n_nodes; i++) {
        for (size_t l = 0; l < view->nodes[i]->n_links; l++) {
            add_link(&table, view->nodes[i], view->nodes[i]->links[l]);
        }
    }
    table_print(&table, out);
    table_fini(&table);
}

static void print_actors(const view_reply *view, bool by_mailbox, FILE *out)
{
    size_t count = by_mailbox ? view->n_by_mailbox : view->n_by_handled;
    struct table table;

    table_init(&table, by_mailbox
                           ? "BY MAILBOX|NODE|>QUEUED|>BYTES|>MESSAGES|>A "
                             "SECOND|>DROPPED"
                           : "BY MESSAGES|NODE|>QUEUED|>BYTES|>MESSAGES|>A "
                             "SECOND|>DROPPED");
    for (size_t i = 0; i < count; i++) {
        const Hardtack__Dashboard__Actor *actor =
            by_mailbox ? view->by_mailbox[i] : view->by_handled[i];

        table_text(&table, actor->name[0] != '\0' ? actor->name : actor->ref);
        table_text(&table, actor->node);
        table_number(&table, actor->mailbox_messages);
        table_bytes(&table, actor->mailbox_bytes);
        table_number(&table, actor->handled);
        table_rate(&table, actor->handled_rate);
        table_number(&table, actor->dropped);
    }
    table_print(&table, out);
    table_fini(&table);
}

static void print_events(const view_reply *view, FILE *out)
{
    struct table table;

    table_init(&table, "TIME|NODE|EVENT|WITH|WHY");
    for (size_t i = view->n_events; i > 0; i--) {
        const Hardtack__Dashboard__Event *event = view->events[i - 1];
        time_t at = (time_t)(event->at_ms / 1000);
        struct tm local = {0};
        char clock[16] = "";

        if (localtime_r(&at, &local) != NULL) {
            (void)strftime(clock, sizeof(clock), "%H:%M:%S", &local);
        }
        table_text(&table, clock);
        table_text(&table, event->node);
        table_text(&table, event->kind);
        table_text(&table, event->peer);
        table_text(&table, event->reason);
    }
    table_print(&table, out);
    table_fini(&table);
}

static void print_stores(const view_reply *view, FILE *out)
{
    struct table table;

    table_init(&table, "STORE OF|ROLE|LEADER|>TERM|>COMMITTED|>APPLIED|>LAG|"
                       ">KEYS|>WRITES/S|>COMMIT|>99TH|>FSYNCS/S");
    for (size_t i = 0; i < view->n_stores; i++) {
        const Hardtack__Dashboard__Store *store = view->stores[i];

        table_text(&table, store->node);
        table_text(&table, store->role);
        table_text(&table, store->leader);
        table_number(&table, store->term);
        table_number(&table, store->commit_index);
        table_number(&table, store->applied_index);
        table_number(&table, store->lag);
        table_number(&table, store->keys);
        table_rate(&table, store->writes_rate);
        table_micros(&table, store->commit_us);
        table_micros(&table, store->commit_p99_us);
        table_rate(&table, store->fsyncs_rate);
    }
    table_print(&table, out);
    table_fini(&table);
}

/* ---- lines --------------------------------------------------------------- */

/* How many bytes of a line fit into so many columns. */
static size_t cut_to(const char *line, size_t len, unsigned columns)
{
    unsigned used = 0;

    for (size_t i = 0; columns > 0 && i < len; i++) {
        if (((unsigned char)line[i] & 0xc0u) != 0x80u && used++ == columns) {
            return i;
        }
    }
    return len;
}

static bool is_bad(const char *line, size_t len)
{
    static const char *const words[] = {"  down", "  silent", "  waiting",
                                        "  dialling", "  link_down"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (memmem(line, len, words[i], strlen(words[i])) != NULL) {
            return true;
        }
    }
    return false;
}

/* At most max lines of text; returns how many. */
static unsigned print_lines(const struct top_screen *screen,
                            const char *text,
                            bool table,
                            unsigned max,
                            FILE *out)
{
    unsigned count = 0;

    while (*text != '\0' && count < max) {
        size_t whole = strcspn(text, "\n");
        size_t len = cut_to(text, whole, screen->columns);
        const char *colour = !screen->colours               ? ""
                             : table && count == 0          ? BOLD
                             : table && is_bad(text, whole) ? RED
                                                            : "";

        fprintf(out, "%s%.*s%s\n", colour, (int)len, text,
                colour[0] != '\0' ? PLAIN : "");
        text += whole + (text[whole] == '\n');
        count++;
    }
    return count;
}

enum { SUMMARY, NODES, STORES, LINKS, EVENTS, ACTORS, PARTS };

static void print_part(int which,
                       const struct top_screen *screen,
                       const view_reply *view,
                       FILE *out)
{
    switch (which) {
    case SUMMARY:
        print_summary(view, out);
        break;
    case NODES:
        print_nodes(view, out);
        break;
    case STORES:
        if (view->n_stores > 0) {
            print_stores(view, out);
        }
        break;
    case LINKS:
        print_links(view, out);
        break;
    case EVENTS:
        print_events(view, out);
        break;
    default:
        print_actors(view, screen->by_mailbox, out);
        break;
    }
}

/* Nodes, links, and events get at most a share, actors what is left. */
static unsigned limit_of(int which, unsigned rows, unsigned used)
{
    switch (which) {
    case NODES:
    case LINKS:
        return rows / 4;
    case STORES:
    case EVENTS:
        return rows / 6;
    default:
        return rows > used ? rows - used : 0;
    }
}

void top_screen_print(const struct top_screen *screen,
                      const view_reply *view,
                      FILE *out)
{
    unsigned used = 0;

    for (int i = 0; i < PARTS; i++) {
        char *text = NULL;
        size_t len = 0;
        FILE *part = open_memstream(&text, &len);
        unsigned max =
            screen->rows > 0 ? limit_of(i, screen->rows - 1, used) : UINT32_MAX;

        if (part == NULL) {
            continue;
        }
        print_part(i, screen, view, part);
        if (fclose(part) == 0 && len > 0 && max > 1) {
            if (i > 0) {
                fputc('\n', out);
                used++;
                max -= max == UINT32_MAX || i != ACTORS ? 0 : 1;
            }
            used += print_lines(screen, text, i > 0, max, out);
        }
        free(text);
    }
}
