#include "check.h"

#include "asking.h"
#include "parking.h"

#define MAIN "upstream \"main\" { address = \"127.0.0.1:143\" tls = \"none\" }\n"

static void park_one(struct asking *asking, const char *user, const char *state, uint64_t now_ms)
{
    struct proof_identity identity = parking_identity(user, "secret");
    struct proof *proof = park_prove(&identity, now_ms);
    int peer;
    assert_non_null(proof);
    park_put(parking_connection(asking->one.rig.service, proof, state, now_ms, &peer), now_ms);
    park_proof_unref(proof);
    close(peer);
}

static unsigned rows_in(const char *said)
{
    unsigned count = 0;
    for (; (said = strstr(said, "{\"row\":")); said++)
        count++;
    return count;
}

TEST(each_parked_connection_has_a_row_the_oldest_first)
{
    struct asking asking;
    asking_begin(&asking, RIG_CONFIG);
    uint64_t now_ms = asking.one.rig.now_ms;
    park_one(&asking, "ann", "", now_ms - 30000);
    park_one(&asking, "j\xc3\xbcrg", "QRESYNC", now_ms - 20000);
    loop_pass(&asking.home, now_ms);
    assert_string_equal(
        ask_for(&asking, "[\"show\",\"parked\"]"),
        "{\"row\":{\"user\":\"ann\",\"upstream\":\"main\",\"server\":\"unix\",\"tls\":false,\"kind\":\"pristine\","
        "\"suspended\":false,\"parked_s\":30,\"age_s\":30}}\n"
        "{\"row\":{\"user\":\"j\\\\xc3\\\\xbcrg\",\"upstream\":\"main\",\"server\":\"unix\",\"tls\":false,"
        "\"kind\":\"state\",\"suspended\":false,\"parked_s\":20,\"age_s\":20}}\n"
        "{\"done\":\"2 parked\"}\n");
    asking_end(&asking);
}

TEST(filters_leave_rows_out)
{
    static const struct {
        const char *line;
        unsigned rows;
    } rows[] = {
        { "[\"show\",\"parked\",\"--user=ANN\"]", 1 },      { "[\"show\",\"parked\",\"--user=an\"]", 0 },
        { "[\"show\",\"parked\",\"--upstream=main\"]", 2 }, { "[\"show\",\"parked\",\"--upstream=x\"]", 0 },
        { "[\"show\",\"parked\",\"--address=unix\"]", 2 },  { "[\"show\",\"parked\",\"--address=::1\"]", 0 },
    };
    struct asking asking;
    asking_begin(&asking, RIG_CONFIG);
    park_one(&asking, "ann", "", asking.one.rig.now_ms);
    park_one(&asking, "bob", "", asking.one.rig.now_ms);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_ROW(rows[i].line, rows_in(ask_for(&asking, rows[i].line)) == rows[i].rows);
    asking_end(&asking);
}

/* Some of them parked in one millisecond. */
TEST(many_come_in_parts_and_each_comes_once)
{
    struct asking asking;
    asking_begin(&asking, RIG_CONFIG);
    for (unsigned i = 0; i < 300; i++) {
        char user[16];
        snprintf(user, sizeof user, "u%03u", i);
        park_one(&asking, user, "", asking.one.rig.now_ms - 300 + i / 200);
    }
    asking.room = 1;
    struct reply *reply = asking_obey(&asking, "[\"show\",\"parked\"]");
    unsigned first = rows_in(asking.said);
    assert_true(first > 200 && first < 300);
    for (unsigned i = 0; i < first; i++) {
        char user[16];
        snprintf(user, sizeof user, "\"u%03u\"", i);
        assert_non_null(strstr(asking.said, user));
    }
    *asking.said = '\0';
    asking.room = SIZE_MAX;
    reply_drained(reply);
    assert_int_equal(first + rows_in(asking.said), 300);
    assert_non_null(strstr(asking.said, "\"u299\""));
    assert_non_null(strstr(asking.said, "{\"done\":\"300 parked\"}"));
    asking_end(&asking);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_parked_connection_has_a_row_the_oldest_first),
        cmocka_unit_test(filters_leave_rows_out),
        cmocka_unit_test(many_come_in_parts_and_each_comes_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
