/* Places at an address, and whose turn it is. */
#include "check.h"

#include "parking.h"

#include <sodium.h>

#include "loop.h"
#include "queue.h"

#define ADDRESS "192.0.2.1:143"
#define HERE    1000u /* what the clock says */

static struct service *service, *other;
static struct loop loops[2];
static struct queue_desk desks[2];

static void on_told(struct loop *loop)
{
}

static const struct config_upstream *configure(struct service **of, const char *settings)
{
    char text[256];
    snprintf(text, sizeof text, "upstream \"main\" { address = \"%s\" tls = \"none\" %s }", ADDRESS, settings);
    *of = parking_service(text);
    queue_configure((*of)->config);
    return &(*of)->config->upstreams[0];
}

static const struct config_upstream *begin(const char *settings)
{
    for (unsigned i = 0; i < 2; i++) {
        loop_init_bare(&loops[i], i, on_told);
        queue_desk_init(&desks[i], &loops[i]);
    }
    return configure(&service, settings);
}

static void end(void)
{
    assert_int_equal(queue_waiting("main", ADDRESS), 0);
    queue_done();
    for (unsigned i = 0; i < 2; i++) {
        assert_null(queue_next_called(&desks[i]));
        loop_done(&loops[i]);
    }
    service_unref(service);
    service_unref(other);
    service = other = NULL;
}

/* Somebody who connects. */
struct comer {
    struct queue_stay stay;
    struct queue_wait wait;
};

static enum queue_answer comes(const struct config_upstream *upstream, struct comer *comer, uint8_t lane)
{
    *comer = (struct comer){ .wait = { .desk = &desks[0], .owner = comer } };
    return queue_enter(upstream, ADDRESS, lane, &comer->stay, &comer->wait, HERE);
}

/* Whose turn it is now; NULL: nobody's. */
static struct comer *called(unsigned desk)
{
    struct queue_wait *wait = queue_next_called(&desks[desk]);
    if (!wait)
        return NULL;
    struct comer *comer = wait->owner;
    assert_true(queue_take_called(wait, &comer->stay));
    return comer;
}

TEST(without_limits_nobody_waits)
{
    const struct config_upstream *upstream = begin("");
    struct comer comers[100];
    for (size_t i = 0; i < ARRAY_LEN(comers); i++)
        assert_int_equal(comes(upstream, &comers[i], 0), QUEUE_ADMITTED);
    for (size_t i = 0; i < ARRAY_LEN(comers); i++)
        queue_leave(&comers[i].stay);
    end();
}

TEST(a_login_waits_until_another_has_its_answer_in_the_order_of_coming)
{
    const struct config_upstream *upstream = begin("max_logins = 1");
    struct comer a, b, c;
    assert_int_equal(comes(upstream, &a, 3), QUEUE_ADMITTED);
    assert_int_equal(comes(upstream, &b, 3), QUEUE_WAITS);
    assert_int_equal(comes(upstream, &c, 3), QUEUE_WAITS);
    assert_int_equal(queue_waiting("main", ADDRESS), 2);
    assert_null(called(0));
    queue_end_login(&a.stay);
    assert_ptr_equal(called(0), &b);
    assert_null(called(0));
    queue_end_login(&a.stay); /* a second time it says nothing */
    assert_null(called(0));
    queue_leave(&b.stay); /* a login that came to nothing */
    assert_ptr_equal(called(0), &c);
    queue_leave(&a.stay);
    queue_leave(&c.stay);
    end();
}

TEST(a_connection_keeps_its_place_until_it_ends_not_until_its_login_has_its_answer)
{
    const struct config_upstream *upstream = begin("max_sessions = 1");
    struct comer a, b;
    assert_int_equal(comes(upstream, &a, 0), QUEUE_ADMITTED);
    assert_int_equal(comes(upstream, &b, 1), QUEUE_WAITS);
    assert_true(queue_is_short(a.stay.queue));
    queue_end_login(&a.stay);
    assert_null(called(0));
    queue_leave(&a.stay);
    assert_ptr_equal(called(0), &b);
    assert_false(queue_is_short(b.stay.queue));
    queue_leave(&b.stay);
    end();
}

/* Then the end of a parked connection would help nobody. */
TEST(who_waits_for_a_login_of_others_does_not_miss_a_connection)
{
    const struct config_upstream *upstream = begin("max_sessions = 2 max_logins = 1");
    struct comer a, b, c;
    assert_int_equal(comes(upstream, &a, 0), QUEUE_ADMITTED);
    assert_false(queue_is_short(a.stay.queue));
    assert_int_equal(comes(upstream, &b, 1), QUEUE_WAITS);
    assert_false(queue_is_short(a.stay.queue));
    queue_end_login(&a.stay);
    assert_ptr_equal(called(0), &b);
    assert_int_equal(comes(upstream, &c, 1), QUEUE_WAITS);
    assert_false(queue_is_short(a.stay.queue));
    queue_end_login(&b.stay);
    assert_null(called(0));
    assert_true(queue_is_short(a.stay.queue));
    queue_leave(&a.stay);
    assert_ptr_equal(called(0), &c);
    queue_leave(&b.stay);
    queue_leave(&c.stay);
    end();
}

TEST(each_address_has_places_of_its_own)
{
    const struct config_upstream *upstream = begin("max_logins = 1");
    struct queue_stay stays[2] = { 0 };
    assert_int_equal(queue_enter(upstream, "192.0.2.1:143", 0, &stays[0], NULL, HERE), QUEUE_ADMITTED);
    assert_int_equal(queue_enter(upstream, "192.0.2.2:143", 0, &stays[1], NULL, HERE), QUEUE_ADMITTED);
    assert_int_equal(queue_enter(upstream, "192.0.2.2:143", 0, &stays[1], NULL, HERE), QUEUE_IS_FULL);
    queue_leave(&stays[0]);
    queue_leave(&stays[1]);
    end();
}

TEST(workers_share_one_queue)
{
    const struct config_upstream *upstream = begin("max_logins = 1");
    struct comer a, b, c;
    comes(upstream, &a, 0);
    b = (struct comer){ .wait = { .desk = &desks[1], .owner = &b } };
    assert_int_equal(queue_enter(upstream, ADDRESS, 0, &b.stay, &b.wait, HERE), QUEUE_WAITS);
    comes(upstream, &c, 0);
    queue_leave(&a.stay);
    assert_null(called(0));
    assert_ptr_equal(called(1), &b);
    queue_leave(&b.stay);
    assert_null(called(1));
    assert_ptr_equal(called(0), &c);
    queue_leave(&c.stay);
    end();
}

TEST(the_lane_with_the_fewest_logins_under_way_goes_first)
{
    const struct config_upstream *upstream = begin("max_logins = 3");
    struct comer hog[8], one, two;
    for (size_t i = 0; i < ARRAY_LEN(hog); i++)
        assert_int_equal(comes(upstream, &hog[i], 7), i < 3 ? QUEUE_ADMITTED : QUEUE_WAITS);
    assert_int_equal(comes(upstream, &one, 8), QUEUE_WAITS);
    assert_int_equal(comes(upstream, &two, 9), QUEUE_WAITS);
    queue_leave(&hog[0].stay);
    assert_ptr_equal(called(0), &one);
    queue_leave(&hog[1].stay);
    assert_ptr_equal(called(0), &two);
    queue_leave(&one.stay); /* now there are one of hog's, and one of two's */
    assert_ptr_equal(called(0), &hog[3]);
    queue_leave(&two.stay);
    assert_ptr_equal(called(0), &hog[4]);
    for (size_t i = 2; i < ARRAY_LEN(hog); i++) {
        queue_leave(&hog[i].stay);
        if (i + 3 < ARRAY_LEN(hog))
            assert_ptr_equal(called(0), &hog[i + 3]);
    }
    end();
}

TEST(who_gives_up_is_not_called_and_who_has_been_called_calls_the_next)
{
    const struct config_upstream *upstream = begin("max_logins = 1");
    struct comer a, b, c, d;
    comes(upstream, &a, 0);
    comes(upstream, &b, 1);
    comes(upstream, &c, 2);
    comes(upstream, &d, 3);
    queue_give_up(&b.wait); /* it waits */
    queue_give_up(&b.wait); /* it does not wait any more */
    queue_leave(&a.stay);
    queue_give_up(&c.wait); /* it has been called, and has not looked */
    assert_ptr_equal(called(0), &d);
    queue_give_up(&d.wait); /* it has its places, which stay */
    assert_non_null(d.stay.queue);
    queue_leave(&d.stay);
    end();
}

/* As when its time is up at that moment. */
TEST(who_was_called_may_see_that_before_the_loop_is_told)
{
    const struct config_upstream *upstream = begin("max_logins = 1");
    struct comer a, b;
    comes(upstream, &a, 0);
    comes(upstream, &b, 1);
    assert_false(queue_take_called(&b.wait, &b.stay));
    assert_null(b.stay.queue);
    queue_leave(&a.stay);
    assert_true(queue_take_called(&b.wait, &b.stay));
    assert_false(queue_take_called(&b.wait, &b.stay));
    assert_null(called(0));
    queue_leave(&b.stay);
    end();
}

TEST(new_limits_hold_for_those_who_wait)
{
    const struct config_upstream *upstream = begin("max_logins = 1 queue_timeout = \"10s\"");
    struct comer a, b, c;
    comes(upstream, &a, 0);
    comes(upstream, &b, 0);
    comes(upstream, &c, 0);
    assert_int_equal(queue_left_ms(&c.wait, HERE + 4000), 6000);
    assert_int_equal(queue_left_ms(&c.wait, HERE + 10000), 0);
    configure(&other, "max_logins = 2 queue_timeout = \"15s\"");
    assert_ptr_equal(called(0), &b);
    assert_null(called(0));
    assert_int_equal(queue_left_ms(&c.wait, HERE + 10000), 5000);
    /* A session that began before brings the old ones; they count no more. */
    struct comer d;
    assert_int_equal(comes(upstream, &d, 0), QUEUE_WAITS);
    assert_int_equal(queue_left_ms(&d.wait, HERE), 15000);
    queue_give_up(&d.wait);
    queue_leave(&a.stay);
    assert_ptr_equal(called(0), &c);
    queue_leave(&b.stay);
    queue_leave(&c.stay);
    /* Not even where nobody was in between. */
    assert_int_equal(comes(upstream, &a, 0), QUEUE_ADMITTED);
    assert_int_equal(comes(upstream, &b, 0), QUEUE_ADMITTED);
    queue_leave(&a.stay);
    queue_leave(&b.stay);
    end();
}

TEST(fewer_places_than_are_taken_are_given_to_nobody_until_enough_are_free)
{
    const struct config_upstream *upstream = begin("max_sessions = 3");
    struct comer a, b, c, d;
    comes(upstream, &a, 0);
    comes(upstream, &b, 0);
    comes(upstream, &c, 0);
    configure(&other, "max_sessions = 1");
    assert_int_equal(comes(upstream, &d, 0), QUEUE_WAITS);
    queue_leave(&a.stay);
    queue_leave(&b.stay);
    assert_null(called(0));
    queue_leave(&c.stay);
    assert_ptr_equal(called(0), &d);
    queue_leave(&d.stay);
    end();
}

TEST(one_network_of_ipv6_is_one_lane_and_so_is_one_address_with_many_ports)
{
    struct address a = { AF_INET6, 1, { 0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 1 } }, b = a,
                   c = { AF_INET, 1, { 192, 0, 2, 1 } }, d = c;
    b.octets[15] = 9;
    d.port = b.port = 7;
    assert_int_equal(queue_lane_of_address(&a), queue_lane_of_address(&b));
    assert_int_equal(queue_lane_of_address(&c), queue_lane_of_address(&d));
    unsigned used = 0;
    bool is_used[QUEUE_LANES] = { false };
    for (unsigned i = 0; i < 1000; i++) {
        c.octets[2] = (uint8_t)(i >> 8);
        c.octets[3] = (uint8_t)i;
        uint8_t lane = queue_lane_of_address(&c);
        assert_true(lane < QUEUE_LANES);
        used += !is_used[lane];
        is_used[lane] = true;
    }
    assert_int_equal(used, QUEUE_LANES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_limits_nobody_waits),
        cmocka_unit_test(a_login_waits_until_another_has_its_answer_in_the_order_of_coming),
        cmocka_unit_test(a_connection_keeps_its_place_until_it_ends_not_until_its_login_has_its_answer),
        cmocka_unit_test(who_waits_for_a_login_of_others_does_not_miss_a_connection),
        cmocka_unit_test(each_address_has_places_of_its_own),
        cmocka_unit_test(workers_share_one_queue),
        cmocka_unit_test(the_lane_with_the_fewest_logins_under_way_goes_first),
        cmocka_unit_test(who_gives_up_is_not_called_and_who_has_been_called_calls_the_next),
        cmocka_unit_test(who_was_called_may_see_that_before_the_loop_is_told),
        cmocka_unit_test(new_limits_hold_for_those_who_wait),
        cmocka_unit_test(fewer_places_than_are_taken_are_given_to_nobody_until_enough_are_free),
        cmocka_unit_test(one_network_of_ipv6_is_one_lane_and_so_is_one_address_with_many_ports),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
