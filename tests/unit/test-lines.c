#include "check.h"
#include "lines.h"

#include <stdlib.h>

static void put_all(struct imapstate_buf *lines, const char *const *texts, size_t count)
{
    imapstate_buf_init(lines, 4096);
    for (size_t i = 0; i < count; i++)
        assert_true(lines_put(lines, imapstate_span_of(texts[i])));
}

static const char *const texts[] = { "NOOP", "", "A\r\nB", "ENABLE CONDSTORE", "NOOP" };

TEST(strings_are_given_out_as_they_were_put)
{
    struct imapstate_buf lines;
    put_all(&lines, texts, ARRAY_LEN(texts));
    struct imapstate_span line;
    size_t at = 0;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert_true(lines_next(imapstate_buf_span(&lines), &at, &line));
        CHECK_SPAN(texts[i], line, imapstate_span_of(texts[i]));
        assert_true(lines_contain(imapstate_buf_span(&lines), line));
    }
    assert_int_equal(at, lines.len);
    assert_false(lines_next(imapstate_buf_span(&lines), &at, &line));
    assert_false(lines_contain(imapstate_buf_span(&lines), IMAPSTATE_SPAN("NOO")));
    assert_false(lines_contain(imapstate_buf_span(&lines), IMAPSTATE_SPAN("noop")));
    imapstate_buf_done(&lines);
}

/* On memory of the exact size. */
TEST(a_list_that_is_cut_ends_before_the_string_that_is_not_whole)
{
    struct imapstate_buf lines;
    put_all(&lines, texts, ARRAY_LEN(texts));
    for (size_t len = 0; len < lines.len; len++) {
        uint8_t *cut = malloc(len ? len : 1);
        assert_non_null(cut);
        memcpy(cut, lines.at, len);
        struct imapstate_span line;
        size_t at = 0, count = 0;
        while (lines_next((struct imapstate_span){ cut, len }, &at, &line))
            CHECK_SPAN("cut", line, imapstate_span_of(texts[count++]));
        assert_true(at <= len && count < ARRAY_LEN(texts));
        free(cut);
    }
    imapstate_buf_done(&lines);
}

TEST(a_length_that_no_memory_has_is_no_string)
{
    const struct imapstate_span lines = IMAPSTATE_SPAN("\xff\xff\xff\xff"
                                                       "abc");
    struct imapstate_span line;
    size_t at = 0;
    assert_false(lines_next(lines, &at, &line));
    assert_int_equal(at, 0);
}

TEST(a_string_is_put_as_a_whole_or_not)
{
    for (size_t max = 0; max <= 20; max++) {
        struct imapstate_buf lines;
        imapstate_buf_init(&lines, max);
        assert_true(lines_put(&lines, IMAPSTATE_SPAN("NOOP")) == (max >= 8));
        assert_int_equal(lines.len, max >= 8 ? 8 : 0);
        assert_true(lines_put(&lines, IMAPSTATE_SPAN("CHECK")) == (max >= 17));
        assert_int_equal(lines.len, max >= 17 ? 17 : max >= 8 ? 8 : 0);
        imapstate_buf_done(&lines);
    }
}

TEST(one_is_cut_out_and_the_others_stay)
{
    for (size_t taken = 0; taken < ARRAY_LEN(texts); taken++) {
        struct imapstate_buf lines;
        struct imapstate_span line = { 0 };
        size_t at = 0;
        put_all(&lines, texts, ARRAY_LEN(texts));
        for (size_t i = 0; i <= taken; i++)
            assert_true(lines_next(imapstate_buf_span(&lines), &at, &line));
        lines_cut(&lines, at, line);
        at = 0;
        for (size_t i = 0; i < ARRAY_LEN(texts); i++)
            if (i != taken) {
                assert_true(lines_next(imapstate_buf_span(&lines), &at, &line));
                CHECK_SPAN(texts[i], line, imapstate_span_of(texts[i]));
            }
        assert_int_equal(at, lines.len);
        imapstate_buf_done(&lines);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_given_out_as_they_were_put),
        cmocka_unit_test(a_list_that_is_cut_ends_before_the_string_that_is_not_whole),
        cmocka_unit_test(a_length_that_no_memory_has_is_no_string),
        cmocka_unit_test(a_string_is_put_as_a_whole_or_not),
        cmocka_unit_test(one_is_cut_out_and_the_others_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
