#include "check.h"

#include "clients.h"
#include "dialog.h"
#include "peers.h"
#include "prelude.h"
#include "revocations.h"
#include "rig.h"

#define LIST      "IMAP4rev1 AUTH=PLAIN"
#define GIVES_WAY "* BYE [UNAVAILABLE] Too many connections; clients that have not logged in make room for others.\r\n"

static void begin(struct rig *rig, const char *options)
{
    char config[512];
    snprintf(config, sizeof config, "languages = \"off\"\n%s\n" RIG_CONFIG, options);
    rig_begin(rig, config);
}

/* Logged in; the server's end is not needed. */
static struct wire *come_and_log_in(struct rig *rig)
{
    struct wire *client = rig_greet(rig, LIST);
    assert_non_null(rig_log_in(rig, client, "ann", LIST));
    return client;
}

TEST(the_one_that_has_waited_longest_without_a_login_gives_its_place_away)
{
    struct rig rig;
    begin(&rig, "max_clients = 3");
    struct wire *logged_in = come_and_log_in(&rig);
    rig_pass(&rig, 1);
    struct wire *first = rig_greet(&rig, LIST);
    rig_pass(&rig, 1);
    struct wire *second = rig_greet(&rig, LIST);
    rig_pass(&rig, 1);
    struct wire *third = rig_greet(&rig, LIST);
    assert_true(first->is_closed);
    assert_string_equal(wire_take(first), GIVES_WAY);
    assert_false(second->is_closed || third->is_closed || logged_in->is_closed);
    assert_int_equal(peers_count(), 3);
    rig_end(&rig);
}

TEST(whatever_it_waits_for)
{
    struct rig rig;
    begin(&rig, "max_clients = 2");
    struct wire *greeted = rig_greet(&rig, LIST);
    rig_pass(&rig, PRELUDE_FRESH_MS);
    struct wire *ungreeted = rig_come(&rig);
    assert_string_equal(wire_take(ungreeted), "");
    assert_non_null(rig_come(&rig));
    assert_true(greeted->is_closed);
    assert_false(ungreeted->is_closed);
    rig_end(&rig);
}

TEST(who_leaves_a_dialog_alone_gives_way_when_nobody_else_does)
{
    struct rig rig;
    begin(&rig, "max_clients = 2");
    struct wire *in_dialog = rig_greet(&rig, LIST);
    rig_say(&rig, in_dialog, "a AUTHENTICATE PLAIN\r\n");
    struct wire *silent = rig_greet(&rig, LIST);
    wire_take(in_dialog);
    rig_greet(&rig, LIST);
    assert_true(silent->is_closed);
    assert_false(in_dialog->is_closed);
    struct wire *other = rig_greet(&rig, LIST);
    rig_say(&rig, other, "a AUTHENTICATE PLAIN\r\n");
    rig_end(&rig);
}

TEST(who_waits_for_the_server_does_not_give_way)
{
    struct rig rig;
    begin(&rig, "max_clients = 2");
    struct wire *one = rig_greet(&rig, LIST), *other = rig_greet(&rig, LIST);
    rig_say(&rig, one, "a LOGIN ann secret\r\n");
    rig_say(&rig, other, "a AUTHENTICATE PLAIN\r\n");
    assert_non_null(rig_come(&rig));
    assert_true(other->is_closed);
    assert_false(one->is_closed);
    other = rig_come(&rig);
    assert_non_null(other);
    rig_say(&rig, other, "a LOGIN ann secret\r\n");
    assert_null(rig_come(&rig));
    assert_false(one->is_closed || other->is_closed);
    rig_end(&rig);
}

TEST(a_reload_is_for_those_who_come_after_it)
{
    struct rig rig;
    begin(&rig, "login_timeout = \"1m\"");
    struct wire *before = rig_greet(&rig, LIST);
    rig_reload(&rig, "login_timeout = \"2m\"\n" RIG_CONFIG);
    struct wire *after = rig_greet(&rig, LIST);
    rig_pass(&rig, 60000);
    assert_true(before->is_shut);
    assert_false(after->is_shut);
    rig_pass(&rig, 60000);
    assert_true(after->is_shut);
    rig_end(&rig);
}

TEST(all_who_wait_for_the_list_hear_of_it_at_once)
{
    struct rig rig;
    begin(&rig, "");
    struct wire *one = rig_come(&rig), *other = rig_come(&rig);
    struct wire *scout = rig_server(&rig);
    assert_non_null(scout);
    assert_null(rig_server(&rig));
    rig_say(&rig, scout, "* OK hi\r\n* CAPABILITY IMAP4rev1 ENABLE\r\nimapstate OK 1\r\n");
    assert_string_equal(wire_take(one), "* OK [CAPABILITY IMAP4rev1 ENABLE LITERAL+ STATE] imapstate ready.\r\n");
    assert_string_equal(wire_take(other), "* OK [CAPABILITY IMAP4rev1 ENABLE LITERAL+ STATE] imapstate ready.\r\n");
    rig_end(&rig);
}

TEST(those_who_have_not_begun_to_log_in_are_counted)
{
    struct rig rig;
    begin(&rig, "");
    struct wire *client = rig_greet(&rig, LIST);
    rig_greet(&rig, LIST);
    assert_int_equal(rig.clients.silent, 2);
    assert_non_null(rig_log_in(&rig, client, "ann", LIST));
    assert_int_equal(rig.clients.silent, 1);
    wire_end(client);
    rig_pass(&rig, 0);
    assert_int_equal(rig.clients.silent, 1);
    assert_false(clients_are_gone(&rig.clients));
    rig_end(&rig);
}

/* A reload and a revocation may reach a worker in the wrong order. */
TEST(older_revocations_never_take_the_place_of_newer_ones)
{
    struct rig rig;
    begin(&rig, "");
    struct revocations *first = revocations_ref(rig.clients.revocations);
    rig_reload(&rig, RIG_CONFIG);
    struct revocations *second = rig.clients.revocations;
    assert_ptr_not_equal(first, second);
    clients_heed(&rig.clients, first);
    assert_ptr_equal(rig.clients.revocations, second);
    rig_end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_one_that_has_waited_longest_without_a_login_gives_its_place_away),
        cmocka_unit_test(whatever_it_waits_for),
        cmocka_unit_test(older_revocations_never_take_the_place_of_newer_ones),
        cmocka_unit_test(who_leaves_a_dialog_alone_gives_way_when_nobody_else_does),
        cmocka_unit_test(who_waits_for_the_server_does_not_give_way),
        cmocka_unit_test(a_reload_is_for_those_who_come_after_it),
        cmocka_unit_test(all_who_wait_for_the_list_hear_of_it_at_once),
        cmocka_unit_test(those_who_have_not_begun_to_log_in_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
