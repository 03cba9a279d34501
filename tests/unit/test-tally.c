#include "check.h"

#include "asking.h"
#include "tally.h"

#define LIST "IMAP4rev1 AUTH=PLAIN"

static unsigned counted, sessions, newcomers, connected;
static size_t missing;

static void count(const struct tally *tally, void *asker)
{
    counted++;
    assert_non_null(tally);
    sessions = tally->listeners[0].clients[CLIENT_AUTHENTICATED];
    newcomers = tally->listeners[0].clients[CLIENT_NOT_AUTHENTICATED];
    connected = tally->upstreams[0].connections[UPSTREAM_ATTACHED];
    missing = tally->missing;
}

static void begin(struct asking *asking)
{
    counted = 0;
    asking_begin(asking, RIG_CONFIG);
    struct rig *rig = &asking->one.rig;
    assert_non_null(rig_log_in(rig, rig_greet(rig, LIST), "ann", LIST));
    rig_greet(rig, LIST);
    rig_greet(rig, LIST);
}

TEST(what_all_workers_have_is_summed_up)
{
    struct asking asking;
    begin(&asking);
    assert_true(inquiries_add(&asking.inquiries, &asking.one.worker)); /* as if there were two like it */
    assert_true(tally_take(&asking.inquiries, asking.one.rig.service, count, NULL));
    asking_pass(&asking);
    assert_int_equal(counted, 1);
    assert_int_equal(sessions, 2);
    assert_int_equal(newcomers, 4);
    assert_int_equal(connected, 2);
    assert_int_equal(missing, 0);
    asking_end(&asking);
}

TEST(after_a_reload_sections_are_known_by_their_names)
{
    struct asking asking;
    begin(&asking);
    rig_reload(&asking.one.rig, RIG_CONFIG);
    assert_true(tally_take(&asking.inquiries, asking.one.rig.service, count, NULL));
    asking_pass(&asking);
    assert_int_equal(sessions, 1);
    assert_int_equal(connected, 1);
    rig_reload(&asking.one.rig, "listener \"new\" { address = \"127.0.0.1:1144\" tls = \"none\" }\n"
                                "upstream \"other\" { address = \"127.0.0.1:143\" tls = \"none\" }\n");
    assert_true(tally_take(&asking.inquiries, asking.one.rig.service, count, NULL));
    asking_pass(&asking);
    assert_int_equal(sessions + newcomers + connected, 0);
    asking_end(&asking);
}

TEST(a_worker_that_does_not_answer_is_missing)
{
    struct asking asking;
    begin(&asking);
    assert_true(tally_take(&asking.inquiries, asking.one.rig.service, count, NULL));
    loop_pass(&asking.home, asking.one.rig.now_ms);
    loop_pass(&asking.home, asking.one.rig.now_ms + INQUIRY_LIMIT_MS);
    assert_int_equal(counted, 1);
    assert_int_equal(missing, 1);
    asking_end(&asking);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_all_workers_have_is_summed_up),
        cmocka_unit_test(after_a_reload_sections_are_known_by_their_names),
        cmocka_unit_test(a_worker_that_does_not_answer_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
