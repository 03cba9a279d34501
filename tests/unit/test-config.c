#include "check.h"

#include "configfile.h"

#include <stdlib.h>
#include <string.h>

#define UPSTREAM "upstream u { address = \"127.0.0.1:1\" tls = none }\n"
#define LISTENERS                                                                                                      \
    "listener l { address = { \"127.0.0.1:1\", \"[::1]:1\" } tls = none }\n"                                           \
    "listener m { address = \"unix:/s\" tls = none unix_mode = 0600 }\n"
#define STARTED "workers = 2\nuser = mail\n" LISTENERS UPSTREAM

static struct config *parse(const char *path, const char *text)
{
    struct config *config = configfile_parse(path, text, stderr);
    assert_non_null(config);
    return config;
}

TEST(a_config_lives_until_its_last_reference_ends)
{
    struct config *config = parse("x.conf", STARTED);
    assert_int_equal(config->references, 1);
    assert_ptr_equal(config_ref(config), config);
    assert_int_equal(config->references, 2);
    config_unref(config);
    assert_string_equal(config->user, "mail");
    config_unref(config);
    config_unref(NULL);
}

#define RESTART " has changed, which takes a restart\n"
#define OTHERS  "new.conf: there are other listeners than at start, or in another order, which takes a restart\n"

static const struct {
    const char *name, *text;
    bool can_follow;
    const char *messages;
} followers[] = {
    { "the same", STARTED, true, "" },
    { "the same in other words",
      "user = \"mail\" workers = 02\n"
      "listener l { address = { \"127.0.0.1:01\", \"[0:0::1]:1\" } tls = none unix_mode = \"600\" }\n"
      "listener m { address = \"unix:/s\" tls = none unix_mode = 600 }\n" UPSTREAM,
      true, "" },
    { "all that a reload takes",
      "workers = 2\nuser = mail\nepoch = 7\nlog_level = debug\nlanguages = off\nmax_clients = 9\npark { max = 3 }\n"
      "listener l { address = { \"127.0.0.1:1\", \"[::1]:1\" } tls = none compress = true upstream = w }\n"
      "listener m { address = \"unix:/s\" tls = none upstream = v auth_mechanisms = PLAIN }\n"
      "upstream v { address = \"127.0.0.1:2\" tls = none }\n"
      "upstream w { address = \"127.0.0.1:2\" tls = none }\n",
      true, "" },
    { "another user", "workers = 2\nuser = nobody\n" LISTENERS UPSTREAM, true, "new.conf: warning: user" RESTART },
    { "a group, and no user", "workers = 2\ngroup = mail\n" LISTENERS UPSTREAM, true,
      "new.conf: warning: user" RESTART "new.conf: warning: group" RESTART },
    { "another mode",
      "workers = 2\nuser = mail\nlistener l { address = { \"127.0.0.1:1\", \"[::1]:1\" } tls = none }\n"
      "listener m { address = \"unix:/s\" tls = none unix_mode = 0660 }\n" UPSTREAM,
      true, "new.conf:4: warning: listener \"m\": unix_mode" RESTART },
    { "as many workers as there are CPUs", "user = mail\n" LISTENERS UPSTREAM, false, "new.conf: workers" RESTART },
    { "another address",
      "workers = 2\nuser = mail\nlistener l { address = { \"127.0.0.1:1\", \"[::1]:2\" } tls = none }\n"
      "listener m { address = \"unix:/s\" tls = none }\n" UPSTREAM,
      false, "new.conf:3: listener \"l\": address" RESTART },
    { "one address less",
      "workers = 2\nuser = mail\nlistener l { address = { \"127.0.0.1:1\" } tls = none }\n"
      "listener m { address = \"unix:/s\" tls = none }\n" UPSTREAM,
      false, "new.conf:3: listener \"l\": address" RESTART },
    { "another listener", STARTED "listener n { address = \"127.0.0.1:3\" tls = none }\n", false, OTHERS },
    { "a listener less", "workers = 2\nuser = mail\nlistener m { address = \"unix:/s\" tls = none }\n" UPSTREAM, false,
      OTHERS },
    { "listeners in another order",
      "workers = 2\nuser = mail\nlistener m { address = \"unix:/s\" tls = none }\n"
      "listener l { address = { \"127.0.0.1:1\", \"[::1]:1\" } tls = none }\n" UPSTREAM,
      false, OTHERS },
    { "all at once", "workers = 3\nuser = nobody\nlistener m { address = \"unix:/t\" tls = none }\n" UPSTREAM, false,
      "new.conf: workers" RESTART "new.conf: warning: user" RESTART OTHERS },
};

TEST(what_a_reload_cannot_bring_is_named)
{
    struct config *started = parse("old.conf", STARTED);
    for (size_t i = 0; i < ARRAY_LEN(followers); i++) {
        char *messages = NULL;
        size_t len = 0;
        FILE *out = open_memstream(&messages, &len);
        struct config *config = parse("new.conf", followers[i].text);
        CHECK_ROW(followers[i].name, config_can_follow(config, started, out) == followers[i].can_follow);
        fclose(out);
        if (strcmp(messages, followers[i].messages) != 0)
            fail_msg("row \"%s\": got\n%swant\n%s", followers[i].name, messages, followers[i].messages);
        free(messages);
        config_unref(config);
    }
    config_unref(started);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_config_lives_until_its_last_reference_ends),
        cmocka_unit_test(what_a_reload_cannot_bring_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
