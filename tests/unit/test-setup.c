#include "check.h"

#include "condstore.h"
#include "evidence.h"
#include "setup.h"

#include <imapstate/command.h>

#include <string.h>

/* "ENABLE names", "NOTIFY arguments", "|" between. NULL: no state at all. */
static struct imapstate_state *state_of(const char *entries)
{
    char text[256];
    if (!entries)
        return NULL;
    struct imapstate_state *state = imapstate_state_new(IMAPSTATE_STATE_MAX);
    snprintf(text, sizeof text, "%s", entries);
    for (char *rest = text, *entry; (entry = strsep(&rest, "|")) && *entry;) {
        char *value = strchr(entry, ' ');
        *value++ = '\0';
        enum imapstate_entry_kind kind = imapstate_command_find(imapstate_span_of(entry))->stored;
        assert_int_equal(imapstate_state_record(state, kind, imapstate_span_of(value)), IMAPSTATE_OK);
    }
    return state;
}

static bool put(const char *entries, unsigned ways, struct imapstate_buf *ret_key)
{
    struct imapstate_state *state = state_of(entries);
    imapstate_buf_init(ret_key, SETUP_MAX);
    bool is_put = setup_put(state, ways, ret_key);
    imapstate_state_free(state);
    return is_put;
}

static const struct {
    const char *name;
    const char *one;
    unsigned ones_ways;
    const char *other;
    unsigned others_ways;
    bool is_same;
} pairs[] = {
    { "nothing, and nothing", NULL, 0, "", 0, true },
    { "the same state", "ENABLE A", 0, "ENABLE A", 0, true },
    { "another state", "ENABLE A", 0, "ENABLE B", 0, false },
    { "CONDSTORE by no ENABLE is not nothing", NULL, 0, NULL, CONDSTORE_BY_OTHERS, false },
    { "nor what ENABLE has switched on", "ENABLE CONDSTORE", 0, NULL, CONDSTORE_BY_OTHERS, false },
    { "a STATUS is not a SELECT", NULL, CONDSTORE_BY_STATUS, NULL, CONDSTORE_BY_OTHERS, false },
    { "both are like a SELECT", NULL, CONDSTORE_BY_STATUS | CONDSTORE_BY_OTHERS, NULL, CONDSTORE_BY_OTHERS, true },
    { "with a state, too", "ENABLE A", CONDSTORE_BY_OTHERS, "ENABLE A", CONDSTORE_BY_OTHERS, true },
    { "with another", "ENABLE A", CONDSTORE_BY_OTHERS, "ENABLE B", CONDSTORE_BY_OTHERS, false },
    { "with none", "ENABLE A", CONDSTORE_BY_OTHERS, NULL, CONDSTORE_BY_OTHERS, false },
};

TEST(equal_setups_have_one_key)
{
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        struct imapstate_buf one, other;
        CHECK_ROW(pairs[i].name, put(pairs[i].one, pairs[i].ones_ways, &one));
        CHECK_ROW(pairs[i].name, put(pairs[i].other, pairs[i].others_ways, &other));
        CHECK_ROW(pairs[i].name,
                  imapstate_span_equal(imapstate_buf_span(&one), imapstate_buf_span(&other)) == pairs[i].is_same);
        imapstate_buf_done(&one);
        imapstate_buf_done(&other);
    }
}

TEST(pristine_is_the_empty_key)
{
    struct imapstate_buf key;
    assert_true(put(NULL, 0, &key));
    assert_int_equal(key.len, 0);
    imapstate_buf_done(&key);
}

TEST(what_depends_on_condstore_has_no_key_with_it)
{
    struct imapstate_buf key;
    assert_false(put("NOTIFY NONE", CONDSTORE_BY_OTHERS, &key));
    imapstate_buf_done(&key);
    assert_false(put("ENABLE A|COMPARATOR i;octet", CONDSTORE_BY_STATUS, &key));
    imapstate_buf_done(&key);
    assert_true(put("NOTIFY NONE", 0, &key));
    imapstate_buf_done(&key);
}

static const struct {
    const char *name, *state;
    unsigned ways, evidence;
    bool is_accounted;
} accounts[] = {
    { "nothing seen", NULL, 0, 0, true },
    { "MODSEQ of a pristine one", NULL, 0, EVIDENCE_MODSEQ, false },
    { "MODSEQ after a SELECT with CONDSTORE", NULL, CONDSTORE_BY_OTHERS, EVIDENCE_MODSEQ, true },
    { "MODSEQ after a STATUS", "ENABLE A", CONDSTORE_BY_STATUS, EVIDENCE_MODSEQ, true },
    { "VANISHED", NULL, CONDSTORE_BY_OTHERS, EVIDENCE_VANISHED | EVIDENCE_MODSEQ, false },
    { "VANISHED, with QRESYNC", "ENABLE QRESYNC", 0, EVIDENCE_VANISHED, true },
    { "STATUS", "ENABLE QRESYNC", 0, EVIDENCE_STATUS, false },
};

TEST(what_a_connection_may_show)
{
    for (size_t i = 0; i < ARRAY_LEN(accounts); i++) {
        struct imapstate_buf key;
        CHECK_ROW(accounts[i].name, put(accounts[i].state, accounts[i].ways, &key));
        CHECK_ROW(accounts[i].name,
                  setup_accounts_for(imapstate_buf_span(&key), accounts[i].evidence) == accounts[i].is_accounted);
        imapstate_buf_done(&key);
    }
    assert_false(setup_accounts_for(IMAPSTATE_SPAN("\x07"), EVIDENCE_MODSEQ));
    assert_false(setup_accounts_for(IMAPSTATE_SPAN("\xff"), EVIDENCE_MODSEQ));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_setups_have_one_key),
        cmocka_unit_test(pristine_is_the_empty_key),
        cmocka_unit_test(what_depends_on_condstore_has_no_key_with_it),
        cmocka_unit_test(what_a_connection_may_show),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
