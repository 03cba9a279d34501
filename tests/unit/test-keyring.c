#include "check.h"

#include <imapstate/keyring.h>

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define KEY_A    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8" /* octets 0, 1, ..., 31 */
#define KEY_B    "Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA" /* octets 31, 30, ..., 0 */
#define T_2026   "2026-11-24T00:00:00Z"
#define T_2026_S 1795478400u

static const struct {
    const char *name;
    struct imapstate_span text;
    enum imapstate_error want;
    size_t want_line;
    size_t want_count;
} files[] = {
    { "nothing", IMAPSTATE_SPAN(""), IMAPSTATE_OK, 0, 0 },
    { "one key", IMAPSTATE_SPAN("0000000a " T_2026 " " KEY_A "\n"), IMAPSTATE_OK, 0, 1 },
    { "one key without LF", IMAPSTATE_SPAN("0000000a " T_2026 " " KEY_A), IMAPSTATE_OK, 0, 1 },
    { "upper-case id", IMAPSTATE_SPAN("DEADBEEF " T_2026 " " KEY_A), IMAPSTATE_OK, 0, 1 },
    { "comments and empty lines", IMAPSTATE_SPAN("# keys\n\n0000000a " T_2026 " " KEY_A "\n\n#\n"), IMAPSTATE_OK, 0,
      1 },
    { "two keys", IMAPSTATE_SPAN("0000000a " T_2026 " " KEY_A "\n0000000b " T_2026 " " KEY_B "\n"), IMAPSTATE_OK, 0,
      2 },
    { "an id twice", IMAPSTATE_SPAN("\n0000000a " T_2026 " " KEY_A "\n#\n0000000A " T_2026 " " KEY_B "\n"),
      IMAPSTATE_KEY_DUPLICATE, 4, 0 },
    { "a good key, then a bad one", IMAPSTATE_SPAN("0000000a " T_2026 " " KEY_A "\nx\n"), IMAPSTATE_KEY_MALFORMED, 2,
      0 },
    { "CRLF", IMAPSTATE_SPAN("0000000a " T_2026 " " KEY_A "\r\n"), IMAPSTATE_KEY_MALFORMED, 1, 0 },
    { "CRLF alone", IMAPSTATE_SPAN("\r\n"), IMAPSTATE_KEY_MALFORMED, 1, 0 },
    { "space in front", IMAPSTATE_SPAN(" 0000000a " T_2026 " " KEY_A), IMAPSTATE_KEY_MALFORMED, 1, 0 },
    { "space behind", IMAPSTATE_SPAN("0000000a " T_2026 " " KEY_A " "), IMAPSTATE_KEY_MALFORMED, 1, 0 },
    { "tab between", IMAPSTATE_SPAN("0000000a\t" T_2026 " " KEY_A), IMAPSTATE_KEY_MALFORMED, 1, 0 },
    { "id with seven digits", IMAPSTATE_SPAN("000000a  " T_2026 " " KEY_A), IMAPSTATE_KEY_MALFORMED, 1, 0 },
    { "id that is no number", IMAPSTATE_SPAN("0000000g " T_2026 " " KEY_A), IMAPSTATE_KEY_MALFORMED, 1, 0 },
    { "id with a sign", IMAPSTATE_SPAN("-000000a " T_2026 " " KEY_A), IMAPSTATE_KEY_MALFORMED, 1, 0 },
    { "id with a NUL",
      IMAPSTATE_SPAN("0000\0"
                     "00a " T_2026 " " KEY_A),
      IMAPSTATE_KEY_MALFORMED, 1, 0 },
    { "31 February", IMAPSTATE_SPAN("0000000a 2026-02-31T00:00:00Z " KEY_A), IMAPSTATE_KEY_MALFORMED, 1, 0 },
    { "padding", IMAPSTATE_SPAN("0000000a " T_2026 " " KEY_A "="), IMAPSTATE_KEY_MALFORMED, 1, 0 },
    { "last digit not canonical", IMAPSTATE_SPAN("0000000a " T_2026 " AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9"),
      IMAPSTATE_KEY_MALFORMED, 1, 0 },
    { "base64, not base64url", IMAPSTATE_SPAN("0000000a " T_2026 " +AECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"),
      IMAPSTATE_KEY_MALFORMED, 1, 0 },
    { "an octet that libsodium takes for an underscore",
      IMAPSTATE_SPAN("0000000a " T_2026 " \xdf"
                     "AECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"),
      IMAPSTATE_KEY_MALFORMED, 1, 0 },
    { "key too short", IMAPSTATE_SPAN("0000000a " T_2026 " AAEC"), IMAPSTATE_KEY_MALFORMED, 1, 0 },
    { "key too long", IMAPSTATE_SPAN("0000000a " T_2026 " " KEY_A "A"), IMAPSTATE_KEY_MALFORMED, 1, 0 },
};

TEST(a_file_is_read_whole_or_not_at_all)
{
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct imapstate_keyring *keyring = imapstate_keyring_new();
        size_t line = 0;
        CHECK_ROW(files[i].name, imapstate_keyring_read(keyring, files[i].text, &line) == files[i].want);
        CHECK_ROW(files[i].name, line == files[i].want_line);
        CHECK_ROW(files[i].name, imapstate_keyring_count(keyring) == files[i].want_count);
        imapstate_keyring_free(keyring);
    }
}

/* Memory that ends where the text ends, so that a sanitizer sees a read behind it. */
static enum imapstate_error read_cut(struct imapstate_span text, size_t len, size_t *ret_count)
{
    uint8_t *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text.at, len);
    struct imapstate_keyring *keyring = imapstate_keyring_new();
    size_t line = 0;
    enum imapstate_error error = imapstate_keyring_read(keyring, (struct imapstate_span){ copy, len }, &line);
    *ret_count = imapstate_keyring_count(keyring);
    imapstate_keyring_free(keyring);
    free(copy);
    return error;
}

TEST(a_file_cut_inside_a_line_is_malformed)
{
    struct imapstate_span text = IMAPSTATE_SPAN("0000000a " T_2026 " " KEY_A "\n0000000b " T_2026 " " KEY_B "\n");
    size_t line_len = text.len / 2, count;
    for (size_t cut = 0; cut <= text.len; cut++) {
        bool is_whole = cut % line_len == 0 || cut % line_len == line_len - 1;
        assert_int_equal(read_cut(text, cut, &count), is_whole ? IMAPSTATE_OK : IMAPSTATE_KEY_MALFORMED);
        assert_int_equal(count, is_whole ? (cut + 1) / line_len : 0);
    }
}

TEST(keys_come_back_as_they_were_given)
{
    struct imapstate_keyring *keyring = imapstate_keyring_new();
    size_t line;
    struct imapstate_span text =
        IMAPSTATE_SPAN("0000000a " T_2026 " " KEY_A "\ndeadbeef 1970-01-01T00:00:00Z " KEY_B "\n");
    assert_int_equal(imapstate_keyring_read(keyring, text, &line), IMAPSTATE_OK);

    struct imapstate_key key;
    assert_true(imapstate_keyring_at(keyring, 0, &key));
    assert_int_equal(key.id, 0xa);
    assert_int_equal(key.seals_from_s, T_2026_S);
    for (unsigned i = 0; i < IMAPSTATE_KEY_OCTETS; i++)
        assert_int_equal(key.octets[i], i);
    assert_true(imapstate_keyring_find(keyring, 0xdeadbeef, &key));
    assert_int_equal(key.id, 0xdeadbeef);
    assert_int_equal(key.seals_from_s, 0);
    for (unsigned i = 0; i < IMAPSTATE_KEY_OCTETS; i++)
        assert_int_equal(key.octets[i], 31 - i);
    assert_false(imapstate_keyring_find(keyring, 0xb, &key));
    assert_false(imapstate_keyring_at(keyring, 2, &key));

    struct imapstate_buf written;
    imapstate_buf_init(&written, 1000);
    for (size_t i = 0; imapstate_keyring_at(keyring, i, &key); i++)
        assert_true(imapstate_keyring_write_key(&key, &written));
    CHECK_SPAN("written", imapstate_buf_span(&written), text);
    imapstate_buf_done(&written);
    imapstate_keyring_free(keyring);
}

TEST(a_key_line_that_does_not_fit_is_not_written)
{
    static const uint8_t octets[IMAPSTATE_KEY_OCTETS] = { 1 };
    struct imapstate_buf text;
    imapstate_buf_init(&text, 73);
    struct imapstate_key key = { .id = 1, .seals_from_s = 0, .octets = octets };
    assert_false(imapstate_keyring_write_key(&key, &text));
    text.max = 74;
    key.seals_from_s = UINT64_MAX;
    assert_false(imapstate_keyring_write_key(&key, &text));
    assert_int_equal(text.len, 0);
    key.seals_from_s = 0;
    assert_true(imapstate_keyring_write_key(&key, &text));
    imapstate_buf_done(&text);
}

static const struct {
    const char *name;
    uint64_t seals_from_s[3]; /* of the keys 1, 2, 3 */
    uint64_t now_s;
    uint32_t want_id; /* 0: none */
} seals[] = {
    { "no time has come", { 10, 20, 30 }, 9, 0 },
    { "the first second counts", { 10, 20, 30 }, 10, 1 },
    { "a future key waits", { 10, 20, 30 }, 29, 2 },
    { "the latest seals", { 10, 20, 30 }, 30, 3 },
    { "order in the file does not matter", { 30, 20, 10 }, 40, 1 },
    { "of equal times the later line seals", { 10, 10, 10 }, 10, 3 },
    { "the end of time", { UINT64_MAX, 0, 0 }, UINT64_MAX, 1 },
};

TEST(the_latest_key_whose_time_has_come_seals)
{
    static const uint8_t octets[IMAPSTATE_KEY_OCTETS];
    for (size_t i = 0; i < ARRAY_LEN(seals); i++) {
        struct imapstate_keyring *keyring = imapstate_keyring_new();
        for (uint32_t id = 1; id <= 3; id++)
            assert_int_equal(imapstate_keyring_add(keyring, id, seals[i].seals_from_s[id - 1], octets), IMAPSTATE_OK);
        struct imapstate_key key = { .id = 0 };
        bool found = imapstate_keyring_sealing(keyring, seals[i].now_s, &key);
        CHECK_ROW(seals[i].name, found == (seals[i].want_id != 0));
        CHECK_ROW(seals[i].name, key.id == seals[i].want_id);
        imapstate_keyring_free(keyring);
    }
}

TEST(an_empty_keyring_has_no_key)
{
    struct imapstate_keyring *keyring = imapstate_keyring_new();
    struct imapstate_key key;
    assert_int_equal(imapstate_keyring_count(keyring), 0);
    assert_false(imapstate_keyring_sealing(keyring, UINT64_MAX, &key));
    assert_false(imapstate_keyring_find(keyring, 0, &key));
    assert_false(imapstate_keyring_at(keyring, 0, &key));
    imapstate_keyring_free(keyring);
    imapstate_keyring_free(NULL);
}

TEST(keys_stay_in_place_while_the_keyring_grows)
{
    struct imapstate_keyring *keyring = imapstate_keyring_new();
    uint8_t octets[IMAPSTATE_KEY_OCTETS];
    memset(octets, 7, sizeof octets);
    assert_int_equal(imapstate_keyring_add(keyring, 0, 0, octets), IMAPSTATE_OK);
    struct imapstate_key first;
    assert_true(imapstate_keyring_find(keyring, 0, &first));
    for (uint32_t id = 1; id < 100; id++)
        assert_int_equal(imapstate_keyring_add(keyring, id, id, octets), IMAPSTATE_OK);
    assert_int_equal(imapstate_keyring_add(keyring, 50, 0, octets), IMAPSTATE_KEY_DUPLICATE);
    assert_int_equal(imapstate_keyring_count(keyring), 100);
    assert_memory_equal(first.octets, octets, sizeof octets);
    imapstate_keyring_free(keyring);
}

static const struct {
    const char *text;
    bool is_time;
    uint64_t want_s;
} times[] = {
    { "1970-01-01T00:00:00Z", true, 0 },
    { T_2026, true, T_2026_S },
    { "2000-02-29T23:59:59Z", true, 951868799 },
    { "2038-01-19T03:14:08Z", true, 2147483648u },
    { "9999-12-31T23:59:59Z", true, 253402300799u },
    { "1969-12-31T23:59:59Z", false, 0 },
    { "2100-02-29T00:00:00Z", false, 0 },
    { "2026-00-01T00:00:00Z", false, 0 },
    { "2026-13-01T00:00:00Z", false, 0 },
    { "2026-01-00T00:00:00Z", false, 0 },
    { "2026-01-01T24:00:00Z", false, 0 },
    { "2026-01-01T00:60:00Z", false, 0 },
    { "2026-12-31T23:59:60Z", false, 0 },
    { "2026-01-01T00:00:00z", false, 0 },
    { "2026-01-01t00:00:00Z", false, 0 },
    { "2026-01-01 00:00:00Z", false, 0 },
    { "2026-01-01T00:00:00", false, 0 },
    { "2026-01-01T00:00:00Z ", false, 0 },
    { "2026-01-01T00:00:+0Z", false, 0 },
    { "2026-1-001T00:00:00Z", false, 0 },
    { "", false, 0 },
};

TEST(times_are_read_strictly_and_written_alike)
{
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        uint64_t time_s = 0;
        CHECK_ROW(times[i].text,
                  imapstate_key_time_parse(imapstate_span_of(times[i].text), &time_s) == times[i].is_time);
        CHECK_ROW(times[i].text, time_s == times[i].want_s);
        char text[IMAPSTATE_KEY_TIME_SIZE] = "";
        if (times[i].is_time) {
            CHECK_ROW(times[i].text, imapstate_key_time_format(time_s, text));
            assert_string_equal(text, times[i].text);
        }
    }
    char text[IMAPSTATE_KEY_TIME_SIZE];
    assert_false(imapstate_key_time_format(253402300800u, text));
    assert_false(imapstate_key_time_format(UINT64_MAX, text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_read_whole_or_not_at_all),
        cmocka_unit_test(a_file_cut_inside_a_line_is_malformed),
        cmocka_unit_test(keys_come_back_as_they_were_given),
        cmocka_unit_test(a_key_line_that_does_not_fit_is_not_written),
        cmocka_unit_test(the_latest_key_whose_time_has_come_seals),
        cmocka_unit_test(an_empty_keyring_has_no_key),
        cmocka_unit_test(keys_stay_in_place_while_the_keyring_grows),
        cmocka_unit_test(times_are_read_strictly_and_written_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
