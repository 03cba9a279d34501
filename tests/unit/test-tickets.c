#include "check.h"

#include "handshake.h"

#include <string.h>

#define AT(period) ((period)*TICKETS_PERIOD_S + 7)

static struct certificate localhost, authority, ann, late;
static struct ticket_keys one, alike, other; /* of one key file, of another */

/* --- keys --- */

static enum tickets_found find(struct ticket_keys *keys, enum tls_version version, const struct ticketkey *key,
                               uint64_t now_s, struct ticketkey *ret_key)
{
    memset(ret_key, 0, sizeof *ret_key);
    return tickets_find(&keys->tickets, version, key->name, now_s, ret_key);
}

static const struct {
    const char *name;
    uint64_t period; /* in which a ticket of period 100 comes back */
    enum tickets_found found;
} returns[] = {
    { "in the same period", 100, TICKETS_FOUND },
    { "in the next one", 101, TICKETS_FOUND_OLD },
    { "in the one behind that", 102, TICKETS_NOT_FOUND },
    { "long after", 100000, TICKETS_NOT_FOUND },
};

TEST(a_key_opens_for_one_period_more_than_it_seals)
{
    for (enum tls_version version = 0; version < TLS_VERSION_COUNT; version++)
        for (size_t i = 0; i < ARRAY_LEN(returns); i++) {
            struct ticket_keys keys;
            struct ticketkey made, found;
            ticket_keys_begin(&keys, 9);
            tickets_key(&keys.tickets, version, AT(100), &made);
            enum tickets_found result = find(&keys, version, &made, AT(returns[i].period), &found);
            CHECK_ROW(returns[i].name, result == returns[i].found);
            CHECK_ROW(returns[i].name, (memcmp(&made, &found, sizeof made) == 0) == (result != TICKETS_NOT_FOUND));
            ticket_keys_end(&keys);
        }
}

TEST(each_period_has_a_key_of_its_own)
{
    for (enum tls_version version = 0; version < TLS_VERSION_COUNT; version++) {
        struct ticketkey first, again, next;
        tickets_key(&one.tickets, version, AT(100), &first);
        tickets_key(&one.tickets, version, AT(101) - 8, &again); /* its last second */
        tickets_key(&one.tickets, version, AT(101) - 7, &next);
        assert_memory_equal(&first, &again, sizeof first);
        assert_memory_not_equal(first.name, next.name, sizeof first.name);
        assert_memory_not_equal(first.cipher, next.cipher, sizeof first.cipher);
        assert_memory_not_equal(first.mac, next.mac, sizeof first.mac);
        assert_memory_not_equal(first.cipher, first.mac, sizeof first.cipher);
    }
}

TEST(gateways_with_one_key_file_share_the_keys_of_tls_1_3_and_no_others)
{
    struct ticketkey made, found;
    tickets_key(&one.tickets, TLS_VERSION_1_3, AT(100), &made);
    assert_int_equal(find(&alike, TLS_VERSION_1_3, &made, AT(101), &found), TICKETS_FOUND_OLD);
    assert_memory_equal(&made, &found, sizeof made);
    /* Its clock is behind. */
    assert_int_equal(find(&alike, TLS_VERSION_1_3, &made, AT(99), &found), TICKETS_FOUND);
    assert_int_equal(find(&alike, TLS_VERSION_1_3, &made, AT(98), &found), TICKETS_NOT_FOUND);
    assert_int_equal(find(&other, TLS_VERSION_1_3, &made, AT(100), &found), TICKETS_NOT_FOUND);
    /* It would be one that a key file opens. */
    assert_int_equal(find(&one, TLS_VERSION_1_2, &made, AT(100), &found), TICKETS_NOT_FOUND);
    tickets_key(&one.tickets, TLS_VERSION_1_2, AT(200), &made);
    assert_int_equal(find(&one, TLS_VERSION_1_2, &made, AT(200), &found), TICKETS_FOUND);
    assert_int_equal(find(&alike, TLS_VERSION_1_2, &made, AT(200), &found), TICKETS_NOT_FOUND);
}

TEST(a_key_that_was_taken_out_of_the_keyring_opens_nothing)
{
    struct ticket_keys before, now;
    struct ticketkey made, found;
    uint8_t octets[IMAPSTATE_KEY_OCTETS] = { 42 };
    ticket_keys_begin(&before, 1);
    assert_int_equal(imapstate_keyring_add(before.keyring, 42, 1, octets), IMAPSTATE_OK);
    tickets_key(&before.tickets, TLS_VERSION_1_3, AT(100), &made);
    assert_int_equal(find(&before, TLS_VERSION_1_3, &made, AT(100), &found), TICKETS_FOUND);
    ticket_keys_begin(&now, 1);
    assert_int_equal(find(&now, TLS_VERSION_1_3, &made, AT(100), &found), TICKETS_NOT_FOUND);
    ticket_keys_end(&before);
    ticket_keys_end(&now);
}

/* SAVESTATE is answered NO then, and TLS goes on. */
TEST(before_any_keys_time_has_come_tickets_are_this_process_own)
{
    uint8_t octets[IMAPSTATE_KEY_OCTETS] = { 42 };
    struct ticket_keys keys = { imapstate_keyring_new(), { 0 } };
    struct ticketkey made, found;
    keys.tickets = (struct tickets){ keys.keyring, ticketring_new() };
    assert_int_equal(imapstate_keyring_add(keys.keyring, 42, AT(1000), octets), IMAPSTATE_OK);
    tickets_key(&keys.tickets, TLS_VERSION_1_3, AT(100), &made);
    assert_int_equal(find(&keys, TLS_VERSION_1_3, &made, AT(100), &found), TICKETS_FOUND);
    assert_int_equal(find(&alike, TLS_VERSION_1_3, &made, AT(100), &found), TICKETS_NOT_FOUND);
    ticket_keys_end(&keys);
}

TEST(a_clock_that_is_set_back_rotates_nothing)
{
    struct ticketkey made, again, found;
    tickets_key(&one.tickets, TLS_VERSION_1_2, AT(300), &made);
    tickets_key(&one.tickets, TLS_VERSION_1_2, AT(290), &again);
    assert_memory_equal(&made, &again, sizeof made);
    assert_int_equal(find(&one, TLS_VERSION_1_2, &made, AT(301), &found), TICKETS_FOUND_OLD);
}

/* The clock that is set back would bring it to light if it were still there. */
TEST(what_is_too_old_is_wiped_whether_anybody_comes_or_not)
{
    struct ticket_keys keys;
    struct ticketkey made, found;
    ticket_keys_begin(&keys, 3);
    tickets_key(&keys.tickets, TLS_VERSION_1_2, AT(100), &made);
    ticketring_rotate(keys.tickets.ring, AT(101));
    assert_int_equal(find(&keys, TLS_VERSION_1_2, &made, AT(101), &found), TICKETS_FOUND_OLD);
    ticketring_rotate(keys.tickets.ring, AT(102));
    assert_int_equal(find(&keys, TLS_VERSION_1_2, &made, AT(101), &found), TICKETS_NOT_FOUND);
    ticket_keys_end(&keys);
}

TEST(what_is_no_name_is_found_nowhere)
{
    struct ticketkey made, found;
    tickets_key(&one.tickets, TLS_VERSION_1_3, AT(100), &made);
    for (size_t i = 0; i < sizeof made.name; i++) {
        struct ticketkey damaged = made;
        damaged.name[i] ^= 0x40;
        assert_int_equal(find(&one, TLS_VERSION_1_3, &damaged, AT(100), &found), TICKETS_NOT_FOUND);
    }
    /* Before the first key is made, nobody's name is that of none. */
    struct ticket_keys keys;
    ticket_keys_begin(&keys, 3);
    memset(&made, 0, sizeof made);
    assert_int_equal(find(&keys, TLS_VERSION_1_2, &made, AT(0), &found), TICKETS_NOT_FOUND);
    ticket_keys_end(&keys);
}

/* --- sessions --- */

static SSL_SESSION *last_session; /* that the client was given */

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    SSL_SESSION_free(last_session);
    last_session = SSL_SESSION_dup(session); /* SSL_free() ends the other one */
    return 0;
}

static void forget_session(void)
{
    SSL_SESSION_free(last_session);
    last_session = NULL;
}

static void bring_session(SSL *client)
{
    SSL_SESSION *copy = last_session ? SSL_SESSION_dup(last_session) : NULL;
    assert_true(!copy || SSL_set_session(client, copy) == 1);
    SSL_SESSION_free(copy);
}

static SSL_CTX *make_client(const struct certificate *shown)
{
    struct tls_peering peering = HANDSHAKE_PEERING(localhost.cert_file);
    if (shown) {
        peering.cert_file = shown->cert_file;
        peering.key_file = shown->key_file;
    }
    SSL_CTX *context = handshake_peer(&peering);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, keep_session);
    return context;
}

enum visit { FAILED, FULL, RESUMED };

/* With the last session, if there is one. */
static enum visit visit(const struct tls_own *own, const struct certificate *shown, int version)
{
    struct ends ends;
    SSL_CTX *server = handshake_own(own), *client = make_client(shown);
    ends_begin(&ends, server, client, "localhost", NULL);
    SSL_set_max_proto_version(ends.client, version);
    bring_session(ends.client);
    enum visit result = !ends_shake_hands(&ends) ? FAILED : SSL_session_reused(ends.server) ? RESUMED : FULL;
    assert_true(result == FAILED || SSL_session_reused(ends.client) == (result == RESUMED));
    ends_end(&ends);
    SSL_CTX_free(server);
    SSL_CTX_free(client);
    return result;
}

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

TEST(a_session_is_resumed_by_another_context_again_and_again)
{
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        assert_int_equal(visit(&HANDSHAKE_OWN(&localhost, &one), NULL, versions[i]), FULL);
        for (int again = 0; again < 3; again++) /* as after reloads */
            assert_int_equal(visit(&HANDSHAKE_OWN(&localhost, &one), NULL, versions[i]), RESUMED);
        forget_session();
    }
}

TEST(another_gateway_with_the_key_file_resumes_tls_1_3_alone)
{
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        bool is_newest = versions[i] == TLS1_3_VERSION;
        assert_int_equal(visit(&HANDSHAKE_OWN(&localhost, &one), NULL, versions[i]), FULL);
        assert_int_equal(visit(&HANDSHAKE_OWN(&localhost, &alike), NULL, versions[i]), is_newest ? RESUMED : FULL);
        assert_int_equal(visit(&HANDSHAKE_OWN(&localhost, &other), NULL, versions[i]), FULL);
        forget_session();
    }
}

TEST(a_ticket_of_tls_1_3_is_given_once_and_with_the_lifetime_of_its_key)
{
    assert_int_equal(visit(&HANDSHAKE_OWN(&localhost, &one), NULL, TLS1_3_VERSION), FULL);
    assert_int_equal(SSL_SESSION_get_ticket_lifetime_hint(last_session), TICKETS_PERIOD_S);
    assert_int_equal(SSL_SESSION_get_max_early_data(last_session), 0);
    SSL_SESSION *first = last_session;
    SSL_SESSION_up_ref(first);
    assert_int_equal(visit(&HANDSHAKE_OWN(&localhost, &one), NULL, TLS1_3_VERSION), RESUMED);
    assert_ptr_not_equal(first, last_session);
    SSL_SESSION_free(first);
    forget_session();
}

enum change { NAME, VERSION, CIPHERS, CIPHERSUITES, GROUPS, OPTIONAL, REQUIRED, CA, CHANGES };

static char one_cipher[] = "ECDHE-ECDSA-AES256-GCM-SHA384", one_ciphersuite[] = "TLS_AES_256_GCM_SHA384";
static char all_ciphers[] = TLSPOLICY_CIPHERS, all_ciphersuites[] = TLSPOLICY_CIPHERSUITES;
static char one_group[] = "P-256", all_groups[] = TLSPOLICY_GROUPS;
static struct tlspolicy policy;

static void change(struct tls_own *own, enum change what)
{
    policy = (struct tlspolicy){ TLS_VERSION_1_2, all_ciphers, all_ciphersuites, all_groups };
    own->policy = &policy;
    own->client_certificate = TLS_CLIENT_CERTIFICATE_OPTIONAL;
    own->client_ca_file = authority.cert_file;
    if (what == NAME)
        own->name = "another";
    if (what == VERSION)
        policy.min_version = TLS_VERSION_1_3;
    if (what == CIPHERS)
        policy.ciphers = one_cipher;
    if (what == CIPHERSUITES)
        policy.ciphersuites = one_ciphersuite;
    if (what == GROUPS)
        policy.groups = one_group;
    if (what == REQUIRED)
        own->client_certificate = TLS_CLIENT_CERTIFICATE_REQUIRED;
    if (what == CA)
        own->client_ca_file = localhost.cert_file;
}

TEST(a_ticket_is_good_for_nothing_where_something_else_is_demanded)
{
    for (size_t i = 0; i < ARRAY_LEN(versions); i++)
        for (enum change what = 0; what < CHANGES; what++) {
            char row[32];
            struct tls_own before = HANDSHAKE_OWN(&localhost, &one), now = before;
            snprintf(row, sizeof row, "change %d, version %zu", what, i);
            if (what == VERSION && versions[i] != TLS1_3_VERSION)
                continue;
            change(&before, OPTIONAL);
            CHECK_ROW(row, visit(&before, &ann, versions[i]) == FULL);
            CHECK_ROW(row, visit(&before, &ann, versions[i]) == RESUMED);
            change(&now, what);
            enum visit want = what == OPTIONAL ? RESUMED : what == CA ? FAILED : FULL;
            CHECK_ROW(row, visit(&now, &ann, versions[i]) == want);
            forget_session();
        }
}

TEST(a_session_without_a_certificate_does_not_get_in_where_one_is_required)
{
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        struct tls_own before = HANDSHAKE_OWN(&localhost, &one), now = before;
        change(&before, OPTIONAL);
        change(&now, REQUIRED);
        assert_int_equal(visit(&before, NULL, versions[i]), FULL);
        assert_int_equal(visit(&now, NULL, versions[i]), FAILED);
        forget_session();
    }
}

/* The certificate in the ticket was good once, as is shown by a CA that is not asked about its time. */
static int say_it_is_good(X509_STORE_CTX *store, void *arg)
{
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
}

static enum visit visit_late(int version, bool is_good)
{
    struct ends ends;
    struct tls_own own = HANDSHAKE_OWN(&localhost, &one);
    change(&own, REQUIRED);
    SSL_CTX *server = handshake_own(&own), *client = make_client(&late);
    if (is_good)
        SSL_CTX_set_cert_verify_callback(server, say_it_is_good, NULL);
    ends_begin(&ends, server, client, "localhost", NULL);
    SSL_set_max_proto_version(ends.client, version);
    bring_session(ends.client);
    enum visit result = !ends_shake_hands(&ends) ? FAILED : SSL_session_reused(ends.server) ? RESUMED : FULL;
    ends_end(&ends);
    SSL_CTX_free(server);
    SSL_CTX_free(client);
    return result;
}

TEST(a_certificate_that_has_expired_since_is_refused_with_its_ticket)
{
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        assert_int_equal(visit_late(versions[i], true), FULL);
        assert_int_equal(visit_late(versions[i], false), FAILED);
        forget_session();
    }
}

static int begin(void **state)
{
    certificate_make(&localhost, "localhost");
    certificate_make_planned(&authority, &(struct certificate_plan){ .subject = "ca", .is_authority = true });
    certificate_make_planned(&ann, &(struct certificate_plan){ .subject = "ann", .by = &authority });
    certificate_make_planned(
        &late, &(struct certificate_plan){ .subject = "late", .by = &authority, .from_s = -7200, .until_s = -60 });
    ticket_keys_begin(&one, 1);
    ticket_keys_begin(&alike, 1);
    ticket_keys_begin(&other, 2);
    return 0;
}

static int end(void **state)
{
    struct certificate *all[] = { &localhost, &authority, &ann, &late };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        certificate_done(all[i]);
    ticket_keys_end(&one);
    ticket_keys_end(&alike);
    ticket_keys_end(&other);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_opens_for_one_period_more_than_it_seals),
        cmocka_unit_test(each_period_has_a_key_of_its_own),
        cmocka_unit_test(gateways_with_one_key_file_share_the_keys_of_tls_1_3_and_no_others),
        cmocka_unit_test(a_key_that_was_taken_out_of_the_keyring_opens_nothing),
        cmocka_unit_test(before_any_keys_time_has_come_tickets_are_this_process_own),
        cmocka_unit_test(a_clock_that_is_set_back_rotates_nothing),
        cmocka_unit_test(what_is_too_old_is_wiped_whether_anybody_comes_or_not),
        cmocka_unit_test(what_is_no_name_is_found_nowhere),
        cmocka_unit_test(a_session_is_resumed_by_another_context_again_and_again),
        cmocka_unit_test(another_gateway_with_the_key_file_resumes_tls_1_3_alone),
        cmocka_unit_test(a_ticket_of_tls_1_3_is_given_once_and_with_the_lifetime_of_its_key),
        cmocka_unit_test(a_ticket_is_good_for_nothing_where_something_else_is_demanded),
        cmocka_unit_test(a_session_without_a_certificate_does_not_get_in_where_one_is_required),
        cmocka_unit_test(a_certificate_that_has_expired_since_is_refused_with_its_ticket),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
