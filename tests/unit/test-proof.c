#include "check.h"

#include "alert.h"
#include "proof.h"

#define S(seconds) (1000u * (seconds))
#define REAUTH_S   300u
#define THINGS_MAX 8u
#define ID(text)   IMAPSTATE_SPAN(text)
#define ANN(secret)                                                                                                    \
    {                                                                                                                  \
        ID("main"), ID("ann"), ID("ann"), ID(secret)                                                                   \
    }
#define BOSS(for_, secret)                                                                                             \
    {                                                                                                                  \
        ID("main"), ID(for_), ID("boss"), ID(secret)                                                                   \
    }

static struct proofs proofs;

static void begin(void)
{
    proofs = (struct proofs){ .reauth_interval_ms = S(REAUTH_S) };
}

/* Whoever has no proof any more leaves nothing behind. */
static void end(void)
{
    assert_null(proofs.accounts);
    proofs_forget_key(&proofs);
}

static struct proof *prove(struct proof_identity identity, uint64_t now_ms)
{
    struct proof *proof = proofs_prove(&proofs, &identity, now_ms);
    assert_non_null(proof);
    return proof;
}

/* A success that leaves no proof of its own. */
static void succeed(struct proof_identity identity, uint64_t now_ms)
{
    proof_unref(&proofs, prove(identity, now_ms));
}

static bool serves(struct proof_identity identity, uint64_t now_ms)
{
    return proofs_match(&proofs, &identity, now_ms) != NULL;
}

static size_t count(const struct list *list)
{
    size_t number = 0;
    for (const struct list *link = list->next; link != list; link = link->next)
        number++;
    return number;
}

static const struct address here = { AF_INET, 1, { 192, 0, 2, 1 } }, here_too = { AF_INET, 2, { 192, 0, 2, 1 } },
                            there = { AF_INET, 1, { 192, 0, 2, 2 } }, imaps = { AF_INET, 993, { 192, 0, 2, 9 } },
                            imap = { AF_INET, 143, { 192, 0, 2, 9 } }, other_imaps = { AF_INET, 993, { 192, 0, 2, 8 } };

static const struct {
    const char *name;
    struct proof_identity proved, tried;
    bool matches;
} matches[] = {
    { "the same credentials",
      { ID("main"), ID("ann"), ID("ann"), ID("secret") },
      { ID("main"), ID("ann"), ID("ann"), ID("secret") },
      true },
    { "another password",
      { ID("main"), ID("ann"), ID("ann"), ID("secret") },
      { ID("main"), ID("ann"), ID("ann"), ID("secreT") },
      false },
    { "a password that the other begins with",
      { ID("main"), ID("ann"), ID("ann"), ID("secret") },
      { ID("main"), ID("ann"), ID("ann"), ID("secre") },
      false },
    { "another user with the same password",
      { ID("main"), ID("ann"), ID("ann"), ID("secret") },
      { ID("main"), ID("bob"), ID("bob"), ID("secret") },
      false },
    { "another upstream",
      { ID("main"), ID("ann"), ID("ann"), ID("secret") },
      { ID("other"), ID("ann"), ID("ann"), ID("secret") },
      false },
    { "somebody else acts for the user",
      { ID("main"), ID("ann"), ID("ann"), ID("secret") },
      { ID("main"), ID("ann"), ID("boss"), ID("secret") },
      false },
    { "the same somebody acts for another user",
      { ID("main"), ID("ann"), ID("boss"), ID("secret") },
      { ID("main"), ID("bob"), ID("boss"), ID("secret") },
      false },
    { "the same octets, divided otherwise",
      { ID("main"), ID("ann"), ID("ann"), ID("secret") },
      { ID("mai"), ID("nann"), ID("ann"), ID("secret") },
      false },
    { "a bearer token that looks like the password",
      { ID("main"), ID("ann"), ID("ann"), ID("secret") },
      { ID("main"), ID("ann"), ID("ann"), ID("secret"), .is_bearer = true },
      false },
    { "the same bearer token",
      { ID("main"), ID("ann"), ID("ann"), ID("secret"), .is_bearer = true },
      { ID("main"), ID("ann"), ID("ann"), ID("secret"), .is_bearer = true },
      true },
    { "a listener with imapproxy_compat",
      { ID("main"), ID("ann"), ID("ann"), ID("secret") },
      { ID("main"), ID("ann"), ID("ann"), ID("secret"), .is_compat = true },
      false },
    { "a listener without imapproxy_compat",
      { ID("main"), ID("ann"), ID("ann"), ID("secret"), .is_compat = true },
      { ID("main"), ID("ann"), ID("ann"), ID("secret") },
      false },
    { "the same address, another port",
      { ID("main"), ID("ann"), ID("ann"), ID("secret"), .address = &here, .local = &imaps },
      { ID("main"), ID("ann"), ID("ann"), ID("secret"), .address = &here_too, .local = &imaps },
      true },
    { "another address",
      { ID("main"), ID("ann"), ID("ann"), ID("secret"), .address = &here, .local = &imaps },
      { ID("main"), ID("ann"), ID("ann"), ID("secret"), .address = &there, .local = &imaps },
      false },
    { "another port of the gateway's",
      { ID("main"), ID("ann"), ID("ann"), ID("secret"), .address = &here, .local = &imaps },
      { ID("main"), ID("ann"), ID("ann"), ID("secret"), .address = &here, .local = &imap },
      false },
    { "another address of the gateway's, at which other users have these names",
      { ID("main"), ID("ann"), ID("ann"), ID("secret"), .address = &here, .local = &imaps },
      { ID("main"), ID("ann"), ID("ann"), ID("secret"), .address = &here, .local = &other_imaps },
      false },
    { "addresses are not passed on any more",
      { ID("main"), ID("ann"), ID("ann"), ID("secret"), .address = &here, .local = &imaps },
      { ID("main"), ID("ann"), ID("ann"), ID("secret") },
      false },
};

TEST(a_proof_is_good_only_for_whom_it_was_made)
{
    for (size_t i = 0; i < ARRAY_LEN(matches); i++) {
        begin();
        struct proof *proof = prove(matches[i].proved, S(1));
        struct proof *matched = proofs_match(&proofs, &matches[i].tried, S(2));
        CHECK_ROW(matches[i].name, matched == (matches[i].matches ? proof : NULL));
        proof_unref(&proofs, proof);
        end();
    }
}

TEST(the_same_credentials_have_one_proof_and_it_gets_younger)
{
    begin();
    struct proof *proof = prove((struct proof_identity)ANN("secret"), S(1));
    struct proof *again = prove((struct proof_identity)ANN("secret"), S(2));
    assert_ptr_equal(proof, again);
    assert_true(serves((struct proof_identity)ANN("secret"), S(REAUTH_S + 2) - 1));
    assert_false(serves((struct proof_identity)ANN("secret"), S(REAUTH_S + 2)));
    proof_unref(&proofs, again);
    /* One reference is left. */
    assert_true(proof_is_fresh(&proofs, proof, S(3)));
    proof_unref(&proofs, proof);
    end();
}

/* Its time is a sum: whoever waited for the lock brings a now from before. */
TEST(a_proof_is_good_for_reauth_interval)
{
    static const struct {
        uint64_t now_ms;
        bool is_fresh;
    } ages[] = { { 0, true }, { S(10), true }, { S(10 + REAUTH_S) - 1, true }, { S(10 + REAUTH_S), false } };
    begin();
    struct proof *proof = prove((struct proof_identity)ANN("secret"), S(10));
    for (size_t i = 0; i < ARRAY_LEN(ages); i++) {
        assert_int_equal(proof_is_fresh(&proofs, proof, ages[i].now_ms), ages[i].is_fresh);
        assert_int_equal(proof_is_good(&proofs, proof, ages[i].now_ms), ages[i].is_fresh);
    }
    proofs.reauth_interval_ms = S(1);
    assert_false(proof_is_good(&proofs, proof, S(11)));
    proof_unref(&proofs, proof);
    end();
}

TEST(nothing_is_proved_by_a_secret_that_is_not_known)
{
    begin();
    struct proof_identity unknown = ANN("");
    assert_null(proofs_prove(&proofs, &unknown, S(1)));
    end();
}

/* What somebody tries to log in by, and which proofs are good after that: ann's own by her secret and by another one,
 * boss's for ann and for bob. */
static const struct {
    const char *name;
    struct proof_identity tried;
    bool is_refused; /* by the upstream; else it is yet to judge */
    bool are_good[4];
    size_t given_up;
} trials[] = {
    { "a guess at ann", ANN("guess"), false, { false, false, true, true }, 0 },
    { "a guess that is refused", ANN("guess"), true, { false, false, true, true }, 0 },
    { "ann's secret is refused", ANN("secret"), true, { false, false, true, true }, 1 },
    { "ann, by what does not tell the secret", ANN(""), true, { false, false, true, true }, 0 },
    { "a guess at boss", BOSS("bob", "guess"), false, { true, true, false, false }, 0 },
    { "boss's secret is refused, for ann", BOSS("ann", "key"), true, { true, true, false, false }, 1 },
    { "boss's secret is refused, for himself", BOSS("boss", "key"), true, { true, true, false, false }, 0 },
    { "somebody who has nothing",
      { ID("main"), ID("eve"), ID("eve"), ID("secret") },
      true,
      { true, true, true, true },
      0 },
    { "ann elsewhere", { ID("other"), ID("ann"), ID("ann"), ID("secret") }, true, { true, true, true, true }, 0 },
};
static const struct proof_identity proven[] = { ANN("secret"), ANN("app"), BOSS("ann", "key"), BOSS("bob", "key") };

TEST(a_guess_suspends_all_that_its_identity_has_proven_and_a_refusal_ends_what_it_is_about)
{
    for (size_t i = 0; i < ARRAY_LEN(trials); i++) {
        struct proof *made[ARRAY_LEN(proven)];
        struct list things[ARRAY_LEN(proven)], given_up;
        begin();
        list_init(&given_up);
        for (size_t j = 0; j < ARRAY_LEN(proven); j++) {
            made[j] = prove(proven[j], S(1));
            list_init(&things[j]);
            list_move(&things[j], &made[j]->parked);
        }
        if (trials[i].is_refused)
            proofs_refuse(&proofs, &trials[i].tried, &given_up);
        else
            proofs_suspect(&proofs, &trials[i].tried);
        for (size_t j = 0; j < ARRAY_LEN(proven); j++)
            CHECK_ROW(trials[i].name, proof_is_good(&proofs, made[j], S(2)) == trials[i].are_good[j]);
        CHECK_ROW(trials[i].name, count(&given_up) == trials[i].given_up);
        for (size_t j = 0; j < ARRAY_LEN(proven); j++) {
            list_remove(&things[j]);
            proof_unref(&proofs, made[j]);
        }
        end();
    }
}

TEST(a_success_makes_good_what_was_suspended_and_only_the_same_secret_what_was_void)
{
    struct list given_up;
    begin();
    list_init(&given_up);
    struct proof_identity hers = ANN("secret"), guess = ANN("guess"), boss = BOSS("bob", "key");
    struct proof *own = prove(hers, S(1)), *app = prove((struct proof_identity)ANN("app"), S(1));
    proofs_refuse(&proofs, &hers, &given_up);
    proofs_restore(&proofs, &boss); /* somebody else */
    assert_false(serves(proven[1], S(2)));
    proofs_restore(&proofs, &guess); /* whatever it was, it was no guess */
    assert_true(proof_is_good(&proofs, app, S(2)));
    assert_false(proof_is_good(&proofs, own, S(2)));
    proofs_restore(&proofs, &hers);
    assert_true(proof_is_good(&proofs, own, S(2)));
    proof_unref(&proofs, own);
    proof_unref(&proofs, app);
    end();
}

TEST(accounts_with_something_suspended_are_counted_as_long_as_it_is)
{
    begin();
    struct proof_identity hers = ANN("secret"), boss = BOSS("bob", "key"), guess = ANN("guess");
    struct proof *own = prove(hers, S(1)), *other = prove(boss, S(1));
    assert_int_equal(proofs.suspended_count, 0);
    proofs_suspect(&proofs, &guess);
    proofs_suspect(&proofs, &guess);
    assert_int_equal(proofs.suspended_count, 1);
    proofs_suspect(&proofs, &boss);
    assert_int_equal(proofs.suspended_count, 2);
    proofs_restore(&proofs, &guess);
    assert_int_equal(proofs.suspended_count, 1);
    proof_unref(&proofs, own);
    proof_unref(&proofs, other); /* with its account goes what was suspended */
    assert_int_equal(proofs.suspended_count, 0);
    end();
}

TEST(a_guess_from_elsewhere_suspends_nothing_here)
{
    begin();
    struct proof_identity from_here = ANN("secret"), from_there = ANN("guess");
    from_here.address = &here;
    from_there.address = &there;
    from_here.local = from_there.local = &imaps;
    struct proof *proof = prove(from_here, S(1));
    proofs_suspect(&proofs, &from_there);
    assert_true(proof_is_good(&proofs, proof, S(2)));
    from_there.address = &here_too; /* another port is no other place */
    from_there.local = &imap;
    proofs_suspect(&proofs, &from_there);
    assert_false(proof_is_good(&proofs, proof, S(2)));
    from_there.address = &there;
    proofs_restore(&proofs, &from_there); /* nor is its success one here */
    assert_false(proof_is_good(&proofs, proof, S(2)));
    proof_unref(&proofs, proof);
    end();
}

TEST(whoever_matches_nothing_is_suspect_but_by_a_secret_that_is_good_for_somebody)
{
    begin();
    struct proof *for_ann = prove((struct proof_identity)BOSS("ann", "key"), S(1));
    assert_false(serves((struct proof_identity)BOSS("bob", "key"), S(2)));
    assert_true(serves((struct proof_identity)BOSS("ann", "key"), S(2)));
    assert_false(serves((struct proof_identity)BOSS("bob", "guess"), S(2)));
    assert_false(serves((struct proof_identity)BOSS("ann", "key"), S(2)));
    /* It is good for nobody now, so whoever brings it may be guessing as well. */
    assert_false(serves((struct proof_identity)BOSS("bob", "key"), S(2)));
    succeed((struct proof_identity)BOSS("bob", "key"), S(3));
    assert_true(serves((struct proof_identity)BOSS("ann", "key"), S(3)));
    proof_unref(&proofs, for_ann);
    end();
}

TEST(where_there_is_one_password_another_voids_the_older_proofs)
{
    struct list given_up, things[3];
    struct proof *made[3];
    begin();
    list_init(&given_up);
    static const struct proof_identity identities[] = { ANN("old"),
                                                        ANN("new"),
                                                        { ID("main"), ID("bob"), ID("bob"), ID("old") } };
    for (size_t i = 0; i < ARRAY_LEN(identities); i++) {
        made[i] = prove(identities[i], S(1));
        list_init(&things[i]);
        list_move(&things[i], &made[i]->parked);
    }
    struct proof_identity unknown = ANN("");
    proofs_void_others(&proofs, &unknown, &given_up); /* it may be the same */
    assert_true(list_is_empty(&given_up));
    proofs_void_others(&proofs, &identities[1], &given_up);
    assert_ptr_equal(given_up.next, &things[0]);
    assert_int_equal(count(&given_up), 1);
    assert_false(proof_is_good(&proofs, made[0], S(2)));
    assert_true(proof_is_good(&proofs, made[1], S(2)));
    assert_true(proof_is_good(&proofs, made[2], S(2)));
    proofs_restore(&proofs, &identities[0]); /* so the old one is in use again */
    assert_true(proof_is_good(&proofs, made[0], S(2)));
    for (size_t i = 0; i < ARRAY_LEN(identities); i++) {
        list_remove(&things[i]);
        proof_unref(&proofs, made[i]);
    }
    end();
}

TEST(what_is_given_up_keeps_its_order)
{
    struct list given_up, things[THINGS_MAX];
    begin();
    list_init(&given_up);
    struct proof *proof = prove((struct proof_identity)ANN("secret"), S(1));
    for (size_t i = 0; i < THINGS_MAX; i++) {
        list_init(&things[i]);
        list_move(&things[i], &proof->parked);
    }
    proof_give_up(proof, &given_up);
    assert_true(list_is_empty(&proof->parked));
    for (size_t i = 0; i < THINGS_MAX; i++) {
        assert_ptr_equal(given_up.next, &things[i]);
        list_remove(&things[i]);
    }
    proof_unref(&proofs, proof);
    end();
}

TEST(an_account_is_had_by_whoever_is_logged_in_or_logs_in)
{
    begin();
    assert_null(proofs_account(&proofs, ID("main"), ID("ann")));
    struct proof *proof = prove((struct proof_identity)BOSS("ann", "key"), S(1));
    struct account *ann = proofs_account(&proofs, ID("main"), ID("ann")),
                   *boss = proofs_account(&proofs, ID("main"), ID("boss"));
    assert_ptr_equal(proof->user, ann);
    assert_ptr_equal(proof->prover, boss);
    assert_int_equal(count(&ann->proofs), 1);
    assert_int_equal(count(&ann->proven), 0);
    assert_int_equal(count(&boss->proven), 1);
    assert_null(proofs_account(&proofs, ID("mai"), ID("nann"))); /* the same octets */
    assert_null(proofs_account(&proofs, ID("other"), ID("ann")));
    proof_unref(&proofs, proof_ref(proof));
    assert_ptr_equal(proofs_account(&proofs, ID("main"), ID("ann")), ann);
    proof_unref(&proofs, proof);
    end();
}

TEST(without_its_key_no_secret_matches)
{
    begin();
    struct proof *proof = prove((struct proof_identity)ANN("secret"), S(1));
    assert_true(serves((struct proof_identity)ANN("secret"), S(2)));
    proofs_forget_key(&proofs);
    assert_false(serves((struct proof_identity)ANN("secret"), S(2)));
    proof_unref(&proofs, proof);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_proof_is_good_only_for_whom_it_was_made),
        cmocka_unit_test(the_same_credentials_have_one_proof_and_it_gets_younger),
        cmocka_unit_test(a_proof_is_good_for_reauth_interval),
        cmocka_unit_test(nothing_is_proved_by_a_secret_that_is_not_known),
        cmocka_unit_test(a_guess_suspends_all_that_its_identity_has_proven_and_a_refusal_ends_what_it_is_about),
        cmocka_unit_test(a_success_makes_good_what_was_suspended_and_only_the_same_secret_what_was_void),
        cmocka_unit_test(accounts_with_something_suspended_are_counted_as_long_as_it_is),
        cmocka_unit_test(a_guess_from_elsewhere_suspends_nothing_here),
        cmocka_unit_test(whoever_matches_nothing_is_suspect_but_by_a_secret_that_is_good_for_somebody),
        cmocka_unit_test(where_there_is_one_password_another_voids_the_older_proofs),
        cmocka_unit_test(what_is_given_up_keeps_its_order),
        cmocka_unit_test(an_account_is_had_by_whoever_is_logged_in_or_logs_in),
        cmocka_unit_test(without_its_key_no_secret_matches),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
