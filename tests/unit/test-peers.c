#include "check.h"

#include "peers.h"

#include <pthread.h>

#define MANY 20000u

static struct address peer(uint8_t last_octet, uint16_t port)
{
    return (struct address){ AF_INET, port, { 192, 0, 2, last_octet } };
}

static const struct address of_unix = { .family = AF_UNIX };

/* A connection that has begun to log in. */
static enum peers_result add(const struct address *address, unsigned max, unsigned max_per_address)
{
    struct peers_place place = { *address, false };
    struct peers_limits limits = { max, max_per_address, 1 };

    return peers_add(&place, &limits);
}

static void remove_one(const struct address *address)
{
    struct peers_place place = { *address, false };

    peers_remove(&place);
}

static enum peers_result move(const struct address *from, const struct address *to, unsigned max_per_address)
{
    struct peers_place place = { *from, false }, next = { *to, false };
    struct peers_limits limits = { 0, max_per_address, 1 };
    enum peers_result result = peers_move(&place, &next, &limits);

    assert_memory_equal(&place.address, result == PEERS_OK ? to : from, sizeof place.address);
    return result;
}

TEST(connections_are_counted_in_and_out)
{
    struct address a = peer(1, 1001), b = peer(2, 1002);

    assert_int_equal(peers_count(), 0);
    assert_int_equal(add(&a, 10, 0), PEERS_OK);
    assert_int_equal(add(&b, 10, 0), PEERS_OK);
    assert_int_equal(add(&of_unix, 10, 0), PEERS_OK);
    assert_int_equal(peers_count(), 3);
    remove_one(&a);
    remove_one(&of_unix);
    assert_int_equal(peers_count(), 1);
    remove_one(&b);
    assert_int_equal(peers_count(), 0);
}

TEST(the_limit_for_all_holds_whoever_comes)
{
    struct address a = peer(1, 1001), b = peer(2, 1002);

    assert_int_equal(add(&a, 2, 0), PEERS_OK);
    assert_int_equal(add(&of_unix, 2, 0), PEERS_OK);
    assert_int_equal(add(&b, 2, 0), PEERS_FULL);
    assert_int_equal(add(&of_unix, 2, 0), PEERS_FULL);
    assert_int_equal(peers_count(), 2);
    remove_one(&of_unix);
    assert_int_equal(add(&b, 2, 0), PEERS_OK);
    remove_one(&a);
    remove_one(&b);
}

TEST(the_limit_for_one_address_counts_its_ports_together)
{
    struct address first = peer(1, 1001), second = peer(1, 1002), third = peer(1, 1003), other = peer(2, 1001);

    assert_int_equal(add(&first, 10, 2), PEERS_OK);
    assert_int_equal(add(&second, 10, 2), PEERS_OK);
    assert_int_equal(add(&third, 10, 2), PEERS_ADDRESS_FULL);
    assert_int_equal(add(&other, 10, 2), PEERS_OK);
    assert_int_equal(peers_count(), 3);
    /* Another port than the one that it came with: it is the address that counts. */
    remove_one(&first);
    assert_int_equal(add(&third, 10, 2), PEERS_OK);
    assert_int_equal(add(&first, 10, 2), PEERS_ADDRESS_FULL);
    remove_one(&third);
    remove_one(&second);
    remove_one(&other);
    assert_int_equal(peers_count(), 0);
}

TEST(an_ipv6_address_that_begins_like_an_ipv4_one_is_another_peer)
{
    struct address ipv4 = peer(1, 1001), ipv6 = ipv4;

    ipv6.family = AF_INET6;
    assert_int_equal(add(&ipv4, 10, 1), PEERS_OK);
    assert_int_equal(add(&ipv6, 10, 1), PEERS_OK);
    remove_one(&ipv4);
    assert_int_equal(add(&ipv6, 10, 1), PEERS_ADDRESS_FULL);
    remove_one(&ipv6);
}

TEST(the_ipv6_addresses_of_one_64_are_one_peer)
{
    struct address first = { AF_INET6, 1001, { 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1 } };
    struct address neighbour = first, other = first;

    neighbour.octets[8] = 7;
    other.octets[7] = 2;
    assert_int_equal(add(&first, 10, 1), PEERS_OK);
    assert_int_equal(add(&neighbour, 10, 1), PEERS_ADDRESS_FULL);
    assert_int_equal(add(&other, 10, 1), PEERS_OK);
    remove_one(&first);
    assert_int_equal(add(&neighbour, 10, 1), PEERS_OK);
    remove_one(&neighbour);
    remove_one(&other);
    assert_int_equal(peers_count(), 0);
}

TEST(unix_peers_have_no_limit_of_their_own)
{
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(add(&of_unix, 5, 1), PEERS_OK);
    for (unsigned i = 0; i < 5; i++)
        remove_one(&of_unix);
    assert_int_equal(peers_count(), 0);
}

TEST(connections_from_before_count_when_a_reload_sets_a_limit)
{
    struct address a = peer(1, 1001);

    assert_int_equal(add(&a, 10, 0), PEERS_OK);
    assert_int_equal(add(&a, 10, 0), PEERS_OK);
    assert_int_equal(add(&a, 10, 1), PEERS_ADDRESS_FULL);
    assert_int_equal(add(&a, 1, 0), PEERS_FULL);
    remove_one(&a);
    remove_one(&a);
}

static struct address peer_of_many(unsigned i)
{
    return (struct address){ AF_INET6, 1, { 0x20, 0x01, [5] = (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i } };
}

TEST(a_connection_that_moves_is_counted_where_it_is_then)
{
    struct address host = { AF_INET, 1, { 192, 0, 2, 80 } }, user = { AF_INET, 2, { 192, 0, 2, 7 } };
    struct address moved = { AF_INET, 3, { 192, 0, 2, 7 } };
    assert_int_equal(add(&host, 10, 0), PEERS_OK);
    assert_int_equal(add(&host, 10, 0), PEERS_OK);
    assert_int_equal(move(&host, &user, 1), PEERS_OK);
    assert_int_equal(move(&host, &moved, 1), PEERS_ADDRESS_FULL);
    assert_int_equal(move(&user, &moved, 1), PEERS_OK); /* it takes its own place */
    assert_int_equal(move(&user, &of_unix, 1), PEERS_OK);
    assert_int_equal(move(&host, &moved, 1), PEERS_OK);
    assert_int_equal(peers_count(), 2);
    remove_one(&of_unix);
    remove_one(&moved);
    assert_int_equal(peers_count(), 0);
}

TEST(many_addresses_are_kept_apart)
{
    for (unsigned i = 0; i < MANY; i++) {
        struct address address = peer_of_many(i);
        assert_int_equal(add(&address, MANY, 1), PEERS_OK);
    }
    for (unsigned i = 0; i < MANY; i++) {
        struct address address = peer_of_many(i);
        assert_int_equal(add(&address, MANY + 1, 1), PEERS_ADDRESS_FULL);
        remove_one(&address);
    }
    assert_int_equal(peers_count(), 0);
}

static const struct peers_limits two_newcomers = { 10, 0, 2 };

TEST(newcomers_from_one_address_have_a_limit_of_their_own)
{
    struct peers_place begun = { peer(1, 1), true }, silent = { peer(1, 2), true }, third = { peer(1, 3), true };
    struct peers_place other = { peer(2, 4), true }, trusted = { peer(1, 5), false };

    assert_int_equal(peers_add(&begun, &two_newcomers), PEERS_OK);
    assert_int_equal(peers_add(&silent, &two_newcomers), PEERS_OK);
    assert_int_equal(peers_add(&third, &two_newcomers), PEERS_NEWCOMERS_FULL);
    assert_int_equal(peers_add(&other, &two_newcomers), PEERS_OK);
    assert_int_equal(peers_add(&trusted, &two_newcomers), PEERS_OK);
    peers_set_newcomer(&begun, false);
    assert_int_equal(peers_add(&third, &two_newcomers), PEERS_OK);
    /* Its login has failed: it counts again, and stays. */
    peers_set_newcomer(&begun, true);
    peers_remove(&third);
    assert_int_equal(peers_add(&third, &two_newcomers), PEERS_NEWCOMERS_FULL);
    peers_remove(&begun);
    assert_int_equal(peers_add(&third, &two_newcomers), PEERS_OK);
    peers_remove(&third);
    peers_remove(&silent);
    peers_remove(&other);
    peers_remove(&trusted);
    assert_int_equal(peers_count(), 0);
}

TEST(whoever_has_no_room_at_his_address_needs_none_of_all)
{
    struct peers_limits limits = { 2, 0, 2 };
    struct peers_place first = { peer(1, 1), true }, second = { peer(1, 2), true }, other = { peer(2, 3), true };

    assert_int_equal(peers_add(&first, &limits), PEERS_OK);
    assert_int_equal(peers_add(&second, &limits), PEERS_OK);
    assert_int_equal(peers_add(&first, &limits), PEERS_NEWCOMERS_FULL);
    assert_int_equal(peers_add(&other, &limits), PEERS_FULL);
    peers_remove(&first);
    peers_remove(&second);
}

TEST(newcomers_count_where_a_header_says_they_come_from)
{
    struct peers_place hosts[] = { { peer(80, 1), false }, { peer(80, 2), false }, { peer(80, 3), false } };
    struct peers_place user = { peer(7, 9), true }, host = { peer(80, 9), false };

    for (size_t i = 0; i < 3; i++)
        assert_int_equal(peers_add(&hosts[i], &two_newcomers), PEERS_OK);
    assert_int_equal(peers_move(&hosts[0], &user, &two_newcomers), PEERS_OK);
    assert_true(hosts[0].is_newcomer);
    assert_int_equal(peers_move(&hosts[0], &user, &two_newcomers), PEERS_OK); /* again */
    assert_int_equal(peers_move(&hosts[1], &user, &two_newcomers), PEERS_OK);
    assert_int_equal(peers_move(&hosts[2], &user, &two_newcomers), PEERS_NEWCOMERS_FULL);
    assert_false(hosts[2].is_newcomer);
    assert_int_equal(peers_move(&hosts[0], &host, &two_newcomers), PEERS_OK);
    assert_int_equal(peers_move(&hosts[2], &user, &two_newcomers), PEERS_OK);
    for (size_t i = 0; i < 3; i++)
        peers_remove(&hosts[i]);
    /* Nothing is left of them. */
    assert_int_equal(peers_add(&user, &two_newcomers), PEERS_OK);
    assert_int_equal(peers_add(&user, &two_newcomers), PEERS_OK);
    assert_int_equal(peers_add(&user, &two_newcomers), PEERS_NEWCOMERS_FULL);
    peers_remove(&user);
    peers_remove(&user);
    assert_int_equal(peers_count(), 0);
}

TEST(newcomers_of_one_64_and_of_a_unix_socket)
{
    struct peers_limits one = { 10, 0, 1 };
    struct peers_place first = { { AF_INET6, 1, { 0x20, 0x01, [15] = 1 } }, true }, second = first;
    struct peers_place local = { of_unix, true };

    second.address.octets[15] = 2;
    assert_int_equal(peers_add(&first, &one), PEERS_OK);
    assert_int_equal(peers_add(&second, &one), PEERS_NEWCOMERS_FULL);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(peers_add(&local, &one), PEERS_OK);
    for (unsigned i = 0; i < 3; i++)
        peers_remove(&local);
    peers_set_newcomer(&local, false);
    peers_remove(&first);
    assert_int_equal(peers_count(), 0);
}

/* Threads come and go from two addresses; none may see more than its limit, and nothing may be left. */
static void *come_and_go(void *argument)
{
    struct address address = *(const struct address *)argument;
    uintptr_t faults = 0;

    for (unsigned i = 0; i < MANY; i++) {
        enum peers_result result = add(&address, 3, 2);
        if (result == PEERS_OK) {
            faults += peers_count() > 3;
            remove_one(&address);
        } else {
            faults += result == PEERS_NO_MEMORY;
        }
    }
    return (void *)faults;
}

TEST(threads_share_the_count)
{
    struct address addresses[2] = { peer(1, 1001), peer(2, 1002) };
    pthread_t threads[4];

    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &addresses[i % 2]), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        void *faults;
        assert_int_equal(pthread_join(threads[i], &faults), 0);
        assert_null(faults);
    }
    assert_int_equal(peers_count(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_are_counted_in_and_out),
        cmocka_unit_test(the_limit_for_all_holds_whoever_comes),
        cmocka_unit_test(the_limit_for_one_address_counts_its_ports_together),
        cmocka_unit_test(an_ipv6_address_that_begins_like_an_ipv4_one_is_another_peer),
        cmocka_unit_test(the_ipv6_addresses_of_one_64_are_one_peer),
        cmocka_unit_test(unix_peers_have_no_limit_of_their_own),
        cmocka_unit_test(connections_from_before_count_when_a_reload_sets_a_limit),
        cmocka_unit_test(a_connection_that_moves_is_counted_where_it_is_then),
        cmocka_unit_test(newcomers_from_one_address_have_a_limit_of_their_own),
        cmocka_unit_test(whoever_has_no_room_at_his_address_needs_none_of_all),
        cmocka_unit_test(newcomers_count_where_a_header_says_they_come_from),
        cmocka_unit_test(newcomers_of_one_64_and_of_a_unix_socket),
        cmocka_unit_test(many_addresses_are_kept_apart),
        cmocka_unit_test(threads_share_the_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
