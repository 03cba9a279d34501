#include "check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>

#include "address.h"
#include "config.h"
#include "loop.h"
#include "routecache.h"
#include "routehttp.h"
#include "wire.h"

#define FOUND      "HTTP/1.0 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 10.0.0.7\r\nAuth-Port: 143\r\n"
#define TIMEOUT_MS 3000u

static char url[] = "http://127.0.0.1:9000/r", host[] = "127.0.0.1", port[] = "9000", path[] = "/r";
static struct config_route_http http = {
    .url = url, .host = host, .port = port, .path = path, .cache_ms = 60000, .timeout_ms = TIMEOUT_MS
};
static const struct address client = { AF_INET, 4711, { 192, 0, 2, 7 } };

static struct {
    struct loop loop;
    struct routehttp routehttp;
    uint64_t now_ms;
    unsigned answers;
    enum routeanswer_result result;
    char server[ROUTEANSWER_SERVER_MAX];
    char why[128];
} scene;

static void pass(uint64_t ms)
{
    scene.now_ms += ms;
    for (int turns = 0; loop_pass(&scene.loop, scene.now_ms); turns++)
        assert_true(turns < 10000);
}

static void begin(void)
{
    memset(&scene, 0, sizeof scene);
    scene.now_ms = 1000000;
    http.endpoint.sockaddr.in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(9000) };
    http.endpoint.sockaddr.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    http.endpoint.len = sizeof http.endpoint.sockaddr.in;
    wires_begin();
    loop_init_bare(&scene.loop, 0, NULL);
    scene.loop.watches.is_ready = wire_is_ready;
    routehttp_init(&scene.routehttp, &scene.loop);
    pass(0);
}

static void end(void)
{
    pass(TIMEOUT_MS);
    assert_int_equal(scene.routehttp.asked, 0);
    assert_true(list_is_empty(&scene.routehttp.waiting));
    assert_int_equal(wires_count(), 0); /* nothing is left open */
    loop_done(&scene.loop);
    wires_end();
    routecache_forget();
}

static void on_answer(void *owner, enum routeanswer_result result, const struct routeanswer *answer)
{
    assert_ptr_equal(owner, &scene);
    scene.answers++;
    scene.result = result;
    snprintf(scene.server, sizeof scene.server, "%s", answer->server);
    snprintf(scene.why, sizeof scene.why, "%s", answer->why ? answer->why : "");
}

static struct question *ask(const char *user)
{
    unsigned before = scene.answers;
    struct question *question =
        routehttp_ask(&scene.routehttp, &http, imapstate_span_of(user), &client, on_answer, &scene);
    assert_non_null(question);
    assert_int_equal(scene.answers, before); /* never from within */
    pass(0);
    return question;
}

/* The service accepts the connection that waits. NULL: none does. */
static struct wire *accept_one(void)
{
    struct wire *wire = wire_asked();
    if (wire) {
        wire_accept(wire);
        pass(0);
    }
    return wire;
}

static void say(struct wire *wire, const char *octets)
{
    wire_feed(wire, imapstate_span_of(octets));
    pass(0);
}

TEST(an_answer_may_come_in_pieces_and_is_kept)
{
    static const char whole[] = FOUND "\r\nbody";
    for (size_t cut = 0; cut < sizeof FOUND "\r\n" - 1; cut++) {
        struct routeanswer kept;
        begin();
        ask("ann");
        struct wire *wire = accept_one();
        assert_non_null(strstr(wire_take(wire), "\r\nAuth-User: ann\r\n"));
        wire_feed(wire, (struct imapstate_span){ (const uint8_t *)whole, cut });
        pass(0);
        assert_int_equal(scene.answers, 0);
        say(wire, whole + cut);
        assert_int_equal(scene.answers, 1);
        assert_int_equal(scene.result, ROUTEANSWER_OK);
        assert_string_equal(scene.server, "10.0.0.7:143");
        assert_true(routecache_find(&http, IMAPSTATE_SPAN("ann"), &client, scene.now_ms, &kept));
        end();
    }
}

static const struct {
    const char *name, *says;
    bool hangs_up;
    enum routeanswer_result result;
} answers[] = {
    { "no such user", "HTTP/1.0 200 OK\r\nAuth-Status: no\r\n\r\n", false, ROUTEANSWER_REFUSED },
    { "not now", "HTTP/1.0 200 OK\r\nAuth-Status: WAIT\r\n\r\n", false, ROUTEANSWER_LATER },
    { "an error", "HTTP/1.0 500 Oops\r\n\r\n", false, ROUTEANSWER_WRONG },
    { "an end before the headers' end", FOUND, true, ROUTEANSWER_WRONG },
    { "an end at once", "", true, ROUTEANSWER_WRONG },
};

TEST(what_is_no_place_is_told_once_and_not_kept)
{
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct routeanswer kept;
        begin();
        ask("ann");
        struct wire *wire = accept_one();
        say(wire, answers[i].says);
        if (answers[i].hangs_up)
            wire_end(wire);
        pass(0);
        CHECK_ROW(answers[i].name, scene.answers == 1 && scene.result == answers[i].result);
        CHECK_ROW(answers[i].name, (answers[i].result == ROUTEANSWER_WRONG) == (scene.why[0] != '\0'));
        CHECK_ROW(answers[i].name, !routecache_find(&http, IMAPSTATE_SPAN("ann"), &client, scene.now_ms, &kept));
        end();
        CHECK_ROW(answers[i].name, scene.answers == 1);
    }
}

TEST(who_cannot_be_reached_or_hangs_up_is_told)
{
    begin();
    ask("ann");
    wire_refuse(wire_asked(), ECONNREFUSED);
    pass(0);
    assert_int_equal(scene.answers, 1);
    assert_int_equal(scene.result, ROUTEANSWER_WRONG);
    ask("ann");
    wire_reset(accept_one());
    pass(0);
    assert_int_equal(scene.answers, 2);
    assert_int_equal(scene.result, ROUTEANSWER_WRONG);
    end();
}

TEST(the_time_begins_when_it_is_asked_for)
{
    begin();
    for (unsigned i = 0; i < ROUTEHTTP_MAX; i++)
        ask("silent");
    while (accept_one())
        ;
    pass(1000);
    ask("ann"); /* waits for its turn */
    assert_null(accept_one());
    pass(TIMEOUT_MS - 1001);
    assert_int_equal(scene.answers, 0);
    pass(1);
    assert_int_equal(scene.answers, ROUTEHTTP_MAX);
    assert_string_equal(scene.why, "it does not answer in time");
    assert_non_null(accept_one()); /* now it is asked, and has what is left of its time */
    pass(999);
    assert_int_equal(scene.answers, ROUTEHTTP_MAX);
    pass(1);
    assert_int_equal(scene.answers, ROUTEHTTP_MAX + 1);
    end();
}

TEST(who_is_cancelled_hears_nothing_and_gives_its_place)
{
    struct question *questions[ROUTEHTTP_MAX + 2];
    begin();
    for (unsigned i = 0; i < ROUTEHTTP_MAX + 2; i++)
        questions[i] = ask("ann");
    while (accept_one())
        ;
    assert_int_equal(scene.routehttp.asked, ROUTEHTTP_MAX);
    routehttp_cancel(questions[ROUTEHTTP_MAX]); /* one that waits: nobody's turn comes */
    pass(0);
    assert_null(accept_one());
    routehttp_cancel(questions[0]);
    pass(0);
    assert_non_null(accept_one());
    assert_null(accept_one());
    for (unsigned i = 1; i < ROUTEHTTP_MAX; i++)
        routehttp_cancel(questions[i]);
    routehttp_cancel(questions[ROUTEHTTP_MAX + 1]);
    routehttp_cancel(NULL);
    end();
    assert_int_equal(scene.answers, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_may_come_in_pieces_and_is_kept),
        cmocka_unit_test(what_is_no_place_is_told_once_and_not_kept),
        cmocka_unit_test(who_cannot_be_reached_or_hangs_up_is_told),
        cmocka_unit_test(the_time_begins_when_it_is_asked_for),
        cmocka_unit_test(who_is_cancelled_hears_nothing_and_gives_its_place),
    };
    signal(SIGPIPE, SIG_IGN);
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
