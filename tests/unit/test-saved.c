#include "check.h"
#include "lines.h"
#include "saved.h"

#include <imapstate/visit.h>

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static void make(struct saved *saved, const char *token, const char *const *commands, uint64_t saved_at_s)
{
    imapstate_saved_init(saved);
    assert_true(imapstate_buf_put(&saved->token, imapstate_span_of(token)));
    for (; *commands; commands++)
        assert_true(lines_put(&saved->commands, imapstate_span_of(*commands)));
    saved->saved_at_s = saved_at_s;
}

static void check_same(const char *name, const struct saved *one, const struct saved *other)
{
    CHECK_SPAN(name, imapstate_buf_span(&one->token), imapstate_buf_span(&other->token));
    CHECK_SPAN(name, imapstate_buf_span(&one->commands), imapstate_buf_span(&other->commands));
    CHECK_ROW(name, one->saved_at_s == other->saved_at_s);
}

static const struct {
    const char *name, *token;
    const char *commands[4];
    uint64_t saved_at_s;
} rows[] = {
    { "no commands", "T", { NULL }, 1 },
    { "three", "a-token_OF:16", { "ENABLE QRESYNC", "NOTIFY NONE", "NAMESPACE" }, 1800000000 },
    { "a command with octets of any kind", "T", { "NOTIFY SET (mailboxes {2}\r\n\xc3\xa4 (x))" }, UINT64_MAX },
    { "a time that is none", "T", { "NOOP" }, 0 },
};

TEST(what_is_written_is_read_again)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct saved saved, again;
        struct imapstate_buf text;
        make(&saved, rows[i].token, rows[i].commands, rows[i].saved_at_s);
        imapstate_saved_init(&again);
        imapstate_buf_init(&text, IMAPSTATE_VISIT_KEPT_MAX);
        CHECK_ROW(rows[i].name, imapstate_saved_write(&saved, &text));
        for (size_t at = 0; at < text.len; at++)
            CHECK_ROW(rows[i].name, strchr("-_", text.at[at]) || (text.at[at] >= '0' && text.at[at] <= 'z'));
        CHECK_ROW(rows[i].name, imapstate_saved_read(&again, imapstate_buf_span(&text)) == IMAPSTATE_OK);
        check_same(rows[i].name, &again, &saved);
        imapstate_buf_done(&text);
        imapstate_saved_done(&again);
        imapstate_saved_done(&saved);
    }
}

/* A text that was cut, or has another digit in one place, is none; the saved one is empty or as before. */
TEST(no_other_text_is_read)
{
    static const char digits[] = "Aw9-_ \n=\xdf";
    struct saved saved, other;
    struct imapstate_buf text;
    make(&saved, rows[1].token, rows[1].commands, rows[1].saved_at_s);
    make(&other, "X", rows[0].commands, 7);
    imapstate_buf_init(&text, IMAPSTATE_VISIT_KEPT_MAX);
    assert_true(imapstate_saved_write(&saved, &text));
    for (size_t len = 0; len < text.len; len++)
        assert_int_equal(imapstate_saved_read(&other, (struct imapstate_span){ text.at, len }),
                         IMAPSTATE_STATE_INVALID);
    for (size_t at = 0; at < text.len; at++)
        for (size_t i = 0; i < sizeof digits; i++) {
            uint8_t digit = text.at[at];
            text.at[at] = (uint8_t)digits[i];
            if (digit != text.at[at])
                assert_int_equal(imapstate_saved_read(&other, imapstate_buf_span(&text)), IMAPSTATE_STATE_INVALID);
            text.at[at] = digit;
        }
    CHECK_SPAN("as before", imapstate_buf_span(&other.token), IMAPSTATE_SPAN("X"));
    assert_int_equal(other.saved_at_s, 7);
    imapstate_buf_done(&text);
    imapstate_saved_done(&other);
    imapstate_saved_done(&saved);
}

/* The text of octets that nobody has written, with a checksum that is right. */
static enum imapstate_error read_octets(struct imapstate_span head, struct imapstate_span rest)
{
    uint8_t octets[256];
    char text[400];
    struct saved saved;
    imapstate_saved_init(&saved);
    memcpy(octets, head.at, head.len);
    memcpy(octets + head.len, rest.at, rest.len);
    size_t len = head.len + rest.len;
    crypto_generichash(octets + len, 16, octets, len, NULL, 0);
    sodium_bin2base64(text, sizeof text, octets, len + 16, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    enum imapstate_error error = imapstate_saved_read(&saved, imapstate_span_of(text));
    imapstate_saved_done(&saved);
    return error;
}

TEST(a_checksum_that_is_right_is_not_enough)
{
    static const struct {
        const char *name;
        struct imapstate_span head, rest;
        enum imapstate_error want;
    } octets[] = {
        { "as it is written", IMAPSTATE_SPAN("\1\0\0\0\0\0\0\0\1\0\1"), IMAPSTATE_SPAN("T\0\0\0\1x"), IMAPSTATE_OK },
        { "another version", IMAPSTATE_SPAN("\2\0\0\0\0\0\0\0\1\0\1"), IMAPSTATE_SPAN("T"), IMAPSTATE_STATE_INVALID },
        { "no whole head", IMAPSTATE_SPAN("\1\0\0\0\0\0\0\0\1\0"), IMAPSTATE_SPAN(""), IMAPSTATE_STATE_INVALID },
        { "no token", IMAPSTATE_SPAN("\1\0\0\0\0\0\0\0\1\0\0"), IMAPSTATE_SPAN(""), IMAPSTATE_STATE_INVALID },
        { "a token too long", IMAPSTATE_SPAN("\1\0\0\0\0\0\0\0\1\0\2"), IMAPSTATE_SPAN("T"), IMAPSTATE_STATE_INVALID },
        { "a token with SP", IMAPSTATE_SPAN("\1\0\0\0\0\0\0\0\1\0\1"), IMAPSTATE_SPAN(" "), IMAPSTATE_STATE_INVALID },
        { "an empty command", IMAPSTATE_SPAN("\1\0\0\0\0\0\0\0\1\0\1"), IMAPSTATE_SPAN("T\0\0\0\0"),
          IMAPSTATE_STATE_INVALID },
        { "a command cut", IMAPSTATE_SPAN("\1\0\0\0\0\0\0\0\1\0\1"), IMAPSTATE_SPAN("T\0\0\0\2x"),
          IMAPSTATE_STATE_INVALID },
        { "half a length", IMAPSTATE_SPAN("\1\0\0\0\0\0\0\0\1\0\1"), IMAPSTATE_SPAN("T\0\0"), IMAPSTATE_STATE_INVALID },
    };
    for (size_t i = 0; i < ARRAY_LEN(octets); i++)
        CHECK_ROW(octets[i].name, read_octets(octets[i].head, octets[i].rest) == octets[i].want);
}

TEST(a_token_is_of_printable_ascii)
{
    assert_false(imapstate_saved_is_token(IMAPSTATE_SPAN("")));
    for (unsigned octet = 0; octet < 256; octet++) {
        uint8_t token[] = { 'T', (uint8_t)octet };
        bool is_token = imapstate_saved_is_token((struct imapstate_span){ token, sizeof token });
        assert_true(is_token == (octet > 0x20 && octet < 0x7f));
    }
}

TEST(the_largest_fits_and_one_without_room_is_not_begun)
{
    struct saved saved;
    struct imapstate_buf text, small;
    imapstate_saved_init(&saved);
    while (imapstate_buf_put_byte(&saved.token, 'T'))
        ;
    while (saved.commands.len + 1004 <= saved.commands.max) {
        uint8_t command[1000];
        memset(command, 'x', sizeof command);
        assert_true(lines_put(&saved.commands, (struct imapstate_span){ command, sizeof command }));
    }
    imapstate_buf_init(&text, IMAPSTATE_VISIT_KEPT_MAX);
    assert_true(imapstate_saved_write(&saved, &text));
    imapstate_buf_init(&small, text.len - 1);
    assert_false(imapstate_saved_write(&saved, &small));
    assert_int_equal(small.len, 0);
    imapstate_buf_done(&small);
    imapstate_buf_done(&text);
    imapstate_saved_done(&saved);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(no_other_text_is_read),
        cmocka_unit_test(a_checksum_that_is_right_is_not_enough),
        cmocka_unit_test(a_token_is_of_printable_ascii),
        cmocka_unit_test(the_largest_fits_and_one_without_room_is_not_begun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
