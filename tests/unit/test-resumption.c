#include "check.h"

#include "handshake.h"
#include "resumption.h"

#include <string.h>
#include <time.h>

static struct certificate localhost;
static struct ticket_keys keys;
static SSL_CTX *own;

static SSL_CTX *make_peer(int version)
{
    struct tls_peering peering = HANDSHAKE_PEERING(localhost.cert_file);
    peering.is_resumed = true;
    SSL_CTX *context = handshake_peer(&peering);
    SSL_CTX_set_max_proto_version(context, version);
    return context;
}

/* True: it was resumed. */
static bool visit(SSL_CTX *peer, const char *name, const char *place)
{
    struct ends ends;
    ends_begin(&ends, own, peer, name, place);
    assert_true(ends_shake_hands(&ends));
    resumption_settle(ends.client);
    bool is_resumed = SSL_session_reused(ends.client);
    assert_true(SSL_session_reused(ends.server) == is_resumed);
    ends_end(&ends);
    return is_resumed;
}

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

TEST(the_second_connection_to_a_server_resumes_and_so_do_all_that_follow)
{
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        SSL_CTX *peer = make_peer(versions[i]);
        assert_false(visit(peer, "localhost", "192.0.2.1:993"));
        for (int again = 0; again < 5; again++)
            assert_true(visit(peer, "localhost", "192.0.2.1:993"));
        SSL_CTX_free(peer);
    }
}

TEST(nothing_is_resumed_across_places_names_and_policies)
{
    SSL_CTX *peer = make_peer(TLS1_3_VERSION), *another = make_peer(TLS1_3_VERSION);
    assert_false(visit(peer, "localhost", "192.0.2.1:993"));
    assert_false(visit(peer, "localhost", "192.0.2.2:993"));
    assert_false(visit(peer, "LOCALHOST", "192.0.2.1:993"));
    assert_false(visit(another, "localhost", "192.0.2.1:993"));
    assert_true(visit(peer, "localhost", "192.0.2.1:993"));
    assert_false(visit(peer, "localhost", NULL));
    SSL_CTX_free(peer);
    SSL_CTX_free(another);
}

/* With TLS 1.3 a ticket that was used twice would tell who is who (RFC 8446 appendix C.4). */
TEST(a_session_serves_one_connection_at_a_time)
{
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        struct ends first, second;
        SSL_CTX *peer = make_peer(versions[i]);
        assert_false(visit(peer, "localhost", "p"));
        ends_begin(&first, own, peer, "localhost", "p");
        ends_begin(&second, own, peer, "localhost", "p");
        assert_true(ends_shake_hands(&first) && ends_shake_hands(&second));
        assert_true(SSL_session_reused(first.client));
        assert_false(SSL_session_reused(second.client));
        ends_end(&first);
        ends_end(&second);
        SSL_CTX_free(peer);
    }
}

/* As if a server had thrown its keys away: the handshake is a whole one, and not a failure. */
TEST(a_server_that_knows_the_session_no_more_gets_a_whole_handshake)
{
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        struct ticket_keys others;
        ticket_keys_begin(&others, 2);
        SSL_CTX *peer = make_peer(versions[i]), *before = own;
        assert_false(visit(peer, "localhost", "p"));
        own = handshake_own(&HANDSHAKE_OWN(&localhost, &others));
        assert_false(visit(peer, "localhost", "p"));
        assert_true(visit(peer, "localhost", "p"));
        SSL_CTX_free(peer);
        SSL_CTX_free(own);
        own = before;
        ticket_keys_end(&others);
    }
}

static int (*keeps)(SSL *ssl, SSL_SESSION *session);
static long age_s; /* of sessions when they are kept */

static int keep_old(SSL *ssl, SSL_SESSION *session)
{
    SSL_SESSION_set_time(session, (long)time(NULL) - age_s);
    return keeps(ssl, session);
}

static bool is_resumed_after(long seconds)
{
    SSL_CTX *peer = make_peer(TLS1_2_VERSION);
    age_s = seconds;
    keeps = SSL_CTX_sess_get_new_cb(peer);
    SSL_CTX_sess_set_new_cb(peer, keep_old);
    assert_false(visit(peer, "localhost", "p"));
    bool is_resumed = visit(peer, "localhost", "p");
    SSL_CTX_free(peer);
    return is_resumed;
}

TEST(after_two_hours_the_certificate_is_looked_at_again)
{
    assert_true(is_resumed_after(0));
    assert_true(is_resumed_after(RESUMPTION_AGE_MAX_S - 60));
    assert_false(is_resumed_after(RESUMPTION_AGE_MAX_S + 1));
    assert_false(is_resumed_after(-60)); /* the clock was set back: who knows how old it is */
}

static void leave_sessions(SSL_CTX *peer, const char *place, struct ends *all, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ends_begin(&all[i], own, peer, "localhost", place);
    for (size_t i = 0; i < count; i++) {
        assert_true(ends_shake_hands(&all[i]));
        resumption_settle(all[i].client);
    }
}

static size_t count_resumed(SSL_CTX *peer, const char *place, size_t at_once)
{
    struct ends all[RESUMPTION_PEER_MAX + 8];
    size_t resumed = 0;
    assert_true(at_once <= ARRAY_LEN(all));
    leave_sessions(peer, place, all, at_once);
    for (size_t i = 0; i < at_once; i++) {
        resumed += (size_t)SSL_session_reused(all[i].client);
        ends_end(&all[i]);
    }
    return resumed;
}

TEST(of_a_server_and_in_all_only_so_many_are_kept_and_the_newest)
{
    char place[16];
    SSL_CTX *peer = make_peer(TLS1_3_VERSION);
    assert_int_equal(count_resumed(peer, "p", RESUMPTION_PEER_MAX + 8), 0);
    assert_int_equal(count_resumed(peer, "p", RESUMPTION_PEER_MAX + 8), RESUMPTION_PEER_MAX);
    for (unsigned i = 0; i < RESUMPTION_MAX; i++) {
        snprintf(place, sizeof place, "%u", i);
        assert_false(visit(peer, "localhost", place));
    }
    assert_int_equal(count_resumed(peer, "p", 4), 0);
    assert_false(visit(peer, "localhost", "0")); /* those four are in its place */
    snprintf(place, sizeof place, "%u", RESUMPTION_MAX - 1);
    assert_true(visit(peer, "localhost", place));
    SSL_CTX_free(peer);
}

static int begin(void **state)
{
    certificate_make(&localhost, "localhost");
    ticket_keys_begin(&keys, 1);
    own = handshake_own(&HANDSHAKE_OWN(&localhost, &keys));
    return 0;
}

static int end(void **state)
{
    SSL_CTX_free(own);
    ticket_keys_end(&keys);
    certificate_done(&localhost);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_second_connection_to_a_server_resumes_and_so_do_all_that_follow),
        cmocka_unit_test(nothing_is_resumed_across_places_names_and_policies),
        cmocka_unit_test(a_session_serves_one_connection_at_a_time),
        cmocka_unit_test(a_server_that_knows_the_session_no_more_gets_a_whole_handshake),
        cmocka_unit_test(after_two_hours_the_certificate_is_looked_at_again),
        cmocka_unit_test(of_a_server_and_in_all_only_so_many_are_kept_and_the_newest),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
