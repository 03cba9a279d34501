#include "check.h"

#include "peers.h"

#include <pthread.h>

#define MANY 20000u

static struct address peer(uint8_t last_octet, uint16_t port)
{
    return (struct address){ AF_INET, port, { 192, 0, 2, last_octet } };
}

static const struct address of_unix = { .family = AF_UNIX };

TEST(connections_are_counted_in_and_out)
{
    struct address a = peer(1, 1001), b = peer(2, 1002);

    assert_int_equal(peers_count(), 0);
    assert_int_equal(peers_add(&a, 10, 0), PEERS_OK);
    assert_int_equal(peers_add(&b, 10, 0), PEERS_OK);
    assert_int_equal(peers_add(&of_unix, 10, 0), PEERS_OK);
    assert_int_equal(peers_count(), 3);
    peers_remove(&a);
    peers_remove(&of_unix);
    assert_int_equal(peers_count(), 1);
    peers_remove(&b);
    assert_int_equal(peers_count(), 0);
}

TEST(the_limit_for_all_holds_whoever_comes)
{
    struct address a = peer(1, 1001), b = peer(2, 1002);

    assert_int_equal(peers_add(&a, 2, 0), PEERS_OK);
    assert_int_equal(peers_add(&of_unix, 2, 0), PEERS_OK);
    assert_int_equal(peers_add(&b, 2, 0), PEERS_FULL);
    assert_int_equal(peers_add(&of_unix, 2, 0), PEERS_FULL);
    assert_int_equal(peers_count(), 2);
    peers_remove(&of_unix);
    assert_int_equal(peers_add(&b, 2, 0), PEERS_OK);
    peers_remove(&a);
    peers_remove(&b);
}

TEST(the_limit_for_one_address_counts_its_ports_together)
{
    struct address first = peer(1, 1001), second = peer(1, 1002), third = peer(1, 1003), other = peer(2, 1001);

    assert_int_equal(peers_add(&first, 10, 2), PEERS_OK);
    assert_int_equal(peers_add(&second, 10, 2), PEERS_OK);
    assert_int_equal(peers_add(&third, 10, 2), PEERS_ADDRESS_FULL);
    assert_int_equal(peers_add(&other, 10, 2), PEERS_OK);
    assert_int_equal(peers_count(), 3);
    /* Another port than the one that it came with: it is the address that counts. */
    peers_remove(&first);
    assert_int_equal(peers_add(&third, 10, 2), PEERS_OK);
    assert_int_equal(peers_add(&first, 10, 2), PEERS_ADDRESS_FULL);
    peers_remove(&third);
    peers_remove(&second);
    peers_remove(&other);
    assert_int_equal(peers_count(), 0);
}

TEST(an_ipv6_address_that_begins_like_an_ipv4_one_is_another_peer)
{
    struct address ipv4 = peer(1, 1001), ipv6 = ipv4;

    ipv6.family = AF_INET6;
    assert_int_equal(peers_add(&ipv4, 10, 1), PEERS_OK);
    assert_int_equal(peers_add(&ipv6, 10, 1), PEERS_OK);
    peers_remove(&ipv4);
    assert_int_equal(peers_add(&ipv6, 10, 1), PEERS_ADDRESS_FULL);
    peers_remove(&ipv6);
}

TEST(the_ipv6_addresses_of_one_64_are_one_peer)
{
    struct address first = { AF_INET6, 1001, { 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1 } };
    struct address neighbour = first, other = first;

    neighbour.octets[8] = 7;
    other.octets[7] = 2;
    assert_int_equal(peers_add(&first, 10, 1), PEERS_OK);
    assert_int_equal(peers_add(&neighbour, 10, 1), PEERS_ADDRESS_FULL);
    assert_int_equal(peers_add(&other, 10, 1), PEERS_OK);
    peers_remove(&first);
    assert_int_equal(peers_add(&neighbour, 10, 1), PEERS_OK);
    peers_remove(&neighbour);
    peers_remove(&other);
    assert_int_equal(peers_count(), 0);
}

TEST(unix_peers_have_no_limit_of_their_own)
{
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(peers_add(&of_unix, 5, 1), PEERS_OK);
    for (unsigned i = 0; i < 5; i++)
        peers_remove(&of_unix);
    assert_int_equal(peers_count(), 0);
}

TEST(connections_from_before_count_when_a_reload_sets_a_limit)
{
    struct address a = peer(1, 1001);

    assert_int_equal(peers_add(&a, 10, 0), PEERS_OK);
    assert_int_equal(peers_add(&a, 10, 0), PEERS_OK);
    assert_int_equal(peers_add(&a, 10, 1), PEERS_ADDRESS_FULL);
    assert_int_equal(peers_add(&a, 1, 0), PEERS_FULL);
    peers_remove(&a);
    peers_remove(&a);
}

static struct address peer_of_many(unsigned i)
{
    return (struct address){ AF_INET6, 1, { 0x20, 0x01, [5] = (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i } };
}

TEST(a_connection_that_moves_is_counted_where_it_is_then)
{
    struct address host = { AF_INET, 1, { 192, 0, 2, 80 } }, user = { AF_INET, 2, { 192, 0, 2, 7 } };
    struct address moved = { AF_INET, 3, { 192, 0, 2, 7 } };
    assert_int_equal(peers_add(&host, 10, 0), PEERS_OK);
    assert_int_equal(peers_add(&host, 10, 0), PEERS_OK);
    assert_int_equal(peers_move(&host, &user, 1), PEERS_OK);
    assert_int_equal(peers_move(&host, &moved, 1), PEERS_ADDRESS_FULL);
    assert_int_equal(peers_move(&user, &moved, 1), PEERS_OK); /* it takes its own place */
    assert_int_equal(peers_move(&user, &of_unix, 1), PEERS_OK);
    assert_int_equal(peers_move(&host, &moved, 1), PEERS_OK);
    assert_int_equal(peers_count(), 2);
    peers_remove(&of_unix);
    peers_remove(&moved);
    assert_int_equal(peers_count(), 0);
}

TEST(many_addresses_are_kept_apart)
{
    for (unsigned i = 0; i < MANY; i++) {
        struct address address = peer_of_many(i);
        assert_int_equal(peers_add(&address, MANY, 1), PEERS_OK);
    }
    for (unsigned i = 0; i < MANY; i++) {
        struct address address = peer_of_many(i);
        assert_int_equal(peers_add(&address, MANY + 1, 1), PEERS_ADDRESS_FULL);
        peers_remove(&address);
    }
    assert_int_equal(peers_count(), 0);
}

/* Threads come and go from two addresses; none may see more than its limit, and nothing may be left. */
static void *come_and_go(void *argument)
{
    struct address address = *(const struct address *)argument;
    uintptr_t faults = 0;

    for (unsigned i = 0; i < MANY; i++) {
        enum peers_result result = peers_add(&address, 3, 2);
        if (result == PEERS_OK) {
            faults += peers_count() > 3;
            peers_remove(&address);
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
        cmocka_unit_test(many_addresses_are_kept_apart),
        cmocka_unit_test(threads_share_the_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
