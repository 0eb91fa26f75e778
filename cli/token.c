/* SPDX-License-Identifier: Apache-2.0 */
/* token.c - login tokens for clients of the gateway, and the key that they are
 * sealed with. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>
#include <sodium.h>

#include <hardtack/token.h>

#include "cli/cli.h"
#include "cli/pb_json.h"
#include "cli/setting.h"

#define KEY_BYTES 32

enum what {
    WHAT_NONE,
    WHAT_ISSUE,
    WHAT_INSPECT,
    WHAT_KEY,
};

enum {
    OPT_KEY = 0x600,
    OPT_USER,
    OPT_CLAIM,
    OPT_TTL,
    OPT_JSON,
};

struct token {
    enum what what;
    const char *key_file;
    const char *user;
    const char *claims[HT_TOKEN_CLAIMS_MAX];
    size_t claims_count;
    uint32_t ttl_ms;
    const char *text; /* to inspect; "-" or NULL: standard input */
    const char *output;
    bool json;
};

/* ---- options ------------------------------------------------------------- */

static void parse_word(struct token *token, char *arg, struct argp_state *state)
{
    static const struct {
        const char *word;
        enum what what;
    } words[] = {
        {"issue", WHAT_ISSUE}, {"inspect", WHAT_INSPECT}, {"key", WHAT_KEY}};

    if (token->what == WHAT_INSPECT && token->text == NULL) {
        token->text = arg;
        return;
    }
    for (size_t i = 0;
         token->what == WHAT_NONE && i < sizeof(words) / sizeof(words[0]);
         i++) {
        if (strcmp(words[i].word, arg) == 0) {
            token->what = words[i].what;
            return;
        }
    }
    argp_error(state, "\"%s\": not understood", arg);
}

static void check(const struct token *token, struct argp_state *state)
{
    bool issue = token->what == WHAT_ISSUE;

    if (token->what == WHAT_NONE) {
        argp_error(state, "issue, inspect or key?");
    }
    if (token->what != WHAT_KEY && token->key_file == NULL) {
        argp_error(state, "tell which key, with --key-file");
    }
    if (issue && token->user == NULL) {
        argp_error(state, "tell for whom, with --user");
    }
    if (!issue && (token->user != NULL || token->claims_count > 0)) {
        argp_error(state, "--user and --claim are for issue");
    }
    if (token->what != WHAT_KEY && token->output != NULL) {
        argp_error(state, "--output is for key");
    }
}

static error_t parse_token(int key, char *arg, struct argp_state *state)
{
    struct token *token = state->input;
    const char *expected;

    switch (key) {
    case OPT_KEY:
        token->key_file = arg;
        return 0;
    case OPT_USER:
        token->user = arg;
        return 0;
    case OPT_CLAIM:
        if (token->claims_count == HT_TOKEN_CLAIMS_MAX) {
            argp_error(state, "too many --claim");
        }
        token->claims[token->claims_count++] = arg;
        return 0;
    case OPT_TTL:
        expected = setting_read(SETTING_DURATION, arg, &token->ttl_ms);
        if (expected != NULL) {
            argp_error(state, "--ttl %s: expected %s", arg, expected);
        }
        return 0;
    case OPT_JSON:
        token->json = true;
        return 0;
    case 'o':
        token->output = arg;
        return 0;
    case ARGP_KEY_ARG:
        parse_word(token, arg, state);
        return 0;
    case ARGP_KEY_END:
        check(token, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- issue and inspect --------------------------------------------------- */

static int load_keys(const struct token *token, ht_token_keys **ret_keys)
{
    char error[512] = "";
    ht_err err =
        ht_token_keys_load(token->key_file, ret_keys, error, sizeof(error));

    return err == HT_OK
               ? EXIT_OK
               : cli_fail("%s", error[0] != '\0' ? error : ht_strerror(err));
}

static int issue(const struct token *token)
{
    ht_token_keys *keys = NULL;
    ht_token out = {
        .user = token->user,
        .claims = token->claims,
        .claims_count = token->claims_count,
        .issued_s = (uint64_t)time(NULL),
    };
    char *text = NULL;
    ht_err err;
    int code = load_keys(token, &keys);

    if (code != EXIT_OK) {
        return code;
    }
    out.expires_s = out.issued_s + (token->ttl_ms + 999u) / 1000u;
    err = ht_token_seal(keys, &out, &text);
    ht_token_keys_free(keys);
    if (err == HT_EINVAL) {
        return cli_fail("a user and a claim are UTF-8, of 1 to %d bytes",
                        HT_TOKEN_USER_MAX);
    }
    if (err != HT_OK) {
        return cli_fail("no token can be made: %s", ht_strerror(err));
    }
    puts(text);
    free(text);
    return EXIT_OK;
}

/* The token given, or the first word of standard input. */
static int read_text(const struct token *token, char *text, size_t size)
{
    if (token->text != NULL && strcmp(token->text, "-") != 0) {
        if (strlen(token->text) >= size) {
            return cli_fail("that is too long for a token");
        }
        (void)snprintf(text, size, "%s", token->text);
        return EXIT_OK;
    }
    if (fgets(text, (int)size, stdin) == NULL) {
        return cli_fail("no token on standard input");
    }
    text[strcspn(text, " \t\r\n")] = '\0';
    return EXIT_OK;
}

static void print_time(const char *name, uint64_t seconds)
{
    time_t when = (time_t)seconds;
    struct tm tm;
    char text[64];

    if (gmtime_r(&when, &tm) == NULL ||
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm) == 0) {
        (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)seconds);
    }
    printf("%-8s %s\n", name, text);
}

static int print_json(const ht_token *token)
{
    json_t *claims = json_array();
    json_t *out;

    for (size_t i = 0; i < token->claims_count; i++) {
        (void)json_array_append_new(claims, json_string(token->claims[i]));
    }
    out = json_pack("{s:s, s:o, s:I, s:I}", "user", token->user, "claims",
                    claims, "issued_s", (json_int_t)token->issued_s,
                    "expires_s", (json_int_t)token->expires_s);
    return pb_json_print(out);
}

static int print(const struct token *options, const ht_token *token)
{
    if (options->json) {
        return print_json(token);
    }
    printf("%-8s %s\n", "user", token->user);
    for (size_t i = 0; i < token->claims_count; i++) {
        printf("%-8s %s\n", "claim", token->claims[i]);
    }
    print_time("issued", token->issued_s);
    print_time("expires", token->expires_s);
    return EXIT_OK;
}

static int inspect(const struct token *token)
{
    ht_token_keys *keys = NULL;
    char text[HT_TOKEN_TEXT_MAX + 2] = "";
    uint64_t now = (uint64_t)time(NULL);
    ht_token out;
    ht_err err;
    int code = read_text(token, text, sizeof(text));

    if (code == EXIT_OK) {
        code = load_keys(token, &keys);
    }
    if (code != EXIT_OK) {
        return code;
    }
    /* An expired one can be looked into, and is still not good. */
    err = ht_token_open(keys, text, strlen(text), 0, &out);
    ht_token_keys_free(keys);
    if (err != HT_OK) {
        return cli_fail("no token that was sealed with a key of %s",
                        token->key_file);
    }
    code = print(token, &out);
    if (code == EXIT_OK && now >= out.expires_s) {
        code = cli_fail("the token has expired");
    }
    ht_token_fini(&out);
    return code;
}

/* ---- key ----------------------------------------------------------------- */

/* Never over an existing file: with the key go the tokens that it opens. */
static int write_key(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    size_t len = strlen(text);
    bool written;

    if (fd < 0 && errno == EEXIST) {
        return cli_fail("%s exists and is not overwritten", path);
    }
    if (fd < 0) {
        return cli_fail("cannot make %s: %s", path, strerror(errno));
    }
    written = fchmod(fd, 0600) == 0 && write(fd, text, len) == (ssize_t)len &&
              fsync(fd) == 0;
    (void)close(fd);
    if (!written) {
        (void)unlink(path);
        return cli_fail("cannot write %s", path);
    }
    return EXIT_OK;
}

static int make_key(const struct token *token)
{
    uint8_t random[KEY_BYTES];
    char text[2 * KEY_BYTES + 2];
    int code = EXIT_OK;

    if (sodium_init() < 0) {
        return cli_fail("no source of random numbers");
    }
    randombytes_buf(random, sizeof(random));
    (void)sodium_bin2hex(text, sizeof(text), random, sizeof(random));
    text[sizeof(text) - 2] = '\n';
    text[sizeof(text) - 1] = '\0';
    if (token->output != NULL) {
        code = write_key(token->output, text);
    } else if (fputs(text, stdout) == EOF || fflush(stdout) != 0) {
        code = cli_fail("cannot write: %s", strerror(errno));
    }
    sodium_memzero(random, sizeof(random));
    sodium_memzero(text, sizeof(text));
    return code;
}

int cmd_token(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"key-file", OPT_KEY, "FILE", 0,
         "the key; the first of the file seals, each opens", 0},
        {"user", OPT_USER, "NAME", 0, "issue: who the token is for", 0},
        {"claim", OPT_CLAIM, "TEXT", 0,
         "issue: what it claims, such as role=operator (repeat for more)", 0},
        {"ttl", OPT_TTL, "TIME", 0, "issue: how long it is valid (1h)", 0},
        {"output", 'o', "FILE", 0, "key: write it here, readable by you alone",
         0},
        {"json", OPT_JSON, NULL, 0, "inspect: print JSON", 0},
        {NULL, 0, NULL, 0, NULL, 0}};
    static const struct argp argp = {
        options,
        parse_token,
        "issue\ninspect [TOKEN]\nkey",
        "Login tokens for clients of the gateway."
        "\v`issue` prints a token.  `inspect` prints what one says, and fails "
        "if "
        "it has expired or was sealed with another key.  `key` makes a key of "
        "256 random bits, which whoever issues tokens and every gateway share; "
        "an existing file is not overwritten.",
        NULL,
        NULL,
        NULL};
    struct token token = {.ttl_ms = 3600u * 1000u};

    if (argp_parse(&argp, argc, argv, 0, NULL, &token) != 0) {
        return EXIT_USAGE;
    }
    switch (token.what) {
    case WHAT_ISSUE:
        return issue(&token);
    case WHAT_INSPECT:
        return inspect(&token);
    case WHAT_KEY:
        return make_key(&token);
    case WHAT_NONE:
        break;
    }
    return EXIT_USAGE;
}
