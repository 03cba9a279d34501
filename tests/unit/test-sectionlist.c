#include "check.h"

#include "asking.h"
#include "outage.h"

#define LIST "IMAP4rev1 AUTH=PLAIN"
#define TWO                                                                                                            \
    RIG_CONFIG                                                                                                         \
        "listener \"more\" { address = { \"[::1]:993\", \"unix:/run/x\" } tls = \"none\" upstream = \"six\" }\n"       \
        "upstream \"six\" { address = \"[2001:db8::7]:993\" max_sessions = 50 max_logins = 7 }\n"

TEST(each_upstream_has_a_row)
{
    struct asking asking;
    asking_begin(&asking, TWO);
    struct rig *rig = &asking.one.rig;
    assert_non_null(rig_log_in(rig, rig_greet(rig, LIST), "ann", LIST));
    assert_true(outage_begin("six", NULL, OUTAGE_DOWN));
    assert_string_equal(
        ask_for(&asking, "[\"show\",\"upstreams\"]"),
        "{\"row\":{\"name\":\"main\",\"address\":\"127.0.0.1:143\",\"tls\":\"none\",\"state\":\"up\",\"waiting\":0,"
        "\"connecting\":0,\"connected\":1,\"settling\":0,\"parked\":0,\"max_sessions\":null,\"max_logins\":null}}\n"
        "{\"row\":{\"name\":\"six\",\"address\":\"[2001:db8::7]:993\",\"tls\":\"implicit\",\"state\":\"down\","
        "\"waiting\":0,\"connecting\":0,\"connected\":0,\"settling\":0,\"parked\":0,\"max_sessions\":50,"
        "\"max_logins\":7}}\n"
        "{\"done\":\"2 upstreams\"}\n");
    outage_done();
    assert_null(strstr(ask_for(&asking, "[\"show\",\"upstreams\",\"--upstream=main\"]"), "six"));
    asking_end(&asking);
}

TEST(each_listener_has_a_row)
{
    struct asking asking;
    asking_begin(&asking, TWO);
    struct rig *rig = &asking.one.rig;
    assert_non_null(rig_log_in(rig, rig_greet(rig, LIST), "ann", LIST));
    rig_greet(rig, LIST);
    assert_string_equal(
        ask_for(&asking, "[\"show\",\"listeners\"]"),
        "{\"row\":{\"name\":\"plain\",\"addresses\":[\"127.0.0.1:1143\"],\"tls\":\"none\",\"state\":\"open\","
        "\"upstream\":\"main\",\"before_login\":1,\"sessions\":1,\"closing\":0}}\n"
        "{\"row\":{\"name\":\"more\",\"addresses\":[\"[::1]:993\",\"unix:/run/x\"],\"tls\":\"none\",\"state\":\"open\","
        "\"upstream\":\"six\",\"before_login\":0,\"sessions\":0,\"closing\":0}}\n"
        "{\"done\":\"2 listeners\"}\n");
    assert_null(strstr(ask_for(&asking, "[\"show\",\"listeners\",\"--upstream=six\"]"), "plain"));
    asking_end(&asking);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_upstream_has_a_row),
        cmocka_unit_test(each_listener_has_a_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
