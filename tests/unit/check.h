/* check: what the unit tests share. Include it first: cmocka.h wants these headers in this order before it. */
#ifndef TEST_CHECK_H
#define TEST_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <imapstate/span.h>

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

/* A test is a function whose name is a sentence; run it by cmocka_unit_test(). */
#define TEST(sentence) static void sentence(void **test_state __attribute__((unused)))

/* Fails the test, naming the table row that was being looked at. */
#define CHECK_ROW(row_name, condition)                                                                                 \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            fail_msg("row \"%s\": %s", (row_name), #condition);                                                        \
    } while (0)

/* A span shown octet by octet in "quotes", for messages. */
static inline void check_print_span(const char *label, struct imapstate_span span)
{
    fprintf(stderr, "%s: \"", label);
    for (size_t i = 0; i < span.len; i++)
        if (span.at[i] >= ' ' && span.at[i] < 0x7f && span.at[i] != '\\')
            fputc(span.at[i], stderr);
        else
            fprintf(stderr, "\\x%02x", span.at[i]);
    fprintf(stderr, "\"\n");
}

#define CHECK_SPAN(row_name, got, want)                                                                                \
    do {                                                                                                               \
        struct imapstate_span check_got = (got), check_want = (want);                                                  \
        if (!imapstate_span_equal(check_got, check_want)) {                                                            \
            check_print_span("got ", check_got);                                                                       \
            check_print_span("want", check_want);                                                                      \
            fail_msg("row \"%s\": %s is not %s", (row_name), #got, #want);                                             \
        }                                                                                                              \
    } while (0)

#endif
