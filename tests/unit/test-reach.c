#include "check.h"

#include "reach.h"
#include "upstreamcounters.h"

static const struct {
    const char *name;
    struct {
        uint64_t good, bad;
    } places[2];
    enum reach reach;
    uint64_t at_ms;
} rows[] = {
    { "nobody has tried", { { 0, 0 }, { 0, 0 } }, REACH_UNKNOWN, 0 },
    { "it worked", { { 5, 0 }, { 0, 0 } }, REACH_GOOD, 5 },
    { "it works again", { { 5, 4 }, { 0, 0 } }, REACH_GOOD, 5 },
    { "it works no more", { { 4, 5 }, { 0, 0 } }, REACH_BAD, 5 },
    { "in the same moment both: the worse counts", { { 5, 5 }, { 0, 0 } }, REACH_BAD, 5 },
    { "another address works", { { 4, 9 }, { 3, 0 } }, REACH_GOOD, 3 },
    { "the later one tells when", { { 4, 0 }, { 7, 0 } }, REACH_GOOD, 7 },
    { "no address works", { { 4, 6 }, { 3, 8 } }, REACH_BAD, 8 },
};

TEST(an_upstream_can_be_reached_if_at_one_address_the_last_try_was_good)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct upstream_counters counters;
        uint64_t at_ms;
        upstream_counters_init(&counters);
        for (unsigned j = 0; j < 2; j++) {
            struct upstream_place *place = upstream_counters_place(&counters, "main", j == 0 ? "a" : "b");
            place->good_at_ms = rows[i].places[j].good;
            place->bad_at_ms = rows[i].places[j].bad;
        }
        upstream_counters_place(&counters, "other", "a")->good_at_ms = 100; /* somebody else's */
        CHECK_ROW(rows[i].name, reach_of(&counters, "main", &at_ms) == rows[i].reach);
        CHECK_ROW(rows[i].name, at_ms == rows[i].at_ms);
        CHECK_ROW(rows[i].name, reach_of(&counters, "main", NULL) == rows[i].reach);
        upstream_counters_done(&counters);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_upstream_can_be_reached_if_at_one_address_the_last_try_was_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
