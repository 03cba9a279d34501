#include "check.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "watch.h"

static struct watches watches;
static char called[32];
static bool is_ready[8]; /* by descriptor */

static bool ready(int fd, short what)
{
    assert_true(what == EV_READ || what == EV_WRITE);
    return fd >= 0 && is_ready[fd];
}

static void begin(void)
{
    watches_init(&watches, NULL);
    watches.is_ready = ready;
    *called = '\0';
    memset(is_ready, 0, sizeof is_ready);
}

/* By its owner: a letter. */
static void note(int fd, short what, void *owner)
{
    strncat(called, owner, 1);
}

/* The letters of those that are called in one turn. */
static const char *turn(void)
{
    *called = '\0';
    watches_turn(&watches);
    return called;
}

TEST(who_has_begun_is_called_as_long_as_its_descriptor_is_ready)
{
    struct watch a, b;
    begin();
    watch_init(&a, &watches, 1, EV_READ | EV_PERSIST, note, (char[]){ 'a' });
    watch_init(&b, &watches, 2, EV_READ | EV_PERSIST, note, (char[]){ 'b' });
    is_ready[1] = is_ready[2] = true;
    assert_string_equal(turn(), "");
    watch_begin(&a);
    assert_string_equal(turn(), "a");
    watch_begin(&b);
    watch_begin(&b);
    assert_string_equal(turn(), "ab");
    is_ready[1] = false;
    assert_string_equal(turn(), "b");
    watch_stop(&b);
    assert_string_equal(turn(), "");
    assert_false(watches_turn(&watches));
}

TEST(what_does_not_persist_is_called_once)
{
    struct watch a;
    begin();
    is_ready[1] = true;
    watch_init(&a, &watches, 1, EV_WRITE, note, (char[]){ 'a' });
    watch_begin(&a);
    assert_string_equal(turn(), "a");
    assert_string_equal(turn(), "");
    watch_begin(&a);
    assert_string_equal(turn(), "a");
}

TEST(who_is_called_for_need_not_have_begun_and_is_called_once_after_the_loop_has_unwound)
{
    struct watch a;
    begin();
    watch_init(&a, &watches, -1, EV_READ | EV_PERSIST, note, (char[]){ 'a' });
    watch_call(&a);
    watch_call(&a);
    assert_string_equal(called, "");
    assert_string_equal(turn(), "a");
    assert_string_equal(turn(), "");
    watch_call(&a);
    watch_stop(&a);
    assert_string_equal(turn(), "");
}

static struct watch other;

static void call_other(int fd, short what, void *owner)
{
    note(fd, what, owner);
    watch_call(&other);
}

static void stop_other(int fd, short what, void *owner)
{
    note(fd, what, owner);
    watch_stop(&other);
}

TEST(what_a_callback_asks_for_comes_in_the_same_turn_and_what_it_stops_does_not)
{
    struct watch a;
    begin();
    is_ready[1] = is_ready[2] = true;
    watch_init(&other, &watches, 2, EV_READ | EV_PERSIST, note, (char[]){ 'o' });
    watch_init(&a, &watches, 1, EV_READ | EV_PERSIST, call_other, (char[]){ 'a' });
    watch_begin(&a);
    assert_string_equal(turn(), "ao");
    watch_stop(&a);
    watch_init(&a, &watches, 1, EV_READ | EV_PERSIST, stop_other, (char[]){ 'a' });
    watch_begin(&a);
    watch_begin(&other);
    assert_string_equal(turn(), "a");
}

TEST(on_an_event_base_it_is_as_without)
{
    struct watch a, b;
    int ends[2];
    begin();
    assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    struct event_base *base = event_base_new();
    watches_init(&watches, base);
    watch_init(&a, &watches, ends[0], EV_READ | EV_PERSIST, note, (char[]){ 'a' });
    watch_init(&b, &watches, ends[1], EV_WRITE, note, (char[]){ 'b' });
    assert_true(watch_begin(&a));
    assert_true(watch_begin(&b));
    event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    assert_string_equal(called, "b");
    assert_int_equal(write(ends[1], "x", 1), 1);
    event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    assert_string_equal(called, "ba");
    watch_stop(&a);
    watch_call(&b);
    event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    assert_string_equal(called, "bab");
    watch_stop(&b);
    event_base_free(base);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_has_begun_is_called_as_long_as_its_descriptor_is_ready),
        cmocka_unit_test(what_does_not_persist_is_called_once),
        cmocka_unit_test(who_is_called_for_need_not_have_begun_and_is_called_once_after_the_loop_has_unwound),
        cmocka_unit_test(what_a_callback_asks_for_comes_in_the_same_turn_and_what_it_stops_does_not),
        cmocka_unit_test(on_an_event_base_it_is_as_without),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
