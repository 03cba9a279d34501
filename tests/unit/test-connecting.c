/* From a name to READY: the server's part is cut at every octet, and time is passed by the test. Behind TLS see
 * tests/e2e/test_upstream_tls.py. */
#include "check.h"

#include "naming.h"
#include "scene.h"

#include "connecting.h"
#include "outage.h"
#include "proxy.h"
#include "queue.h"
#include "race.h"
#include "settling.h"

#include <errno.h>

#define ASKED    "imapstate CAPABILITY\r\n"
#define NAMES    "* CAPABILITY IMAP4rev1 ID LITERAL+\r\n"
#define LISTED   NAMES "imapstate OK done\r\n"
#define PLAIN    "tls = \"none\""
#define STARTTLS "tls = \"starttls\""

/* What the server says, all of it; what it hears; what the owner is told, and why it is lost. The server's words may
 * come before they are asked for: that is its fault, but does no harm. */
static const struct {
    const char *name, *settings, *says, *hears, *order, *why;
} dialogs[] = {
    { "a greeting, and a list", PLAIN, "* OK hello\r\n" LISTED, ASKED, "TTTP", NULL },
    { "a greeting with a list that nobody knows yet", PLAIN, "* OK [CAPABILITY IMAP4rev1] hello\r\n" LISTED, ASKED,
      "TTTP", NULL },
    { "a greeting in other letters", PLAIN, "* ok\r\n" NAMES "IMAPSTATE ok\r\n", ASKED, "TTTP", NULL },
    { "a greeting, and silence", PLAIN, "* OK hello\r\n", ASKED, "T", NULL },
    { "no greeting", PLAIN, "", "", "", NULL },
    { "half a greeting", PLAIN, "* OK hel", "", "", NULL },
    { "PREAUTH", PLAIN, "* PREAUTH hello\r\n", "", "TL", "the server greets with PREAUTH" },
    { "PREAUTH that would go round TLS", STARTTLS, "* PREAUTH hello\r\n", "", "L", "the server greets with PREAUTH" },
    { "BYE for a greeting", PLAIN, "* BYE too\tmany\r\n", "", "TL", "the server greets with BYE: too?many" },
    { "NO for a greeting", PLAIN, "* NO hello\r\n", "", "TL", "the server's greeting is not IMAP" },
    { "another protocol", PLAIN, "220 smtp.example\r\n", "", "TL", "the server's greeting is not IMAP" },
    { "a greeting behind a space", PLAIN, " * OK hello\r\n", "", "TL", "the server's greeting is not IMAP" },
    { "a word that begins with OK", PLAIN, "* OKAY hello\r\n", "", "TL", "the server's greeting is not IMAP" },
    { "an empty line", PLAIN, "\r\n", "", "TL", "the server's greeting is not IMAP" },
    { "other untagged responses", PLAIN, "* OK hello\r\n* OK and\r\n" NAMES "* 1 EXISTS\r\nimapstate OK\r\n", ASKED,
      "TTTTTP", NULL },
    { "a literal in one", PLAIN, "* OK hello\r\n* X {9}\r\n\r\na1 OK\r\n \r\n" LISTED, ASKED, "TTTTP", NULL },
    { "two lists, of which the first counts", PLAIN, "* OK hello\r\n" NAMES "* CAPABILITY X\r\nimapstate OK\r\n", ASKED,
      "TTTTP", NULL },
    { "no list", PLAIN, "* OK hello\r\nimapstate OK done\r\n", ASKED, "TTL", "the server does not answer CAPABILITY" },
    { "an empty list", PLAIN, "* OK hello\r\n* CAPABILITY\r\nimapstate OK done\r\n", ASKED, "TTTL",
      "the server does not answer CAPABILITY" },
    { "a list, and NO", PLAIN, "* OK hello\r\n" NAMES "imapstate NO\r\n", ASKED, "TTTL",
      "the server does not answer CAPABILITY" },
    { "a list, and BAD", PLAIN, "* OK hello\r\n" NAMES "imapstate BAD what\r\n", ASKED, "TTTL",
      "the server does not answer CAPABILITY" },
    { "another's tag", PLAIN, "* OK hello\r\n" NAMES "a1 OK done\r\n", ASKED, "TTTL",
      "the server answers what was not asked" },
    { "+", PLAIN, "* OK hello\r\n+ go on\r\n", ASKED, "TTL", "the server answers what was not asked" },
    { "BYE in place of the list", PLAIN, "* OK hello\r\n* BYE gone\r\n", ASKED, "TTL", "the server says BYE: gone" },
    { "BYE behind the list", PLAIN, "* OK hello\r\n" NAMES "* BYE gone\r\n", ASKED, "TTTL",
      "the server says BYE: gone" },
    { "STARTTLS is not offered", STARTTLS, "* OK hello\r\n" LISTED, ASKED, "L", "the server offers no STARTTLS" },
    { "STARTTLS is refused", STARTTLS, "* OK [CAPABILITY STARTTLS] hello\r\nimapstate NO not now\r\n",
      "imapstate STARTTLS\r\n", "L", "the server refuses STARTTLS" },
    { "STARTTLS is a mistake", STARTTLS, "* OK hello\r\n* CAPABILITY STARTTLS\r\nimapstate OK\r\nimapstate BAD\r\n",
      ASKED "imapstate STARTTLS\r\n", "L", "the server refuses STARTTLS" },
    { "BYE in place of TLS", STARTTLS, "* OK [CAPABILITY STARTTLS] hello\r\n* BYE gone\r\n", "imapstate STARTTLS\r\n",
      "L", "the server says BYE: gone" },
};

/* Says it in two pieces, each of them read so many octets at a time. */
static void say(const char *octets, size_t cut, size_t piece)
{
    scene.wire->piece = piece;
    if (cut > 0)
        scene_say_some(octets, cut);
    if (octets[cut] && !strchr(scene.order, 'L'))
        scene_say(octets + cut);
}

static struct upstream *open_by(const char *settings)
{
    char text[256];
    snprintf(text, sizeof text, "upstream \"main\" { address = \"192.0.2.1:143\" %s }\n", settings);
    scene_begin(text);
    struct upstream *upstream = scene_open();
    scene_accept();
    return upstream;
}

static void check_dialog(size_t row, size_t cut, size_t piece)
{
    open_by(dialogs[row].settings);
    say(dialogs[row].says, cut, piece);
    CHECK_ROW(dialogs[row].name, scene_hears(dialogs[row].hears));
    if (strcmp(scene.order, dialogs[row].order) != 0)
        fail_msg("row \"%s\" cut at %zu: the owner was told %s", dialogs[row].name, cut, scene.order);
    CHECK_ROW(dialogs[row].name, !dialogs[row].why || strcmp(scene.why, dialogs[row].why) == 0);
    /* Whoever does not get on in time is given up. */
    scene_wait(60000);
    size_t len = strlen(scene.order);
    CHECK_ROW(dialogs[row].name, strchr(scene.order, 'P') ? scene.order[len - 1] == 'P' : scene.order[len - 1] == 'L');
    if (!strchr(scene.order, 'P') && !dialogs[row].why)
        assert_string_equal(scene.why, "timed out");
    upstreams_abandon(&scene.upstreams);
}

static void end_with(struct upstream *upstream)
{
    if (!strchr(scene.order, 'L'))
        upstream_release(upstream, false);
    scene_end();
}

TEST(a_dialog_goes_alike_wherever_it_is_cut)
{
    for (size_t i = 0; i < ARRAY_LEN(dialogs); i++)
        for (size_t cut = 0; cut <= strlen(dialogs[i].says); cut++)
            for (size_t piece = 0; piece < 2; piece++) {
                struct upstream *upstream = NULL;
                check_dialog(i, cut, piece);
                if (!strchr(scene.order, 'L'))
                    upstream = list_entry(scene.upstreams.by_state[UPSTREAM_READY].next, struct upstream, link);
                end_with(upstream);
            }
}

TEST(a_server_that_vanishes_at_any_octet_is_lost_once)
{
    for (size_t i = 0; i < ARRAY_LEN(dialogs); i++)
        for (size_t cut = 0; cut <= strlen(dialogs[i].says); cut++)
            for (unsigned is_reset = 0; is_reset < 2; is_reset++) {
                open_by(dialogs[i].settings);
                say(dialogs[i].says, cut, 0);
                if (!strchr(scene.order, 'L') && is_reset)
                    wire_reset(scene.wire);
                else if (!strchr(scene.order, 'L'))
                    wire_end(scene.wire);
                scene_turn();
                const char *lost = strchr(scene.order, 'L');
                CHECK_ROW(dialogs[i].name, lost && lost[1] == '\0');
                scene_end();
            }
}

TEST(what_is_said_unencrypted_is_for_nobody_where_tls_is_to_come)
{
    struct upstream *upstream = open_by(STARTTLS);
    scene_say("* OK [CAPABILITY STARTTLS] hello\r\n* OK [ALERT] I am in between\r\n");
    assert_true(scene_hears("imapstate STARTTLS\r\n"));
    assert_int_equal(scene.told.len, 0);
    /* Written by whoever sits in between, to be taken for the server's own under TLS. */
    scene_say("imapstate OK begin\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n");
    assert_string_equal(scene.order, "L");
    assert_string_equal(scene.why, "unencrypted octets after the answer to STARTTLS");
    end_with(upstream);
}

TEST(what_a_server_tells_whoever_connects_is_told_to_the_owner)
{
    struct upstream *upstream = open_by(PLAIN);
    scene_say("* OK [ALERT] hello\r\n* NO [ALERT] disk\r\n" LISTED);
    CHECK_SPAN("told", imapstate_buf_span(&scene.told),
               IMAPSTATE_SPAN("* OK [ALERT] hello\r\n* NO [ALERT] disk\r\n" LISTED));
    end_with(upstream);
}

TEST(a_line_without_an_end_is_given_up)
{
    static const char *const begins[] = { "* OK ", "* OK hello\r\n* X ", "* OK hello\r\n" NAMES "* Y \"" };
    for (size_t i = 0; i < ARRAY_LEN(begins); i++) {
        struct upstream *upstream = open_by(PLAIN);
        scene_say(begins[i]);
        char some[4096];
        memset(some, 'x', sizeof some);
        for (size_t octets = 0; octets < 200000 && !strchr(scene.order, 'L'); octets += sizeof some)
            scene_say_some(some, sizeof some);
        assert_non_null(strchr(scene.order, 'L'));
        end_with(upstream);
    }
}

TEST(octets_that_no_line_has_are_given_up)
{
    static const struct {
        const char *name;
        struct imapstate_span octets;
    } rows[] = {
        { "LF alone", IMAPSTATE_SPAN("* OK hello\n") },
        { "a literal without an end", IMAPSTATE_SPAN("* OK hello\r\n* 1 FETCH (X {99999999999999999999}\r\n") },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct upstream *upstream = open_by(PLAIN);
        scene_say_some((const char *)rows[i].octets.at, rows[i].octets.len);
        CHECK_ROW(rows[i].name, strchr(scene.order, 'L'));
        end_with(upstream);
    }
}

/* --- answers that come when nothing is asked any more --- */

static const struct {
    const char *name, *behind;
    bool is_lost; /* if it comes together with the list's end; on its own, everything is */
} leftovers[] = {
    { "the same answer again", "imapstate OK done\r\n", true },
    { "the begin of one", "imap", true },
    { "an answer to whatever comes next, behind something else", "* OK hello\r\n* 1 EXISTS\r\nimapstate OK\r\n", true },
    { "+", "+ \r\n", true },
    { "an alert", "* OK [ALERT] disk\r\n", false },
    { "the begin of one untagged", "* OK [AL", false },
};

TEST(an_answer_to_what_was_never_asked_ends_the_connection)
{
    for (size_t i = 0; i < ARRAY_LEN(leftovers); i++) {
        char all[256];
        struct upstream *upstream = open_by(PLAIN);
        snprintf(all, sizeof all, "* OK hello\r\n" LISTED "%s", leftovers[i].behind);
        scene_say(all);
        CHECK_ROW(leftovers[i].name, (strchr(scene.order, 'L') != NULL) == leftovers[i].is_lost);
        CHECK_ROW(leftovers[i].name, (strchr(scene.order, 'P') != NULL) != leftovers[i].is_lost);
        end_with(upstream);

        upstream = open_by(PLAIN);
        scene_say("* OK hello\r\n" LISTED);
        scene_say(leftovers[i].behind);
        assert_string_equal(scene.order, "TTTPL");
        assert_string_equal(scene.why, "the server speaks unasked before login");
        end_with(upstream);
    }
}

/* --- ID --- */

static const struct {
    const char *name, *says, *order;
} ids[] = {
    { "it is answered", "* ID (\"name\" \"X\")\r\nimapstate OK\r\n", "TTP" },
    { "it is refused", "imapstate BAD\r\n", "TP" },
    { "it is not answered", "", "L" },
    { "BYE", "* BYE\r\n", "TL" },
    { "an answer to something else", "a1 OK\r\n", "TL" },
};

TEST(the_owner_sends_an_id_for_its_user_before_the_login)
{
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        for (size_t cut = 0; cut <= strlen(ids[i].says); cut++) {
            scene_begin(SCENE_UPSTREAM(PLAIN " answer_timeout = \"7s\""));
            struct upstream *upstream = scene_open_ready("IMAP4rev1 ID");
            assert_true(upstream->before_login.id);
            connecting_send_id(upstream, IMAPSTATE_SPAN("(\"name\" \"ann\")"));
            assert_true(upstream->has_sent_id);
            scene_turn();
            assert_true(scene_hears("imapstate ID (\"name\" \"ann\")\r\n"));
            say(ids[i].says, cut, 0);
            scene_wait(6999);
            if (!*ids[i].says)
                assert_string_equal(scene.order, "");
            scene_wait(1);
            CHECK_ROW(ids[i].name, strcmp(scene.order, ids[i].order) == 0);
            end_with(upstream);
        }
}

/* --- the way there --- */

TEST(the_proxy_header_has_the_ends_of_the_clients_connection)
{
    struct imapstate_buf want;
    struct upstream *upstream = open_by(PLAIN " send_client_address = \"proxy-v2\"");
    imapstate_buf_init(&want, PROXY_HEADER_MAX);
    assert_true(proxy_write(&scene_peer, &scene_local, &want));
    CHECK_SPAN("header", imapstate_buf_span(&scene.wire->out), imapstate_buf_span(&want));
    imapstate_buf_done(&want);
    end_with(upstream);
}

/* What is left of it would be lost when TLS begins, and the server would take the handshake for its rest. */
TEST(a_server_that_does_not_read_the_proxy_header_gets_no_handshake_behind_its_half)
{
    scene_begin(SCENE_UPSTREAM("tls = \"implicit\" tls_verify = false send_client_address = \"proxy-v2\""));
    scene_open();
    scene.wire->room = 5;
    scene_accept();
    assert_string_equal(scene.order, "L");
    assert_string_equal(scene.why, "the server does not accept the PROXY header");
    assert_int_equal(scene.wire->out.len, 5);
    scene_end();
}

/* Once for each upstream, and not again before it has offered it. */
TEST(that_addresses_cannot_be_passed_on_without_id_is_news_once)
{
    struct upstream *upstream = open_by(PLAIN " send_client_address = \"id\"");
    scene_say("* OK hello\r\n* CAPABILITY IMAP4rev1\r\nimapstate OK done\r\n");
    assert_false(prelude_misses_id("main", SCENE_MEMBER, false));
    upstream_release(upstream, false);
    upstream = scene_open();
    scene_accept();
    scene_say("* OK hello\r\n" LISTED);
    assert_true(prelude_misses_id("main", SCENE_MEMBER, false));
    end_with(upstream);
    /* Where they are not to be passed on it is none. */
    upstream = open_by(PLAIN);
    scene_say("* OK hello\r\n* CAPABILITY IMAP4rev1\r\nimapstate OK done\r\n");
    assert_true(prelude_misses_id("main", SCENE_MEMBER, false));
    end_with(upstream);
}

TEST(a_server_that_takes_no_connection_is_lost_at_its_timeout_or_at_once)
{
    for (unsigned is_refused = 0; is_refused < 2; is_refused++) {
        scene_begin(SCENE_UPSTREAM(PLAIN " connect_timeout = \"5s\""));
        scene_open();
        if (is_refused)
            wire_refuse(scene.wire, ECONNREFUSED);
        scene_turn();
        scene_wait(4999);
        assert_string_equal(scene.order, is_refused ? "L" : "");
        scene_wait(1);
        assert_string_equal(scene.order, "L");
        assert_string_equal(scene.why, is_refused ? "Connection refused" : "timed out");
        scene_end();
    }
}

static void answer_name(unsigned addresses)
{
    naming_answer(addresses, scene.now_ms);
    upstreams_told(&scene.upstreams);
    scene_turn();
}

#define BY_NAME "upstream \"main\" { address = \"mail.example:143\" tls = \"none\" connect_timeout = \"5s\" }\n"

TEST(all_addresses_of_a_name_are_tried_before_it_is_lost)
{
    scene_begin(BY_NAME);
    scene_open();
    assert_null(scene.wire);
    answer_name(3);
    assert_int_equal(scene.asked, 1);
    wire_refuse(scene.wire, ECONNREFUSED);
    scene_turn();
    assert_int_equal(scene.asked, 2);
    /* It says nothing. The third is tried beside it, and its own time goes on. */
    scene_accept();
    scene_wait(249);
    assert_int_equal(scene.asked, 2);
    scene_wait(1);
    assert_int_equal(scene.asked, 3);
    scene_accept();
    assert_string_equal(scene.order, "");
    scene_say("220 smtp.example\r\n");
    assert_string_equal(scene.order, "T");
    scene_wait(4749);
    assert_string_equal(scene.order, "T");
    scene_wait(1);
    assert_int_equal(scene.asked, 3);
    assert_string_equal(scene.order, "TL");
    assert_string_equal(scene.why, "timed out");
    scene_end();
}

TEST(of_two_lists_the_first_counts)
{
    struct upstream *upstream = open_by(PLAIN);
    scene_say("* OK hello\r\n" NAMES "* CAPABILITY IMAP4rev1 STARTTLS\r\nimapstate OK done\r\n");
    assert_true(upstream->before_login.id);
    assert_false(upstream->before_login.starttls);
    end_with(upstream);
}

TEST(nothing_of_a_try_that_failed_goes_into_the_next)
{
    static const char *const last_words[] = { "* OK he", "* OK hello\r\n" NAMES, "* OK hello\r\n* X {9}\r\nab" };
    for (size_t i = 0; i < ARRAY_LEN(last_words); i++) {
        scene_begin(BY_NAME);
        struct upstream *upstream = scene_open();
        answer_name(2);
        scene_accept();
        scene_say(last_words[i]);
        wire_end(scene.wire);
        scene_turn();
        assert_int_equal(scene.asked, 2);
        scene_accept();
        scene_say("* OK hello\r\n* CAPABILITY IMAP4rev1\r\nimapstate OK done\r\n");
        assert_int_equal(upstream->state, UPSTREAM_READY);
        assert_false(upstream->before_login.id);
        end_with(upstream);
    }
}

TEST(an_address_that_serves_is_the_last_that_is_tried)
{
    scene_begin(BY_NAME);
    struct upstream *upstream = scene_open();
    answer_name(2);
    scene_accept();
    wire_end(scene.wire);
    scene_turn();
    assert_int_equal(scene.asked, 2);
    scene_accept();
    scene_say("* OK hello\r\n" LISTED);
    assert_string_equal(scene.order, "TTTP");
    assert_int_equal(scene.asked, 2);
    end_with(upstream);
}

TEST(a_name_that_has_no_address_is_lost_and_so_is_one_that_nobody_answers_for)
{
    for (unsigned is_answered = 0; is_answered < 2; is_answered++) {
        scene_begin(BY_NAME);
        scene_open();
        if (is_answered)
            answer_name(0);
        else
            for (unsigned seconds = 0; seconds < 5; seconds++) {
                assert_string_equal(scene.order, "");
                scene_wait(1000);
            }
        assert_string_equal(scene.order, "L");
        assert_string_equal(scene.why, is_answered ? "no such name" : "name resolution timed out");
        scene_end();
    }
}

/* Those who wait for a scout wait for a name no longer than for an address; the scout itself does. */
TEST(a_scout_whose_name_nobody_answers_for_stalls)
{
    uint32_t round;
    scene_begin(BY_NAME);
    const struct config_member *member = &scene.config->members[0];
    prelude_take_turn("main", member->text, scene.now_ms, &round);
    upstreams_scout(&scene.upstreams, scene.service, scene.config, member);
    scene_turn();
    scene_wait(RACE_STALL_MS - 1);
    assert_false(prelude_is_quiet("main", member->text));
    scene_wait(1);
    assert_true(prelude_is_quiet("main", member->text));
    assert_false(prelude_round_has_ended("main", member->text, round));
    for (unsigned seconds = 0; seconds < 5; seconds++)
        scene_wait(1000);
    assert_true(prelude_round_has_ended("main", member->text, round));
    scene_end();
}

TEST(one_that_is_put_off_is_not_hurried_by_what_becomes_known_for_others)
{
    scene_begin(SCENE_UPSTREAM(PLAIN));
    struct upstream *upstream =
        upstreams_open(&scene.upstreams, scene.service, scene.config, &scene_owner, &scene_ends);
    connecting_put_off(upstream, 400);
    loop_poke_all();
    scene_wait(399);
    assert_null(scene.wire);
    scene_wait(1);
    assert_non_null(scene.wire);
    end_with(upstream);
}

/* --- a server that has no room --- */

static void park_some(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char user[8];
        int peer;
        snprintf(user, sizeof user, "u%u", i);
        struct proof_identity identity = parking_identity(user, "secret");
        struct proof *proof = park_prove(&identity, scene.now_ms);
        park_put(parking_connection(scene.service, proof, "", scene.now_ms, &peer), scene.now_ms);
        park_proof_unref(proof);
        close(peer);
    }
    assert_int_equal(park_count(), count);
}

TEST(while_a_server_does_not_greet_a_parked_connection_gives_way_each_second)
{
    scene_begin(SCENE_UPSTREAM(PLAIN " connect_timeout = \"5s\""));
    park_some(3);
    struct upstream *upstream = scene_open();
    for (unsigned left = 3; left > 0; left--) {
        scene_wait(999);
        assert_int_equal(park_count(), left);
        scene_wait(1);
        assert_int_equal(park_count(), left - 1);
    }
    scene_accept();
    scene_say("* OK hello\r\n" LISTED);
    assert_string_equal(scene.order, "TTTP");
    end_with(upstream);
}

/* A look-up of our name, or a delay against spammers: silence is a guess at a limit that nobody has told. */
TEST(a_server_whose_limit_is_known_is_not_taken_for_full_because_it_is_slow)
{
    scene_begin(SCENE_UPSTREAM(PLAIN " connect_timeout = \"5s\" max_sessions = 9"));
    park_some(3);
    struct upstream *upstream = scene_open();
    scene_wait(2500);
    assert_int_equal(park_count(), 3);
    scene_accept();
    scene_say("* OK hello\r\n" LISTED);
    assert_string_equal(scene.order, "TTTP");
    end_with(upstream);
}

TEST(a_server_that_hangs_up_in_place_of_a_greeting_is_tried_again_while_parked_ones_give_way)
{
    static const char *const farewells[] = { "", "* BYE full\r\n" };
    for (size_t i = 0; i < ARRAY_LEN(farewells); i++) {
        scene_begin(SCENE_UPSTREAM(PLAIN));
        park_some(1);
        scene_open();
        for (unsigned tries = 1; !strchr(scene.order, 'L'); tries++) {
            assert_int_equal(scene.asked, tries);
            assert_true(tries <= 4);
            scene_accept();
            scene_say(farewells[i]);
            wire_end(scene.wire);
            scene_turn();
            assert_int_equal(park_count(), 0);
            scene_wait(1000);
        }
        assert_int_equal(scene.asked, 4);
        scene_end();

        /* Nobody can give way: once is enough. */
        scene_begin(SCENE_UPSTREAM(PLAIN));
        scene_open();
        scene_accept();
        scene_say(farewells[i]);
        wire_end(scene.wire);
        scene_turn();
        assert_non_null(strchr(scene.order, 'L'));
        scene_end();
    }
}

/* What the stream of a try that was given up still tells is of no interest. */
TEST(between_two_tries_nothing_is_heard)
{
    scene_begin(SCENE_UPSTREAM(PLAIN));
    park_some(1);
    struct upstream *upstream = scene_open();
    scene_accept();
    wire_feed(scene.wire, IMAPSTATE_SPAN("* BYE full\r\n* OK hello\r\n" LISTED));
    scene_turn();
    assert_string_equal(scene.order, "T");
    assert_true(connecting_is_failing(upstream));
    assert_true(scene_hears(""));
    scene_wait(1000);
    assert_int_equal(scene.asked, 2);
    scene_accept();
    scene_say("* OK hello\r\n" LISTED);
    assert_string_equal(scene.order, "TTTTP");
    end_with(upstream);
}

/* --- places --- */

#define ONE_LOGIN PLAIN " max_logins = 1 queue_timeout = \"10s\" connect_timeout = \"5s\""

static const struct upstream_place *the_place(void)
{
    return upstream_counters_place(&scene.upstreams.counters, "main", "192.0.2.1:143");
}

TEST(nothing_is_connected_for_a_login_before_another_has_its_answer)
{
    scene_begin(SCENE_UPSTREAM(ONE_LOGIN));
    struct upstream *first = scene_open_ready("IMAP4rev1"), *second = scene_open();
    assert_int_equal(second->state, UPSTREAM_QUEUED);
    assert_int_equal(the_place()->now[UPSTREAM_WAITS], 1);
    upstream_log_in(first);
    scene_wait(2500);
    assert_int_equal(scene.asked, 1);
    upstream_attach(first);
    scene_turn();
    assert_int_equal(scene.asked, 2);
    assert_int_equal(second->state, UPSTREAM_CONNECTING);
    assert_int_equal(second->queued_ms, 2500);
    assert_int_equal(histogram_count(&the_place()->queued), 1);
    assert_int_equal(the_place()->queued.sum_us, 2500000);
    assert_int_equal(the_place()->now[UPSTREAM_WAITS], 0);
    /* Its time to connect begins only now. */
    scene_wait(4999);
    assert_string_equal(scene.order, "");
    upstream_release(first, false);
    end_with(second);
}

TEST(a_login_that_has_waited_in_vain_is_lost)
{
    scene_begin(SCENE_UPSTREAM(ONE_LOGIN));
    struct upstream *first = scene_open_ready("IMAP4rev1");
    scene_open();
    scene_wait(9999);
    assert_string_equal(scene.order, "");
    scene_wait(1);
    assert_string_equal(scene.order, "L");
    assert_string_equal(scene.why, "no place in queue_timeout (max_logins, max_sessions)");
    assert_int_equal(the_place()->queue_timeouts, 1);
    assert_int_equal(the_place()->queue_left, 0);
    assert_int_equal(the_place()->bad_at_ms, 0); /* the server is there */
    assert_int_equal(queue_waiting("main", "192.0.2.1:143"), 0);
    upstream_release(first, false);
    scene_end();
}

TEST(whoever_leaves_the_queue_gives_way_to_the_next)
{
    scene_begin(SCENE_UPSTREAM(ONE_LOGIN));
    struct upstream *first = scene_open_ready("IMAP4rev1"), *second = scene_open(), *third = scene_open();
    upstream_release(second, false);
    scene_turn();
    assert_int_equal(the_place()->queue_left, 1);
    assert_int_equal(queue_waiting("main", "192.0.2.1:143"), 1);
    upstream_release(first, false);
    scene_turn();
    assert_int_equal(third->state, UPSTREAM_CONNECTING);
    end_with(third);
}

TEST(whoever_waits_hears_that_the_operator_has_taken_the_upstream_down)
{
    scene_begin(SCENE_UPSTREAM(ONE_LOGIN));
    struct upstream *first = scene_open_ready("IMAP4rev1");
    scene_open();
    assert_true(outage_begin("main", NULL, OUTAGE_DOWN));
    scene_wait(1000);
    assert_string_equal(scene.order, "L");
    assert_string_equal(scene.why, "the operator has taken it down");
    outage_done();
    upstream_release(first, false);
    scene_end();
}

TEST(the_gateway_asks_for_itself_without_waiting)
{
    uint32_t round;
    scene_begin(SCENE_UPSTREAM(ONE_LOGIN " max_sessions = 1"));
    struct upstream *first = scene_open_ready("IMAP4rev1");
    assert_int_equal(prelude_take_turn("main", SCENE_MEMBER, scene.now_ms, &round), PRELUDE_ASK);
    upstreams_scout(&scene.upstreams, scene.service, scene.config, &scene.config->members[0]);
    scene_turn();
    assert_int_equal(scene.asked, 2);
    end_with(first);
}

/* Parked by whoever had it first; the place at the server is still taken. */
TEST(a_parked_connection_gives_way_before_anybody_waits_for_its_place)
{
    scene_begin(SCENE_UPSTREAM(PLAIN " max_sessions = 1"));
    struct upstream *first = scene_open_attached();
    settling_begin(first, 0, false);
    scene_turn();
    assert_int_equal(park_count(), 1);
    scene.order[0] = '\0';
    struct upstream *second = scene_open();
    assert_int_equal(park_count(), 0);
    assert_int_equal(scene.asked, 2);
    assert_int_equal(second->state, UPSTREAM_CONNECTING);
    end_with(second);
}

/* It is given to whoever waits, and not parked for somebody who may come back. */
TEST(what_somebody_waits_for_is_not_parked)
{
    scene_begin(SCENE_UPSTREAM(PLAIN " max_sessions = 1"));
    struct upstream *first = scene_open_attached(), *second = scene_open();
    assert_int_equal(second->state, UPSTREAM_QUEUED);
    settling_begin(first, 0, false);
    scene_turn();
    assert_int_equal(park_count(), 0);
    assert_int_equal(second->state, UPSTREAM_CONNECTING);
    end_with(second);
}

/* max_logins held it up when it came; then only the place of a connection is missing. */
TEST(a_parked_connection_gives_way_as_soon_as_only_its_place_is_missing)
{
    scene_begin(SCENE_UPSTREAM(PLAIN " max_sessions = 2 max_logins = 1"));
    struct upstream *first = scene_open_attached();
    settling_begin(first, 0, false);
    scene_turn();
    scene.order[0] = '\0';
    struct upstream *second = scene_open_ready("IMAP4rev1"), *third = scene_open();
    upstream_log_in(second);
    assert_int_equal(third->state, UPSTREAM_QUEUED);
    assert_int_equal(park_count(), 1);
    upstream_attach(second);
    scene_turn();
    assert_int_equal(park_count(), 0);
    assert_int_equal(third->state, UPSTREAM_CONNECTING);
    upstream_release(second, false);
    end_with(third);
}

/* A connection that is woken has its place already. */
TEST(a_parked_connection_that_serves_again_waits_for_nobody)
{
    struct proof_identity identity = parking_identity("ann", "secret");
    struct imapstate_buf alerts;
    scene_begin(SCENE_UPSTREAM(PLAIN " max_sessions = 2 max_logins = 1"));
    struct upstream *first = scene_open_attached();
    settling_begin(first, 0, false);
    scene_turn();
    scene.order[0] = '\0';
    struct upstream *second = scene_open_ready("IMAP4rev1");
    struct parked *parked = park_match(&identity, scene.now_ms, NULL);
    imapstate_buf_init(&alerts, 1000);
    struct upstream *woken = upstreams_wake(&scene.upstreams, parked, &scene_owner, &alerts);
    assert_int_equal(woken->state, UPSTREAM_ATTACHED);
    assert_non_null(woken->kept.stay.queue);
    assert_false(woken->kept.stay.is_login);
    upstream_release(woken, false);
    end_with(second);
}

#define TWO_MEMBERS                                                                                                    \
    "upstream \"main\" { address = { \"192.0.2.1:143\", \"192.0.2.2:143\" } balance = \"order\" tls = \"none\" "       \
    "max_logins = 1 queue_timeout = \"10s\" }\n"

TEST(nobody_waits_at_one_member_while_another_has_a_place)
{
    scene_begin(TWO_MEMBERS);
    struct upstream *first = scene_open_ready("IMAP4rev1"), *second = scene_open_ready("IMAP4rev1");
    struct upstream *third = scene_open();
    assert_ptr_equal(first->member, &scene.config->members[0]);
    assert_ptr_equal(second->member, &scene.config->members[1]);
    assert_int_equal(third->state, UPSTREAM_QUEUED);
    assert_ptr_equal(third->member, &scene.config->members[0]);
    /* It waits where it belongs, and a place elsewhere is found within a second. */
    upstream_release(second, false);
    scene_turn();
    scene_wait(1000);
    assert_int_equal(third->state, UPSTREAM_CONNECTING);
    assert_ptr_equal(third->member, &scene.config->members[1]);
    assert_int_equal(third->queued_ms, 1000);
    scene_accept();
    assert_int_equal(queue_waiting("main", "192.0.2.1:143"), 0);
    /* Not one that others wait for. */
    struct upstream *fourth = scene_open(), *fifth = scene_open();
    assert_int_equal(queue_waiting("main", "192.0.2.1:143"), 2);
    upstream_release(first, false);
    scene_turn();
    assert_int_equal(fourth->state, UPSTREAM_CONNECTING);
    scene_wait(1000);
    assert_int_equal(fifth->state, UPSTREAM_QUEUED);
    upstream_release(third, false);
    upstream_release(fourth, false);
    end_with(fifth);
}

/* --- lists that are known --- */

TEST(a_list_that_goes_with_the_greeting_is_not_asked_for_again)
{
    uint32_t round;
    scene_begin(SCENE_UPSTREAM(PLAIN));
    prelude_take_turn("main", SCENE_MEMBER, scene.now_ms, &round);
    prelude_end_round("main", SCENE_MEMBER,
                      &(struct prelude_lesson){ .names = IMAPSTATE_SPAN("IMAP4rev1 ID"),
                                                .greeting_names = IMAPSTATE_SPAN("IMAP4rev1") },
                      scene.now_ms);
    struct upstream *upstream = scene_open();
    scene_accept();
    scene_say("* OK [CAPABILITY imap4REV1] hello\r\n");
    assert_string_equal(scene.order, "TP");
    assert_true(upstream->before_login.id);
    assert_true(scene_hears(""));
    end_with(upstream);
}

static void learn_of(const char *member, struct imapstate_span names)
{
    uint32_t round;
    prelude_take_turn("main", member, scene.now_ms, &round);
    prelude_end_round("main", member,
                      &(struct prelude_lesson){ .names = names, .greeting_names = IMAPSTATE_SPAN("IMAP4rev1") },
                      scene.now_ms);
}

/* Which of two that greet alike it is, and which lists are known. */
TEST(the_list_that_goes_with_a_greeting_is_the_members_own)
{
    uint32_t round;
    scene_begin(TWO_MEMBERS);
    learn_of("192.0.2.1:143", IMAPSTATE_SPAN("IMAP4rev1 ID"));
    struct upstream *first = scene_open_ready("IMAP4rev1 ID"), *second = scene_open();
    assert_ptr_equal(first->member, &scene.config->members[0]);
    assert_ptr_equal(second->member, &scene.config->members[1]);
    scene_accept();
    scene_say("* OK [CAPABILITY IMAP4rev1] hello\r\n");
    assert_true(scene_hears("imapstate CAPABILITY\r\n")); /* nothing is known of the second */
    scene_say("* CAPABILITY IMAP4rev1\r\nimapstate OK 1\r\n");
    assert_int_equal(second->state, UPSTREAM_READY);
    assert_false(second->before_login.id);
    assert_int_equal(prelude_take_turn("main", "192.0.2.1:143", scene.now_ms, &round), PRELUDE_FRESH);
    upstream_release(second, false);
    scene_turn();
    learn_of("192.0.2.2:143", IMAPSTATE_SPAN("IMAP4rev1"));
    second = scene_open();
    assert_ptr_equal(second->member, &scene.config->members[1]);
    scene_accept();
    scene_say("* OK [CAPABILITY IMAP4rev1] hello\r\n");
    assert_int_equal(second->state, UPSTREAM_READY);
    assert_false(second->before_login.id);
    assert_true(scene_hears(""));
    upstream_release(first, false);
    end_with(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dialog_goes_alike_wherever_it_is_cut),
        cmocka_unit_test(a_server_that_vanishes_at_any_octet_is_lost_once),
        cmocka_unit_test(what_is_said_unencrypted_is_for_nobody_where_tls_is_to_come),
        cmocka_unit_test(what_a_server_tells_whoever_connects_is_told_to_the_owner),
        cmocka_unit_test(a_line_without_an_end_is_given_up),
        cmocka_unit_test(octets_that_no_line_has_are_given_up),
        cmocka_unit_test(an_answer_to_what_was_never_asked_ends_the_connection),
        cmocka_unit_test(the_owner_sends_an_id_for_its_user_before_the_login),
        cmocka_unit_test(the_proxy_header_has_the_ends_of_the_clients_connection),
        cmocka_unit_test(a_server_that_does_not_read_the_proxy_header_gets_no_handshake_behind_its_half),
        cmocka_unit_test(that_addresses_cannot_be_passed_on_without_id_is_news_once),
        cmocka_unit_test(a_server_that_takes_no_connection_is_lost_at_its_timeout_or_at_once),
        cmocka_unit_test(all_addresses_of_a_name_are_tried_before_it_is_lost),
        cmocka_unit_test(of_two_lists_the_first_counts),
        cmocka_unit_test(nothing_of_a_try_that_failed_goes_into_the_next),
        cmocka_unit_test(an_address_that_serves_is_the_last_that_is_tried),
        cmocka_unit_test(a_name_that_has_no_address_is_lost_and_so_is_one_that_nobody_answers_for),
        cmocka_unit_test(a_scout_whose_name_nobody_answers_for_stalls),
        cmocka_unit_test(one_that_is_put_off_is_not_hurried_by_what_becomes_known_for_others),
        cmocka_unit_test(while_a_server_does_not_greet_a_parked_connection_gives_way_each_second),
        cmocka_unit_test(a_server_whose_limit_is_known_is_not_taken_for_full_because_it_is_slow),
        cmocka_unit_test(a_server_that_hangs_up_in_place_of_a_greeting_is_tried_again_while_parked_ones_give_way),
        cmocka_unit_test(between_two_tries_nothing_is_heard),
        cmocka_unit_test(nothing_is_connected_for_a_login_before_another_has_its_answer),
        cmocka_unit_test(a_login_that_has_waited_in_vain_is_lost),
        cmocka_unit_test(whoever_leaves_the_queue_gives_way_to_the_next),
        cmocka_unit_test(whoever_waits_hears_that_the_operator_has_taken_the_upstream_down),
        cmocka_unit_test(the_gateway_asks_for_itself_without_waiting),
        cmocka_unit_test(a_parked_connection_gives_way_before_anybody_waits_for_its_place),
        cmocka_unit_test(what_somebody_waits_for_is_not_parked),
        cmocka_unit_test(a_parked_connection_gives_way_as_soon_as_only_its_place_is_missing),
        cmocka_unit_test(a_parked_connection_that_serves_again_waits_for_nobody),
        cmocka_unit_test(nobody_waits_at_one_member_while_another_has_a_place),
        cmocka_unit_test(a_list_that_goes_with_the_greeting_is_not_asked_for_again),
        cmocka_unit_test(the_list_that_goes_with_a_greeting_is_the_members_own),
    };
    return SCENE_RUN(tests);
}
