/* SPDX-License-Identifier: Apache-2.0 */
/* cookie.c - make a cookie, or check a file of them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "cli/cli.h"

#define COOKIE_BYTES 32

struct cookie {
    const char *output;
    const char *check;
    bool checking;
};

static error_t parse_cookie(int key, char *arg, struct argp_state *state)
{
    struct cookie *cookie = state->input;

    switch (key) {
    case 'o':
        cookie->output = arg;
        return 0;
    case ARGP_KEY_ARG:
        if (!cookie->checking && strcmp(arg, "check") == 0) {
            cookie->checking = true;
        } else if (cookie->checking && cookie->check == NULL) {
            cookie->check = arg;
        } else {
            argp_error(state, "\"%s\": not understood", arg);
        }
        return 0;
    case ARGP_KEY_END:
        if (cookie->checking && cookie->check == NULL) {
            argp_error(state, "tell which file to check");
        }
        if (cookie->checking && cookie->output != NULL) {
            argp_error(state, "check writes nothing");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int write_all(int fd, const char *text)
{
    size_t left = strlen(text);

    while (left > 0) {
        ssize_t n = write(fd, text, left);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return -1;
        }
        text += n;
        left -= (size_t)n;
    }
    return 0;
}

/* Never over an existing file: a cookie that is overwritten is a cluster that
 * cannot be joined any more. */
static int write_cookie(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int saved;

    if (fd < 0 && errno == EEXIST) {
        return cli_fail("%s exists and is not overwritten; remove it first if "
                        "no node uses it",
                        path);
    }
    if (fd < 0) {
        return cli_fail("cannot make %s: %s", path, strerror(errno));
    }
    /* Whatever the umask says. */
    if (fchmod(fd, 0600) != 0 || write_all(fd, text) != 0 || fsync(fd) != 0) {
        saved = errno;
        (void)close(fd);
        (void)unlink(path);
        return cli_fail("cannot write %s: %s", path, strerror(saved));
    }
    (void)close(fd);
    return EXIT_OK;
}

static int make_cookie(const struct cookie *cookie)
{
    uint8_t random[COOKIE_BYTES];
    char text[2 * COOKIE_BYTES + 2];
    int code = EXIT_OK;

    randombytes_buf(random, sizeof(random));
    (void)sodium_bin2hex(text, sizeof(text), random, sizeof(random));
    text[sizeof(text) - 2] = '\n';
    text[sizeof(text) - 1] = '\0';
    if (cookie->output != NULL) {
        code = write_cookie(cookie->output, text);
    } else if (fputs(text, stdout) == EOF || fflush(stdout) != 0) {
        code = cli_fail("cannot write: %s", strerror(errno));
    }
    sodium_memzero(random, sizeof(random));
    sodium_memzero(text, sizeof(text));
    return code;
}

static void
silent_log(ht_log_level level, const char *id, const char *text, void *arg)
{
    (void)level;
    (void)id;
    (void)text;
    (void)arg;
}

/* A node that listens nowhere reads the file by the very rules that the real
 * one will. */
static int check_cookie(const char *path)
{
    ht_config config = {
        .name = "hardtack-cookie-check",
        .hidden = true,
        .threads = 1,
        .cookie_file = path,
        .log = silent_log,
    };
    ht_node *node = NULL;
    ht_err err = ht_node_start(&config, &node);

    if (err != HT_OK) {
        const char *words = ht_start_error();
        return cli_fail("%s", words[0] != '\0' ? words : ht_strerror(err));
    }
    ht_node_free(node);
    printf("%s: good\n", path);
    return EXIT_OK;
}

int cmd_cookie(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"output", 'o', "FILE", 0, "write it here, readable by you alone", 0},
        {NULL, 0, NULL, 0, NULL, 0}};
    static const struct argp argp = {
        options,
        parse_cookie,
        "[check FILE]",
        "Make a cookie of 256 random bits; every node of a cluster has the "
        "same.  An existing file is not overwritten."
        "\v`hardtack cookie check FILE` tells whether a node would take the "
        "cookies of a file.",
        NULL,
        NULL,
        NULL};
    struct cookie cookie = {NULL, NULL, false};

    if (argp_parse(&argp, argc, argv, 0, NULL, &cookie) != 0) {
        return EXIT_USAGE;
    }
    if (sodium_init() < 0) {
        return cli_fail("no source of random numbers");
    }
    return cookie.checking ? check_cookie(cookie.check) : make_cookie(&cookie);
}
