/* SPDX-License-Identifier: Apache-2.0 */
/* Names, groups, who is told.  The peers are a recorder: what hti_remote_ops
 * hears becomes a line of text. */
#include <sched.h>

#include "actor/directory.h"
#include "actor/internal.h"
#include "base/mem.h"
#include "tests/lib/check.h"
#include "tests/lib/host.h"

#define PEER UINT64_C(77) /* handle of another node */

static char told[4096];  /* what peers were told, a line each */
static char heard[4096]; /* what watchers heard */

static void note(char *log, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void note(char *log, const char *format, ...)
{
    size_t at = strlen(log);
    va_list args;

    va_start(args, format);
    if (at + 64 < sizeof told) {
        vsnprintf(log + at, sizeof told - at, format, args);
    }
    va_end(args);
}

/* Pids as small numbers, in the order of the spawns. */
static ht_ref actors[8];
static size_t actors_count;

static unsigned long label(uint64_t pid)
{
    for (size_t i = 0; i < actors_count; i++) {
        if (actors[i].pid == pid) {
            return i + 1;
        }
    }
    return (unsigned long)pid;
}

/* ---- peers -----------------------------------------------------------------
 */

static void on_advertise(void *arg, uint64_t pid, const char *name)
{
    (void)arg;
    note(told, "advertise %lu '%s'\n", label(pid), name);
}

static void on_withdraw(void *arg, uint64_t pid)
{
    (void)arg;
    note(told, "withdraw %lu\n", label(pid));
}

static void on_joined(void *arg,
                      const char *scope,
                      const char *group,
                      const uint64_t *pids,
                      const char *const *names,
                      size_t count)
{
    (void)arg;
    note(told, "joined %s/%s", scope, group);
    for (size_t i = 0; i < count; i++) {
        note(told, " %lu '%s'", label(pids[i]), names[i]);
    }
    note(told, "\n");
}

static void on_left(void *arg,
                    const char *scope,
                    const char *group,
                    const uint64_t *pids,
                    const char *const *names,
                    size_t count)
{
    (void)arg;
    (void)names;
    note(told, "left %s/%s", scope, group);
    for (size_t i = 0; i < count; i++) {
        note(told, " %lu", label(pids[i]));
    }
    note(told, "\n");
}

static ht_err on_cast(void *arg, uint64_t node, const struct hti_view *view)
{
    (void)arg;
    note(told, "cast %lu/%lu %.*s\n", (unsigned long)node,
         (unsigned long)view->to, (int)view->variant.len,
         (const char *)view->variant.data);
    return HT_OK;
}

static const struct hti_remote_ops peers = {.advertise = on_advertise,
                                            .withdraw = on_withdraw,
                                            .joined = on_joined,
                                            .left = on_left,
                                            .cast = on_cast};

/* ---- actors ----------------------------------------------------------------
 */

static ht_err on_event(ht_actor *self, const ht_event *event)
{
    (void)self;
    if (event->kind != HT_EVENT_GROUP) {
        return HT_OK;
    }
    note(heard, "%s %s/%s", event->u.group.joined ? "join" : "leave",
         event->u.group.scope, event->u.group.group);
    for (size_t i = 0; i < event->u.group.count; i++) {
        note(heard, " %lu", label(event->u.group.refs[i].pid));
    }
    note(heard, "\n");
    return HT_OK;
}

/* "watch" and "unwatch" take scope NUL group NUL; "-" is every. */
static ht_err on_message(ht_actor *self, const ht_msg *msg, ht_call call)
{
    const char *variant = ht_msg_variant(msg);
    const char *scope = ht_msg_args(msg).data;
    const char *group;

    (void)call;
    if (strcmp(variant, "hello") == 0) {
        note(heard, "hello %lu\n", label(ht_self(self).pid));
        return HT_OK;
    }
    group = scope + strlen(scope) + 1;
    scope = strcmp(scope, "-") == 0 ? NULL : scope;
    group = strcmp(group, "-") == 0 ? NULL : group;
    if (strcmp(variant, "watch") == 0) {
        return ht_group_monitor(self, scope, group);
    }
    return ht_group_demonitor(self, scope, group);
}

static const ht_behavior plain = {.handle = on_message, .on_event = on_event};

static struct host host;
static ht_node *node;

static ht_ref spawn_opts(const ht_spawn_opts *opts)
{
    ht_ref ref;

    CHECK_OK(ht_spawn(node, &plain, NULL, opts, &ref));
    actors[actors_count++] = ref;
    return ref;
}

static ht_ref spawn(void)
{
    return spawn_opts(NULL);
}

static void
ask(ht_ref ref, const char *what, const char *scope, const char *group)
{
    char args[64];
    int n = snprintf(args, sizeof args, "%s%c%s", scope, 0, group);

    CHECK_OK(ht_cast(node, ref, what, args, (size_t)n + 1));
    host_run(&host);
}

static void end(ht_ref ref)
{
    CHECK_OK(ht_stop(node, ref, NULL));
    host_run(&host);
}

static void check_log(char *log, const char *want)
{
    assert_string_equal(log, want);
    log[0] = '\0';
}

static int setup(void **state)
{
    (void)state;
    told[0] = heard[0] = '\0';
    actors_count = 0;
    node = host_new(&host);
    hti_rt_set_remote(node, &peers, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    host_free(&host);
    return 0;
}

/* ---- names -----------------------------------------------------------------
 */

static void test_a_name_finds_its_actor_until_it_ends(void **state)
{
    ht_ref a = spawn();

    (void)state;
    CHECK_OK(ht_register(node, "a", a));
    CHECK(ht_ref_equal(ht_whereis(node, "a"), a));
    CHECK_ERR(ht_register(node, "a", spawn()), HT_EEXIST);
    end(a);
    CHECK(ht_ref_is_none(ht_whereis(node, "a")));
    CHECK_ERR(ht_register(node, "a", a), HT_ENOPROC);
    CHECK_OK(ht_register(node, "a", actors[1]));
}

static void test_a_name_can_be_given_up(void **state)
{
    ht_ref a = spawn();

    (void)state;
    CHECK_OK(ht_register(node, "a", a));
    CHECK_OK(ht_unregister(node, "a"));
    CHECK_ERR(ht_unregister(node, "a"), HT_ENOENT);
    CHECK(ht_ref_is_none(ht_whereis(node, "a")));
    CHECK_OK(ht_register(node, "b", a));
}

static void test_an_actor_may_have_two_names_and_shows_the_first(void **state)
{
    char buf[HTI_NAME_BYTES_MAX + 1];
    ht_ref a = spawn();

    (void)state;
    CHECK_OK(ht_register(node, "first", a));
    CHECK_OK(ht_register(node, "second", a));
    CHECK(ht_ref_equal(ht_whereis(node, "second"), a));
    check_log(told, "advertise 1 'first'\n");
    CHECK_OK(ht_unregister(node, "first"));
    CHECK_OK(ht_group_join(node, "g", a));
    check_log(told, "joined __default_scope__/g 1 'second'\n");
    assert_string_equal(hti_directory_name(node->directory, a.pid, buf),
                        "second");
}

static void test_names_that_cannot_be_are_refused(void **state)
{
    ht_ref a = spawn(), remote = {PEER, 5};
    char longest[HTI_NAME_BYTES_MAX + 2];

    (void)state;
    memset(longest, 'x', sizeof longest);
    longest[HTI_NAME_BYTES_MAX + 1] = '\0';
    CHECK_ERR(ht_register(node, longest, a), HT_EINVAL);
    longest[HTI_NAME_BYTES_MAX] = '\0';
    CHECK_OK(ht_register(node, longest, a));
    CHECK_ERR(ht_register(node, "", a), HT_EINVAL);
    CHECK_ERR(ht_register(node, NULL, a), HT_EINVAL);
    CHECK_ERR(ht_register(node, "\xff", a), HT_EINVAL);
    CHECK_ERR(ht_register(node, "x", remote), HT_EINVAL);
    CHECK_ERR(ht_group_join(node, "\xff", a), HT_EINVAL);
    CHECK_ERR(ht_group_join(node, "g", remote), HT_EINVAL);
    CHECK_ERR(ht_group_leave(node, "g", remote), HT_EINVAL);
}

static void test_a_private_name_is_the_owners_alone(void **state)
{
    char buf[HTI_NAME_BYTES_MAX + 1];
    struct hti_directory *dir = node->directory;
    ht_ref a = spawn(), b = spawn();

    (void)state;
    CHECK_OK(hti_directory_register_child(dir, a.pid, "kid", b.pid));
    CHECK(hti_directory_find_child(dir, a.pid, "kid") == b.pid);
    CHECK(hti_directory_find_child(dir, b.pid, "kid") == 0);
    CHECK(ht_ref_is_none(ht_whereis(node, "kid")));
    assert_string_equal(hti_directory_name(dir, b.pid, buf), "");
    CHECK(hti_directory_find(dir, "\0kid", 4) == 0);
    check_log(told, "");
    end(b);
    CHECK(hti_directory_find_child(dir, a.pid, "kid") == 0);
}

/* ---- what peers are told ----------------------------------------------------
 */

static void test_an_actor_is_advertised_once_before_it_joins(void **state)
{
    ht_ref a = spawn();

    (void)state;
    CHECK_OK(ht_group_join(node, "g", a));
    CHECK_OK(ht_group_join(node, "g", a));
    CHECK_OK(ht_register(node, "name", a));
    CHECK_OK(ht_group_join_scoped(node, "s", "h", a));
    CHECK_OK(ht_group_leave(node, "g", a));
    CHECK_ERR(ht_group_leave(node, "g", a), HT_ENOENT);
    check_log(told, "advertise 1 ''\n"
                    "joined __default_scope__/g 1 ''\n"
                    "joined s/h 1 'name'\n"
                    "left __default_scope__/g 1\n");
}

static void test_a_dead_actor_is_withdrawn_and_nothing_more(void **state)
{
    ht_ref a = spawn();

    (void)state;
    CHECK_OK(ht_group_join(node, "g", a));
    CHECK_OK(ht_group_join(node, "h", a));
    told[0] = '\0';
    end(a);
    check_log(told, "withdraw 1\n");
    CHECK(ht_group_members(node, NULL, "g", NULL, 0) == 0);
    CHECK_ERR(ht_group_join(node, "g", a), HT_ENOPROC);
}

static void test_an_actor_that_left_everything_stays_advertised(void **state)
{
    ht_ref a = spawn();

    (void)state;
    CHECK_OK(ht_group_join(node, "g", a));
    CHECK_OK(ht_group_leave(node, "g", a));
    told[0] = '\0';
    CHECK_OK(ht_group_join(node, "g", a));
    check_log(told, "joined __default_scope__/g 1 ''\n");
    CHECK_OK(ht_group_leave(node, "g", a));
    told[0] = '\0';
    end(a);
    check_log(told, "withdraw 1\n");
}

static void test_local_only_and_unlisted_actors_are_never_told(void **state)
{
    const ht_spawn_opts local = {.local_only = true, .name = "local"};
    const ht_spawn_opts hidden = {.name = "hidden"};
    ht_ref a = spawn_opts(&local), b;

    (void)state;
    CHECK_OK(hti_rt_spawn_unlisted(node, &plain, NULL, &hidden, &b));
    CHECK_OK(ht_group_join(node, "g", a));
    CHECK_OK(ht_group_join(node, "g", b));
    CHECK(ht_group_members(node, NULL, "g", NULL, 0) == 2);
    CHECK(ht_ref_equal(ht_whereis(node, "hidden"), b));
    CHECK_OK(ht_group_leave(node, "g", a));
    end(a);
    end(b);
    check_log(told, "");
}

static void snap_actor(void *arg, uint64_t pid, const char *name)
{
    (void)arg;
    note(heard, "actor %lu '%s'\n", label(pid), name);
}

static void snap_group(void *arg,
                       const char *scope,
                       const char *group,
                       const uint64_t *pids,
                       const char *const *names,
                       size_t count)
{
    (void)arg;
    note(heard, "group %s/%s", scope, group);
    for (size_t i = 0; i < count; i++) {
        note(heard, " %lu '%s'", label(pids[i]), names[i]);
    }
    note(heard, "\n");
}

static void snap_done(void *arg)
{
    (void)arg;
    note(heard, "done\n");
}

static void test_a_snapshot_holds_what_is_advertised(void **state)
{
    static const struct hti_snapshot_ops ops = {snap_actor, snap_group,
                                                snap_done};
    const ht_spawn_opts local = {.local_only = true};
    ht_ref a = spawn(), b = spawn(), c = spawn_opts(&local);
    ht_ref remote = {PEER, 500};

    (void)state;
    spawn();
    CHECK_OK(ht_register(node, "a", a));
    CHECK_OK(ht_group_join(node, "g", b));
    CHECK_OK(ht_group_join(node, "g", c));
    CHECK_OK(ht_group_join(node, "only-local", c));
    CHECK_OK(hti_rt_group_join_remote(node, "s", "g", &remote, 1));
    hti_rt_snapshot(node, &ops, NULL);
    check_log(heard, "actor 1 'a'\n"
                     "actor 2 ''\n"
                     "group __default_scope__/g 2 ''\n"
                     "done\n");
}

/* ---- members ----------------------------------------------------------------
 */

static void test_members_of_other_nodes_come_and_go(void **state)
{
    const ht_ref remote[] = {{PEER, 501}, {PEER, 502}, {PEER + 1, 501}};
    ht_ref a = spawn(), got[8];

    (void)state;
    CHECK_OK(hti_rt_group_join_remote(node, "s", "g", remote, 3));
    CHECK_OK(hti_rt_group_join_remote(node, "s", "g", remote, 2));
    CHECK_OK(ht_group_join_scoped(node, "s", "g", a));
    assert_int_equal(ht_group_members(node, "s", "g", got, 8), 4);
    CHECK(ht_ref_equal(got[0], a));
    assert_int_equal(ht_group_local_members(node, "s", "g", got, 8), 1);
    assert_int_equal(ht_group_members(node, "s", "g", got, 1), 4);
    assert_int_equal(ht_group_members(node, NULL, "g", got, 8), 0);
    hti_rt_group_leave_remote(node, "s", "g", remote, 1);
    hti_rt_group_leave_remote(node, "s", "g", remote, 1);
    hti_rt_group_leave_remote(node, "s", "g", &a, 1);
    assert_int_equal(ht_group_members(node, "s", "g", got, 8), 3);
    hti_rt_group_leave_all(node, remote[2]);
    hti_rt_group_leave_all(node, a);
    assert_int_equal(ht_group_members(node, "s", "g", got, 8), 2);
    check_log(told, "advertise 1 ''\njoined s/g 1 ''\n");
}

static void test_a_node_takes_its_members_with_it(void **state)
{
    const ht_ref remote[] = {{PEER, 501}, {PEER, 502}, {PEER + 1, 501}};
    ht_ref watcher = spawn(), got[8];

    (void)state;
    CHECK_OK(hti_rt_group_join_remote(node, "s", "g", remote, 3));
    CHECK_OK(hti_rt_group_join_remote(node, "s", "h", remote, 1));
    ask(watcher, "watch", "-", "-");
    hti_directory_node_down(node->directory, PEER);
    hti_directory_node_down(node->directory, PEER);
    host_run(&host);
    assert_int_equal(ht_group_members(node, "s", "g", got, 8), 1);
    assert_int_equal(ht_group_members(node, "s", "h", got, 8), 0);
    /* One event a group. */
    CHECK(strstr(heard, "leave s/h 501\n") != NULL);
    CHECK(strstr(heard, "leave s/g 501 502\n") != NULL ||
          strstr(heard, "leave s/g 502 501\n") != NULL);
    assert_int_equal(strlen(heard),
                     strlen("leave s/h 501\nleave s/g 501 502\n"));
}

/* Places in the arrays are reused; every order must leave the rest whole. */
static void test_leaving_in_any_order_keeps_the_others(void **state)
{
    static const unsigned orders[][4] = {
        {0, 1, 2, 3}, {3, 2, 1, 0}, {1, 3, 0, 2}, {2, 0, 3, 1}};

    (void)state;
    for (size_t o = 0; o < 4; o++) {
        ht_ref all[4] = {spawn(), {PEER, 501}, {0, 0}, {PEER, 502}}, got[4];

        all[2] = spawn();
        actors_count = 0;
        CHECK_OK(ht_group_join(node, "g", all[0]));
        CHECK_OK(
            hti_rt_group_join_remote(node, HT_SCOPE_DEFAULT, "g", &all[1], 1));
        CHECK_OK(ht_group_join(node, "g", all[2]));
        CHECK_OK(
            hti_rt_group_join_remote(node, HT_SCOPE_DEFAULT, "g", &all[3], 1));
        for (size_t i = 0; i < 4; i++) {
            ht_ref leaver = all[orders[o][i]];
            size_t count, local = 0;

            if (leaver.node == PEER) {
                hti_rt_group_leave_all(node, leaver);
            } else {
                CHECK_OK(ht_group_leave(node, "g", leaver));
            }
            count = ht_group_members(node, NULL, "g", got, 4);
            assert_int_equal(count, 3 - i);
            for (size_t k = 0; k < count; k++) {
                CHECK(!ht_ref_equal(got[k], leaver));
                local += got[k].node != PEER;
                CHECK((got[k].node == PEER) == (k >= local));
            }
            assert_int_equal(ht_group_local_members(node, NULL, "g", NULL, 0),
                             local);
        }
    }
}

/* With no member of another node behind them. */
static void test_own_members_leave_in_any_order(void **state)
{
    static const unsigned orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 0, 2},
                                         {0, 2, 1}, {1, 2, 0}, {2, 0, 1}};
    ht_ref all[3] = {spawn(), spawn(), spawn()}, got[3];

    (void)state;
    for (size_t o = 0; o < 6; o++) {
        for (size_t i = 0; i < 3; i++) {
            CHECK_OK(ht_group_join(node, "g", all[i]));
        }
        for (size_t i = 0; i < 3; i++) {
            CHECK_OK(ht_group_leave(node, "g", all[orders[o][i]]));
            assert_int_equal(ht_group_members(node, NULL, "g", got, 3), 2 - i);
            assert_int_equal(ht_group_local_members(node, NULL, "g", NULL, 0),
                             2 - i);
            for (size_t k = 0; k < 2 - i; k++) {
                CHECK(!ht_ref_equal(got[k], all[orders[o][i]]));
            }
        }
    }
}

static void test_picking_goes_round_and_prefers_local(void **state)
{
    const ht_ref remote[] = {{PEER, 501}, {PEER, 502}};
    ht_ref a = spawn(), got;
    unsigned seen[2] = {0, 0};

    (void)state;
    CHECK_ERR(ht_group_pick(node, NULL, "g", true, &got), HT_ENOENT);
    CHECK_OK(hti_rt_group_join_remote(node, HT_SCOPE_DEFAULT, "g", remote, 2));
    for (unsigned i = 0; i < 10; i++) {
        CHECK_OK(ht_group_pick(node, NULL, "g", true, &got));
        seen[got.pid - 501]++;
    }
    CHECK(seen[0] == 5 && seen[1] == 5);
    CHECK_OK(ht_group_join(node, "g", a));
    CHECK_OK(ht_group_pick(node, NULL, "g", true, &got));
    CHECK(ht_ref_equal(got, a));
    CHECK_OK(ht_group_pick(node, NULL, "g", true, &got));
    CHECK(ht_ref_equal(got, a));
}

static void test_a_group_cast_reaches_every_member(void **state)
{
    const ht_ref remote = {PEER, 501};

    (void)state;
    CHECK_OK(ht_group_join(node, "g", spawn()));
    CHECK_OK(ht_group_join(node, "g", spawn()));
    CHECK_OK(hti_rt_group_join_remote(node, HT_SCOPE_DEFAULT, "g", &remote, 1));
    told[0] = '\0';
    assert_int_equal(ht_group_cast(node, NULL, "g", "hello", NULL, 0), 3);
    host_run(&host);
    check_log(heard, "hello 1\nhello 2\n");
    check_log(told, "cast 77/501 hello\n");
    assert_int_equal(ht_group_cast(node, NULL, "none", "hello", NULL, 0), 0);
}

static void test_a_cast_to_a_large_group_reaches_all(void **state)
{
    enum { MANY = 300 };
    ht_ref remote[MANY];

    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        remote[i] = (ht_ref){PEER, 1000 + i};
    }
    CHECK_OK(
        hti_rt_group_join_remote(node, HT_SCOPE_DEFAULT, "g", remote, MANY));
    assert_int_equal(ht_group_cast(node, NULL, "g", "x", NULL, 0), MANY);
}

static void on_group(const char *scope,
                     const char *group,
                     const ht_ref *refs,
                     size_t count,
                     void *arg)
{
    (void)refs;
    (void)arg;
    note(heard, "%s/%s %lu\n", scope, group, (unsigned long)count);
}

static void test_every_group_can_be_seen(void **state)
{
    ht_ref a = spawn(), b = spawn();

    (void)state;
    CHECK_OK(ht_group_join(node, "g", a));
    CHECK_OK(ht_group_join(node, "g", b));
    CHECK_OK(ht_group_join_scoped(node, "s", "", a));
    CHECK_OK(ht_group_join(node, "gone", a));
    CHECK_OK(ht_group_leave(node, "gone", a));
    ht_group_each(node, on_group, NULL);
    check_log(heard, "__default_scope__/g 2\ns/ 1\n");
}

/* ---- watchers
 * ---------------------------------------------------------------- */

static void test_watchers_hear_of_their_groups_only(void **state)
{
    ht_ref watcher = spawn(), a = spawn();

    (void)state;
    ask(watcher, "watch", "s", "g");
    CHECK_OK(ht_group_join_scoped(node, "s", "g", a));
    CHECK_OK(ht_group_join_scoped(node, "s", "g", a));
    CHECK_OK(ht_group_join_scoped(node, "s", "h", a));
    CHECK_OK(ht_group_join_scoped(node, "t", "g", a));
    CHECK_OK(ht_group_leave_scoped(node, "s", "g", a));
    host_run(&host);
    check_log(heard, "join s/g 2\nleave s/g 2\n");
    ask(watcher, "unwatch", "s", "g");
    CHECK_OK(ht_group_join_scoped(node, "s", "g", a));
    host_run(&host);
    check_log(heard, "");
}

static void test_every_scope_and_every_group_can_be_watched(void **state)
{
    ht_ref scope = spawn(), group = spawn(), world = spawn(), a = spawn();

    (void)state;
    ask(scope, "watch", "s", "-");
    CHECK_OK(ht_group_join_scoped(node, "s", "g", a));
    CHECK_OK(ht_group_join_scoped(node, "t", "g", a));
    host_run(&host);
    check_log(heard, "join s/g 4\n");
    ask(scope, "unwatch", "s", "-");
    ask(group, "watch", "__world_scope__", "g");
    CHECK_OK(ht_group_leave_scoped(node, "t", "g", a));
    CHECK_OK(ht_group_join_scoped(node, "t", "h", a));
    host_run(&host);
    check_log(heard, "leave t/g 4\n");
    ask(group, "unwatch", "-", "g");
    ask(world, "watch", "__world_scope__", "__world_group_");
    end(a);
    CHECK(strstr(heard, "leave s/g 4\n") != NULL);
    CHECK(strstr(heard, "leave t/h 4\n") != NULL);
}

/* However many of its patterns match, and how often it asked. */
static void test_a_watcher_hears_of_a_change_once(void **state)
{
    ht_ref watcher = spawn(), a = spawn();

    (void)state;
    ask(watcher, "watch", "s", "g");
    ask(watcher, "watch", "s", "g");
    ask(watcher, "watch", "s", "-");
    ask(watcher, "watch", "-", "-");
    CHECK_OK(ht_group_join_scoped(node, "s", "g", a));
    host_run(&host);
    check_log(heard, "join s/g 2\n");
}

static void test_a_watcher_that_ends_is_forgotten(void **state)
{
    ht_ref watcher = spawn(), a = spawn();

    (void)state;
    ask(watcher, "watch", "s", "g");
    /* The event is on its way when it ends. */
    CHECK_OK(ht_group_join_scoped(node, "s", "g", a));
    CHECK_OK(ht_kill(node, watcher));
    host_run(&host);
    CHECK_OK(ht_group_leave_scoped(node, "s", "g", a));
    host_run(&host);
    check_log(heard, "");
}

/* ---- memory
 * ------------------------------------------------------------------ */

static void test_events_without_memory_are_lost_not_wrong(void **state)
{
    ht_ref watcher = spawn(), a = spawn();

    (void)state;
    ask(watcher, "watch", "s", "g");
    for (long n = 1; n <= 2; n++) {
        hti_alloc_fail_after(n);
        CHECK_OK(ht_group_join_scoped(node, "s", "g", a));
        hti_alloc_fail_after(0);
        CHECK_OK(ht_group_leave_scoped(node, "s", "g", a));
        host_run(&host);
        check_log(heard, "leave s/g 2\n");
    }
}

/* Who is moved into the hole that a leaver makes must be found again. */
static void
test_the_last_of_a_local_group_can_leave_after_the_first(void **state)
{
    ht_ref refs[3], got[3];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        refs[i] = spawn();
        CHECK_OK(ht_group_join(node, "g", refs[i]));
    }
    CHECK_OK(ht_group_leave(node, "g", refs[0]));
    CHECK_OK(ht_group_leave(node, "g", refs[2]));
    CHECK(ht_group_members(node, NULL, "g", got, 3) == 1);
    CHECK(ht_ref_equal(got[0], refs[1]));
}

static uint64_t dropped_by(ht_ref ref)
{
    return atomic_load(&hti_slot_of(node, ref.pid)->dropped);
}

static void test_a_watcher_that_does_not_keep_up_loses_events(void **state)
{
    ht_ref watcher = spawn(), a = spawn();

    (void)state;
    ask(watcher, "watch", "s", "g");
    for (unsigned i = 0; i < HTI_GROUP_EVENTS_MAX / 2; i++) {
        CHECK_OK(ht_group_join_scoped(node, "s", "g", a));
        CHECK_OK(ht_group_leave_scoped(node, "s", "g", a));
    }
    CHECK(dropped_by(watcher) == 0);
    CHECK_OK(ht_group_join_scoped(node, "s", "g", a));
    CHECK(dropped_by(watcher) == 1);
    host_run(&host);
    heard[0] = '\0';
    CHECK_OK(ht_group_leave_scoped(node, "s", "g", a));
    host_run(&host);
    check_log(heard, "leave s/g 2\n");
}

/* ---- threads
 * ------------------------------------------------------------------ */

#define CROWD_THREADS 3
#define CROWD_ROUNDS  300

static ht_err crowd_event(ht_actor *self, const ht_event *event)
{
    (void)self;
    CHECK(event->kind == HT_EVENT_GROUP && event->u.group.count == 1);
    return HT_OK;
}

static ht_err crowd_init(ht_actor *self, void *arg)
{
    (void)arg;
    return ht_group_monitor(self, NULL, NULL);
}

static const ht_behavior crowd_watcher = {.init = crowd_init,
                                          .on_event = crowd_event};

/* Actors come, join, are found and end, while others do the same. */
static void *crowd(void *arg)
{
    const char *name = arg;

    for (unsigned i = 0; i < CROWD_ROUNDS; i++) {
        const ht_spawn_opts opts = {.name = name};
        ht_ref ref, got;

        if (ht_spawn(node, &crowd_watcher, NULL, &opts, &ref) != HT_OK ||
            ht_group_join(node, "crowd", ref) != HT_OK ||
            !ht_ref_equal(ht_whereis(node, name), ref) ||
            ht_group_pick(node, NULL, "crowd", false, &got) != HT_OK) {
            abort();
        }
        (void)ht_group_cast(node, NULL, "crowd", "x", NULL, 0);
        if (i % 2 == 0) {
            (void)ht_group_leave(node, "crowd", ref);
        }
        (void)ht_kill(node, ref);
        while (!ht_ref_is_none(ht_whereis(node, name))) {
            sched_yield();
        }
    }
    return NULL;
}

static void test_many_threads_share_the_directory(void **state)
{
    static char names[CROWD_THREADS][8];
    struct host_threads threads;
    pthread_t crowds[CROWD_THREADS];

    (void)state;
    node = host_threads_new(&threads, 2);
    for (unsigned i = 0; i < CROWD_THREADS; i++) {
        snprintf(names[i], sizeof names[i], "n%u", i);
        CHECK(pthread_create(&crowds[i], NULL, crowd, names[i]) == 0);
    }
    for (unsigned i = 0; i < CROWD_THREADS; i++) {
        pthread_join(crowds[i], NULL);
    }
    assert_int_equal(ht_group_members(node, NULL, "crowd", NULL, 0), 0);
    host_threads_free(&threads);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

CHECK_MAIN(TEST(test_a_name_finds_its_actor_until_it_ends),
           TEST(test_a_name_can_be_given_up),
           TEST(test_an_actor_may_have_two_names_and_shows_the_first),
           TEST(test_names_that_cannot_be_are_refused),
           TEST(test_a_private_name_is_the_owners_alone),
           TEST(test_an_actor_is_advertised_once_before_it_joins),
           TEST(test_a_dead_actor_is_withdrawn_and_nothing_more),
           TEST(test_an_actor_that_left_everything_stays_advertised),
           TEST(test_local_only_and_unlisted_actors_are_never_told),
           TEST(test_a_snapshot_holds_what_is_advertised),
           TEST(test_members_of_other_nodes_come_and_go),
           TEST(test_a_node_takes_its_members_with_it),
           TEST(test_leaving_in_any_order_keeps_the_others),
           TEST(test_the_last_of_a_local_group_can_leave_after_the_first),
           TEST(test_own_members_leave_in_any_order),
           TEST(test_picking_goes_round_and_prefers_local),
           TEST(test_a_group_cast_reaches_every_member),
           TEST(test_a_cast_to_a_large_group_reaches_all),
           TEST(test_every_group_can_be_seen),
           TEST(test_watchers_hear_of_their_groups_only),
           TEST(test_every_scope_and_every_group_can_be_watched),
           TEST(test_a_watcher_hears_of_a_change_once),
           TEST(test_a_watcher_that_ends_is_forgotten),
           TEST(test_a_watcher_that_does_not_keep_up_loses_events),
           cmocka_unit_test(test_many_threads_share_the_directory),
           TEST(test_events_without_memory_are_lost_not_wrong))
