/* Processes that drain, played by sockets of the test's. */
#include "check.h"

#include "controlsocket.h"
#include "figures.h"
#include "inherited.h"
#include "loop.h"
#include "predecessors.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define OLD_MAX 12

static char folder[64], path[96];
static struct loop loop;
static struct controlsocket controlsocket;
static struct standing standing;
static struct predecessors *predecessors;
static struct predecessors_request request;
static int listening[OLD_MAX];
static char old_paths[OLD_MAX][128];
static unsigned old_count, answers;

static void on_told(struct loop *told)
{
}

static void on_answered(void *asker)
{
    answers++;
    event_base_loopbreak(loop.base);
}

static int begin(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/test-predecessors.XXXXXX");
    if (!mkdtemp(folder) || !loop_init(&loop, 254, on_told))
        return 1;
    snprintf(path, sizeof path, "%s/control", folder);
    controlsocket = (struct controlsocket){ .path = path, .fd = -1 };
    standing = (struct standing){ .control = &controlsocket };
    request = (struct predecessors_request){ .answered = on_answered };
    old_count = answers = 0;
    predecessors = predecessors_new(&loop, &standing);
    return predecessors ? 0 : 1;
}

static int end(void **state)
{
    predecessors_free(predecessors);
    loop_done(&loop);
    for (unsigned i = 0; i < old_count; i++) {
        close(listening[i]);
        unlink(old_paths[i]);
    }
    return rmdir(folder);
}

/* A process of this number drains. */
static unsigned drain(unsigned pid)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(old_paths[old_count], sizeof old_paths[0], "%s.old-%u", path, pid);
    memcpy(address.sun_path, old_paths[old_count], strlen(old_paths[old_count]) + 1);
    listening[old_count] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listening[old_count], (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listening[old_count], 4), 0);
    return old_count++;
}

static void ask(void)
{
    predecessors_ask(predecessors, &request);
}

static void wait_for_answer(void)
{
    unsigned before = answers;
    while (answers == before)
        event_base_loop(loop.base, EVLOOP_ONCE);
}

/* The process is asked, and gives an answer, or half of one, and closes. */
static void answer(unsigned old, const char *text)
{
    char question[64] = "";
    int fd = accept(listening[old], NULL, NULL);
    assert_true(fd >= 0);
    event_base_loop(loop.base, EVLOOP_NONBLOCK); /* sends it */
    assert_true(read(fd, question, sizeof question - 1) > 0);
    assert_string_equal(question, "[\"show\",\"counters\",\"--all\"]\n");
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

#define ROW(value) "{\"row\":{\"name\":\"imapstate_workers\",\"value\":\"" value "\"}}\n"
#define DONE       "{\"done\":\"since the start\"}\n"

static const struct inheritance *told(void)
{
    return predecessors_told(predecessors);
}

TEST(without_any_the_answer_is_there_at_once)
{
    ask();
    assert_int_equal(answers, 1);
    assert_int_equal(told()->count + told()->silent, 0);
}

TEST(without_a_control_socket_there_are_none)
{
    drain(7);
    controlsocket.path = NULL;
    ask();
    standing.control = NULL;
    ask();
    assert_int_equal(answers, 2);
    assert_int_equal(told()->count + told()->silent, 0);
}

TEST(each_is_told_of_by_its_name)
{
    unsigned one = drain(7), other = drain(12);
    ask();
    answer(one, ROW("1") ROW("2") DONE);
    answer(other, ROW("3") DONE);
    assert_int_equal(answers, 0);
    wait_for_answer();
    assert_int_equal(told()->count, 2);
    assert_int_equal(told()->silent, 0);
    const struct inherited *first = strcmp(told()->of[0].process, "old-7") == 0 ? &told()->of[0] : &told()->of[1];
    const struct inherited *second = first == &told()->of[0] ? &told()->of[1] : &told()->of[0];
    assert_string_equal(second->process, "old-12");
    assert_int_equal(inherited_sum(first, "imapstate_workers", NULL), 3);
    assert_int_equal(inherited_sum(second, "imapstate_workers", NULL), 3);
    assert_int_equal(first->count, 2);
}

TEST(one_that_dies_in_the_middle_is_silent_and_the_others_are_told_of)
{
    unsigned one = drain(7), other = drain(12);
    ask();
    answer(one, ROW("1") "{\"row\":{\"na");
    answer(other, ROW("3") DONE);
    wait_for_answer();
    assert_int_equal(told()->count, 1);
    assert_string_equal(told()->of[0].process, "old-12");
    assert_int_equal(told()->silent, 1);
}

TEST(one_that_talks_nonsense_without_end_is_silent)
{
    static char nonsense[20000];
    unsigned one = drain(7);
    memset(nonsense, 'x', sizeof nonsense - 1);
    ask();
    answer(one, nonsense);
    wait_for_answer();
    assert_int_equal(told()->count, 0);
    assert_int_equal(told()->silent, 1);
}

TEST(one_that_is_held_up_is_silent_when_its_time_is_over)
{
    drain(7);
    unsigned other = drain(12);
    uint64_t began_ms = loop_now_ms(&loop);
    ask();
    answer(other, ROW("3") DONE);
    wait_for_answer();
    assert_in_range(loop_now_ms(&loop) - began_ms, PREDECESSORS_LIMIT_MS - 100, 20 * PREDECESSORS_LIMIT_MS);
    assert_int_equal(told()->count, 1);
    assert_int_equal(told()->silent, 1);
}

TEST(a_socket_that_was_left_behind_is_nobody)
{
    close(listening[drain(7)]);
    listening[0] = -1;
    ask();
    assert_int_equal(answers, 1);
    assert_int_equal(told()->silent, 0);
}

TEST(what_was_said_is_forgotten_when_it_has_ended)
{
    unsigned one = drain(7);
    ask();
    answer(one, ROW("1") DONE);
    wait_for_answer();
    assert_int_equal(told()->count, 1);
    unlink(old_paths[one]);
    ask();
    assert_int_equal(answers, 2);
    assert_int_equal(told()->count, 0);
}

TEST(more_than_are_asked_are_silent)
{
    for (unsigned pid = 1; pid <= PREDECESSORS_MAX + 2; pid++)
        drain(pid);
    ask();
    predecessors_withdraw(&request);
    for (unsigned i = 0; i < old_count; i++) { /* whichever were asked: all are gone */
        shutdown(listening[i], SHUT_RDWR);
        close(listening[i]);
        listening[i] = -1;
    }
    ask(); /* gets the answer to the first question */
    wait_for_answer();
    assert_int_equal(told()->silent, PREDECESSORS_MAX + 2);
}

TEST(whoever_has_withdrawn_is_not_told)
{
    unsigned one = drain(7);
    struct predecessors_request other = { .answered = on_answered };
    ask();
    predecessors_ask(predecessors, &other);
    predecessors_withdraw(&request);
    answer(one, ROW("1") DONE);
    wait_for_answer();
    assert_int_equal(answers, 1);
}

TEST(it_can_end_while_they_are_asked)
{
    drain(7);
    ask();
    assert_int_equal(answers, 0);
}

int main(void)
{
#define EACH(sentence) cmocka_unit_test_setup_teardown(sentence, begin, end)
    const struct CMUnitTest tests[] = {
        EACH(without_any_the_answer_is_there_at_once),
        EACH(without_a_control_socket_there_are_none),
        EACH(each_is_told_of_by_its_name),
        EACH(one_that_dies_in_the_middle_is_silent_and_the_others_are_told_of),
        EACH(one_that_talks_nonsense_without_end_is_silent),
        EACH(one_that_is_held_up_is_silent_when_its_time_is_over),
        EACH(a_socket_that_was_left_behind_is_nobody),
        EACH(what_was_said_is_forgotten_when_it_has_ended),
        EACH(more_than_are_asked_are_silent),
        EACH(whoever_has_withdrawn_is_not_told),
        EACH(it_can_end_while_they_are_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
