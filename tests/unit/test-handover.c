#include "check.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "handover.h"

static int old, new;

static int make_pair(void **state)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return -1;
    old = pair[0];
    new = pair[1];
    return 0;
}

static int close_pair(void **state)
{
    close(old);
    close(new);
    return 0;
}

TEST(a_message_has_its_kind_and_its_text)
{
    struct handover_message message;
    assert_true(handover_send(old, HANDOVER_KEY, imapstate_span_of("a key"), NULL, 0));
    assert_true(handover_send(old, HANDOVER_END, imapstate_span_of(""), NULL, 0));
    assert_int_equal(handover_receive(new, &message), 1);
    assert_int_equal(message.kind, HANDOVER_KEY);
    assert_int_equal(message.len, 5);
    assert_string_equal((const char *)message.text, "a key");
    handover_done(&message);
    assert_string_equal((const char *)message.text, ""); /* wiped */
    assert_int_equal(handover_receive(new, &message), 1);
    assert_int_equal(message.kind, HANDOVER_END);
    assert_int_equal(message.len, 0);
    assert_int_equal(message.fd_count, 0);
}

TEST(descriptors_go_over_and_are_the_receivers_own)
{
    struct handover_message message;
    int fds[HANDOVER_FDS_MAX], pipe_fds[2];
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    for (size_t i = 0; i < HANDOVER_FDS_MAX; i++)
        fds[i] = pipe_fds[1];
    assert_true(handover_send(old, HANDOVER_SOCKETS, imapstate_span_of("given"), fds, HANDOVER_FDS_MAX));
    close(pipe_fds[1]);
    assert_int_equal(handover_receive(new, &message), 1);
    assert_int_equal(message.fd_count, HANDOVER_FDS_MAX);
    assert_string_equal((const char *)message.text, "given");
    for (size_t i = 0; i < HANDOVER_FDS_MAX; i++)
        assert_true(fcntl(message.fds[i], F_GETFD) & FD_CLOEXEC);
    assert_int_equal(write(message.fds[HANDOVER_FDS_MAX - 1], "x", 1), 1);
    handover_done(&message);
    char octet;
    assert_int_equal(read(pipe_fds[0], &octet, 1), 1);
    assert_int_equal(read(pipe_fds[0], &octet, 1), 0); /* all are closed */
    close(pipe_fds[0]);
}

TEST(a_text_that_is_too_long_is_cut)
{
    static uint8_t text[HANDOVER_TEXT_MAX + 100];
    struct handover_message message;
    memset(text, 'x', sizeof text);
    assert_true(handover_send(new, HANDOVER_FAILED, (struct imapstate_span){ text, sizeof text }, NULL, 0));
    assert_int_equal(handover_receive(old, &message), 1);
    assert_int_equal(message.len, HANDOVER_TEXT_MAX);
    assert_int_equal(message.text[HANDOVER_TEXT_MAX], '\0');
    handover_done(&message);
}

TEST(the_last_words_of_one_that_has_ended_are_heard_though_it_has_not_listened)
{
    struct handover_message message;
    assert_true(handover_send(old, HANDOVER_END, imapstate_span_of(""), NULL, 0));
    assert_true(handover_send(new, HANDOVER_FAILED, imapstate_span_of("why"), NULL, 0));
    close(new);
    assert_int_equal(handover_receive(old, &message), 1);
    assert_int_equal(message.kind, HANDOVER_FAILED);
    assert_string_equal((const char *)message.text, "why");
    assert_int_equal(handover_receive(old, &message), 0);
    assert_false(handover_send(old, HANDOVER_GO, imapstate_span_of(""), NULL, 0));
    new = -1;
}

TEST(nothing_is_waited_for_where_the_socket_does_not)
{
    struct handover_message message;
    assert_int_equal(handover_receive(new, &message), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_message_has_its_kind_and_its_text, make_pair, close_pair),
        cmocka_unit_test_setup_teardown(descriptors_go_over_and_are_the_receivers_own, make_pair, close_pair),
        cmocka_unit_test_setup_teardown(a_text_that_is_too_long_is_cut, make_pair, close_pair),
        cmocka_unit_test_setup_teardown(the_last_words_of_one_that_has_ended_are_heard_though_it_has_not_listened,
                                        make_pair, close_pair),
        cmocka_unit_test_setup_teardown(nothing_is_waited_for_where_the_socket_does_not, make_pair, close_pair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
