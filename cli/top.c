/* SPDX-License-Identifier: Apache-2.0 */
/* top.c - the cluster live, in a terminal or for scripts.
 *
 * An actor of our hidden node asks (survey/asker.h) and prints, in its own
 * turns; this thread reads keys and signals, and puts the terminal back. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/pb_json.h"
#include "cli/top_screen.h"
#include "survey/asker.h"

#define DRAW "draw"
/* The first answer has no rates yet. */
#define ROUNDS_FOR_ONCE 2
/* The other screen, and back; no cursor, and back. */
#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[?25h\033[?1049l"
#define HOME  "\033[H"
#define REST  "\033[J"

struct top {
    struct client_opts client;
    bool once;
    bool json;
    uint32_t interval_ms;

    const char *peer;
    struct hti_asker *asker;
    uint64_t shown; /* the round that was printed last */
    int wake;       /* an eventfd: it is over */
    _Atomic bool by_mailbox;
    _Atomic bool lost;
    _Atomic int code;
};

/* ---- showing ------------------------------------------------------------- */

/* In one write, so that the screen does not flicker. */
static void draw(const struct top *top, const Hardtack__Dashboard__ViewReply *v)
{
    struct top_screen screen = {.colours = true, .by_mailbox = top->by_mailbox};
    struct winsize size = {0};
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (out == NULL) {
        return;
    }
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) {
        screen.rows = size.ws_row;
        screen.columns = size.ws_col;
    }
    fputs(HOME REST, out);
    top_screen_print(&screen, v, out);
    if (fclose(out) == 0 && len > 0) {
        /* The last line feed would scroll. */
        len -= text[len - 1] == '\n';
        if (write(STDOUT_FILENO, text, len) < 0) {
            /* The terminal is gone, and so will we be. */
        }
    }
    free(text);
}

static void print_once(struct top *top, const Hardtack__Dashboard__ViewReply *v)
{
    struct top_screen screen = {.by_mailbox = top->by_mailbox};

    if (top->json) {
        top->code = pb_json_print(pb_json(&v->base));
    } else {
        top_screen_print(&screen, v, stdout);
    }
}

static void print_line(struct top *top, const Hardtack__Dashboard__ViewReply *v)
{
    json_t *json = pb_json(&v->base);

    if (json == NULL || json_dumpf(json, stdout, JSON_COMPACT) != 0 ||
        putchar('\n') == EOF || fflush(stdout) != 0) {
        top->code = EXIT_FAILED;
    }
    json_decref(json);
}

static void end(struct top *top)
{
    uint64_t one = 1;

    if (write(top->wake, &one, sizeof(one)) < 0) {
        /* It is full: that thread will see it. */
    }
}

static void show(struct top *top)
{
    struct hti_survey *survey = hti_asker_survey(top->asker);
    uint64_t rounds = hti_survey_rounds(survey);
    struct hti_view view;

    if (top->once && rounds < ROUNDS_FOR_ONCE) {
        return;
    }
    if (hti_survey_view(survey, top->json ? top->shown : 0, hti_asker_now(),
                        &view) != HT_OK) {
        return;
    }
    view.reply.interval_ms = top->interval_ms;
    if (top->once) {
        print_once(top, &view.reply);
    } else if (top->json) {
        print_line(top, &view.reply);
    } else {
        draw(top, &view.reply);
    }
    top->shown = rounds;
    hti_view_fini(&view);
    if (top->once || top->code != EXIT_OK) {
        end(top);
    }
}

static void on_round(void *arg)
{
    show(arg);
}

/* ---- the actor ----------------------------------------------------------- */

static ht_err on_init(ht_actor *self, void *arg)
{
    struct top *top = arg;
    uint64_t timer;
    ht_err err;

    ht_set_state(self, top);
    top->asker = hti_asker_new(self, top->peer, true, on_round, top);
    err = top->asker != NULL ? ht_monitor_nodes(self, true) : HT_ENOMEM;
    return err == HT_OK
               ? ht_timer_start(self, 0, top->interval_ms, NULL, &timer)
               : err;
}

static ht_err on_message(ht_actor *self, const ht_msg *msg, ht_call call)
{
    struct top *top = ht_state(self);

    (void)call;
    if (strcmp(ht_msg_variant(msg), DRAW) != 0) {
        return HT_ENOVARIANT;
    }
    if (hti_survey_rounds(hti_asker_survey(top->asker)) > 0) {
        show(top);
    }
    return HT_OK;
}

static ht_err on_event(ht_actor *self, const ht_event *event)
{
    struct top *top = ht_state(self);

    if (event->kind == HT_EVENT_TIMER) {
        hti_asker_begin(top->asker);
    } else if (event->kind == HT_EVENT_NODE &&
               event->u.node.event == HT_NODE_DISCONNECTED) {
        top->lost = true;
        end(top);
    }
    return HT_OK;
}

static void on_end(ht_actor *self, const ht_exit *why)
{
    struct top *top = ht_state(self);

    (void)why;
    hti_asker_free(top->asker);
    top->asker = NULL;
}

/* ---- keys and signals ---------------------------------------------------- */

static void redraw(const struct client *client, ht_ref actor)
{
    if (ht_cast(client->node, actor, DRAW, NULL, 0) != HT_OK) {
        /* The next round draws. */
    }
}

/* false: that is all. */
static bool on_key(struct top *top)
{
    char key = 0;
    ssize_t n = read(STDIN_FILENO, &key, 1);

    if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) {
        return false;
    }
    if (key == 'm' || key == 'h') {
        top->by_mailbox = key == 'm';
    }
    return key != 'q' && key != 'Q';
}

static bool on_signal(int fd)
{
    struct signalfd_siginfo info = {0};

    return read(fd, &info, sizeof(info)) != (ssize_t)sizeof(info) ||
           info.ssi_signo == SIGWINCH;
}

/* Until it is over. */
static void wait_for_the_end(struct top *top,
                             const struct client *client,
                             ht_ref actor,
                             int signals,
                             bool keys)
{
    struct pollfd fds[] = {
        {.fd = top->wake, .events = POLLIN},
        {.fd = signals, .events = POLLIN},
        {.fd = keys ? STDIN_FILENO : -1, .events = POLLIN},
    };

    for (;;) {
        if (poll(fds, 3, -1) < 0) {
            continue;
        }
        if (fds[0].revents != 0 ||
            (fds[1].revents != 0 && !on_signal(signals)) ||
            (fds[2].revents != 0 && !on_key(top))) {
            return;
        }
        redraw(client, actor);
    }
}

/* ---- the terminal -------------------------------------------------------- */

static bool terminal_enter(struct termios *saved)
{
    struct termios raw;

    if (tcgetattr(STDIN_FILENO, saved) != 0) {
        return false;
    }
    raw = *saved;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    return write(STDOUT_FILENO, ENTER, sizeof(ENTER) - 1) > 0;
}

static void terminal_leave(const struct termios *saved)
{
    (void)tcsetattr(STDIN_FILENO, TCSANOW, saved);
    if (write(STDOUT_FILENO, LEAVE, sizeof(LEAVE) - 1) < 0) {
        /* There is none any more. */
    }
}

/* ---- the command --------------------------------------------------------- */

enum { OPT_ONCE = 0x300, OPT_INTERVAL };

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct top *top = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &top->client;
        return 0;
    case OPT_ONCE:
        top->once = true;
        return 0;
    case OPT_INTERVAL:
        if (!client_read_timeout(arg, &top->interval_ms) ||
            top->interval_ms < 200) {
            argp_error(state,
                       "--interval %s: expected a time of at least "
                       "200ms",
                       arg);
        }
        return 0;
    case ARGP_KEY_ARG:
        if (top->client.node != NULL) {
            return ARGP_ERR_UNKNOWN;
        }
        top->client.node = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int watch(struct top *top, struct client *client, int signals)
{
    static const ht_behavior behavior = {
        .init = on_init,
        .handle = on_message,
        .on_event = on_event,
        .terminate = on_end,
    };
    bool screen = !top->once && !top->json;
    struct termios saved = {0};
    ht_ref actor;
    ht_err err;

    top->peer = client->peer;
    if (screen && !terminal_enter(&saved)) {
        return cli_fail("this is no terminal: --once or --json is for scripts");
    }
    err = ht_spawn(client->node, &behavior, top, NULL, &actor);
    if (err == HT_OK) {
        wait_for_the_end(top, client, actor, signals, screen);
    }
    /* Nothing is drawn any more after this. */
    client_close(client);
    if (screen) {
        terminal_leave(&saved);
    }
    if (err != HT_OK) {
        return cli_fail("%s", ht_strerror(err));
    }
    return top->lost ? cli_fail("the node went away") : top->code;
}

/* Signals come by the descriptor: threads that start later block them too. */
static int signals_open(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGHUP);
    (void)sigaddset(&set, SIGWINCH);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int cmd_top(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"once", OPT_ONCE, NULL, 0, "print one picture and end", 0},
        {"interval", OPT_INTERVAL, "TIME", 0, "between two pictures (2s)", 0},
        {NULL, 0, NULL, 0, NULL, 0}};
    static const struct argp_child children[] = {{&client_argp, 0, NULL, 0},
                                                 {NULL, 0, NULL, 0}};
    static const struct argp argp = {
        options,
        parse,
        "[ADDRESS]",
        "A node and those that it is connected to, live: what flows, what "
        "waits, what happened.  Keys: q ends, m and h list actors by mailbox "
        "and by messages handled.  With --json one line for each picture.",
        children,
        NULL,
        NULL};
    struct top top = {.interval_ms = HTI_ASKER_INTERVAL_MS};
    struct client client;
    int signals;
    int code;

    if (argp_parse(&argp, argc, argv, 0, NULL, &top) != 0) {
        return EXIT_USAGE;
    }
    top.json = top.client.json;
    if (!top.once && !top.json &&
        (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))) {
        return cli_fail("this is no terminal: --once or --json is for scripts");
    }
    signals = signals_open();
    top.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (signals < 0 || top.wake < 0) {
        return cli_fail("no descriptors: %s", strerror(errno));
    }
    code = client_open(&top.client, &client);
    if (code == EXIT_OK) {
        code = watch(&top, &client, signals);
    }
    (void)close(signals);
    (void)close(top.wake);
    return code;
}
