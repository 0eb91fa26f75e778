/* SPDX-License-Identifier: Apache-2.0 */
/* chat-login - knows the users' passwords, and gives whoever has one a login
 * token for the gateways.  It is a node of the cluster, with one actor,
 * "chat-login", which pages reach through any gateway:
 *
 *   hardtack token key -o token.key
 *   chat-login --users users --add alice --claims guild=red
 *   chat-login --users users --key token.key --cookie cookie --connect
 * HOST:PORT
 *
 * No other program of the chat sees a password, and none needs this one for a
 * client that is logged in already.
 */
#include <argp.h>
#include <hardtack.h>
#include <hardtack/token.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "accounts.h"
#include "examples/chat/chat.pb-c.h"
#include "ref.h"

#define CONNECT_MAX    16
#define PASSWORD_MIN   8
#define PASSWORD_MAX   128
#define CHECKS_MAX     64 /* passwords being looked at */
#define LIFE_S_DEFAULT (12 * 3600)

struct options {
    const char *users, *key, *cookie, *name, *add, *claims;
    ht_peer_config peers[CONNECT_MAX];
    size_t peers_count;
    unsigned long life_s;
    bool sign_up;
};

struct login {
    Chat__Login_Service service; /* the first member */
    const struct options *options;
    struct accounts *accounts;
    ht_token_keys *keys;
    unsigned checks;
    struct rate unknown; /* names that there are not */
    char nobody[crypto_pwhash_STRBYTES];
};

/* A password that is looked at on another thread. */
struct check {
    struct login *login;
    Chat__Ticket_Closure reply;
    void *call;
    bool is_new; /* an account is made */
    bool ok;
    char user[NAME_BYTES_MAX + 1];
    char password[PASSWORD_MAX + 1];
    char hash[crypto_pwhash_STRBYTES];
};

/* ---- passwords ----------------------------------------------------------- */

static bool make_hash(const char *password, char hash[crypto_pwhash_STRBYTES])
{
    return crypto_pwhash_str(hash, password, strlen(password),
                             crypto_pwhash_OPSLIMIT_INTERACTIVE,
                             crypto_pwhash_MEMLIMIT_INTERACTIVE) == 0;
}

static void look(void *arg)
{
    struct check *c = arg;

    c->ok = c->is_new ? make_hash(c->password, c->hash)
                      : crypto_pwhash_str_verify(c->hash, c->password,
                                                 strlen(c->password)) == 0;
    sodium_memzero(c->password, sizeof(c->password));
}

static void check_free(void *arg)
{
    sodium_memzero(((struct check *)arg)->password, PASSWORD_MAX);
    free(arg);
}

/* ---- tokens -------------------------------------------------------------- */

static void give(struct login *l,
                 const struct account *account,
                 Chat__Ticket_Closure reply,
                 void *call)
{
    char claims[CLAIMS_BYTES], *rest = claims, *word;
    const char *list[CLAIMS_MAX];
    uint64_t now_s = (uint64_t)time(NULL);
    ht_token token = {.user = account->user,
                      .claims = list,
                      .issued_s = now_s,
                      .expires_s = now_s + l->options->life_s};
    Chat__Ticket out = CHAT__TICKET__INIT;
    ht_err err;

    snprintf(claims, sizeof(claims), "%s", account->claims);
    while ((word = strsep(&rest, ",")) != NULL &&
           token.claims_count < CLAIMS_MAX) {
        if (word[0] != '\0') {
            list[token.claims_count++] = word;
        }
    }
    err = ht_token_seal(l->keys, &token, &out.token);
    if (err != HT_OK) {
        ht_fail(call, HT_EFAILED, ht_strerror(err));
        return;
    }
    out.expires_s = token.expires_s;
    reply(&out, call);
    free(out.token);
}

static const struct account *sign_up(struct check *c)
{
    struct login *l = c->login;

    if (accounts_find(l->accounts, c->user) != NULL ||
        accounts_put(l->accounts, c->user, "", c->hash) != HT_OK) {
        return NULL;
    }
    return accounts_find(l->accounts, c->user);
}

static void looked(ht_actor *self, void *arg)
{
    struct check *c = arg;
    struct login *l = c->login;
    const struct account *account;

    (void)self;
    l->checks--;
    account = !c->ok      ? NULL
              : c->is_new ? sign_up(c)
                          : accounts_find(l->accounts, c->user);
    if (account == NULL) {
        ht_fail(c->call, HT_EDENIED, "name or password is wrong");
    } else {
        give(l, account, c->reply, c->call);
    }
    check_free(c);
}

/* ---- the actor ----------------------------------------------------------- */

/* The file can be changed while it runs. */
static void reload(struct login *l)
{
    struct accounts *accounts = NULL;
    char error[256] = "";

    if (!accounts_are_old(l->accounts)) {
        return;
    }
    if (accounts_load(l->options->users, &accounts, error, sizeof(error)) !=
        HT_OK) {
        fprintf(stderr, "chat-login: %s; the accounts stay as they were\n",
                error);
        return;
    }
    accounts_free(l->accounts);
    l->accounts = accounts;
}

/* How long a name has to wait, in ms. */
static uint32_t wait_for(struct login *l, struct account *account)
{
    return rate_take(account != NULL ? &account->tries : &l->unknown,
                     ref_now_ms());
}

static void start(struct login *l,
                  const Chat__Credentials *in,
                  const struct account *account,
                  struct check *c)
{
    c->login = l;
    c->is_new = account == NULL && l->options->sign_up;
    snprintf(c->user, sizeof(c->user), "%s", in->user);
    snprintf(c->password, sizeof(c->password), "%s", in->password);
    /* A name that there is not takes as long as one that there is. */
    snprintf(c->hash, sizeof(c->hash), "%s",
             account != NULL ? account->hash : l->nobody);
    l->checks++;
    if (ht_block(ht_service_self(), look, looked, check_free, c) != HT_OK) {
        l->checks--;
        ht_fail(c->call, HT_EOVERLOAD, "too many log in: try again");
        check_free(c);
    }
}

static void login__login(Chat__Login_Service *self,
                         const Chat__Credentials *in,
                         Chat__Ticket_Closure reply,
                         void *call)
{
    struct login *l = (struct login *)self;
    struct account *account;
    struct check *c;

    reload(l);
    if (!text_is_name(in->user)) {
        ht_fail(call, HT_EARGS, "user: letters, digits, - and _, up to 32");
        return;
    }
    if (strlen(in->password) > PASSWORD_MAX ||
        strlen(in->password) < PASSWORD_MIN) {
        ht_fail(call, HT_EARGS, "password: 8 to 128 bytes");
        return;
    }
    account = accounts_find(l->accounts, in->user);
    if (wait_for(l, account) != 0) {
        ht_fail(call, HT_EOVERLOAD, "too many tries: wait a few seconds");
        return;
    }
    c = l->checks < CHECKS_MAX ? calloc(1, sizeof(*c)) : NULL;
    if (c == NULL) {
        ht_fail(call, HT_EOVERLOAD, "too many log in: try again");
        return;
    }
    c->reply = reply;
    c->call = call;
    start(l, in, account, c);
}

/* ---- the program --------------------------------------------------------- */

static int complain(const char *what, const char *why)
{
    fprintf(stderr, "chat-login: %s: %s\n", what, why);
    return 1;
}

/* An account from the command line; the password is a line of the input. */
static int add_account(const struct options *o)
{
    char password[PASSWORD_MAX + 2] = "", hash[crypto_pwhash_STRBYTES];
    char error[256] = "";
    struct accounts *accounts = NULL;
    FILE *made = access(o->users, F_OK) != 0 ? fopen(o->users, "ae") : NULL;
    ht_err err;

    if (made != NULL) {
        (void)fchmod(fileno(made), 0600);
        (void)fclose(made);
    }
    err = accounts_load(o->users, &accounts, error, sizeof(error));
    if (err != HT_OK) {
        return complain("users", error);
    }
    if (isatty(STDIN_FILENO)) {
        char *typed = getpass("password: ");

        snprintf(password, sizeof(password), "%s", typed != NULL ? typed : "");
    } else if (fgets(password, sizeof(password), stdin) == NULL) {
        password[0] = '\0';
    }
    password[strcspn(password, "\n")] = '\0';
    if (strlen(password) < PASSWORD_MIN || strlen(password) > PASSWORD_MAX ||
        !make_hash(password, hash)) {
        accounts_free(accounts);
        return complain("password", "8 to 128 bytes are expected");
    }
    sodium_memzero(password, sizeof(password));
    err = accounts_put(accounts, o->add, o->claims, hash);
    accounts_free(accounts);
    return err == HT_OK ? 0 : complain(o->add, ht_strerror(err));
}

static ht_node *running;

static void on_signal(int number)
{
    (void)number;
    ht_node_stop(running);
}

static int serve(struct login *l, const struct options *o)
{
    const ht_config config = {.name = o->name,
                              .cookie_file = o->cookie,
                              .peers_list = o->peers,
                              .peers_list_count = o->peers_count,
                              .transitive = true,
                              .threads = 1,
                              .pool_threads = 2};
    const struct sigaction action = {.sa_handler = on_signal};
    ht_ref ref = {0, 0};
    ht_err err = ht_node_start(&config, &running);

    if (err != HT_OK) {
        return complain("the node does not start", ht_start_error());
    }
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
    err = ht_spawn_service(running, "chat-login", &l->service.base, &ref);
    if (err == HT_OK) {
        printf("chat-login: ready\n");
        (void)fflush(stdout);
        err = ht_node_run(running);
    }
    ht_node_free(running);
    return err == HT_OK ? 0 : complain("the node ended", ht_strerror(err));
}

static int run(const struct options *o)
{
    static struct login l = {.service = CHAT__LOGIN__INIT(login__),
                             .unknown = {.burst = 50, .interval_ms = 100}};
    char error[256] = "";
    int status;

    l.options = o;
    if (accounts_load(o->users, &l.accounts, error, sizeof(error)) != HT_OK ||
        ht_token_keys_load(o->key, &l.keys, error, sizeof(error)) != HT_OK) {
        accounts_free(l.accounts);
        return complain("cannot read", error);
    }
    status = make_hash("nobody has this password", l.nobody)
                 ? serve(&l, o)
                 : complain("passwords", ht_strerror(HT_ENOMEM));
    accounts_free(l.accounts);
    ht_token_keys_free(l.keys);
    return status;
}

static const struct argp_option table[] = {
    {"users", 'u', "FILE", 0, "the accounts", 0},
    {"add", 'a', "NAME", 0,
     "make an account, or give it another password, which is read from the "
     "input",
     0},
    {"claims", 'm', "LIST", 0, "of the account: guild=NAME, role=operator", 0},
    {"key", 'k', "FILE", 0, "the key that tokens are sealed with", 0},
    {"cookie", 'c', "FILE", 0, "the cluster's cookie", 0},
    {"connect", 'p', "HOST:PORT", 0, "a node of the cluster; up to 16", 0},
    {"name", 'n', "NAME", 0, "of the node (chat-login)", 0},
    {"life", 'l', "SECONDS", 0, "of a token (43200)", 0},
    {"sign-up", 's', NULL, 0,
     "whoever comes with a new name gets an account of it", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    char *end = NULL;

    switch (key) {
    case 'u':
        o->users = arg;
        break;
    case 'a':
        o->add = arg;
        break;
    case 'm':
        o->claims = arg;
        break;
    case 'k':
        o->key = arg;
        break;
    case 'c':
        o->cookie = arg;
        break;
    case 'n':
        o->name = arg;
        break;
    case 's':
        o->sign_up = true;
        break;
    case 'p':
        if (o->peers_count == CONNECT_MAX) {
            argp_error(state, "more than %d nodes to connect to", CONNECT_MAX);
        }
        o->peers[o->peers_count++].address = arg;
        break;
    case 'l':
        o->life_s = strtoul(arg, &end, 10);
        if (arg[0] < '1' || arg[0] > '9' || *end != '\0' ||
            o->life_s > 366UL * 86400) {
            argp_error(state, "life: 1 to %lu seconds", 366UL * 86400);
        }
        break;
    case ARGP_KEY_END:
        if (o->users == NULL ||
            (o->add == NULL && (o->key == NULL || o->cookie == NULL))) {
            argp_error(state, "--users and --add, or --users, --key and "
                              "--cookie, are needed");
        }
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct options o = {
        .name = "chat-login", .claims = "", .life_s = LIFE_S_DEFAULT};
    const struct argp argp = {
        table, parse,
        NULL,  "The login of the chat: a password for a token of the gateways.",
        NULL,  NULL,
        NULL};

    if (sodium_init() < 0) {
        return complain("libsodium", "it does not start");
    }
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    return o.add != NULL ? add_account(&o) : run(&o);
}
