/* SPDX-License-Identifier: Apache-2.0 */
/* The public headers in a C++17 program: a node, an actor, a call, a cast, a
 * group.  It prints what failed and exits with 1. */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <hardtack.h>
#include <hardtack/plugin.h>

namespace
{

#define CHECK(condition)                                                       \
    do {                                                                       \
        if (!(condition)) {                                                    \
            std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__,            \
                         #condition);                                          \
            std::exit(1);                                                      \
        }                                                                      \
    } while (0)

#define CHECK_OK(call)                                                         \
    do {                                                                       \
        ht_err err_ = (call);                                                  \
        if (err_ != HT_OK) {                                                   \
            std::fprintf(stderr, "%s:%d: %s: %s %s\n", __FILE__, __LINE__,     \
                         #call, ht_errname(err_), ht_start_error());           \
            std::exit(1);                                                      \
        }                                                                      \
    } while (0)

class Greeter
{
  public:
    ht_err handle(ht_actor *self, const ht_msg *msg, ht_call call)
    {
        ht_bytes args = ht_msg_args(msg);
        std::string name(static_cast<const char *>(args.data), args.len);

        if (std::strcmp(ht_msg_variant(msg), "Remember") == 0) {
            last = name;
            return HT_OK;
        }
        if (std::strcmp(ht_msg_variant(msg), "Recall") == 0) {
            name = last;
        }
        std::string text = "hello " + name;
        return ht_reply_ok(self, call, text.data(), text.size());
    }

  private:
    std::string last;
};

ht_err on_message(ht_actor *self, const ht_msg *msg, ht_call call)
{
    return static_cast<Greeter *>(ht_state(self))->handle(self, msg, call);
}

ht_err on_init(ht_actor *self, void *)
{
    ht_set_state(self, new Greeter);
    return HT_OK;
}

void on_terminate(ht_actor *self, const ht_exit *)
{
    delete static_cast<Greeter *>(ht_state(self));
}

std::string
call(ht_node *node, ht_ref to, const char *variant, const std::string &args)
{
    ht_reply reply{};

    CHECK_OK(
        ht_call_wait(node, to, variant, args.data(), args.size(), 0, &reply));
    std::string text(static_cast<const char *>(reply.data), reply.len);
    ht_reply_fini(&reply);
    return text;
}

} // namespace

int main()
{
    ht_config config{};
    config.name = "cxx";
    config.hostname = "localhost";
    config.cookie = "a cookie of a test, which is long enough to be taken";
    config.weak_cookie = true;
    config.fast_kdf = true;
    config.threads = 2;

    ht_node *node = nullptr;
    CHECK_OK(ht_node_start(&config, &node));
    CHECK(std::string(ht_node_name(node)) == "cxx@localhost");

    ht_behavior behavior{};
    behavior.init = on_init;
    behavior.handle = on_message;
    behavior.terminate = on_terminate;
    ht_spawn_opts opts{};
    opts.name = "greeter";
    ht_ref greeter{};
    CHECK_OK(ht_spawn(node, &behavior, nullptr, &opts, &greeter));
    CHECK(ht_ref_equal(ht_whereis(node, "greeter"), greeter));
    CHECK(call(node, greeter, "Greet", "world") == "hello world");

    CHECK_OK(ht_group_join(node, "greeters", greeter));
    ht_ref picked{};
    CHECK_OK(ht_group_pick(node, nullptr, "greeters", true, &picked));
    CHECK_OK(ht_cast(node, picked, "Remember", "C++", 3));
    CHECK(call(node, picked, "Recall", "") == "hello C++");

    ht_reply reply{};
    CHECK(ht_call_wait(node, ht_ref{}, "Greet", nullptr, 0, 0, &reply) ==
          HT_ENOPROC);
    ht_reply_fini(&reply);
    ht_node_free(node);
    return 0;
}
