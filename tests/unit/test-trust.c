#include "check.h"

#include "park.h"
#include "rig.h"

#include <string.h>

#define LIST "IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=XOAUTH2 AUTH=OAUTHBEARER AUTH=SCRAM-SHA-256 ID"

/* What a client logs in with, in one line. */
#define LOGIN             "a LOGIN ann secret\r\n"
#define OTHER             "a LOGIN ann other\r\n"
#define BOB               "a LOGIN bob secret\r\n"
#define CASE              "a LOGIN Ann secret\r\n"
#define EMPTY             "a LOGIN ann \"\"\r\n"
#define PLAIN             "a AUTHENTICATE PLAIN AGFubgBzZWNyZXQ=\r\n"
#define BOB_BY_ANN        "a AUTHENTICATE PLAIN Ym9iAGFubgBzZWNyZXQ=\r\n"
#define XOAUTH2           "a AUTHENTICATE XOAUTH2 dXNlcj1hbm4BYXV0aD1CZWFyZXIgdG9rAQE=\r\n" /* tok */
#define OAUTHBEARER       "a AUTHENTICATE OAUTHBEARER bixhPWFubiwBYXV0aD1CZWFyZXIgdG9rAQE=\r\n"
#define ANYONE            "a AUTHENTICATE OAUTHBEARER biwsAWF1dGg9QmVhcmVyIHRvawEB\r\n" /* no a= */
#define SCRAM             "a AUTHENTICATE SCRAM-SHA-256 biwsbj1hbm4scj1hYmM=\r\n"
#define TOKEN_AS_PASSWORD "a LOGIN ann tok\r\n"

#define OK "a OK [CAPABILITY IMAP4rev1 UNSELECT] in\r\n"
#define NO "a NO [AUTHENTICATIONFAILED] no\r\n"

#define PASSING RIG_LISTENER("") RIG_UPSTREAM("authorization_identity = \"pass\"")

/* Logs in, whose line is said, which the server answers; then the client goes. True: without the server. */
static bool log_in(struct rig *rig, const char *line, const char *answer)
{
    struct wire *client = rig_greet(rig, LIST), *server;
    rig_say(rig, client, line);
    bool is_accepted = strncmp(wire_take(client), "a OK ", 5) == 0;
    if (!is_accepted) {
        server = rig_server(rig);
        assert_non_null(server);
        rig_say(rig, server, "* OK [CAPABILITY " LIST "] ready\r\n");
        rig_say(rig, server, answer);
        rig_pass(rig, 2000);
    }
    wire_end(client);
    rig_pass(rig, 0);
    return is_accepted;
}

static const struct {
    const char *name, *first, *second;
    bool is_accepted;
} matches[] = {
    { "the same", LOGIN, LOGIN, true },
    { "by another command", LOGIN, PLAIN, true },
    { "another password", LOGIN, OTHER, false },
    { "another user with the same", LOGIN, BOB, false },
    { "a name in another case is another name", LOGIN, CASE, false },
    { "the same for another", LOGIN, BOB_BY_ANN, false },
    { "the other way round", BOB_BY_ANN, LOGIN, false },
    { "twice for another", BOB_BY_ANN, BOB_BY_ANN, true },
    { "a token", XOAUTH2, XOAUTH2, true },
    { "a token by another mechanism", XOAUTH2, OAUTHBEARER, true },
    { "a token is no password", XOAUTH2, TOKEN_AS_PASSWORD, false },
    { "nor the other way round", TOKEN_AS_PASSWORD, XOAUTH2, false },
    { "a token whose user is not known", ANYONE, ANYONE, false },
    { "what nobody can know the secret of", SCRAM, SCRAM, false },
    { "no secret at all", EMPTY, EMPTY, false },
};

TEST(who_has_been_let_in_is_let_in_again_by_the_same_secret)
{
    for (size_t i = 0; i < ARRAY_LEN(matches); i++) {
        struct rig rig;
        rig_begin(&rig, PASSING);
        assert_false(log_in(&rig, matches[i].first, OK));
        bool is_accepted = log_in(&rig, matches[i].second, OK);
        rig_end(&rig);
        CHECK_ROW(matches[i].name, is_accepted == matches[i].is_accepted);
    }
}

static const struct {
    const char *name, *line, *answer; /* between: another login, and how it went */
    bool is_accepted;                 /* ann, then */
} betweens[] = {
    { "a guess that was refused", OTHER, NO, false },
    { "a guess at another user", BOB, NO, true },
    { "a guess that the server did not judge", OTHER, "a NO [UNAVAILABLE] later\r\n", false },
    { "a guess that is right: the password has changed", OTHER, OK, true },
    { "a SCRAM login that was refused: it may have been a guess", SCRAM, NO, false },
    { "the secret itself, which is refused", PLAIN, NO, true },
};

/* The last row: what is not asked for upstream cannot be refused there. */
TEST(while_a_guess_may_be_under_way_nobody_is_let_in_without_the_server)
{
    for (size_t i = 0; i < ARRAY_LEN(betweens); i++) {
        struct rig rig;
        rig_begin(&rig, PASSING);
        assert_false(log_in(&rig, LOGIN, OK));
        log_in(&rig, betweens[i].line, betweens[i].answer);
        bool is_accepted = log_in(&rig, LOGIN, OK);
        rig_end(&rig);
        CHECK_ROW(betweens[i].name, is_accepted == betweens[i].is_accepted);
    }
}

TEST(what_the_server_has_taken_again_is_good_again)
{
    struct rig rig;
    rig_begin(&rig, PASSING);
    assert_false(log_in(&rig, LOGIN, OK));
    assert_false(log_in(&rig, OTHER, NO));
    assert_false(log_in(&rig, LOGIN, OK));
    assert_true(log_in(&rig, LOGIN, OK));
    rig_end(&rig);
}

TEST(a_secret_that_is_refused_gives_up_what_is_parked_by_it)
{
    struct rig rig;
    rig_begin(&rig, "park { per_user = 1 reauth_interval = \"1m\" }\n" PASSING);
    assert_false(log_in(&rig, LOGIN, OK));
    assert_int_equal(park_count(), 1);
    rig_pass(&rig, 60000); /* a proof ages */
    assert_false(log_in(&rig, LOGIN, NO));
    assert_int_equal(park_count(), 0);
    rig_end(&rig);
}

/* Where the server is told a client's address, it may judge by that. */
TEST(where_addresses_are_passed_on_a_proof_is_for_one_of_them)
{
    static const char *const options[] = { RIG_LISTENER("id_trusted_networks = { \"127.0.0.2\" }") RIG_UPSTREAM(""),
                                           RIG_LISTENER("id_trusted_networks = { \"127.0.0.2\" }")
                                               RIG_UPSTREAM("send_client_address = \"proxy-v2\"") };
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        struct rig rig;
        rig_begin(&rig, options[i]);
        assert_false(log_in(&rig, LOGIN, OK));
        struct wire *client = rig_greet(&rig, LIST);
        rig_say(&rig, client, "i ID (\"x-originating-ip\" \"192.0.2.9\")\r\n" LOGIN);
        bool is_accepted = strstr(wire_take(client), "a OK ");
        rig_end(&rig);
        assert_true(is_accepted == (i == 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_has_been_let_in_is_let_in_again_by_the_same_secret),
        cmocka_unit_test(while_a_guess_may_be_under_way_nobody_is_let_in_without_the_server),
        cmocka_unit_test(what_the_server_has_taken_again_is_good_again),
        cmocka_unit_test(a_secret_that_is_refused_gives_up_what_is_parked_by_it),
        cmocka_unit_test(where_addresses_are_passed_on_a_proof_is_for_one_of_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
