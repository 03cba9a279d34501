#include "check.h"

#include "names.h"

#include <string.h>

static const struct {
    const char *names, *in_order;
} rows[] = {
    { "QRESYNC", "QRESYNC" },
    { "qresync", "QRESYNC" },
    { "B A", "A B" },
    { "A b a B A", "A B" },
    { "UTF8=ACCEPT CONDSTORE UTF8", "CONDSTORE UTF8 UTF8=ACCEPT" },
    { " A  B\r\n", "A B" },
    { "", NULL },
    { " ", NULL },
};

TEST(names_have_one_order)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct imapstate_buf out;
        imapstate_buf_init(&out, NAMES_MAX);
        bool is_put = names_put_in_order(&out, imapstate_span_of(rows[i].names));
        CHECK_ROW(rows[i].names, is_put == (rows[i].in_order != NULL));
        if (is_put)
            CHECK_SPAN(rows[i].names, imapstate_buf_span(&out), imapstate_span_of(rows[i].in_order));
        imapstate_buf_done(&out);
    }
}

TEST(what_does_not_fit_is_refused)
{
    uint8_t many[NAMES_MAX + 2];
    struct imapstate_buf out;
    imapstate_buf_init(&out, NAMES_MAX);
    for (size_t i = 0; i < sizeof many; i++)
        many[i] = i % 2 ? ' ' : (uint8_t)('A' + i / 2 % 26);
    assert_true(names_put_in_order(&out, (struct imapstate_span){ many, NAMES_MAX }));
    assert_int_equal(out.len, 2 * 26 - 1);
    imapstate_buf_clear(&out);
    assert_false(names_put_in_order(&out, (struct imapstate_span){ many, NAMES_MAX + 1 }));
    imapstate_buf_done(&out);
    imapstate_buf_init(&out, 3);
    assert_false(names_put_in_order(&out, IMAPSTATE_SPAN("A B C")));
    imapstate_buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_have_one_order),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
