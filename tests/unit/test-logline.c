#include "check.h"

#include "logline.h"

#include "address.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

/* What a part looks like in both forms. */
static void put_words(struct logline *line)
{
    logline_words(line, "listener", "imap");
    logline_words(line, "flat", "a\nb\x7f");
}

static void put_name(struct logline *line)
{
    logline_name(line, "user", IMAPSTATE_SPAN("a b\"\\\xc3\xa4\0"));
}

static void put_nothing(struct logline *line)
{
    logline_nothing(line, "user");
    logline_words(line, "empty", "");
}

static void put_numbers(struct logline *line)
{
    logline_number(line, "in", UINT64_MAX);
    logline_number(line, "out", 0);
    logline_id(line, "client", 0x4f2a0);
    logline_seconds(line, "long", UINT64_MAX);
    logline_seconds(line, "age", 1234567);
    logline_seconds(line, "login_time", 4);
}

static void put_address(struct logline *line)
{
    struct address four = { AF_INET, 143, { 192, 0, 2, 1 } }, six = { AF_INET6, 1, { [15] = 1 } };
    struct address here = { .family = AF_UNIX };
    logline_address(line, "from", &four);
    logline_address(line, "six", &six);
    logline_address(line, "unix", &here);
}

static void put_layout(struct logline *line)
{
    logline_words(line, "client", "4f2a");
    logline_event(line, "closing");
    logline_gap_bare(line, ": ");
    logline_words(line, "reason", "logout");
    logline_gap(line, " (");
    logline_number(line, "in", 1);
    logline_number(line, "out", 2);
    logline_gap_bare(line, ")");
}

__attribute__((format(printf, 2, 3))) static void put_message(struct logline *line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    logline_message(line, format, arguments);
    va_end(arguments);
}

static void put_words_alone(struct logline *line)
{
    put_message(line, "%s and \"%d\"\n", "words", 2);
}

static const struct {
    void (*put)(struct logline *line);
    const char *text, *json;
} parts[] = {
    { put_words, "listener=imap flat=a?b?", ",\"listener\":\"imap\",\"flat\":\"a\\u000ab\\u007f\"" },
    { put_name, "user=a\\x20b\\x22\\x5c\\xc3\\xa4\\x00", ",\"user\":\"a\\\\x20b\\\\x22\\\\x5c\\\\xc3\\\\xa4\\\\x00\"" },
    { put_nothing, "user=- empty=", ",\"user\":null,\"empty\":\"\"" },
    { put_numbers,
      "in=18446744073709551615 out=0 client=4f2a0 long=18446744073709551.615s age=1234.567s login_time=0.004s",
      ",\"in\":18446744073709551615,\"out\":0,\"client\":\"4f2a0\",\"long\":18446744073709551.615,\"age\":1234.567,"
      "\"login_time\":0.004" },
    { put_address, "from=192.0.2.1:143 six=[::1]:1 unix=unix",
      ",\"from\":\"192.0.2.1\",\"port\":143,\"six\":\"::1\",\"port\":1,\"unix\":\"unix\"" },
    { put_layout, "client=4f2a closing: logout (in=1 out=2)",
      ",\"client\":\"4f2a\",\"event\":\"closing\",\"reason\":\"logout\",\"in\":1,\"out\":2" },
    { put_words_alone, "words and \"2\"?", ",\"message\":\"words and \\\"2\\\"\\u000a\"" },
};

static void check_line(const struct logline *line, const char *want)
{
    if (line->len != strlen(want) || memcmp(line->octets, want, line->len) != 0)
        fail_msg("got %.*s instead of %s", (int)line->len, line->octets, want);
}

TEST(each_part_has_two_forms)
{
    struct logline line;
    char want[512];
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        logline_begin(&line, LOG_LEVEL_INFO, LOG_FORMAT_TEXT, LOGLINE_SYSLOG);
        parts[i].put(&line);
        logline_end(&line);
        snprintf(want, sizeof want, "%s\n", parts[i].text);
        check_line(&line, want);
        logline_begin(&line, LOG_LEVEL_INFO, LOG_FORMAT_JSON, LOGLINE_SYSLOG);
        parts[i].put(&line);
        logline_end(&line);
        snprintf(want, sizeof want, "{\"level\":\"info\"%s}\n", parts[i].json);
        check_line(&line, want);
    }
}

TEST(a_level_has_a_name_and_a_priority)
{
    static const struct {
        enum log_level level;
        const char *name, *journal;
        int priority;
    } levels[] = {
        { LOG_LEVEL_ERROR, "error", "<3>\n", LOG_ERR },
        { LOG_LEVEL_WARNING, "warning", "<4>\n", LOG_WARNING },
        { LOG_LEVEL_INFO, "info", "<6>\n", LOG_INFO },
        { LOG_LEVEL_DEBUG, "debug", "<7>\n", LOG_DEBUG },
    };
    struct logline line;
    for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
        assert_string_equal(log_level_name(levels[i].level), levels[i].name);
        assert_int_equal(log_level_priority(levels[i].level), levels[i].priority);
        logline_begin(&line, levels[i].level, LOG_FORMAT_TEXT, LOGLINE_JOURNAL);
        logline_end(&line);
        check_line(&line, levels[i].journal);
    }
}

static char *repeat(char octet, size_t count)
{
    char *text = malloc(count + 1);
    memset(text, octet, count);
    text[count] = '\0';
    return text;
}

/* Does it end as an object, with every string closed? */
static bool is_object(const struct logline *line)
{
    bool is_in_string = false;
    for (size_t i = 0; i < line->len; i++) {
        if (is_in_string && line->octets[i] == '\\')
            i++;
        else if (line->octets[i] == '"')
            is_in_string = !is_in_string;
    }
    return !is_in_string && line->len >= 2 && memcmp(line->octets + line->len - 2, "}\n", 2) == 0 &&
           memchr(line->octets, '\n', line->len) == line->octets + line->len - 1;
}

/* A line that would be longer than a pipe takes in one piece is cut, wherever the limit falls. */
TEST(a_json_line_is_well_formed_however_long_its_parts_are)
{
    struct logline line;
    for (size_t len = LOGLINE_MAX - 200; len < LOGLINE_MAX + 8; len++) {
        char *words = repeat(len % 2 ? 'x' : '"', len % 2 ? len : len / 2);
        logline_begin(&line, LOG_LEVEL_INFO, LOG_FORMAT_JSON, LOGLINE_ANYBODY);
        logline_words(&line, "long", words);
        logline_number(&line, "number", 1234567890);
        logline_seconds(&line, "seconds", 1);
        logline_nothing(&line, "nothing");
        logline_words(&line, "more", words);
        put_message(&line, "%s", words);
        logline_end(&line);
        assert_true(line.len <= LOGLINE_MAX);
        if (!is_object(&line))
            fail_msg("%zu: %.*s", len, (int)line.len, line.octets);
        free(words);
    }
}

TEST(a_text_line_is_cut_and_keeps_its_end)
{
    char *words = repeat('x', 5000);
    struct logline line;
    logline_begin(&line, LOG_LEVEL_INFO, LOG_FORMAT_TEXT, LOGLINE_SYSLOG);
    logline_words(&line, "words", words);
    logline_number(&line, "number", 7);
    put_message(&line, "%s", words);
    logline_end(&line);
    assert_int_equal(line.len, LOGLINE_TEXT_MAX + 1);
    assert_int_equal(line.octets[line.len - 1], '\n');
    assert_int_equal(line.octets[line.len - 2], 'x');
    free(words);
}

TEST(a_name_is_cut_where_the_form_of_the_log_cuts_it)
{
    char *words = repeat(' ', 5000);
    struct logline line;
    logline_begin(&line, LOG_LEVEL_INFO, LOG_FORMAT_TEXT, LOGLINE_SYSLOG);
    logline_name(&line, "user", (struct imapstate_span){ (const uint8_t *)words, 5000 });
    logline_end(&line);
    assert_true(line.len <= strlen("user=") + LOGLINE_NAME_MAX + 1);
    assert_memory_equal(line.octets + line.len - 8, "\\x20...\n", 8);
    free(words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_part_has_two_forms),
        cmocka_unit_test(a_level_has_a_name_and_a_priority),
        cmocka_unit_test(a_json_line_is_well_formed_however_long_its_parts_are),
        cmocka_unit_test(a_text_line_is_cut_and_keeps_its_end),
        cmocka_unit_test(a_name_is_cut_where_the_form_of_the_log_cuts_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
