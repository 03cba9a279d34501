#include "check.h"

#include "asking.h"
#include "outage.h"

static const struct {
    const char *line, *said; /* a part of it */
} rows[] = {
    { "", "{\"error\":\"a line must be a JSON array of words" },
    { "[\"nix\"]", "{\"error\":\"there is no command \\\"nix\\\"\",\"kind\":\"usage\"}" },
    { "[\"show\"]", "{\"error\":\"there is no command \\\"show\\\"\",\"kind\":\"usage\"}" },
    { "[\"show\",\"nix\"]", "{\"error\":\"there is no command \\\"show nix\\\"\",\"kind\":\"usage\"}" },
    { "[\"show\",\"keys\",\"x\"]", "{\"error\":\"usage: show keys \",\"kind\":\"usage\"}" },
    { "[\"show\",\"keys\",\"--user=ann\"]", "{\"error\":\"usage: show keys \",\"kind\":\"usage\"}" },
    { "[\"show\",\"listeners\",\"--user=ann\"]", "usage: show listeners [--upstream NAME]" },
    { "[\"show\",\"clients\",\"--all\"]", "usage: show clients [--user USER]" },
    { "[\"reload\",\"now\"]", "usage: reload" },
    { "[\"upstream\",\"main\"]", "usage: upstream NAME[:MEMBER] up|down|drain" },
    { "[\"upstream\",\"main\",\"sideways\"]",
      "an upstream can be \\\"up\\\", \\\"down\\\" or \\\"drain\\\"\",\"kind\":\"usage\"" },
    { "[\"upstream\",\"nix\",\"up\"]", "there is no upstream of this name\",\"kind\":\"failed\"" },
    { "[\"drain\",\"nix\"]", "there is no listener of this name\",\"kind\":\"failed\"" },
    { "[\"resume\",\"nix\"]", "there is no listener of this name\",\"kind\":\"failed\"" },
    { "[\"log\"]", "usage: log error|warning|info|debug [USER]" },
    { "[\"log\",\"loud\"]", "a level is \\\"error\\\"" },
    { "[\"log\",\"info\",\"ann\"]", "ann is logged as all are already\",\"kind\":\"failed\"" },
    { "[\"log\",\"debug\",\"a\\\\b\"]", "cannot be added" },
    { "[\"show\",\"config\",\"x\"]", "usage: show config" },
    { "[\"reload\"]", "this daemon cannot do that\",\"kind\":\"failed\"" },
    { "[\"upgrade\"]", "this daemon cannot do that\",\"kind\":\"failed\"" },
    { "[\"drain\"]", "this daemon cannot do that\",\"kind\":\"failed\"" },
    { "[\"resume\",\"plain\"]", "this daemon cannot do that\",\"kind\":\"failed\"" },
};

TEST(what_cannot_be_done_is_answered_by_the_reason)
{
    struct asking asking;
    asking_begin(&asking, RIG_CONFIG);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_ROW(rows[i].line, strstr(ask_for(&asking, rows[i].line), rows[i].said));
    asking_end(&asking);
}

TEST(keys_are_shown_by_their_ids_alone)
{
    struct asking asking;
    asking_begin(&asking, RIG_CONFIG);
    struct imapstate_key key;
    char row[128];
    assert_true(imapstate_keyring_at(asking.one.rig.service->keyring, 0, &key));
    snprintf(row, sizeof row,
             "{\"row\":{\"id\":\"%08x\",\"seals_from\":\"1970-01-01T00:00:00Z\",\"now\":\"opens and seals\"}}\n"
             "{\"note\":",
             key.id);
    const char *said = ask_for(&asking, "[\"show\",\"keys\"]");
    assert_int_equal(strncmp(said, row, strlen(row)), 0);
    assert_non_null(strstr(said, "{\"done\":\"1 key\"}\n"));
    asking_end(&asking);
}

TEST(an_upstream_is_taken_down_and_up_again)
{
    struct asking asking;
    asking_begin(&asking, RIG_CONFIG);
    assert_non_null(strstr(ask_for(&asking, "[\"upstream\",\"main\",\"down\"]"), "{\"done\":"));
    assert_true(outage_is("main", NULL));
    rig_reload(&asking.one.rig, "listener \"plain\" { address = \"127.0.0.1:1143\" tls = \"none\" }\n"
                                "upstream \"other\" { address = \"127.0.0.1:143\" tls = \"none\" }\n");
    assert_non_null(
        strstr(ask_for(&asking, "[\"upstream\",\"main\",\"up\"]"), "{\"done\":")); /* it is gone, but was down */
    assert_false(outage_is("main", NULL));
    asking_end(&asking);
}

static char acted_on[32];

static void act(void *owner, struct reply *reply)
{
    strcpy(acted_on, "reload");
    reply_end(reply, REPLY_DONE, "done");
}

static void act_on_listener(void *owner, const char *listener, struct reply *reply)
{
    snprintf(acted_on, sizeof acted_on, "%s", listener ? listener : "all");
    reply_end(reply, REPLY_DONE, "done");
}

TEST(what_the_daemon_can_do_it_is_asked_for)
{
    struct asking asking;
    asking_begin(&asking, RIG_CONFIG);
    asking.actions.reload = asking.actions.upgrade = act;
    asking.actions.drain = asking.actions.resume = act_on_listener;
    static const struct {
        const char *line, *on;
    } lines[] = { { "[\"reload\"]", "reload" }, { "[\"drain\"]", "all" }, { "[\"resume\",\"plain\"]", "plain" } };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        *acted_on = '\0';
        CHECK_ROW(lines[i].line, strcmp(ask_for(&asking, lines[i].line), "{\"done\":\"done\"}\n") == 0);
        CHECK_ROW(lines[i].line, strcmp(acted_on, lines[i].on) == 0);
    }
    asking_end(&asking);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_done_is_answered_by_the_reason),
        cmocka_unit_test(keys_are_shown_by_their_ids_alone),
        cmocka_unit_test(an_upstream_is_taken_down_and_up_again),
        cmocka_unit_test(what_the_daemon_can_do_it_is_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
