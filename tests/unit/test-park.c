#include "check.h"

#include "alert.h"
#include "allowance.h"
#include "certificate.h"
#include "parking.h"
#include "proof.h"

#include <limits.h>
#include <signal.h>
#include <sodium.h>

#define MAIN  "upstream \"main\" { address = \"127.0.0.1:143\" tls = \"none\" }\n"
#define OTHER "upstream \"other\" { address = \"127.0.0.1:144\" tls = \"none\" }\n"
#define PARK(settings)                                                                                                 \
    "park { time = \"60s\" lifetime = \"600s\" reauth_interval = \"300s\" keepalive = \"50s\" " settings " }\n"

#define S(seconds) (1000u * (seconds))

static struct service *service;

static void begin(const char *text)
{
    service = parking_service(text);
    park_configure(service->config);
}

/* Nothing is left behind, whatever the test did. */
static void end(void)
{
    park_done();
    assert_int_equal(park_count(), 0);
    service_unref(service);
}

static struct proof *prove(const char *user, const char *secret, uint64_t now_ms)
{
    struct proof_identity identity = parking_identity(user, secret);
    struct proof *proof = park_prove(&identity, now_ms);
    assert_non_null(proof);
    return proof;
}

/* Proves, parks, and gives the server's end. */
static int park_one(const char *user, const char *state, uint64_t now_ms)
{
    int peer;
    struct proof *proof = prove(user, "secret", now_ms);
    park_put(parking_connection(service, proof, state, now_ms, &peer), now_ms);
    park_proof_unref(proof);
    return peer;
}

static struct parked *match(const char *user, const char *secret, uint64_t now_ms)
{
    struct proof_identity identity = parking_identity(user, secret);
    return park_match(&identity, now_ms, NULL);
}

static bool is_ended(int peer)
{
    char said[64];
    return parking_is_ended(peer, said, sizeof said);
}

static const struct address here = { AF_INET, 1, { 192, 0, 2, 1 } }, there = { AF_INET, 1, { 192, 0, 2, 2 } },
                            imaps = { AF_INET, 993, { 192, 0, 2, 9 } };

#define ID(text) IMAPSTATE_SPAN(text)
/* Whose credentials match which proof is told by test-proof.c. */
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
    { "another user with the same password",
      { ID("main"), ID("ann"), ID("ann"), ID("secret") },
      { ID("main"), ID("bob"), ID("bob"), ID("secret") },
      false },
    { "another address",
      { ID("main"), ID("ann"), ID("ann"), ID("secret"), .address = &here, .local = &imaps },
      { ID("main"), ID("ann"), ID("ann"), ID("secret"), .address = &there, .local = &imaps },
      false },
};

TEST(a_connection_serves_only_whom_it_belongs_to)
{
    for (size_t i = 0; i < ARRAY_LEN(matches); i++) {
        int peer;
        begin(MAIN PARK(""));
        struct proof *proof = park_prove(&matches[i].proved, S(1)), *matched = NULL;
        park_put(parking_connection(service, proof, "", S(1), &peer), S(1));
        struct parked *parked = park_match(&matches[i].tried, S(2), &matched);
        CHECK_ROW(matches[i].name, (parked != NULL) == matches[i].matches);
        CHECK_ROW(matches[i].name, matched == (matches[i].matches ? proof : NULL));
        CHECK_ROW(matches[i].name, park_count() == !matches[i].matches);
        /* A wrong password neither evicts nor touches what is parked. */
        CHECK_ROW(matches[i].name, !is_ended(peer));
        parked_free(parked);
        park_proof_unref(matched);
        park_proof_unref(proof);
        end();
        CHECK_ROW(matches[i].name, is_ended(peer));
        close(peer);
    }
}

TEST(a_connection_in_a_state_serves_just_that_state)
{
    begin(MAIN PARK("per_user = 4"));
    struct proof *proof = prove("ann", "secret", S(1));
    int pristine = park_one("ann", "", S(1)), in_state = park_one("ann", "QRESYNC", S(2));
    assert_null(park_take(proof, PARK_STATE, ID("QRESYN"), S(3)));
    assert_null(park_take(proof, PARK_STATE, ID("QRESYNC2"), S(3)));
    struct parked *parked = park_take(proof, PARK_PRISTINE, ID("QRESYNC"), S(3));
    assert_int_equal(parked->kept.state.len, 0);
    assert_null(park_take(proof, PARK_PRISTINE, ID(""), S(3)));
    struct parked *second = park_take(proof, PARK_STATE, ID("QRESYNC"), S(3));
    assert_non_null(second);
    assert_null(park_take(proof, PARK_ANY, ID(""), S(3)));
    parked_free(parked);
    parked_free(second);
    park_proof_unref(proof);
    end();
    close(pristine);
    close(in_state);
}

TEST(the_one_that_was_parked_last_is_taken_first)
{
    begin(MAIN PARK("per_user = 4"));
    int peers[3];
    for (unsigned i = 0; i < 3; i++)
        peers[i] = park_one("ann", "", S(i + 1));
    for (unsigned i = 3; i-- > 0;) {
        struct parked *parked = match("ann", "secret", S(5));
        assert_int_equal(parked->kept.parked_at_ms, S(i + 1));
        parked_free(parked);
        assert_true(is_ended(peers[i]));
        close(peers[i]);
    }
    end();
}

TEST(a_connection_that_ends_says_logout)
{
    char said[64];
    begin(MAIN PARK(""));
    int peer = park_one("ann", "", S(1));
    end();
    assert_true(parking_is_ended(peer, said, sizeof said));
    assert_string_equal(said, "imapstate LOGOUT\r\n");
    close(peer);
}

TEST(the_oldest_of_the_user_makes_room)
{
    begin(MAIN PARK("per_user = 2"));
    int bob = park_one("bob", "", S(1)), first = park_one("ann", "", S(2)), second = park_one("ann", "", S(3)),
        third = park_one("ann", "", S(4));
    assert_true(is_ended(first));
    assert_false(is_ended(second));
    assert_false(is_ended(third));
    assert_false(is_ended(bob));
    assert_int_equal(park_count(), 3);
    end();
    close(bob), close(first), close(second), close(third);
}

/* Else a client that enables something and one that does not would drive out each other's, and both pay for it. */
TEST(of_a_users_one_makes_room_that_another_can_stand_in_for)
{
    begin(MAIN PARK("per_user = 2"));
    int pristine = park_one("ann", "", S(1)), able = park_one("ann", "ABLE", S(2)),
        again = park_one("ann", "ABLE", S(3));
    assert_false(is_ended(pristine));
    assert_true(is_ended(able));
    assert_false(is_ended(again));
    int other = park_one("ann", "OTHER", S(4)); /* nobody can stand in for any of these */
    assert_true(is_ended(pristine));
    assert_false(is_ended(again) || is_ended(other));
    end();
    close(pristine), close(able), close(again), close(other);
}

/* As a session leaves it behind that has sent this ENABLE. */
static int park_recorded(struct proof *proof, const char *request, uint64_t now_ms)
{
    int peer;
    struct parked *parked = parking_connection(service, proof, "ABLE", now_ms, &peer);
    parked->kept.record = record_new();
    record_hear(parked->kept.record, imapstate_span_of(request));
    assert_true(record_add(parked->kept.record, imapstate_span_of(request)));
    park_put(parked, now_ms);
    return peer;
}

static enum record_answer look_up(struct proof *proof, const char *request, uint64_t now_ms)
{
    struct imapstate_buf names;
    imapstate_buf_init(&names, RECORD_MAX);
    struct imapstate_span enable = imapstate_span_of(request);
    struct record *record = park_record(proof, NULL, &enable, now_ms);
    enum record_answer answer = record_look_up(record, NULL, enable, &names);
    if (answer == RECORD_ENABLED)
        CHECK_SPAN(request, imapstate_buf_span(&names), enable);
    record_free(record);
    imapstate_buf_done(&names);
    return answer;
}

TEST(what_a_session_was_answered_is_on_record_while_its_connection_is_parked)
{
    begin(MAIN PARK("per_user = 4"));
    struct proof *ann = prove("ann", "secret", S(1)), *bob = prove("bob", "secret", S(1));
    int first = park_recorded(ann, "A", S(1)), second = park_recorded(ann, "B", S(2));
    assert_int_equal(look_up(ann, "A", S(3)), RECORD_ENABLED);
    assert_int_equal(look_up(ann, "B", S(3)), RECORD_ENABLED);
    assert_int_equal(look_up(ann, "C", S(3)), RECORD_UNKNOWN);
    assert_int_equal(look_up(bob, "A", S(3)), RECORD_UNKNOWN);
    struct parked *parked = park_take(ann, PARK_STATE, ID("ABLE"), S(3));
    assert_int_equal(look_up(ann, "B", S(3)), RECORD_UNKNOWN);
    parked_free(parked);
    assert_int_equal(look_up(ann, "A", S(1) + service->config->park.time_ms), RECORD_UNKNOWN);
    struct proof_identity guess = parking_identity("ann", "guess");
    park_suspect(&guess);
    assert_int_equal(look_up(ann, "A", S(3)), RECORD_UNKNOWN);
    park_proof_unref(ann);
    park_proof_unref(bob);
    end();
    close(first), close(second);
}

TEST(one_that_is_given_back_unused_is_as_old_as_before)
{
    begin(MAIN PARK("per_user = 1"));
    int first = park_one("ann", "", S(1));
    struct parked *reserved = match("ann", "secret", S(2));
    int second = park_one("ann", "", S(3));
    park_put(reserved, S(4));
    assert_true(is_ended(first));
    assert_false(is_ended(second));
    assert_int_equal(park_count(), 1);
    end();
    close(first), close(second);
}

/* That end, so often, and no other. */
static void check_ends(const char *name, enum park_end end, unsigned times, unsigned parked)
{
    struct park_counters counters;
    park_counters_init(&counters);
    park_count_into(&counters);
    const struct park_row *row = (struct park_row *)rows_have(&counters.upstreams, IMAPSTATE_SPAN("main"));
    CHECK_ROW(name, row->parked == parked && park_count() == parked);
    for (unsigned i = 0; i < PARK_END_COUNT; i++)
        CHECK_ROW(name, row->ends[i] == (i == end ? times : 0));
    park_counters_done(&counters);
}

TEST(each_end_is_counted_by_its_reason)
{
    struct proof_identity ann = parking_identity("ann", "secret");
    struct list tired;
    list_init(&tired);
    begin(MAIN PARK("per_user = 1"));
    int first = park_one("ann", "", S(1)), second = park_one("ann", "", S(2));
    check_ends("the user has newer ones", PARK_END_PER_USER, 1, 1);
    struct parked *taken = match("ann", "secret", S(2)); /* that is no end */
    assert_non_null(taken);
    check_ends("it serves again", PARK_END_PER_USER, 1, 0);
    parked_free(taken);
    end();
    close(first), close(second);
    begin(MAIN PARK(""));
    first = park_one("ann", "", S(1));
    park_sweep(S(61), &tired);
    check_ends("time is up", PARK_END_TIME, 1, 0);
    end();
    close(first);
    begin(MAIN PARK(""));
    first = park_one("ann", "", S(1));
    park_refuse(&ann);
    check_ends("refused", PARK_END_REFUSED, 1, 0);
    end();
    close(first);
    begin(MAIN PARK(""));
    first = park_one("ann", "", S(1));
    assert_true(park_give_up_oldest(ann.upstream));
    check_ends("crowded", PARK_END_CROWDED, 1, 0);
    end();
    close(first);
    begin(MAIN PARK(""));
    struct service *before = service;
    first = park_one("ann", "", S(1));
    begin(MAIN PARK("per_user = 0"));
    service_unref(before);
    check_ends("the configuration", PARK_END_CONFIG, 1, 0);
    end();
    close(first);
}

TEST(the_oldest_of_all_makes_room)
{
    begin(MAIN PARK("per_user = 2 max = 2"));
    int ann = park_one("ann", "", S(1)), bob = park_one("bob", "", S(2)), eve = park_one("eve", "", S(3));
    assert_true(is_ended(ann));
    assert_false(is_ended(bob));
    assert_false(is_ended(eve));
    assert_int_equal(park_count(), 2);
    end();
    close(ann), close(bob), close(eve);
}

/* All that is tired is lost. */
static bool sweep_finds_none(uint64_t now_ms)
{
    struct list tired;
    list_init(&tired);
    park_sweep(now_ms, &tired);
    bool is_none = list_is_empty(&tired);
    list_each_safe(link, &tired) parked_free(list_entry(link, struct parked, age_link));
    return is_none;
}

/* What waits since 1000 s, with a proof of then. */
static const struct {
    const char *name;
    uint64_t born_at_ms, now_ms;
    bool is_over;
} ages[] = {
    { "just parked", S(1000), S(1000), false },
    { "by the clock of a thread that has waited for the lock", S(1000), S(1000) - 1, false },
    { "before its time is up", S(1000), S(1060) - 1, false },
    { "its time is up", S(1000), S(1060), true },
    { "before its lifetime is up", S(430) + 1, S(1030), false },
    { "its lifetime is up", S(430), S(1030), true },
};

TEST(what_has_waited_or_lived_too_long_serves_nobody)
{
    for (size_t i = 0; i < ARRAY_LEN(ages); i++)
        for (int sweeps = 0; sweeps < 2; sweeps++) {
            int peer;
            begin(MAIN "park { time = \"60s\" lifetime = \"600s\" reauth_interval = \"300s\" keepalive = \"600s\" }\n");
            struct proof *proof = prove("ann", "secret", S(1000));
            struct parked *parked = parking_connection(service, proof, "", S(1000), &peer);
            parked->kept.born_at_ms = ages[i].born_at_ms;
            park_put(parked, S(1000));
            CHECK_ROW(ages[i].name, park_count() == 1);
            if (sweeps) {
                CHECK_ROW(ages[i].name, sweep_finds_none(ages[i].now_ms));
                CHECK_ROW(ages[i].name, is_ended(peer) == ages[i].is_over);
            } else {
                parked = park_take(proof, PARK_ANY, ID(""), ages[i].now_ms);
                CHECK_ROW(ages[i].name, (parked == NULL) == ages[i].is_over);
                parked_free(parked);
            }
            park_proof_unref(proof);
            end();
            close(peer);
        }
}

TEST(credentials_are_proved_anew_after_reauth_interval)
{
    begin(MAIN "park { time = \"500s\" lifetime = \"600s\" reauth_interval = \"300s\" keepalive = \"600s\" }\n");
    struct proof *proof = prove("ann", "secret", S(100));
    int early, late;
    park_put(parking_connection(service, proof, "", S(100), &early), S(100));
    struct parked *parked = match("ann", "secret", S(400) - 1);
    assert_non_null(parked);
    park_put(parked, S(400) - 1);
    /* That it was accepted without the upstream proves nothing. */
    assert_null(match("ann", "secret", S(400)));
    park_put(parking_connection(service, proof, "", S(400), &late), S(400));
    assert_true(is_ended(late));
    park_proof_unref(prove("ann", "secret", S(401)));
    parked = match("ann", "secret", S(402));
    assert_non_null(parked);
    park_put(parked, S(402));
    assert_true(sweep_finds_none(S(599)));
    assert_false(is_ended(early));
    park_proof_unref(proof);
    end();
    close(early), close(late);
}

TEST(the_janitor_ends_what_has_an_old_proof)
{
    begin(MAIN "park { time = \"500s\" lifetime = \"600s\" reauth_interval = \"300s\" keepalive = \"600s\" }\n");
    int peer = park_one("ann", "", S(100));
    assert_true(sweep_finds_none(S(400) - 1));
    assert_false(is_ended(peer));
    assert_true(sweep_finds_none(S(400)));
    assert_true(is_ended(peer));
    end();
    close(peer);
}

TEST(the_janitor_takes_out_what_needs_a_sign_of_life)
{
    begin(MAIN PARK("per_user = 4"));
    int first = park_one("ann", "", S(100)), second = park_one("ann", "", S(101)), third = park_one("ann", "", S(130));
    struct list tired;
    list_init(&tired);
    assert_true(sweep_finds_none(S(150) - 1));
    park_sweep(S(151), &tired);
    struct parked *older = list_entry(tired.next, struct parked, age_link);
    struct parked *newer = list_entry(tired.previous, struct parked, age_link);
    assert_int_equal(older->kept.parked_at_ms, S(100));
    assert_int_equal(newer->kept.parked_at_ms, S(101));
    assert_int_equal(park_count(), 1);
    newer->used_at_ms = older->used_at_ms = S(151);
    park_put(newer, S(151));
    park_put(older, S(151));
    assert_true(sweep_finds_none(S(152)));
    assert_int_equal(park_count(), 3);
    /* They showed a sign of life, but are no younger for that. */
    struct parked *youngest = match("ann", "secret", S(153));
    assert_int_equal(youngest->kept.parked_at_ms, S(130));
    assert_true(sweep_finds_none(S(160)));
    assert_true(is_ended(first));
    assert_false(is_ended(second));
    assert_true(sweep_finds_none(S(161)));
    assert_true(is_ended(second));
    parked_free(youngest);
    end();
    close(first), close(second), close(third);
}

TEST(a_refusal_ends_what_that_secret_has_parked)
{
    begin(MAIN PARK("per_user = 4"));
    struct proof_identity refused = parking_identity("ann", "secret");
    struct proof *other = prove("ann", "app password", S(1)), *held = prove("ann", "secret", S(1));
    int peer = park_one("ann", "", S(1)), other_peer, late;
    park_put(parking_connection(service, other, "", S(1), &other_peer), S(1));
    park_refuse(&refused);
    assert_true(is_ended(peer));
    assert_false(is_ended(other_peer));
    park_put(parking_connection(service, held, "", S(2), &late), S(2));
    assert_true(is_ended(late));
    /* The identity's logins go upstream, whatever the secret, until one succeeds there. */
    assert_null(match("ann", "app password", S(2)));
    park_proof_unref(prove("ann", "third", S(3)));
    struct parked *parked = match("ann", "app password", S(4));
    assert_non_null(parked);
    assert_null(match("ann", "secret", S(4)));
    parked_free(parked);
    park_proof_unref(other);
    park_proof_unref(held);
    end();
    close(peer), close(other_peer), close(late);
}

TEST(a_refusal_of_another_secret_touches_nothing_that_is_parked)
{
    begin(MAIN PARK(""));
    struct proof_identity wrong = parking_identity("ann", "secreT");
    int peer = park_one("ann", "", S(1));
    park_refuse(&wrong);
    assert_false(is_ended(peer));
    assert_int_equal(park_count(), 1);
    assert_null(match("ann", "secret", S(2)));
    park_proof_unref(prove("ann", "secret", S(3)));
    struct parked *parked = match("ann", "secret", S(4));
    assert_non_null(parked);
    parked_free(parked);
    end();
    close(peer);
}

TEST(a_refusal_elsewhere_suspends_nobody_here)
{
    begin(MAIN PARK(""));
    struct proof_identity from_here = parking_identity("ann", "secret"), from_there = parking_identity("ann", "wrong");
    from_here.address = &here;
    from_there.address = &there;
    from_here.local = from_there.local = &imaps;
    struct proof *proof = park_prove(&from_here, S(1));
    int peer;
    park_put(parking_connection(service, proof, "", S(1), &peer), S(1));
    park_proof_unref(park_prove(&from_there, S(1)));
    park_refuse(&from_there);
    struct parked *parked = park_match(&from_here, S(2), NULL);
    assert_non_null(parked);
    park_put(parked, S(2));
    from_here.secret = ID("wrong");
    park_refuse(&from_here);
    from_here.secret = ID("secret");
    assert_null(park_match(&from_here, S(3), NULL));
    park_proof_unref(proof);
    end();
    close(peer);
}

static struct proof_identity acting_for(const char *user, const char *secret)
{
    struct proof_identity identity = parking_identity(user, secret);
    identity.authentication = ID("boss");
    return identity;
}

static int park_acting_for(const char *user, uint64_t now_ms)
{
    int peer;
    struct proof_identity identity = acting_for(user, "secret");
    struct proof *proof = park_prove(&identity, now_ms);
    park_put(parking_connection(service, proof, "", now_ms, &peer), now_ms);
    park_proof_unref(proof);
    return peer;
}

static bool serves(struct proof_identity identity, uint64_t now_ms)
{
    struct parked *parked = park_match(&identity, now_ms, NULL);
    if (parked)
        park_put(parked, now_ms);
    return parked != NULL;
}

/* What boss is tried by, and for whom; then, what of that and of ann's own is still good, and again after a success of
 * boss's for bob. */
static const struct {
    const char *name, *secret, *user;
    bool ends, serves_after_success;
} trials[] = {
    { "a wrong secret for another", "wrong", "bob", false, true },
    { "a wrong secret for the same", "wrong", "ann", false, true },
    { "a wrong secret for itself", "wrong", "boss", false, true },
    { "a secret that nobody knows", "", "bob", false, true },
    { "the secret, for another, who may be the reason", "secret", "bob", false, true },
    { "the secret, for the same", "secret", "ann", true, false },
};

TEST(who_acts_for_others_is_refused_for_all_of_them)
{
    for (size_t i = 0; i < ARRAY_LEN(trials); i++) {
        begin(MAIN PARK(""));
        int her_own = park_one("ann", "", S(1)), peer = park_acting_for("ann", S(1));
        struct proof_identity tried = acting_for(trials[i].user, trials[i].secret);
        park_refuse(&tried);
        CHECK_ROW(trials[i].name, is_ended(peer) == trials[i].ends);
        CHECK_ROW(trials[i].name, !serves(acting_for("ann", "secret"), S(2)));
        CHECK_ROW(trials[i].name, serves(parking_identity("ann", "secret"), S(2)));
        struct proof_identity other_secret = acting_for("bob", "newer"), success = acting_for("bob", "secret");
        if (*trials[i].secret == 's') {
            /* Another secret's success says nothing of this one. */
            park_proof_unref(park_prove(&other_secret, S(3)));
            CHECK_ROW(trials[i].name, !serves(acting_for("ann", "secret"), S(3)));
        }
        park_proof_unref(park_prove(&success, S(3)));
        CHECK_ROW(trials[i].name, serves(acting_for("ann", "secret"), S(3)) == trials[i].serves_after_success);
        end();
        close(her_own), close(peer);
    }
}

/* What somebody tries ann's login by, while she has a connection parked: by another secret than hers it is a guess,
 * which nothing but a success ends, whatever that was made by. */
static const struct {
    const char *name, *secret;
    bool is_bearer, is_parked, is_guess;
} guesses[] = {
    { "her secret", "secret", false, true, false },
    { "her secret, though nothing is parked just now", "secret", false, false, false },
    { "another secret", "secreT", false, true, true },
    { "another secret, though nothing is parked just now", "secreT", false, false, true },
    { "her secret as a bearer token", "secret", true, true, true },
    { "by what does not tell the secret", "", false, true, true },
};

TEST(whoever_tries_another_secret_may_be_guessing)
{
    for (size_t i = 0; i < ARRAY_LEN(guesses); i++) {
        begin(MAIN PARK(""));
        struct proof_identity hers = parking_identity("ann", "secret"),
                              tried = parking_identity("ann", guesses[i].secret), unknown = parking_identity("ann", "");
        tried.is_bearer = guesses[i].is_bearer;
        int peer = park_one("ann", "", S(1));
        struct parked *taken = guesses[i].is_parked ? NULL : match("ann", "secret", S(2));
        struct parked *served = park_match(&tried, S(2), NULL);
        CHECK_ROW(guesses[i].name, (served != NULL) == (guesses[i].is_parked && !guesses[i].is_guess));
        if (served || taken)
            park_put(served ? served : taken, S(2));
        CHECK_ROW(guesses[i].name, serves(hers, S(3)) != guesses[i].is_guess);
        CHECK_ROW(guesses[i].name, !is_ended(peer));
        assert_null(park_prove(&unknown, S(4)));
        CHECK_ROW(guesses[i].name, serves(hers, S(4)));
        park_suspect(&unknown);
        CHECK_ROW(guesses[i].name, !serves(hers, S(5)));
        end();
        close(peer);
    }
}

TEST(a_secret_that_is_good_for_one_is_no_guess_for_another)
{
    begin(MAIN PARK(""));
    int peer = park_acting_for("ann", S(1));
    assert_false(serves(acting_for("bob", "secret"), S(2)));
    assert_true(serves(acting_for("ann", "secret"), S(2)));
    assert_false(serves(acting_for("bob", "secreT"), S(3)));
    assert_false(serves(acting_for("bob", "secret"), S(3)));
    assert_false(serves(acting_for("ann", "secret"), S(3)));
    end();
    close(peer);
}

TEST(an_aged_proof_is_a_guess_to_those_that_are_fresh)
{
    begin(MAIN "park { per_user = 4 time = \"500s\" lifetime = \"600s\" reauth_interval = \"300s\" }\n");
    int aged = park_one("ann", "", S(1)), peer;
    struct proof_identity fresh = parking_identity("ann", "app password");
    struct proof *proof = park_prove(&fresh, S(200));
    park_put(parking_connection(service, proof, "", S(200), &peer), S(200));
    assert_true(serves(fresh, S(301)));
    assert_null(match("ann", "secret", S(301)));
    assert_false(serves(fresh, S(301)));
    park_proof_unref(prove("ann", "secret", S(302)));
    assert_true(serves(fresh, S(302)));
    park_proof_unref(proof);
    end();
    close(aged), close(peer);
}

TEST(another_password_voids_the_older_proofs_only_where_that_is_asked_for)
{
    for (int is_asked = 0; is_asked < 2; is_asked++) {
        begin(is_asked ? MAIN PARK("per_user = 4 one_password = true") : MAIN PARK("per_user = 4"));
        int peer = park_one("ann", "", S(1)), bob = park_one("bob", "", S(1));
        park_proof_unref(prove("ann", "new", S(2)));
        assert_int_equal(is_ended(peer), is_asked);
        assert_false(is_ended(bob));
        end();
        close(peer), close(bob);
    }
}

#define H(hours) S(3600u * (hours))

static struct park_yield make_room(const char *user, uint64_t now_ms)
{
    return park_yield(ID("main"), imapstate_span_of(user), false, now_ms);
}

TEST(all_that_a_user_has_parked_makes_room)
{
    begin(MAIN PARK("per_user = 4"));
    int peers[] = { park_one("ann", "", S(1)), park_one("ann", "QRESYNC", S(2)), park_one("bob", "", S(3)) };
    struct park_yield room = park_yield(ID("other"), ID("ann"), false, S(4));
    assert_true(room.ended == 0 && !room.may_help && room.most == UINT_MAX);
    room = make_room("ann", S(4));
    assert_true(room.ended == 2 && room.may_help && room.most == 1);
    assert_true(is_ended(peers[0]) && is_ended(peers[1]));
    assert_false(is_ended(peers[2]));
    /* Whoever was refused at the same time finds nothing any more, and finds room all the same. */
    room = make_room("ann", S(4) + ALLOWANCE_PRESS_MS - 1);
    assert_true(room.ended == 0 && room.may_help && room.most == UINT_MAX);
    room = make_room("ann", S(6));
    assert_true(room.ended == 0 && !room.may_help && room.most == UINT_MAX);
    end();
    for (size_t i = 0; i < ARRAY_LEN(peers); i++)
        close(peers[i]);
}

TEST(a_limit_that_the_server_has_shown_leaves_half_as_many_for_an_hour)
{
    begin(MAIN "park { per_user = 5 time = \"3h\" lifetime = \"9h\" reauth_interval = \"9h\" keepalive = \"29m\" }\n");
    int peers[12];
    size_t count = 0;
    for (unsigned i = 0; i < 5; i++)
        peers[count++] = park_one("ann", "", S(1 + i));
    assert_int_equal(make_room("ann", S(10)).most, 2);
    for (unsigned i = 0; i < 3; i++)
        peers[count++] = park_one("ann", "", S(20 + i));
    assert_int_equal(park_count(), 2);
    assert_true(is_ended(peers[5])); /* the oldest went */
    /* Others have what they had. */
    for (unsigned i = 0; i < 3; i++)
        peers[count++] = park_one("bob", "", S(30 + i));
    assert_int_equal(park_count(), 5);
    struct park_counters counters;
    struct list tired;
    list_init(&tired);
    park_sweep(S(40), &tired);
    park_counters_init(&counters);
    park_count_into(&counters);
    assert_int_equal(counters.limits, 1);
    const struct park_row *row = (const struct park_row *)counters.upstreams.first;
    assert_int_equal(row->ends[PARK_END_CROWDED], 6);
    park_counters_done(&counters);
    peers[count++] = park_one("ann", "", H(1) + S(11));
    assert_int_equal(park_count(), 6);
    end();
    for (size_t i = 0; i < count; i++)
        close(peers[i]);
}

TEST(what_is_to_be_parked_while_room_is_made_ends_as_well)
{
    int peers[2];
    begin(MAIN PARK("per_user = 4"));
    struct proof *proof = prove("ann", "secret", S(1));
    struct parked *settling[2];
    for (size_t i = 0; i < 2; i++) {
        settling[i] = parking_connection(service, proof, "", S(1), &peers[i]);
        park_expect(&settling[i]->kept);
        park_expect(&settling[i]->kept); /* once is enough */
    }
    assert_int_equal(proof->user->going_count, 2);
    struct park_yield room = make_room("ann", S(2));
    assert_true(room.ended == 0 && room.may_help && room.most == UINT_MAX);
    park_put(settling[0], S(2) + ALLOWANCE_PRESS_MS - 1);
    assert_true(is_ended(peers[0]));
    park_put(settling[1], S(2) + ALLOWANCE_PRESS_MS);
    assert_false(is_ended(peers[1]));
    assert_int_equal(proof->user->going_count, 0);
    assert_int_equal(park_count(), 1);
    park_proof_unref(proof);
    end();
    close(peers[0]), close(peers[1]);
}

static const struct {
    const char *name;
    uint64_t after_ms;
    bool may_help;
} ends[] = {
    { "just now", 1, true },
    { "a moment ago", ALLOWANCE_PRESS_MS - 1, true },
    { "long ago", ALLOWANCE_PRESS_MS, false },
};

TEST(what_has_ended_a_moment_ago_may_have_left_room)
{
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        begin(MAIN PARK("per_user = 1"));
        struct proof *proof = prove("ann", "secret", S(1));
        int peers[] = { park_one("ann", "", S(1)), park_one("ann", "", S(2)) }; /* the first is ended */
        parked_free(match("ann", "secret", S(2)));                              /* the second is a session's */
        CHECK_ROW(ends[i].name, make_room("ann", S(2) + ends[i].after_ms).may_help == ends[i].may_help);
        park_proof_unref(proof);
        end();
        close(peers[0]), close(peers[1]);
    }
}

TEST(one_that_shows_a_sign_of_life_counts_until_it_is_back_or_gone)
{
    begin(MAIN PARK(""));
    int peer = park_one("ann", "", S(1));
    struct proof *proof = prove("ann", "secret", S(1));
    struct list tired;
    list_init(&tired);
    park_sweep(S(52), &tired);
    assert_true(make_room("ann", S(52)).may_help);
    parked_free(list_entry(tired.next, struct parked, age_link));
    assert_int_equal(proof->user->going_count, 0);
    assert_false(make_room("ann", S(54)).may_help);
    park_proof_unref(proof);
    end();
    close(peer);
}

TEST(where_there_are_too_many_from_here_all_together_may_be_fewer)
{
    begin(MAIN OTHER PARK("per_user = 2"));
    int peers[9];
    char name[2] = "a";
    for (unsigned i = 0; i < 8; i++, name[0]++)
        peers[i] = park_one(name, "", S(1 + i));
    struct park_yield room = park_yield(ID("main"), ID("zoe"), true, S(10));
    assert_true(room.ended == 1 && room.may_help && room.most == 6);
    assert_true(is_ended(peers[0]));
    peers[8] = park_one("z", "", S(11)); /* two more go, the oldest */
    assert_int_equal(park_count(), 6);
    assert_true(is_ended(peers[1]) && is_ended(peers[2]) && !is_ended(peers[3]));
    /* The user's own go first. */
    room = park_yield(ID("main"), ID("z"), true, S(12));
    assert_true(room.ended == 1 && is_ended(peers[8]) && !is_ended(peers[3]));
    /* It is no limit of the users'. */
    assert_int_equal(park_count_at(ID("main")), 5);
    close(park_one("h", "", S(13)));
    assert_int_equal(park_count_at(ID("main")), 4);
    end();
    for (size_t i = 0; i < ARRAY_LEN(peers); i++)
        close(peers[i]);
}

TEST(before_a_login_that_cannot_be_repeated_a_known_limit_is_heeded)
{
    begin(MAIN PARK(""));
    int peers[] = { park_one("ann", "", S(1)), park_one("ann", "", S(2)), park_one("bob", "", S(3)) };
    park_give_way(ID("main"), ID("bob"), S(4));
    assert_int_equal(park_count(), 3);
    make_room("ann", S(5));
    close(park_one("ann", "", S(7)));
    assert_int_equal(park_count(), 2);
    park_give_way(ID("main"), ID("ann"), S(8));
    assert_int_equal(park_count(), 1);
    end();
    for (size_t i = 0; i < ARRAY_LEN(peers); i++)
        close(peers[i]);
}

TEST(the_oldest_at_an_upstream_is_given_up_whoever_has_it)
{
    begin(MAIN PARK("per_user = 4"));
    int peers[] = { park_one("ann", "", S(1)), park_one("bob", "", S(2)), park_one("ann", "QRESYNC", S(3)) };
    assert_false(park_give_up_oldest(ID("other")));
    for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
        assert_true(park_give_up_oldest(ID("main")));
        assert_true(is_ended(peers[i]));
        assert_int_equal(park_count(), ARRAY_LEN(peers) - 1 - i);
        close(peers[i]);
    }
    assert_false(park_give_up_oldest(ID("main")));
    end();
}

TEST(an_upstream_is_pressed_later_and_later_and_not_for_ever)
{
    uint8_t presses = 0;
    uint64_t before_ms = 0, after_ms = 0, sum_ms = 0;
    while (park_press(&presses, &after_ms)) {
        assert_true(after_ms > before_ms);
        before_ms = after_ms;
        sum_ms += after_ms;
    }
    assert_in_range(sum_ms, 100, 1000);
    assert_false(park_press(&presses, &after_ms));
}

#define POOL(addresses)       "upstream \"main\" { address = { " addresses " } tls = none }\n" PARK("")
#define AT(address, settings) "upstream \"main\" { address = \"" address "\" " settings " }\n" PARK("")

static const struct {
    const char *name, *before, *after;
    bool is_kept;
} reloads[] = {
    { "the same", MAIN PARK(""), MAIN PARK(""), true },
    { "another upstream joins", MAIN PARK(""), MAIN OTHER PARK(""), true },
    { "other limits", MAIN PARK(""), MAIN PARK("per_user = 1 max = 1"), true },
    { "parking is off", MAIN PARK(""), MAIN PARK("per_user = 0"), false },
    { "another port", AT("127.0.0.1:143", "tls = none"), AT("127.0.0.1:145", "tls = none"), false },
    { "another host", AT("127.0.0.1:143", "tls = none"), AT("127.0.0.2:143", "tls = none"), false },
    { "one more member", AT("127.0.0.1:143", "tls = none"), POOL("\"127.0.0.2:143\", \"127.0.0.1:143\""), true },
    { "another member goes", POOL("\"127.0.0.1:143\", \"127.0.0.2:143\""), AT("127.0.0.1:143", "tls = none"), true },
    { "its member goes", POOL("\"127.0.0.1:143\", \"127.0.0.2:143\""), AT("127.0.0.2:143", "tls = none"), false },
    { "a path", AT("127.0.0.1:143", "tls = none"), AT("unix:/127.0.0.1:143", "tls = none"), false },
    { "TLS", AT("127.0.0.1:143", "tls = none"), AT("127.0.0.1:143", "tls = starttls"), false },
    { "the same, with TLS", AT("a.example:143", "tls = starttls"), AT("a.example:143", "tls = starttls"), true },
    { "TLS from the beginning", AT("a.example:143", "tls = starttls"), AT("a.example:143", "tls = implicit"), false },
    { "certificates are checked now", AT("a.example", "tls_verify = false"), AT("a.example", ""), false },
    { "another name in it", AT("a.example", "tls_name = b.example"), AT("a.example", "tls_name = c.example"), false },
    { "addresses are passed on now", AT("127.0.0.1:143", "tls = none"),
      AT("127.0.0.1:143", "tls = none send_client_address = id"), false },
    { "and otherwise", AT("127.0.0.1:143", "tls = none send_client_address = proxy-v2"),
      AT("127.0.0.1:143", "tls = none send_client_address = id"), false },
};

static void check_reload(const char *name, const char *text_before, const char *text_after, bool is_kept)
{
    begin(text_before);
    int parked = park_one("ann", "", S(1)), in_use;
    struct proof *proof = prove("ann", "secret", S(1));
    struct parked *taken = parking_connection(service, proof, "QRESYNC", S(1), &in_use);
    struct service *before = service;
    begin(text_after);
    service_unref(before);
    CHECK_ROW(name, is_ended(parked) == !is_kept);
    /* A session that began before the reload ends after it. */
    park_put(taken, S(2));
    CHECK_ROW(name, is_ended(in_use) == !is_kept);
    park_proof_unref(proof);
    end();
    close(parked), close(in_use);
}

TEST(a_reload_gives_up_what_is_not_configured_any_more)
{
    for (size_t i = 0; i < ARRAY_LEN(reloads); i++)
        check_reload(reloads[i].name, reloads[i].before, reloads[i].after, reloads[i].is_kept);
}

TEST(a_reload_gives_up_what_others_have_vouched_for)
{
    struct certificate authorities[2];
    char texts[2][512];
    for (size_t i = 0; i < 2; i++) {
        certificate_make(&authorities[i], "an authority");
        snprintf(texts[i], sizeof texts[i], "upstream \"main\" { address = \"a.example\" tls_ca_file = \"%s\" }\n%s",
                 authorities[i].cert_file, PARK(""));
    }
    check_reload("the same", texts[0], texts[0], true);
    check_reload("another", texts[0], texts[1], false);
    /* For whom somebody acted the upstream may never have asked. */
    const char *acting = "upstream \"main\" { address = \"a.example\" authorization_identity = \"pass\" }\n" PARK("");
    check_reload("nobody may act for others any more", acting,
                 "upstream \"main\" { address = \"a.example\" }\n" PARK(""), false);
    for (size_t i = 0; i < 2; i++)
        certificate_done(&authorities[i]);
}

TEST(a_reload_keeps_to_lower_limits_at_once)
{
    static const struct {
        const char *name, *text;
        bool is_kept[4]; /* ann's two, bob's, ann's third */
    } limits[] = {
        { "the same", MAIN PARK("per_user = 4"), { true, true, true, true } },
        { "fewer for each", MAIN PARK("per_user = 1"), { false, false, true, true } },
        { "fewer in all", MAIN PARK("per_user = 4 max = 2"), { false, false, true, true } },
    };
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        begin(MAIN PARK("per_user = 4"));
        int peers[4] = { park_one("ann", "", S(1)), park_one("ann", "QRESYNC", S(2)), park_one("bob", "", S(3)),
                         park_one("ann", "", S(4)) };
        struct service *before = service;
        begin(limits[i].text);
        service_unref(before);
        for (size_t j = 0; j < 4; j++) {
            CHECK_ROW(limits[i].name, is_ended(peers[j]) != limits[i].is_kept[j]);
            close(peers[j]);
        }
        end();
    }
}

TEST(without_parking_nothing_is_proved)
{
    struct proof_identity identity = parking_identity("ann", "secret");
    assert_null(park_prove(&identity, S(1)));
    begin(MAIN PARK("per_user = 0"));
    assert_null(park_prove(&identity, S(1)));
    assert_null(match("ann", "secret", S(1)));
    end();
    begin(MAIN PARK(""));
    struct proof *proof = park_prove(&identity, S(1));
    assert_non_null(proof);
    park_proof_unref(proof);
    end();
}

/* What a login has told is told to whoever is let in by what it has proved, until another login has told something
 * else. */
TEST(what_was_told_at_a_login_is_known_by_its_proof)
{
    struct proof_identity identity = parking_identity("ann", "secret");
    struct imapstate_buf alerts;
    begin(MAIN PARK(""));
    struct proof *proof = park_prove(&identity, S(1)), *again, *other;
    imapstate_buf_init(&alerts, ALERTS_MAX);
    park_alerts(proof, &alerts);
    assert_int_equal(alerts.len, 0);
    park_set_alerts(proof, IMAPSTATE_SPAN("* OK [ALERT] one\r\n"));
    again = park_prove(&identity, S(2));
    assert_ptr_equal(again, proof);
    park_alerts(again, &alerts);
    CHECK_SPAN("told", imapstate_buf_span(&alerts), IMAPSTATE_SPAN("* OK [ALERT] one\r\n"));
    identity = parking_identity("bob", "secret");
    other = park_prove(&identity, S(2));
    imapstate_buf_clear(&alerts);
    park_alerts(other, &alerts);
    assert_int_equal(alerts.len, 0);
    park_set_alerts(again, IMAPSTATE_SPAN(""));
    park_alerts(proof, &alerts);
    assert_int_equal(alerts.len, 0);
    imapstate_buf_done(&alerts);
    park_proof_unref(other);
    park_proof_unref(again);
    park_proof_unref(proof);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_parking_nothing_is_proved),
        cmocka_unit_test(a_connection_serves_only_whom_it_belongs_to),
        cmocka_unit_test(a_connection_in_a_state_serves_just_that_state),
        cmocka_unit_test(the_one_that_was_parked_last_is_taken_first),
        cmocka_unit_test(a_connection_that_ends_says_logout),
        cmocka_unit_test(the_oldest_of_the_user_makes_room),
        cmocka_unit_test(of_a_users_one_makes_room_that_another_can_stand_in_for),
        cmocka_unit_test(what_a_session_was_answered_is_on_record_while_its_connection_is_parked),
        cmocka_unit_test(one_that_is_given_back_unused_is_as_old_as_before),
        cmocka_unit_test(each_end_is_counted_by_its_reason),
        cmocka_unit_test(the_oldest_of_all_makes_room),
        cmocka_unit_test(what_has_waited_or_lived_too_long_serves_nobody),
        cmocka_unit_test(credentials_are_proved_anew_after_reauth_interval),
        cmocka_unit_test(the_janitor_ends_what_has_an_old_proof),
        cmocka_unit_test(the_janitor_takes_out_what_needs_a_sign_of_life),
        cmocka_unit_test(a_refusal_ends_what_that_secret_has_parked),
        cmocka_unit_test(a_refusal_of_another_secret_touches_nothing_that_is_parked),
        cmocka_unit_test(a_refusal_elsewhere_suspends_nobody_here),
        cmocka_unit_test(who_acts_for_others_is_refused_for_all_of_them),
        cmocka_unit_test(whoever_tries_another_secret_may_be_guessing),
        cmocka_unit_test(a_secret_that_is_good_for_one_is_no_guess_for_another),
        cmocka_unit_test(an_aged_proof_is_a_guess_to_those_that_are_fresh),
        cmocka_unit_test(another_password_voids_the_older_proofs_only_where_that_is_asked_for),
        cmocka_unit_test(all_that_a_user_has_parked_makes_room),
        cmocka_unit_test(a_limit_that_the_server_has_shown_leaves_half_as_many_for_an_hour),
        cmocka_unit_test(what_is_to_be_parked_while_room_is_made_ends_as_well),
        cmocka_unit_test(what_has_ended_a_moment_ago_may_have_left_room),
        cmocka_unit_test(one_that_shows_a_sign_of_life_counts_until_it_is_back_or_gone),
        cmocka_unit_test(where_there_are_too_many_from_here_all_together_may_be_fewer),
        cmocka_unit_test(before_a_login_that_cannot_be_repeated_a_known_limit_is_heeded),
        cmocka_unit_test(the_oldest_at_an_upstream_is_given_up_whoever_has_it),
        cmocka_unit_test(an_upstream_is_pressed_later_and_later_and_not_for_ever),
        cmocka_unit_test(a_reload_gives_up_what_is_not_configured_any_more),
        cmocka_unit_test(a_reload_gives_up_what_others_have_vouched_for),
        cmocka_unit_test(a_reload_keeps_to_lower_limits_at_once),
        cmocka_unit_test(what_was_told_at_a_login_is_known_by_its_proof),
    };
    signal(SIGPIPE, SIG_IGN);
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
