#include "check.h"

#include "address.h"
#include "config.h"
#include "routeanswer.h"

#include <stdlib.h>
#include <string.h>

static void put_request(const char *user, struct imapstate_buf *ret_request)
{
    char host[] = "127.0.0.1", port[] = "9000", path[] = "/route?a=b";
    const struct config_route_http http = { .host = host, .port = port, .path = path };
    struct address client;
    uint8_t octets[] = { 192, 0, 2, 7 };
    address_set_raw(&client, AF_INET, octets, 4711);
    imapstate_buf_init(ret_request, ROUTEANSWER_REQUEST_MAX);
    assert_true(routeanswer_write_request(&http, imapstate_span_of(user), &client, ret_request));
}

#define HEAD                                                                                                           \
    "GET /route?a=b HTTP/1.0\r\nHost: 127.0.0.1:9000\r\nAuth-Method: plain\r\nAuth-Protocol: imap\r\nAuth-User: "
#define TAIL "\r\nClient-IP: 192.0.2.7\r\nUser-Agent: imapstate\r\nConnection: close\r\n\r\n"

static const struct {
    const char *name, *user;
    struct imapstate_span want;
} requests[] = {
    { "a name", "ann@example.net", IMAPSTATE_SPAN(HEAD "ann@example.net" TAIL) },
    { "no line of the name's own", "a\r\nAuth-Pass: x", IMAPSTATE_SPAN(HEAD "a%0D%0AAuth-Pass:%20x" TAIL) },
    { "no escape of the name's own", "50%25", IMAPSTATE_SPAN(HEAD "50%2525" TAIL) },
    { "not ASCII", "\xc3\xbc\x7f", IMAPSTATE_SPAN(HEAD "%C3%BC%7F" TAIL) },
};

TEST(a_request_says_who_and_from_where_and_nothing_else)
{
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        struct imapstate_buf request;
        put_request(requests[i].user, &request);
        CHECK_SPAN(requests[i].name, imapstate_buf_span(&request), requests[i].want);
        imapstate_buf_done(&request);
    }
}

TEST(the_longest_name_fits_and_a_longer_one_is_not_cut)
{
    char user[ROUTEANSWER_USER_MAX + 2], host[] = "127.0.0.1", port[] = "1", path[] = "/";
    const struct config_route_http http = { .host = host, .port = port, .path = path };
    struct address client = { .family = AF_UNIX };
    struct imapstate_buf request;
    memset(user, '\n', sizeof user);
    user[ROUTEANSWER_USER_MAX] = '\0';
    put_request(user, &request);
    imapstate_buf_clear(&request);
    assert_false(routeanswer_write_request(&http, (struct imapstate_span){ (uint8_t *)user, ROUTEANSWER_USER_MAX + 1 },
                                           &client, &request));
    imapstate_buf_done(&request);
}

#define OK   "HTTP/1.1 200 OK\r\n"
#define HERE "Auth-Status: OK\r\nAuth-Server: 192.0.2.9\r\nAuth-Port: 143\r\n"

static const struct {
    const char *name;
    struct imapstate_span text;
    enum routeanswer_result result;
    const char *server, *user, *why;
} answers[] = {
    { "nginx's own example", IMAPSTATE_SPAN("HTTP/1.0 200 OK\r\n" HERE "\r\n"), ROUTEANSWER_OK, "192.0.2.9:143", "",
      NULL },
    { "with a body, and in any case",
      IMAPSTATE_SPAN(OK
                     "auth-STATUS:ok\r\nAUTH-server:\t192.0.2.9 \r\nauth-port: 143\r\nX: y\r\n\r\nAuth-Server: x\r\n"),
      ROUTEANSWER_OK, "192.0.2.9:143", "", NULL },
    { "lines that end in LF alone",
      IMAPSTATE_SPAN("HTTP/1.0 204\nAuth-Status: OK\nAuth-Server: ::1\nAuth-Port: 993\n\n"), ROUTEANSWER_OK,
      "[::1]:993", "", NULL },
    { "another name", IMAPSTATE_SPAN(OK HERE "Auth-User: b%20b@x\r\n\r\n"), ROUTEANSWER_OK, "192.0.2.9:143", "b b@x",
      NULL },
    { "no such user", IMAPSTATE_SPAN(OK "Auth-Status: Invalid login or password\r\nAuth-Wait: 3\r\n\r\n"),
      ROUTEANSWER_REFUSED, NULL, NULL, NULL },
    { "later", IMAPSTATE_SPAN(OK "Auth-Status: WAIT\r\n\r\n"), ROUTEANSWER_LATER, NULL, NULL, NULL },
    { "no status", IMAPSTATE_SPAN(OK "Auth-Server: 192.0.2.9\r\nAuth-Port: 143\r\n\r\n"), ROUTEANSWER_WRONG, NULL, NULL,
      "it has no Auth-Status" },
    { "a name of a server", IMAPSTATE_SPAN(OK "Auth-Status: OK\r\nAuth-Server: mx\r\nAuth-Port: 143\r\n\r\n"),
      ROUTEANSWER_WRONG, NULL, NULL, "no IP address and port" },
    { "a path", IMAPSTATE_SPAN(OK "Auth-Status: OK\r\nAuth-Server: unix:/x\r\nAuth-Port: 143\r\n\r\n"),
      ROUTEANSWER_WRONG, NULL, NULL, "no IP address and port" },
    { "no port", IMAPSTATE_SPAN(OK "Auth-Status: OK\r\nAuth-Server: 192.0.2.9\r\n\r\n"), ROUTEANSWER_WRONG, NULL, NULL,
      "no IP address and port" },
    { "port 0", IMAPSTATE_SPAN(OK "Auth-Status: OK\r\nAuth-Server: 192.0.2.9\r\nAuth-Port: 0\r\n\r\n"),
      ROUTEANSWER_WRONG, NULL, NULL, "no IP address and port" },
    { "port 65536", IMAPSTATE_SPAN(OK "Auth-Status: OK\r\nAuth-Server: 192.0.2.9\r\nAuth-Port: 65536\r\n\r\n"),
      ROUTEANSWER_WRONG, NULL, NULL, "no IP address and port" },
    { "a NUL in the server", IMAPSTATE_SPAN(OK "Auth-Status: OK\r\nAuth-Server: 1.2.3.4\0x\r\nAuth-Port: 1\r\n\r\n"),
      ROUTEANSWER_WRONG, NULL, NULL, "no IP address and port" },
    { "two servers", IMAPSTATE_SPAN(OK HERE "Auth-Server: 192.0.2.8\r\n\r\n"), ROUTEANSWER_WRONG, NULL, NULL, "twice" },
    { "half an escape", IMAPSTATE_SPAN(OK HERE "Auth-User: a%2\r\n\r\n"), ROUTEANSWER_WRONG, NULL, NULL, "Auth-User" },
    { "a NUL in the name", IMAPSTATE_SPAN(OK HERE "Auth-User: a%00\r\n\r\n"), ROUTEANSWER_WRONG, NULL, NULL,
      "Auth-User" },
    { "a redirection is not followed",
      IMAPSTATE_SPAN("HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\n" HERE "\r\n"), ROUTEANSWER_WRONG, NULL,
      NULL, "not 200" },
    { "an error", IMAPSTATE_SPAN("HTTP/1.1 500 no\r\n" HERE "\r\n"), ROUTEANSWER_WRONG, NULL, NULL, "not 200" },
    { "IMAP", IMAPSTATE_SPAN("* OK hi\r\n"), ROUTEANSWER_WRONG, NULL, NULL, "not HTTP" },
    { "a folded line", IMAPSTATE_SPAN(OK "X: a\r\n Auth-Status: OK\r\n\r\n"), ROUTEANSWER_WRONG, NULL, NULL,
      "is none" },
    { "a line that is no header", IMAPSTATE_SPAN(OK "hello\r\n\r\n"), ROUTEANSWER_WRONG, NULL, NULL, "is none" },
};

static void check_answer(size_t i)
{
    struct routeanswer answer;
    CHECK_ROW(answers[i].name, routeanswer_read(answers[i].text, true, &answer) == answers[i].result);
    if (answers[i].result == ROUTEANSWER_OK) {
        CHECK_ROW(answers[i].name, strcmp(answer.server, answers[i].server) == 0);
        CHECK_ROW(answers[i].name, strcmp(answer.user, answers[i].user) == 0);
        CHECK_ROW(answers[i].name, answer.user_len == strlen(answers[i].user));
    }
    if (answers[i].why)
        CHECK_ROW(answers[i].name, strstr(answer.why, answers[i].why) != NULL);
}

/* Copied, so that a sanitizer sees who reads beyond. */
static enum routeanswer_result read_cut(struct imapstate_span text, bool is_at_end)
{
    struct routeanswer answer;
    uint8_t *copy = malloc(text.len + 1);
    memcpy(copy, text.at, text.len);
    uint8_t *exact = realloc(copy, text.len > 0 ? text.len : 1);
    enum routeanswer_result result =
        routeanswer_read((struct imapstate_span){ exact ? exact : copy, text.len }, is_at_end, &answer);
    free(exact);
    return result;
}

TEST(an_answer_is_read_wherever_it_is_cut)
{
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        check_answer(i);
        for (size_t cut = 0; cut < answers[i].text.len; cut++) {
            struct imapstate_span part = { answers[i].text.at, cut };
            enum routeanswer_result result = read_cut(part, false);
            CHECK_ROW(answers[i].name, result == ROUTEANSWER_MORE || result == answers[i].result);
            if (result == ROUTEANSWER_MORE)
                CHECK_ROW(answers[i].name, read_cut(part, true) == ROUTEANSWER_WRONG);
        }
    }
}

TEST(headers_without_end_are_given_up)
{
    struct routeanswer answer;
    char *many = malloc(ROUTEANSWER_MAX);
    memset(many, 'x', ROUTEANSWER_MAX);
    memcpy(many, OK "X:", sizeof OK + 1);
    struct imapstate_span all = { (const uint8_t *)many, ROUTEANSWER_MAX }, less = { all.at, all.len - 1 };
    assert_int_equal(routeanswer_read(less, false, &answer), ROUTEANSWER_MORE);
    assert_int_equal(routeanswer_read(all, false, &answer), ROUTEANSWER_WRONG);
    free(many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_says_who_and_from_where_and_nothing_else),
        cmocka_unit_test(the_longest_name_fits_and_a_longer_one_is_not_cut),
        cmocka_unit_test(an_answer_is_read_wherever_it_is_cut),
        cmocka_unit_test(headers_without_end_are_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
