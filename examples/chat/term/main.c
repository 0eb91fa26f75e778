/* SPDX-License-Identifier: Apache-2.0 */
/* chat-term - the chat in a terminal, or in a script: lines of the input are
 * said, and what is heard is printed.
 *
 *   chat-term --at localhost:8080 --user alice
 */
#include <argp.h>
#include <editline/readline.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client.h"

struct term {
    struct client *client;
    char channel[40]; /* what a line without a command goes to */
    bool terminal;
    bool ended; /* the input has */
    bool over;
    int status;
};

static struct term term; /* libedit's callbacks have no argument */

/* ---- the screen ---------------------------------------------------------- */

/* What others wrote must not move the cursor. */
static void print_safe(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0';
         p++) {
        if (*p == '\n') {
            fputs("\n    ", stdout);
        } else if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) {
            putchar('?');
            p++;
        } else {
            putchar(*p < 0x20 || *p == 0x7f ? '?' : *p);
        }
    }
}

static void begin_line(void)
{
    if (term.terminal) {
        fputs("\r\033[K", stdout);
    }
}

static void end_line(void)
{
    putchar('\n');
    if (term.terminal) {
        rl_forced_update_display();
    }
    (void)fflush(stdout);
}

static void on_message(void *arg, const Chat__Message *m)
{
    time_t when = (time_t)(m->time_ms / 1000);
    struct tm local;
    char clock[16];

    (void)arg;
    localtime_r(&when, &local);
    strftime(clock, sizeof(clock), "%H:%M", &local);
    begin_line();
    printf("%s [", clock);
    print_safe(m->channel);
    fputs("] ", stdout);
    print_safe(m->from[0] != '\0' ? m->from : "*");
    if (m->to[0] != '\0') {
        fputs(" to ", stdout);
        print_safe(m->to);
    }
    fputs(": ", stdout);
    print_safe(m->text);
    end_line();
}

static void on_line(void *arg, const char *text)
{
    (void)arg;
    begin_line();
    fputs("-- ", stdout);
    print_safe(text);
    end_line();
}

static void on_over(void *arg, const char *why)
{
    on_line(arg, why);
    term.over = true;
    term.status = 1;
}

/* ---- what is typed ------------------------------------------------------- */

static void help(void)
{
    on_line(NULL,
            "/normal /guild /world [TEXT]   say it there, or from now on");
    on_line(NULL, "/tell NAME [TEXT]              to one user only");
    on_line(NULL, "/join GUILD  /leave  /who  /quit");
}

/* To a channel: text now, or everything from now on. */
static void to_channel(const char *channel, const char *text)
{
    if (text[0] != '\0') {
        client_say(term.client, channel, text);
    } else {
        char line[80];

        snprintf(term.channel, sizeof(term.channel), "%s", channel);
        snprintf(line, sizeof(line), "you speak to %s now", channel);
        on_line(NULL, line);
    }
}

static void tell(char *rest)
{
    size_t len = strcspn(rest, " ");
    char channel[40];

    if (len == 0 || len > 32) {
        on_line(NULL, "/tell NAME [TEXT]");
        return;
    }
    snprintf(channel, sizeof(channel), "@%.*s", (int)len, rest);
    to_channel(channel, rest + len + strspn(rest + len, " "));
}

static void command(char *line)
{
    char *rest = line + strcspn(line, " ");

    if (*rest != '\0') {
        *rest++ = '\0';
    }
    if (strcmp(line, "/normal") == 0 || strcmp(line, "/guild") == 0 ||
        strcmp(line, "/world") == 0) {
        to_channel(line + 1, rest);
    } else if (strcmp(line, "/tell") == 0) {
        tell(rest);
    } else if (strcmp(line, "/join") == 0 && rest[0] != '\0') {
        client_join(term.client, rest);
    } else if (strcmp(line, "/leave") == 0) {
        client_join(term.client, "");
    } else if (strcmp(line, "/who") == 0) {
        client_who(term.client);
    } else if (strcmp(line, "/quit") == 0) {
        term.ended = true;
    } else {
        help();
    }
}

static void typed(char *line)
{
    if (line == NULL) {
        term.ended = true;
        return;
    }
    line[strcspn(line, "\r\n")] = '\0';
    if (line[0] == '/') {
        command(line);
    } else if (line[0] != '\0') {
        client_say(term.client, term.channel, line);
    }
}

static void typed_at_terminal(char *line)
{
    if (line != NULL && line[0] != '\0') {
        add_history(line);
    }
    typed(line);
    free(line);
}

/* A line of a pipe, as far as it has come. */
static void read_pipe(void)
{
    static char line[1024];
    static size_t len;
    char piece[512];
    ssize_t n = read(STDIN_FILENO, piece, sizeof(piece));

    if (n <= 0) {
        line[len] = '\0';
        typed(line);
        term.ended = true;
        return;
    }
    for (ssize_t i = 0; i < n; i++) {
        if (piece[i] == '\n') {
            line[len] = '\0';
            len = 0;
            typed(line);
        } else if (len < sizeof(line) - 1) {
            line[len++] = piece[i];
        }
    }
}

/* ---- the loop ------------------------------------------------------------ */

static uint64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Until the input has ended and everything is said; a script waits so long for
 * what it wants to hear. */
static void loop(uint64_t stay_ms)
{
    uint64_t leave_ms = UINT64_MAX;

    while (!term.over && now_ms() < leave_ms) {
        struct pollfd fds[2] = {
            {.fd = term.ended ? -1 : STDIN_FILENO, .events = POLLIN},
            client_poll(term.client),
        };
        int wait_ms = client_wait_ms(term.client, now_ms());

        if (term.ended && client_is_idle(term.client) &&
            leave_ms == UINT64_MAX) {
            leave_ms = now_ms() + stay_ms;
            continue;
        }
        (void)poll(fds, 2, wait_ms < 100 || !term.ended ? wait_ms : 100);
        if (fds[0].revents != 0) {
            if (term.terminal) {
                rl_callback_read_char();
            } else {
                read_pipe();
            }
        }
        client_work(term.client, now_ms());
    }
}

struct options {
    struct client_config client;
    const char *password_file;
    unsigned long stay_s;
};

static int run(const struct options *o)
{
    static const struct client_calls calls = {on_message, on_line, on_over};

    term.client = client_new(&o->client, &calls, NULL);
    if (term.client == NULL) {
        return 1;
    }
    snprintf(term.channel, sizeof(term.channel), "normal");
    term.terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    if (term.terminal) {
        rl_callback_handler_install("> ", typed_at_terminal);
    }
    loop(o->stay_s * 1000);
    if (term.terminal) {
        rl_callback_handler_remove();
    }
    client_free(term.client);
    return term.status;
}

/* The first line of a file, or typed. */
static const char *password_of(const struct options *o, char buf[256])
{
    FILE *in;

    if (o->password_file == NULL) {
        return getpass("password: ");
    }
    in = fopen(o->password_file, "re");
    if (in == NULL || fgets(buf, 256, in) == NULL) {
        buf[0] = '\0';
    }
    if (in != NULL) {
        (void)fclose(in);
    }
    buf[strcspn(buf, "\r\n")] = '\0';
    return buf;
}

static const struct argp_option table[] = {
    {"at", 'a', "HOST:PORT", 0, "a gateway of the chat (localhost:8080)", 0},
    {"user", 'u', "NAME", 0, "who you are", 0},
    {"password-file", 'p', "FILE", 0,
     "its first line is the password (default: it is asked for)", 0},
    {"tls", 't', NULL, 0, "the gateway has TLS", 0},
    {"ca", 'c', "FILE", 0, "whom to trust for TLS (the system's)", 0},
    {"stay", 's', "SECONDS", 0,
     "go on for so long when the input has ended (0)", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    char *end = NULL;

    switch (key) {
    case 'a':
        o->client.place = arg;
        break;
    case 'u':
        o->client.user = arg;
        break;
    case 'p':
        o->password_file = arg;
        break;
    case 't':
        o->client.ca = o->client.ca != NULL ? o->client.ca : "";
        break;
    case 'c':
        o->client.ca = arg;
        break;
    case 's':
        o->stay_s = strtoul(arg, &end, 10);
        if (arg[0] < '0' || arg[0] > '9' || *end != '\0' || o->stay_s > 3600) {
            argp_error(state, "stay: up to 3600 seconds");
        }
        break;
    case ARGP_KEY_END:
        if (o->client.user == NULL) {
            argp_error(state, "--user is needed");
        }
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct options o = {.client.place = "localhost:8080"};
    char password[256] = "";
    const struct argp argp = {
        table,
        parse,
        NULL,
        "The chat in a terminal.  A line is said; /help says what else there "
        "is.",
        NULL,
        NULL,
        NULL};

    argp_parse(&argp, argc, argv, 0, NULL, &o);
    (void)signal(SIGPIPE, SIG_IGN);
    o.client.password = password_of(&o, password);
    if (o.client.password == NULL) {
        return 1;
    }
    return run(&o);
}
