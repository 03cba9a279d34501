#include "check.h"

#include "deadlist.h"

#include <string.h>

/* 192.0.2.LAST, port 143. */
static struct address host(unsigned last)
{
    struct address address;
    address_set_raw(&address, AF_INET, (uint8_t[4]){ 192, 0, (uint8_t)(last >> 8), (uint8_t)last }, 143);
    return address;
}

static void note(unsigned last, bool is_silent, uint64_t now_ms)
{
    struct address address = host(last);
    deadlist_note(&address, is_silent, now_ms);
}

static void clear(unsigned last)
{
    struct address address = host(last);
    deadlist_clear(&address);
}

static void clear_all(void)
{
    for (unsigned i = 0; i < 2 * DEADLIST_MAX; i++)
        clear(i);
}

/* The hosts 1, 2 and 3, as they are sorted. */
static const char *sorted(bool is_scouting, uint64_t now_ms)
{
    static char order[4];
    struct address addresses[] = { host(1), host(2), host(3) };
    deadlist_sort(addresses, ARRAY_LEN(addresses), is_scouting, now_ms);
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++)
        order[i] = (char)('0' + addresses[i].octets[3]);
    return order;
}

TEST(a_dead_address_is_tried_last)
{
    assert_string_equal(sorted(false, 1000), "123");
    note(1, true, 1000);
    assert_string_equal(sorted(false, 1000), "231");
    note(2, false, 1000);
    assert_string_equal(sorted(false, 1000), "312");
    note(3, false, 1000);
    assert_string_equal(sorted(false, 1000), "123");
    clear(1);
    assert_string_equal(sorted(false, 1000), "123");
    clear(3);
    assert_string_equal(sorted(false, 1000), "132");
    clear_all();
}

TEST(a_session_leaves_it_last_until_a_scout_has_found_it_alive)
{
    static const struct {
        bool is_silent;
        uint64_t after_ms;
    } rows[] = { { true, DEADLIST_SILENT_MS }, { false, DEADLIST_REFUSED_MS } };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        note(2, rows[i].is_silent, 1000);
        assert_string_equal(sorted(true, 1000 + rows[i].after_ms - 1), "132");
        assert_string_equal(sorted(true, 1000 + rows[i].after_ms), "213");
        assert_string_equal(sorted(false, 1000 + rows[i].after_ms), "132");
        note(2, rows[i].is_silent, 1000 + rows[i].after_ms);
        assert_string_equal(sorted(true, 1000 + rows[i].after_ms), "132");
        clear(2);
        assert_string_equal(sorted(false, 1000), "123");
    }
}

TEST(when_all_expire_a_scout_tries_each_again)
{
    note(1, true, 1000);
    note(3, true, 1000);
    assert_string_equal(sorted(true, 1000), "213");
    deadlist_expire();
    assert_string_equal(sorted(true, 1000), "132");
    assert_string_equal(sorted(false, 1000), "213");
    clear_all();
}

TEST(the_others_of_a_family_with_a_dead_address_come_behind_another_family)
{
    struct address addresses[] = { host(1), host(2), host(3), host(4) }, dead = host(1);
    for (size_t i = 0; i < 2; i++) { /* 1 and 2 are IPv6 */
        address_set_raw(&addresses[i], AF_INET6, (uint8_t[16]){ 0x20, [15] = (uint8_t)(i + 1) }, 143);
        if (i == 0)
            dead = addresses[i];
    }
    const uint8_t want[] = { 3, 4, 2, 1 };
    deadlist_note(&dead, true, 1000);
    deadlist_sort(addresses, ARRAY_LEN(addresses), false, 1000);
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        assert_int_equal(addresses[i].octets[addresses[i].family == AF_INET ? 3 : 15], want[i]);
    deadlist_clear(&dead);
}

TEST(ports_are_told_apart)
{
    struct address other = host(1);
    other.port = 993;
    deadlist_note(&other, true, 1000);
    assert_string_equal(sorted(false, 1000), "123");
    deadlist_clear(&other);
}

TEST(the_one_that_was_noted_first_gives_way)
{
    note(1, true, 1000);
    note(2, true, 1000);
    for (unsigned i = 0; i < DEADLIST_MAX - 2; i++)
        note(DEADLIST_MAX + i, true, 1000);
    assert_string_equal(sorted(false, 1000), "312");
    note(1, true, 1000); /* again: it is the newest now */
    note(3, true, 1000);
    assert_string_equal(sorted(false, 1000), "213");
    clear_all();
    assert_string_equal(sorted(false, 1000), "123");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dead_address_is_tried_last),
        cmocka_unit_test(a_session_leaves_it_last_until_a_scout_has_found_it_alive),
        cmocka_unit_test(when_all_expire_a_scout_tries_each_again),
        cmocka_unit_test(the_others_of_a_family_with_a_dead_address_come_behind_another_family),
        cmocka_unit_test(ports_are_told_apart),
        cmocka_unit_test(the_one_that_was_noted_first_gives_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
