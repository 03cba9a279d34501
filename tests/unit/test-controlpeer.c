#include "check.h"

#include "reply.h"
#include "controlline.h"
#include "controlpeer.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct event_base *base;
static struct controlpeers peers;
static char obeyed[4096];      /* the lines, each with its LF */
static struct reply *pending; /* of "wait" and "flood" */
static unsigned flooded;

/* Rows as fast as there is room. */
static void flood(void *waiter)
{
    struct reply *reply = waiter;
    while (!reply_is_abandoned(reply)) {
        if (!reply_has_room(reply, flood, reply))
            return;
        reply_put_row(reply, json_pack("{sI}", "n", (json_int_t)flooded++));
    }
    reply_end(reply, REPLY_DONE, "flooded");
    pending = NULL;
}

static void obey(void *owner, struct imapstate_span line, struct reply *reply)
{
    size_t len = strlen(obeyed);
    snprintf(obeyed + len, sizeof obeyed - len, "%.*s\n", (int)line.len, (const char *)line.at);
    pending = reply;
    if (imapstate_span_equal(line, IMAPSTATE_SPAN("flood")))
        flood(reply);
    else if (!imapstate_span_equal(line, IMAPSTATE_SPAN("wait")))
        reply_end(reply, REPLY_DONE, "%.*s", (int)line.len, (const char *)line.at);
}

static int begin(void)
{
    int ends[2];
    *obeyed = '\0';
    flooded = 0;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    base = event_base_new();
    assert_non_null(base);
    controlpeers_init(&peers, base, obey, NULL);
    controlpeer_begin(&peers, ends[0]);
    return ends[1];
}

static void end(int fd)
{
    controlpeers_done(&peers);
    assert_int_equal(peers.count, 0);
    event_base_free(base);
    close(fd);
}

static void turn(void)
{
    for (int i = 0; i < 20; i++)
        event_base_loop(base, EVLOOP_NONBLOCK);
}

static void say(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    turn();
}

/* What has come; "END" behind it if that was the end. */
static const char *hear(int fd)
{
    static char heard[1u << 20];
    size_t len = 0;
    ssize_t got;
    turn();
    while ((got = read(fd, heard + len, sizeof heard - 8 - len)) > 0) {
        len += (size_t)got;
        turn();
    }
    strcpy(heard + len, got == 0 ? "END" : "");
    return heard;
}

TEST(lines_are_carried_out_one_after_the_other)
{
    int fd = begin();
    say(fd, "a\nb\nc");
    assert_string_equal(hear(fd), "{\"done\":\"a\"}\n{\"done\":\"b\"}\n");
    say(fd, "d\n");
    assert_string_equal(hear(fd), "{\"done\":\"cd\"}\n");
    end(fd);
}

TEST(octet_by_octet_it_is_the_same)
{
    int fd = begin();
    for (const char *at = "[\"x\"]\ny\n"; *at; at++)
        say(fd, (char[]){ *at, '\0' });
    assert_string_equal(obeyed, "[\"x\"]\ny\n");
    end(fd);
}

TEST(while_one_is_carried_out_the_next_waits)
{
    int fd = begin();
    say(fd, "wait\nb\n");
    assert_string_equal(obeyed, "wait\n");
    assert_string_equal(hear(fd), "");
    reply_end(pending, REPLY_DONE, "late");
    assert_string_equal(hear(fd), "{\"done\":\"late\"}\n{\"done\":\"b\"}\n");
    end(fd);
}

TEST(who_only_shuts_down_its_side_hears_the_rest)
{
    int fd = begin();
    say(fd, "wait\nb\nhalf a line");
    shutdown(fd, SHUT_WR);
    turn();
    reply_end(pending, REPLY_DONE, "late");
    assert_string_equal(hear(fd), "{\"done\":\"late\"}\n{\"done\":\"b\"}\nEND");
    assert_int_equal(peers.count, 0);
    end(fd);
}

TEST(a_line_that_is_too_long_ends_the_connection_with_an_error)
{
    int fd = begin();
    char *line = malloc(CONTROLLINE_MAX + 2);
    assert_non_null(line);
    memset(line, 'x', CONTROLLINE_MAX + 1);
    line[CONTROLLINE_MAX + 1] = '\0';
    say(fd, line);
    assert_string_equal(hear(fd), "{\"error\":\"the line is too long\",\"kind\":\"usage\"}\nEND");
    assert_string_equal(obeyed, "");
    free(line);
    end(fd);
}

TEST(a_reader_who_does_not_read_holds_little_and_stops_nobody)
{
    int slow = begin(), ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    controlpeer_begin(&peers, ends[0]);
    say(slow, "flood\n");
    unsigned before = flooded;
    turn();
    assert_int_equal(flooded, before); /* it has stopped */
    assert_true(before * strlen("{\"row\":{\"n\":10}}\n") < 16 * CONTROLPEER_ROOM);
    say(ends[1], "a\n");
    assert_string_equal(hear(ends[1]), "{\"done\":\"a\"}\n");
    char octets[65536];
    assert_true(read(slow, octets, sizeof octets) > 0);
    while (read(slow, octets, sizeof octets) > 0)
        ;
    turn();
    assert_true(flooded > before); /* it goes on */
    close(ends[1]);
    end(slow);
    assert_null(pending);
}

TEST(who_goes_away_in_the_middle_is_not_written_to_any_more)
{
    int fd = begin();
    say(fd, "flood\n");
    close(fd);
    turn();
    assert_int_equal(peers.count, 0);
    assert_null(pending); /* it was told, and has ended */
    controlpeers_done(&peers);
    event_base_free(base);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as the daemon does */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_carried_out_one_after_the_other),
        cmocka_unit_test(octet_by_octet_it_is_the_same),
        cmocka_unit_test(while_one_is_carried_out_the_next_waits),
        cmocka_unit_test(who_only_shuts_down_its_side_hears_the_rest),
        cmocka_unit_test(a_line_that_is_too_long_ends_the_connection_with_an_error),
        cmocka_unit_test(a_reader_who_does_not_read_holds_little_and_stops_nobody),
        cmocka_unit_test(who_goes_away_in_the_middle_is_not_written_to_any_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
