#include "check.h"

#include "asking.h"
#include "parking.h"
#include "revocations.h"
#include "revoking.h"

static void begin(struct asking *asking, const char *options)
{
    char config[512];
    snprintf(config, sizeof config, "%s\n" RIG_CONFIG, options);
    asking_begin(asking, config);
    service_forget_revocations(asking->one.rig.service);
}

static void end(struct asking *asking)
{
    asking_end(asking);
    revoking_done();
}

static void park_one(struct asking *asking, const char *user)
{
    struct proof_identity identity = parking_identity(user, "secret");
    uint64_t now_ms = asking->one.rig.now_ms;
    struct proof *proof = park_prove(&identity, now_ms);
    int peer;
    assert_non_null(proof);
    park_put(parking_connection(asking->one.rig.service, proof, "", now_ms, &peer), now_ms);
    park_proof_unref(proof);
    close(peer);
}

TEST(forget_ends_what_the_user_has_parked)
{
    struct asking asking;
    begin(&asking, "");
    park_one(&asking, "ann");
    park_one(&asking, "bob");
    assert_string_equal(ask_for(&asking, "[\"forget\",\"Ann\"]"), "{\"done\":\"1 parked ended, 1 proofs voided\"}\n");
    assert_int_equal(park_count(), 1);
    assert_string_equal(ask_for(&asking, "[\"forget\",\"--all\"]"), "{\"done\":\"1 parked ended, 1 proofs voided\"}\n");
    assert_int_equal(park_count(), 0);
    end(&asking);
}

static uint64_t second_of(struct asking *asking, const char *user)
{
    return revocations_second(asking->one.rig.clients.revocations, imapstate_span_of(user));
}

TEST(revoke_reaches_the_workers_and_forgets)
{
    struct asking asking;
    begin(&asking, "");
    park_one(&asking, "ann");
    assert_string_equal(ask_for(&asking, "[\"revoke\",\"ann\"]"),
                        "{\"note\":\"there is no revocations_file: it is held in memory until this process ends\"}\n"
                        "{\"done\":\"tokens of ann saved until now are revoked; 1 parked ended, 1 proofs voided\"}\n");
    assert_int_equal(park_count(), 0);
    assert_true(second_of(&asking, "ann") > 0);
    assert_int_equal(second_of(&asking, "bob"), 0);
    assert_non_null(strstr(ask_for(&asking, "[\"revoke\",\"--all\"]"), "tokens of everybody"));
    assert_true(second_of(&asking, "bob") > 0);
    end(&asking);
}

TEST(a_file_that_cannot_be_written_is_an_error_and_it_holds_all_the_same)
{
    struct asking asking;
    begin(&asking, "revocations_file = \"/no/such/folder/revoked\"");
    const char *said = ask_for(&asking, "[\"revoke\",\"ann\"]");
    assert_non_null(strstr(said, "{\"note\":\"/no/such/folder/revoked: No such file or directory\"}\n"));
    assert_non_null(strstr(said, "{\"error\":\"revoked, but not written: it is held in memory, and lost when this "
                                 "process ends\",\"kind\":\"failed\"}\n"));
    assert_true(second_of(&asking, "ann") > 0);
    end(&asking);
}

TEST(with_tokens_of_format_1_it_says_from_when_they_are_good)
{
    struct asking asking;
    begin(&asking, "seal_format = 1");
    assert_non_null(strstr(ask_for(&asking, "[\"revoke\",\"ann\"]"), "good again a second from now"));
    end(&asking);
}

TEST(what_names_nobody_is_wrong)
{
    static const char *const lines[] = { "[\"forget\"]",
                                         "[\"revoke\"]",
                                         "[\"forget\",\"\"]",
                                         "[\"revoke\",\"\"]",
                                         "[\"revoke\",\"a\",\"--all\"]",
                                         "[\"revoke\",\"a\\\\\"]",
                                         "[\"revoke\",\"a\",\"b\"]" };
    struct asking asking;
    begin(&asking, "");
    park_one(&asking, "ann");
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        CHECK_ROW(lines[i], strstr(ask_for(&asking, lines[i]), "\"kind\":\"usage\""));
    assert_int_equal(park_count(), 1);
    assert_int_equal(second_of(&asking, "ann"), 0);
    end(&asking);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forget_ends_what_the_user_has_parked),
        cmocka_unit_test(revoke_reaches_the_workers_and_forgets),
        cmocka_unit_test(a_file_that_cannot_be_written_is_an_error_and_it_holds_all_the_same),
        cmocka_unit_test(with_tokens_of_format_1_it_says_from_when_they_are_good),
        cmocka_unit_test(what_names_nobody_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
