/* What is counted of clients, their logins and their sessions. Both peers are played. */
#include "check.h"

#include "outage.h"
#include "park.h"
#include "rig.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#define LIST   "IMAP4rev1 IDLE ENABLE CONDSTORE UNSELECT"
#define CONFIG "languages = \"off\"\nlogin_failure_delay = \"100ms\"\n" RIG_CONFIG

static struct rig rig;

static int end(void **state)
{
    rig_end(&rig);
    return 0;
}

static struct listener_counters *listener(void)
{
    return client_counters_listener(&rig.clients.counters, "plain");
}

static struct login_counters *upstream(void)
{
    return client_counters_upstream(&rig.clients.counters, "main");
}

static uint64_t sum(const uint64_t *numbers, unsigned count)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < count; i++)
        total += numbers[i];
    return total;
}

/* Of all logins that there were, so many, and one of them like this. */
static void check_login(enum login_result result, unsigned in_all)
{
    const struct login_counters *counters = upstream();
    assert_int_equal(counters->results[result], 1);
    assert_int_equal(sum(counters->results, LOGIN_RESULT_COUNT), in_all);
}

static void check_ending(enum client_ending ending, unsigned in_all)
{
    assert_int_equal(rig.clients.counters.endings[ending], 1);
    assert_int_equal(sum(rig.clients.counters.endings, CLIENT_ENDING_COUNT), in_all);
}

TEST(clients_are_counted_by_listener_and_state)
{
    rig_begin(&rig, CONFIG);
    struct wire *client = rig_greet(&rig, LIST);
    assert_int_equal(listener()->accepted, 1);
    assert_int_equal(listener()->now[CLIENT_NOT_AUTHENTICATED], 1);
    assert_int_equal(sum(listener()->now, CLIENT_COUNTED_STATES), 1);
    assert_non_null(rig_log_in(&rig, client, "ann", LIST));
    assert_int_equal(listener()->now[CLIENT_AUTHENTICATED], 1);
    assert_int_equal(sum(listener()->now, CLIENT_COUNTED_STATES), 1);
    wire_end(client);
    rig_pass(&rig, 0);
    assert_int_equal(sum(listener()->now, CLIENT_COUNTED_STATES), 0);
    check_ending(CLIENT_ENDING_DISCONNECTED, 1);
}

TEST(a_login_by_the_upstream_is_accepted_and_how_long_it_took_is_known)
{
    rig_begin(&rig, CONFIG);
    struct wire *client = rig_greet(&rig, LIST);
    rig_say(&rig, client, "l LOGIN ann secret\r\n");
    struct wire *server = rig_server(&rig);
    rig_pass(&rig, 30);
    rig_say(&rig, server, "* OK [CAPABILITY " LIST "] ready\r\n");
    rig_say(&rig, server, "l OK [CAPABILITY " LIST "] in\r\n");
    check_login(LOGIN_ACCEPTED, 1);
    assert_int_equal(upstream()->finds[CHOICE_FOUND_NONE], 1);
    assert_int_equal(histogram_count(&upstream()->accepted), 1);
    assert_int_equal(upstream()->accepted.sum_us, 30 * 1000);
    assert_int_equal(histogram_count(&upstream()->parked), 0);
}

TEST(a_login_by_a_parked_connection_is_told_apart_and_so_is_what_it_is_given)
{
    struct wire *client;
    rig_begin(&rig, CONFIG);
    assert_non_null(rig_greet_beside_parked(&rig, LIST, &client));
    assert_int_equal(rig.upstreams.counters.parked, 1);
    rig_say(&rig, client, "a LOGIN ann secret\r\n");
    check_login(LOGIN_PARKED, 2);
    assert_int_equal(histogram_count(&upstream()->parked), 1);
    assert_int_equal(upstream()->finds[CHOICE_FOUND_PRISTINE], 0);
    rig_say(&rig, client, "b NOOP\r\n");
    assert_int_equal(upstream()->finds[CHOICE_FOUND_PRISTINE], 1);
    assert_int_equal(upstream()->finds[CHOICE_FOUND_NONE], 1); /* of the one before */
}

static const struct {
    const char *name, *config, *says, *answer;
    enum login_result result;
} failures[] = {
    { "refused", CONFIG, "l LOGIN ann wrong\r\n", "l NO [AUTHENTICATIONFAILED] no\r\n", LOGIN_REFUSED },
    { "unavailable", CONFIG, "l LOGIN ann secret\r\n", NULL, LOGIN_UNAVAILABLE },
    { "malformed", CONFIG, "l LOGIN ann\r\n", "", LOGIN_MALFORMED },
    { "cancelled", CONFIG, "l AUTHENTICATE PLAIN\r\n*\r\n", "", LOGIN_CANCELLED },
    { "acting", CONFIG, "l AUTHENTICATE PLAIN Ym9iAGFubgBzZWNyZXQ=\r\n", "", LOGIN_ACTING },
};

TEST(a_login_that_came_to_nothing_is_counted_by_its_reason)
{
    for (size_t i = 0; i < ARRAY_LEN(failures); i++) {
        rig_begin(&rig, failures[i].config);
        struct wire *client = rig_greet(&rig, LIST);
        rig_say(&rig, client, failures[i].says);
        if (!failures[i].answer) {
            wire_refuse(wire_asked(), ECONNREFUSED);
        } else if (*failures[i].answer) {
            struct wire *server = rig_server(&rig);
            rig_say(&rig, server, "* OK [CAPABILITY " LIST "] ready\r\n");
            rig_say(&rig, server, failures[i].answer);
        }
        rig_pass(&rig, 200);
        CHECK_ROW(failures[i].name, upstream()->results[failures[i].result] == 1);
        CHECK_ROW(failures[i].name, sum(upstream()->results, LOGIN_RESULT_COUNT) == 1);
        CHECK_ROW(failures[i].name, histogram_count(&upstream()->accepted) == 0);
        if (i + 1 < ARRAY_LEN(failures))
            rig_end(&rig);
    }
}

TEST(an_ending_is_counted_by_what_the_log_says)
{
    rig_begin(&rig, CONFIG);
    struct wire *client = rig_greet(&rig, LIST), *server = rig_log_in(&rig, client, "ann", LIST);
    rig_say(&rig, client, "z LOGOUT\r\n");
    wire_end(client);
    rig_pass(&rig, 0);
    check_ending(CLIENT_ENDING_LOGOUT, 1);
    assert_non_null(server);
    client = rig_greet(&rig, LIST);
    rig_pass(&rig, 200 * 1000);
    check_ending(CLIENT_ENDING_LOGIN_TIMEOUT, 2);
}

/* --- not parked --- */

static const struct {
    const char *name, *config, *says, *server_says;
    enum upstream_unparked why;
} obstacles[] = {
    { "parking is off", "park { per_user = 0 }\n" CONFIG, "", "", UPSTREAM_UNPARKED_OFF },
    { "a command is in flight", CONFIG, "b NOOP\r\n", "", UPSTREAM_UNPARKED_BUSY },
    { "something is on", CONFIG, "b NOOP\r\n", "* ENABLED QRESYNC\r\nb OK\r\n", UPSTREAM_UNPARKED_STATE },
    { "a command that nobody knows", CONFIG, "b XYZZY\r\n", "b OK\r\n", UPSTREAM_UNPARKED_DOUBT },
};

TEST(what_is_not_parked_is_counted_by_its_reason)
{
    for (size_t i = 0; i < ARRAY_LEN(obstacles); i++) {
        rig_begin(&rig, obstacles[i].config);
        struct wire *client = rig_greet(&rig, LIST), *server = rig_log_in(&rig, client, "ann", LIST);
        rig_say(&rig, client, obstacles[i].says);
        rig_say(&rig, server, obstacles[i].server_says);
        wire_end(client);
        rig_pass(&rig, 70 * 1000); /* what is in flight is waited for */
        const uint64_t *unparked = rig.upstreams.counters.unparked;
        CHECK_ROW(obstacles[i].name, unparked[obstacles[i].why] == 1);
        CHECK_ROW(obstacles[i].name, sum(unparked, UPSTREAM_UNPARKED_COUNT) == 1);
        CHECK_ROW(obstacles[i].name, rig.upstreams.counters.parked == 0);
        if (i + 1 < ARRAY_LEN(obstacles))
            rig_end(&rig);
    }
}

static void lose_server(struct wire *server)
{
    wire_end(server);
}

static void take_down(struct wire *server)
{
    assert_true(outage_begin("main", NULL, OUTAGE_DOWN));
}

static void grow_old(struct wire *server)
{
    rig_pass(&rig, 11 * 60 * 1000);
}

static void move_away(struct wire *server)
{
    rig_reload(&rig, "languages = \"off\"\n" RIG_LISTENER(
                         "") "upstream \"main\" { address = \"127.0.0.1:144\" tls = \"none\" }\n");
}

static void forget(struct wire *server)
{
    unsigned voided;
    assert_int_equal(park_forget(NULL, &voided), 0);
    assert_int_equal(voided, 1);
}

/* What happens while a session has a connection that could have been parked before. */
static const struct {
    const char *name, *config;
    void (*happens)(struct wire *server);
    enum upstream_unparked why;
} events[] = {
    { "the server has closed it", CONFIG, lose_server, UPSTREAM_UNPARKED_ENDED },
    { "the operator has taken the upstream down", CONFIG, take_down, UPSTREAM_UNPARKED_DOWN },
    { "the proof is too old", CONFIG, grow_old, UPSTREAM_UNPARKED_REAUTH },
    { "it is too old itself", "park { lifetime = \"5m\" reauth_interval = \"1h\" }\n" CONFIG, grow_old,
      UPSTREAM_UNPARKED_LIFETIME },
    { "the upstream is another server", CONFIG, move_away, UPSTREAM_UNPARKED_CONFIG },
    { "nothing that was proved is good any more", CONFIG, forget, UPSTREAM_UNPARKED_REFUSED },
};

TEST(what_may_wait_no_more_is_counted_by_its_reason_and_was_never_parked)
{
    for (size_t i = 0; i < ARRAY_LEN(events); i++) {
        rig_begin(&rig, events[i].config);
        struct wire *client = rig_greet(&rig, LIST), *server = rig_log_in(&rig, client, "ann", LIST);
        events[i].happens(server);
        wire_end(client);
        rig_pass(&rig, 70 * 1000);
        const struct upstream_counters *counters = &rig.upstreams.counters;
        CHECK_ROW(events[i].name, counters->unparked[events[i].why] == 1);
        CHECK_ROW(events[i].name, sum(counters->unparked, UPSTREAM_UNPARKED_COUNT) == 1);
        CHECK_ROW(events[i].name, counters->parked == 0);
        struct park_counters parked;
        park_counters_init(&parked);
        park_count_into(&parked);
        const struct park_row *row = (const struct park_row *)parked.upstreams.first;
        CHECK_ROW(events[i].name, sum(row->ends, PARK_END_COUNT) == 0);
        park_counters_done(&parked);
        outage_done();
        if (i + 1 < ARRAY_LEN(events))
            rig_end(&rig);
    }
}

TEST(what_ends_to_make_room_is_counted_once)
{
    rig_begin(&rig, CONFIG);
    struct wire *one = rig_greet(&rig, LIST);
    assert_non_null(rig_log_in(&rig, one, "ann", LIST));
    struct wire *other = rig_greet(&rig, LIST);
    assert_non_null(rig_log_in(&rig, other, "ann", LIST));
    wire_end(one);
    rig_pass(&rig, 0);
    assert_int_equal(rig.upstreams.counters.parked, 1);
    struct park_yield yield = park_yield(IMAPSTATE_SPAN("main"), IMAPSTATE_SPAN("ann"), false, rig.now_ms);
    assert_true(yield.may_help && yield.ended == 1);
    wire_end(other);
    rig_pass(&rig, 0);
    assert_int_equal(rig.upstreams.counters.parked, 1);
    assert_int_equal(rig.upstreams.counters.unparked[UPSTREAM_UNPARKED_CROWDED], 1);
    assert_int_equal(sum(rig.upstreams.counters.unparked, UPSTREAM_UNPARKED_COUNT), 1);
}

/* --- tokens --- */

static void restore(const char *token)
{
    char line[2200];
    struct wire *client = rig_greet(&rig, LIST);
    rig_say(&rig, client, "a LOGIN ann secret\r\n");
    snprintf(line, sizeof line, "b STATE %s\r\n", token);
    rig_say(&rig, client, line);
    wire_end(client);
    rig_pass(&rig, 0);
}

TEST(a_token_is_counted_when_it_is_saved_and_by_what_becomes_of_it)
{
    char token[2049];
    const uint64_t *restores = rig.clients.counters.restores;
    rig_begin(&rig, CONFIG);
    struct wire *client = rig_greet(&rig, LIST), *server = rig_log_in(&rig, client, "ann", LIST);
    rig_say(&rig, client, "s STATE\r\nb ENABLE CONDSTORE\r\n");
    rig_say(&rig, server, "* ENABLED CONDSTORE\r\nb OK\r\n");
    rig_say(&rig, client, "s SAVESTATE\r\n");
    assert_int_equal(rig.clients.counters.saves, 1);
    const char *heard = strstr(wire_take(client), "* SAVESTATE ");
    assert_int_equal(sscanf(heard, "* SAVESTATE %2048s", token), 1);
    wire_end(client);
    rig_pass(&rig, 0);
    restore(token);
    assert_int_equal(restores[RESTORE_WARM], 1);
    assert_int_equal(upstream()->finds[CHOICE_FOUND_WARM], 1);
    restore("nonsense");
    assert_int_equal(restores[RESTORE_MALFORMED], 1);
    assert_int_equal(sum(restores, RESTORE_RESULT_COUNT), 2);
}

TEST(each_error_of_a_token_has_a_result)
{
    static const enum imapstate_error errors[] = {
        IMAPSTATE_NO_MEMORY,
        IMAPSTATE_TOKEN_MALFORMED,
        IMAPSTATE_TOKEN_KEY_UNKNOWN,
        IMAPSTATE_TOKEN_FORGED,
        IMAPSTATE_TOKEN_EXPIRED,
        IMAPSTATE_TOKEN_OTHER_USER,
        IMAPSTATE_TOKEN_OTHER_UPSTREAM,
        IMAPSTATE_TOKEN_OTHER_FINGERPRINT,
        IMAPSTATE_NOT_YET_VALID,
        IMAPSTATE_TOKEN_REVOKED,
        IMAPSTATE_NOT_PRISTINE,
    };
    for (size_t i = 0; i < ARRAY_LEN(errors); i++)
        for (size_t other = 0; other < i; other++)
            assert_int_not_equal(restore_result_of(errors[i]), restore_result_of(errors[other]));
    assert_int_equal(restore_result_of(IMAPSTATE_STATE_INVALID), RESTORE_MALFORMED);
}

/* --- sums --- */

TEST(what_two_loops_have_counted_is_summed_by_name)
{
    struct client_counters one, two;
    client_counters_init(&one);
    client_counters_init(&two);
    struct listener_counters *from = client_counters_listener(&two, "imaps");
    struct login_counters *login = client_counters_upstream(&two, "main");
    from->now[CLIENT_AUTHENTICATED] = 1;
    from->accepted = 2;
    from->refused[CLIENTS_REFUSED_MAX] = 3;
    login->results[LOGIN_PARKED] = 4;
    login->finds[CHOICE_FOUND_WARM] = 5;
    histogram_note(&login->parked, 6);
    histogram_note(&login->accepted, 7);
    two.endings[CLIENT_ENDING_IDLE] = 8;
    two.restores[RESTORE_COLD] = 9;
    two.saves = 10;
    client_counters_add(&one, &two);
    client_counters_add(&one, &two);
    const struct listener_counters *into = client_counters_listener(&one, "imaps");
    const struct login_counters *logins = client_counters_upstream(&one, "main");
    assert_int_equal(into->now[CLIENT_AUTHENTICATED], 2);
    assert_int_equal(into->accepted, 4);
    assert_int_equal(into->refused[CLIENTS_REFUSED_MAX], 6);
    assert_int_equal(logins->results[LOGIN_PARKED], 8);
    assert_int_equal(logins->finds[CHOICE_FOUND_WARM], 10);
    assert_int_equal(histogram_count(&logins->parked), 2);
    assert_int_equal(logins->accepted.sum_us, 14);
    assert_int_equal(one.endings[CLIENT_ENDING_IDLE], 16);
    assert_int_equal(one.restores[RESTORE_COLD], 18);
    assert_int_equal(one.saves, 20);
    client_counters_done(&one);
    client_counters_done(&two);
}

TEST(each_reason_has_a_name_of_its_own)
{
    static const struct {
        const char *const *names;
        unsigned count;
    } tables[] = {
        { client_ending_words, CLIENT_ENDING_COUNT },     { login_result_names, LOGIN_RESULT_COUNT },
        { choice_find_names, CHOICE_FIND_COUNT },         { restore_result_names, RESTORE_RESULT_COUNT },
        { clients_refusal_names, CLIENTS_REFUSAL_COUNT }, { clients_refusal_words, CLIENTS_REFUSAL_COUNT },
        { client_counted_names, CLIENT_COUNTED_STATES },
    };
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        for (unsigned at = 0; at < tables[i].count; at++)
            for (unsigned other = 0; other < at; other++)
                assert_string_not_equal(tables[i].names[at], tables[i].names[other]);
}

int main(void)
{
#define PLAYED(sentence) cmocka_unit_test_teardown(sentence, end)
    const struct CMUnitTest tests[] = {
        PLAYED(clients_are_counted_by_listener_and_state),
        PLAYED(a_login_by_the_upstream_is_accepted_and_how_long_it_took_is_known),
        PLAYED(a_login_by_a_parked_connection_is_told_apart_and_so_is_what_it_is_given),
        PLAYED(a_login_that_came_to_nothing_is_counted_by_its_reason),
        PLAYED(an_ending_is_counted_by_what_the_log_says),
        PLAYED(what_is_not_parked_is_counted_by_its_reason),
        PLAYED(what_may_wait_no_more_is_counted_by_its_reason_and_was_never_parked),
        PLAYED(what_ends_to_make_room_is_counted_once),
        PLAYED(a_token_is_counted_when_it_is_saved_and_by_what_becomes_of_it),
        cmocka_unit_test(each_error_of_a_token_has_a_result),
        cmocka_unit_test(what_two_loops_have_counted_is_summed_by_name),
        cmocka_unit_test(each_reason_has_a_name_of_its_own),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
