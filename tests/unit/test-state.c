#include "check.h"
#include "steps.h"

#include <imapstate/state.h>

#include <stdlib.h>
#include <string.h>

#define MAX 1000u

/* The state in the same notation. */
static void show(const struct imapstate_state *state, struct imapstate_buf *ret_text)
{
    struct imapstate_entry entry;
    imapstate_buf_clear(ret_text);
    for (size_t i = 0; imapstate_state_at(state, i, &entry); i++) {
        assert_in_range(entry.kind, 1, 4);
        assert_true(imapstate_buf_printf(ret_text, "%s%c ", i ? "|" : "", "?ELCN"[entry.kind]));
        assert_true(imapstate_buf_put(ret_text, entry.value));
    }
}

static const struct {
    const char *steps, *want;
} logs[] = {
    { "", "" },
    { "E QRESYNC", "E QRESYNC" },
    { "E qresync Condstore", "E QRESYNC CONDSTORE" },
    { "E  A   B ", "E A B" },
    { "E A|E B", "E A B" },
    { "E A B|E b C", "E A B C" },
    { "E A a A", "E A" },
    { "E A|E a", "E A" },
    { "E AB|E A", "E AB A" },
    { "E A|L de|E A", "E A|L de" },
    { "E A|L de|E B", "E A|L de|E B" },
    { "E A|L de|E B A C", "E A|L de|E B C" },
    { "L de", "L de" },
    { "L de|L fr", "L fr" },
    { "L de|C i;octet|L fr", "C i;octet|L fr" },
    { "C i;octet|C i;ascii-casemap", "C i;ascii-casemap" },
    { "C two words", "C two words" },
    { "N NONE", "N NONE" },
    { "N SET (personal (MessageNew))|N NONE", "N NONE" },
    { "N NONE|E UTF8=ACCEPT|N SET (inboxes NONE)", "E UTF8=ACCEPT|N SET (inboxes NONE)" },
    { "E A|L de|E B|L fr", "E A B|L fr" },
    { "E A|L de|E B|C c|E D|L fr", "E A B|C c|E D|L fr" },
    { "E A|L de|E B|-L", "E A B" },
    { "E A|L de|E B|-E", "E A|L de|E B" },
    { "E A|L de|N NONE|C c|-N|-L|-C", "E A" },
    { "L de|E B|-L", "E B" },
    { "L de|C c|-L", "C c" },
    { "-L|-N|-C", "" },
    { "E A|N NONE|E B|C c|E D|L de|E F", "E A|N NONE|E B|C c|E D|L de|E F" },
    { "E A|N NONE|E B|C c|E D|L de|E F|-C|-N|-L", "E A B D F" },
};

TEST(commands_enter_the_log_in_order)
{
    struct imapstate_buf got;
    imapstate_buf_init(&got, MAX);
    for (size_t i = 0; i < ARRAY_LEN(logs); i++) {
        struct imapstate_state *state = imapstate_state_new(MAX);
        record_all(state, logs[i].steps);
        show(state, &got);
        CHECK_SPAN(logs[i].steps, imapstate_buf_span(&got), imapstate_span_of(logs[i].want));
        size_t bars = 0;
        for (const char *at = logs[i].want; *at; at++)
            bars += *at == '|';
        CHECK_ROW(logs[i].steps, imapstate_state_count(state) == (logs[i].want[0] ? bars + 1 : 0));
        imapstate_state_free(state);
    }
    imapstate_buf_done(&got);
}

static enum imapstate_error decode_cut(struct imapstate_state *state, struct imapstate_span octets, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1); /* ends where the octets end, for the sanitizer */
    assert_non_null(copy);
    if (len)
        memcpy(copy, octets.at, len);
    enum imapstate_error error = imapstate_state_decode(state, (struct imapstate_span){ copy, len });
    free(copy);
    return error;
}

/* Where an entry ends, what was cut is a smaller state; elsewhere it is none. */
static bool is_whole(struct imapstate_span octets, size_t len)
{
    size_t end = 1;
    while (end < len)
        end += 3 + ((size_t)octets.at[end + 1] << 8 | octets.at[end + 2]);
    return end == len;
}

TEST(every_state_survives_encoding_and_no_cut_of_it_is_another)
{
    struct imapstate_buf octets, again, text;
    imapstate_buf_init(&octets, MAX);
    imapstate_buf_init(&again, MAX);
    imapstate_buf_init(&text, MAX);
    for (size_t i = 0; i < ARRAY_LEN(logs); i++) {
        struct imapstate_state *state = imapstate_state_new(MAX);
        record_all(state, logs[i].want);
        imapstate_buf_clear(&octets);
        assert_true(imapstate_state_encode(state, &octets));
        for (size_t len = 0; len <= octets.len; len++) {
            struct imapstate_state *decoded = imapstate_state_new(MAX);
            record_all(decoded, "E BEFORE|L xx");
            bool is_state = is_whole(imapstate_buf_span(&octets), len);
            enum imapstate_error error = decode_cut(decoded, imapstate_buf_span(&octets), len);
            CHECK_ROW(logs[i].want, error == (is_state ? IMAPSTATE_OK : IMAPSTATE_STATE_INVALID));
            imapstate_buf_clear(&again);
            assert_true(imapstate_state_encode(decoded, &again));
            show(decoded, &text);
            if (is_state)
                CHECK_SPAN(logs[i].want, imapstate_buf_span(&again), ((struct imapstate_span){ octets.at, len }));
            else
                CHECK_SPAN(logs[i].want, imapstate_buf_span(&text), IMAPSTATE_SPAN("E BEFORE|L xx"));
            imapstate_state_free(decoded);
        }
        imapstate_state_free(state);
    }
    imapstate_buf_done(&octets);
    imapstate_buf_done(&again);
    imapstate_buf_done(&text);
}

TEST(the_encoding_is_as_documented)
{
    struct imapstate_state *state = imapstate_state_new(MAX);
    struct imapstate_buf octets;
    imapstate_buf_init(&octets, MAX);
    record_all(state, "E QRESYNC|L de|N SET (inboxes NONE)");
    assert_true(imapstate_buf_put(&octets, IMAPSTATE_SPAN("before")));
    assert_true(imapstate_state_encode(state, &octets));
    CHECK_SPAN("octets", imapstate_buf_span(&octets),
               IMAPSTATE_SPAN("before\x01\x01\0\x07QRESYNC\x02\0\x02"
                              "de\x04\0\x12SET (inboxes NONE)"));
    octets.max = octets.len;
    assert_false(imapstate_state_encode(state, &octets));
    octets.max = octets.len + 5;
    assert_false(imapstate_state_encode(state, &octets));
    assert_int_equal(octets.max, octets.len + 5);
    imapstate_buf_done(&octets);
    imapstate_state_free(state);
}

static const struct {
    const char *name;
    struct imapstate_span octets;
} invalid[] = {
    { "nothing", IMAPSTATE_SPAN("") },
    { "version 0", IMAPSTATE_SPAN("\0") },
    { "version 2", IMAPSTATE_SPAN("\x02") },
    { "kind 0", IMAPSTATE_SPAN("\x01\0\0\x01X") },
    { "kind 5", IMAPSTATE_SPAN("\x01\x05\0\x01X") },
    { "kind 255", IMAPSTATE_SPAN("\x01\xff\0\x01X") },
    { "an octet behind", IMAPSTATE_SPAN("\x01\x01\0\x01X\0") },
    { "an empty ENABLE", IMAPSTATE_SPAN("\x01\x01\0\0") },
    { "an empty LANGUAGE", IMAPSTATE_SPAN("\x01\x02\0\0") },
    { "an empty COMPARATOR", IMAPSTATE_SPAN("\x01\x03\0\0") },
    { "an empty NOTIFY", IMAPSTATE_SPAN("\x01\x04\0\0") },
    { "ENABLE in lower case", IMAPSTATE_SPAN("\x01\x01\0\x03"
                                             "ABc") },
    { "SP in front", IMAPSTATE_SPAN("\x01\x01\0\x02 A") },
    { "SP behind", IMAPSTATE_SPAN("\x01\x01\0\x02"
                                  "A ") },
    { "SP alone", IMAPSTATE_SPAN("\x01\x01\0\x01 ") },
    { "two SPs", IMAPSTATE_SPAN("\x01\x01\0\x04"
                                "A  B") },
    { "a name twice", IMAPSTATE_SPAN("\x01\x01\0\x03"
                                     "A A") },
    { "a name twice, apart", IMAPSTATE_SPAN("\x01\x01\0\x01"
                                            "A\x02\0\x02"
                                            "de\x01\0\x01"
                                            "A") },
    { "a name with CRLF", IMAPSTATE_SPAN("\x01\x01\0\x05"
                                         "A\r\nBC") },
    { "a name with NUL", IMAPSTATE_SPAN("\x01\x01\0\x02"
                                        "A\0") },
    { "a name with 8-bit", IMAPSTATE_SPAN("\x01\x01\0\x02"
                                          "A\xc4") },
    { "a name that is no atom", IMAPSTATE_SPAN("\x01\x01\0\x02"
                                               "A(") },
    { "adjacent ENABLEs", IMAPSTATE_SPAN("\x01\x01\0\x01"
                                         "A\x01\0\x01"
                                         "B") },
    { "LANGUAGE twice", IMAPSTATE_SPAN("\x01\x02\0\x02"
                                       "de\x02\0\x02"
                                       "fr") },
    { "the same LANGUAGE twice", IMAPSTATE_SPAN("\x01\x02\0\x02"
                                                "de\x02\0\x02"
                                                "de") },
    { "LANGUAGE with CR", IMAPSTATE_SPAN("\x01\x02\0\x03"
                                         "de\r") },
    { "COMPARATOR twice", IMAPSTATE_SPAN("\x01\x03\0\x01"
                                         "a\x04\0\x04NONE\x03\0\x01"
                                         "b") },
    { "COMPARATOR with 8-bit", IMAPSTATE_SPAN("\x01\x03\0\x01\xe4") },
    { "NOTIFY twice", IMAPSTATE_SPAN("\x01\x04\0\x04NONE\x04\0\x04NONE") },
    { "NOTIFY with a line end", IMAPSTATE_SPAN("\x01\x04\0\x06NONE\r\n") },
    { "NOTIFY with a broken literal", IMAPSTATE_SPAN("\x01\x04\0\x08SET ({9}") },
};

TEST(what_no_session_can_record_is_not_decoded)
{
    struct imapstate_buf text;
    imapstate_buf_init(&text, MAX);
    struct imapstate_state *state = imapstate_state_new(MAX);
    record_all(state, "E BEFORE|L xx");
    for (size_t i = 0; i < ARRAY_LEN(invalid); i++) {
        CHECK_ROW(invalid[i].name,
                  decode_cut(state, invalid[i].octets, invalid[i].octets.len) == IMAPSTATE_STATE_INVALID);
        show(state, &text);
        CHECK_SPAN(invalid[i].name, imapstate_buf_span(&text), IMAPSTATE_SPAN("E BEFORE|L xx"));
    }
    imapstate_state_free(state);
    imapstate_buf_done(&text);
}

static const struct {
    const char *name;
    char kind;
    struct imapstate_span value;
} refused[] = {
    { "ENABLE of nothing", 'E', IMAPSTATE_SPAN("") },
    { "ENABLE of spaces", 'E', IMAPSTATE_SPAN("  ") },
    { "ENABLE of a line end", 'E', IMAPSTATE_SPAN("A\r\n") },
    { "ENABLE of a quoted name", 'E', IMAPSTATE_SPAN("A \"B\"") },
    { "LANGUAGE without a tag", 'L', IMAPSTATE_SPAN("") },
    { "LANGUAGE with a line end", 'L', IMAPSTATE_SPAN("de\n") },
    { "LANGUAGE with DEL", 'L', IMAPSTATE_SPAN("de\x7f") },
    { "COMPARATOR without a name", 'C', IMAPSTATE_SPAN("") },
    { "COMPARATOR with NUL", 'C', IMAPSTATE_SPAN("i;\0") },
    { "NOTIFY without arguments", 'N', IMAPSTATE_SPAN("") },
    { "NOTIFY with a line end", 'N', IMAPSTATE_SPAN("NONE\r\n") },
    { "NOTIFY with a bare LF", 'N', IMAPSTATE_SPAN("SET\n(x)") },
    { "NOTIFY with NUL", 'N', IMAPSTATE_SPAN("SET \0") },
    { "NOTIFY with an open quote", 'N', IMAPSTATE_SPAN("SET (mailboxes \"a (x))") },
    { "NOTIFY with an open quote that ends in a backslash", 'N', IMAPSTATE_SPAN("SET \"a\\") },
    { "NOTIFY with an escaped last quote", 'N', IMAPSTATE_SPAN("SET \"a\\\"") },
    { "NOTIFY with a line end in quotes", 'N', IMAPSTATE_SPAN("SET \"a\r\nb\"") },
    { "NOTIFY with an escaped line end in quotes", 'N', IMAPSTATE_SPAN("SET \"a\\\r\nb\"") },
    { "NOTIFY with NUL in quotes", 'N', IMAPSTATE_SPAN("SET \"a\0b\"") },
    { "NOTIFY with a literal cut", 'N', IMAPSTATE_SPAN("SET ({3}\r\nab") },
    { "NOTIFY with a literal announced and not sent", 'N', IMAPSTATE_SPAN("SET ({3}") },
    { "NOTIFY with LF behind a literal's announcement", 'N', IMAPSTATE_SPAN("SET ({3}\nabc)") },
    { "NOTIFY with a literal of no length", 'N', IMAPSTATE_SPAN("SET ({}\r\nabc)") },
    { "NOTIFY with a negative literal", 'N', IMAPSTATE_SPAN("SET ({-3}\r\nabc)") },
    { "NOTIFY with a literal whose length wraps", 'N', IMAPSTATE_SPAN("SET ({18446744073709551619}\r\nabc)") },
    { "NOTIFY with a literal8", 'N', IMAPSTATE_SPAN("SET (~{3}\r\nabc)") },
    { "NOTIFY with a literal inside a word", 'N', IMAPSTATE_SPAN("SET (x{3}\r\nabc)") },
    { "NOTIFY with a literal directly behind one", 'N', IMAPSTATE_SPAN("SET ({1}\r\na{1}\r\nb)") },
    { "NOTIFY that begins with a literal", 'N', IMAPSTATE_SPAN("{4}\r\nNONE") },
};

TEST(what_cannot_go_on_the_wire_again_is_not_recorded)
{
    struct imapstate_buf text;
    imapstate_buf_init(&text, MAX);
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct imapstate_state *state = imapstate_state_new(MAX);
        record_all(state, "E A|L xx|E B|C yy|N NONE|E D");
        CHECK_ROW(refused[i].name,
                  imapstate_state_record(state, kind_of(refused[i].kind), refused[i].value) == IMAPSTATE_SYNTAX);
        show(state, &text);
        /* ENABLE cannot take anything back; of the others, what was true no longer is (P9). */
        const char *want = refused[i].kind == 'E'   ? "E A|L xx|E B|C yy|N NONE|E D"
                           : refused[i].kind == 'L' ? "E A B|C yy|N NONE|E D"
                           : refused[i].kind == 'C' ? "E A|L xx|E B|N NONE|E D"
                                                    : "E A|L xx|E B|C yy|E D";
        CHECK_SPAN(refused[i].name, imapstate_buf_span(&text), imapstate_span_of(want));
        imapstate_state_free(state);
    }
    imapstate_buf_done(&text);
}

static const struct {
    const char *name;
    struct imapstate_span arguments;
    struct {
        struct imapstate_span text, literal;
        bool has_literal;
    } want[4]; /* to the first without text */
} parts[] = {
    { "no literal", IMAPSTATE_SPAN("NONE"), { { IMAPSTATE_SPAN("NONE") } } },
    { "a brace in quotes", IMAPSTATE_SPAN("SET \"{3}\""), { { IMAPSTATE_SPAN("SET \"{3}\"") } } },
    { "a quote in quotes", IMAPSTATE_SPAN("SET \"\\\"{\\\\\" x"), { { IMAPSTATE_SPAN("SET \"\\\"{\\\\\" x") } } },
    { "8-bit in quotes", IMAPSTATE_SPAN("SET \"\xc3\xa4\""), { { IMAPSTATE_SPAN("SET \"\xc3\xa4\"") } } },
    { "a literal at the end",
      IMAPSTATE_SPAN("SET {3}\r\nabc"),
      { { IMAPSTATE_SPAN("SET "), IMAPSTATE_SPAN("abc"), true } } },
    { "literals of both kinds",
      IMAPSTATE_SPAN("SET (x ({3+}\r\na\"c {2}\r\n\r\n) y)"),
      { { IMAPSTATE_SPAN("SET (x ("), IMAPSTATE_SPAN("a\"c"), true },
        { IMAPSTATE_SPAN(" "), IMAPSTATE_SPAN("\r\n"), true },
        { IMAPSTATE_SPAN(") y)") } } },
    { "an empty literal",
      IMAPSTATE_SPAN("SET ({0}\r\n)"),
      { { IMAPSTATE_SPAN("SET ("), IMAPSTATE_SPAN(""), true }, { IMAPSTATE_SPAN(")") } } },
    { "a literal that looks like another",
      IMAPSTATE_SPAN("SET ({007}\r\n({1}\r\n\"x)"),
      { { IMAPSTATE_SPAN("SET ("), IMAPSTATE_SPAN("({1}\r\n\""), true }, { IMAPSTATE_SPAN("x)") } } },
};

TEST(notify_arguments_come_apart_at_literals)
{
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        struct imapstate_span in = parts[i].arguments;
        struct imapstate_notify_part part;
        size_t count = 0;
        for (; in.len > 0; count++) {
            CHECK_ROW(parts[i].name, imapstate_notify_next(&in, &part) == IMAPSTATE_OK);
            CHECK_SPAN(parts[i].name, part.text, parts[i].want[count].text);
            CHECK_ROW(parts[i].name, part.has_literal == parts[i].want[count].has_literal);
            CHECK_SPAN(parts[i].name, part.literal, parts[i].want[count].literal);
        }
        CHECK_ROW(parts[i].name, parts[i].want[count].text.len == 0);
        struct imapstate_state *state = imapstate_state_new(MAX);
        CHECK_ROW(parts[i].name,
                  imapstate_state_record(state, IMAPSTATE_ENTRY_NOTIFY, parts[i].arguments) == IMAPSTATE_OK);
        imapstate_state_free(state);
    }
}

TEST(what_does_not_fit_is_refused_and_replaces_nothing_but_its_kind)
{
    struct imapstate_buf text;
    imapstate_buf_init(&text, MAX);
    struct imapstate_state *state = imapstate_state_new(1 + (3 + 3) + (3 + 2)); /* "E A B" and "L de" */
    record_all(state, "E A");
    assert_int_equal(imapstate_state_record(state, IMAPSTATE_ENTRY_LANGUAGE, IMAPSTATE_SPAN("de-1901")),
                     IMAPSTATE_STATE_TOO_LARGE);
    record_all(state, "L de");
    assert_int_equal(imapstate_state_record(state, IMAPSTATE_ENTRY_ENABLE, IMAPSTATE_SPAN("B")),
                     IMAPSTATE_STATE_TOO_LARGE);
    record_all(state, "-L|E B|L de");
    assert_int_equal(imapstate_state_record(state, IMAPSTATE_ENTRY_ENABLE, IMAPSTATE_SPAN("X")),
                     IMAPSTATE_STATE_TOO_LARGE);
    assert_int_equal(imapstate_state_record(state, IMAPSTATE_ENTRY_ENABLE, IMAPSTATE_SPAN("a b")), IMAPSTATE_OK);
    assert_int_equal(imapstate_state_record(state, IMAPSTATE_ENTRY_COMPARATOR, IMAPSTATE_SPAN("c")),
                     IMAPSTATE_STATE_TOO_LARGE);
    show(state, &text);
    CHECK_SPAN("full", imapstate_buf_span(&text), IMAPSTATE_SPAN("E A B|L de"));
    assert_int_equal(imapstate_state_record(state, IMAPSTATE_ENTRY_LANGUAGE, IMAPSTATE_SPAN("fra")),
                     IMAPSTATE_STATE_TOO_LARGE);
    show(state, &text);
    CHECK_SPAN("replaced by nothing", imapstate_buf_span(&text), IMAPSTATE_SPAN("E A B"));
    assert_int_equal(imapstate_state_record(state, IMAPSTATE_ENTRY_ENABLE, IMAPSTATE_SPAN("LONGER")),
                     IMAPSTATE_STATE_TOO_LARGE);
    record_all(state, "E DEFG");
    show(state, &text);
    CHECK_SPAN("merged to the last octet", imapstate_buf_span(&text), IMAPSTATE_SPAN("E A B DEFG"));
    imapstate_state_free(state);
    imapstate_buf_done(&text);
}

TEST(limits_are_those_of_the_encoding)
{
    static uint8_t octets[70000];
    struct imapstate_buf encoded;
    imapstate_buf_init(&encoded, sizeof octets);
    memset(octets, 'x', sizeof octets);
    struct imapstate_state *state = imapstate_state_new(SIZE_MAX);
    assert_int_equal(imapstate_state_record(state, IMAPSTATE_ENTRY_NOTIFY,
                                            (struct imapstate_span){ octets, IMAPSTATE_STATE_MAX - 3 }),
                     IMAPSTATE_STATE_TOO_LARGE);
    assert_int_equal(imapstate_state_record(state, IMAPSTATE_ENTRY_NOTIFY,
                                            (struct imapstate_span){ octets, IMAPSTATE_STATE_MAX - 4 }),
                     IMAPSTATE_OK);
    assert_true(imapstate_state_encode(state, &encoded));
    assert_int_equal(encoded.len, IMAPSTATE_STATE_MAX);
    struct imapstate_state *smaller = imapstate_state_new(IMAPSTATE_STATE_MAX - 1);
    assert_int_equal(imapstate_state_decode(smaller, imapstate_buf_span(&encoded)), IMAPSTATE_STATE_TOO_LARGE);
    assert_int_equal(imapstate_state_decode(state, imapstate_buf_span(&encoded)), IMAPSTATE_OK);
    imapstate_state_free(smaller);

    static const size_t too_small[] = { 0, 1, 4 };
    for (size_t i = 0; i < ARRAY_LEN(too_small); i++) {
        smaller = imapstate_state_new(too_small[i]);
        assert_int_equal(imapstate_state_record(smaller, IMAPSTATE_ENTRY_ENABLE, IMAPSTATE_SPAN("A")),
                         IMAPSTATE_STATE_TOO_LARGE);
        assert_int_equal(imapstate_state_count(smaller), 0);
        imapstate_state_free(smaller);
    }
    imapstate_state_free(state);
    imapstate_buf_done(&encoded);
}

TEST(clear_forgets_everything)
{
    struct imapstate_state *state = imapstate_state_new(MAX);
    struct imapstate_entry entry;
    record_all(state, "E A|L de|N NONE");
    imapstate_state_clear(state);
    assert_int_equal(imapstate_state_count(state), 0);
    assert_false(imapstate_state_at(state, 0, &entry));
    record_all(state, "E A");
    assert_int_equal(imapstate_state_count(state), 1);
    assert_false(imapstate_state_at(state, 1, &entry));
    assert_false(imapstate_state_at(state, SIZE_MAX, &entry));
    imapstate_state_free(state);
    imapstate_state_free(NULL);
}

static const struct {
    const char *name;
    struct imapstate_span in;
    const char *want; /* between "|" */
} enables[] = {
    { "an entry's value", IMAPSTATE_SPAN("CONDSTORE UTF8=ACCEPT"), "CONDSTORE|UTF8=ACCEPT|" },
    { "any case stays", IMAPSTATE_SPAN("qresync"), "qresync|" },
    { "a command's arguments, up to the line end", IMAPSTATE_SPAN("QRESYNC\r\n"), "QRESYNC|" },
    { "what stands behind a line end", IMAPSTATE_SPAN("A\nB"), "A|" },
    { "blanks as some servers send them", IMAPSTATE_SPAN("  A \t B  \r\n"), "A|B|" },
    { "a name that occurs twice", IMAPSTATE_SPAN("A A"), "A|A|" },
    { "an octet that no name has", IMAPSTATE_SPAN("A\0B (C)"), "A.B|(C)|" },
    { "nothing", IMAPSTATE_SPAN(""), "" },
    { "blanks alone", IMAPSTATE_SPAN("  "), "" },
    { "a line end alone", IMAPSTATE_SPAN("\r\n"), "" },
};

/* As a server with its own parser does it. Only octets that are there are read, wherever the text is cut. */
TEST(names_of_enable_come_one_by_one)
{
    for (size_t i = 0; i < ARRAY_LEN(enables); i++)
        for (size_t len = 0; len <= enables[i].in.len; len++) {
            uint8_t *copy = malloc(len ? len : 1);
            memcpy(copy, enables[i].in.at, len);
            struct imapstate_span in = { copy, len }, name = IMAPSTATE_SPAN("as before");
            struct imapstate_buf got;
            imapstate_buf_init(&got, 256);
            while (imapstate_enable_next(&in, &name)) {
                CHECK_ROW(enables[i].name, name.len > 0 && name.at >= copy && name.at + name.len <= copy + len);
                for (size_t k = 0; k < name.len; k++)
                    imapstate_buf_put_byte(&got, name.at[k] ? name.at[k] : '.');
                imapstate_buf_put_byte(&got, '|');
                name = IMAPSTATE_SPAN("as before");
            }
            CHECK_SPAN(enables[i].name, name, IMAPSTATE_SPAN("as before"));
            if (len == enables[i].in.len)
                CHECK_SPAN(enables[i].name, imapstate_buf_span(&got), imapstate_span_of(enables[i].want));
            imapstate_buf_done(&got);
            free(copy);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_enter_the_log_in_order),
        cmocka_unit_test(every_state_survives_encoding_and_no_cut_of_it_is_another),
        cmocka_unit_test(the_encoding_is_as_documented),
        cmocka_unit_test(what_no_session_can_record_is_not_decoded),
        cmocka_unit_test(what_cannot_go_on_the_wire_again_is_not_recorded),
        cmocka_unit_test(notify_arguments_come_apart_at_literals),
        cmocka_unit_test(names_of_enable_come_one_by_one),
        cmocka_unit_test(what_does_not_fit_is_refused_and_replaces_nothing_but_its_kind),
        cmocka_unit_test(limits_are_those_of_the_encoding),
        cmocka_unit_test(clear_forgets_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
