#include "check.h"

#include "append.h"

#include <stdlib.h>
#include <string.h>

/* The lines of a command, each with its CRLF, one after the other; their literals are left out. */
static const struct {
    const char *lines;
    int bad; /* which of them must not go up, from 1; 0: all are well */
} rows[] = {
    /* clang-format off */
    { "a APPEND INBOX {5}\r\n\r\n", 0 },
    { "a append INBOX (\\Seen $a \\*) \" 1-Jan-2024 00:00:00 +0000\" {5+}\r\n\r\n", 0 },
    { "a APPEND \"x {y \\\" NOOP\" ~{5}\r\n\r\n", 0 },
    { "a APPEND {5}\r\n (\\Seen) {5}\r\n\r\n", 0 },
    { "a APPEND  INBOX   ()  {5}\r\n\r\n", 0 },
    { "a APPEND INBOX () {5}\r\n () \"x\" {5}\r\n {5}\r\n\r\n", 0 },
    { "a APPEND INBOX UTF8 (~{5}\r\n)\r\n", 0 },
    { "a APPEND INBOX UTF8 (~{5}\r\n) (x) UTF8 (~{5}\r\n)\r\n", 0 },
    { "a APPEND INBOX (\\Seen) ANNOTATION (/comment (value.priv \"x\")) {5}\r\n\r\n", 0 },
    { "a APPEND INBOX CATENATE (URL \"/x\" TEXT {5}\r\n URL /y TEXT ~{5}\r\n)\r\n", 0 },
    { "a APPEND INBOX catenate ( url {5}\r\n text {5}\r\n URL x ) (x) {5}\r\n\r\n", 0 },
    { "a APPEND INBOX CATENATE (TEXT {5}\r\n) CATENATE (TEXT {5}\r\n)\r\n", 0 },
    { "a APPEND CATENATE (\\Seen) {5}\r\n\r\n", 0 },
    { "a REPLACE 5 CATENATE (\\Seen) {5}\r\n\r\n", 0 },
    { "a UID REPLACE 5 INBOX CATENATE (URL x)\r\n", 0 },
    { "a APPEND Ex\\change%*]~ {5}\r\n\r\n", 0 },
    /* Wrong, but not in a way that leaves a command behind: for the server to refuse. */
    { "a APPEND\r\n", 0 },
    { "a APPEND \r\n", 0 },
    { "a APPEND INBOX x y NOOP\r\n", 0 },
    { "a APPEND INBOX (x y NOOP\r\n", 0 },
    { "a APPEND INBOX (\\Seen {5}\r\n\r\n", 0 },
    { "a APPEND INBOX ) y NOOP\r\n", 0 },
    { "a APPEND INBOX CATENATE y NOOP\r\n", 0 },
    { "a APPEND INBOX CATENATE () y NOOP\r\n", 0 },
    { "a APPEND INBOX (CATENATE (x))\r\n", 0 },
    /* Other commands are read as a whole. */
    { "a LIST \"\" {y NOOP\r\n", 0 },

    { "a APPEND INBOX {y NOOP\r\n", 1 },
    { "a APPEND INBOX {\r\n", 1 },
    { "a APPEND INBOX {}\r\n", 1 },
    { "a APPEND INBOX {+}\r\n", 1 },
    { "a APPEND INBOX {5x}\r\n", 1 },
    { "a APPEND INBOX {5} y\r\n", 1 },
    { "a APPEND INBOX {5}y\r\n", 1 },
    { "a APPEND INBOX {99999999999999999999}y NOOP\r\n", 1 },
    { "a APPEND INBOX ~{5}y NOOP\r\n", 1 },
    { "a APPEND INBOX {y {5}\r\n", 1 },
    { "a APPEND INBOX x{5}\r\n", 1 },
    { "a APPEND INBOX ~~{5}\r\n", 1 },
    { "a APPEND INBOX ({y NOOP\r\n", 1 },
    { "a APPEND INBOX\t{5}\r\n", 1 },
    { "a APPEND INBOX \x7fy NOOP\r\n", 1 },
    { "a APPEND INBOX \x01y NOOP\r\n", 1 },
    { "a APPEND INBOX \xc3y NOOP\r\n", 1 },
    { "a APPEND INBOX x(y NOOP\r\n", 1 },
    { "a APPEND INBOX (x)y NOOP\r\n", 1 },
    { "a APPEND INBOX (x)(y NOOP\r\n", 1 },
    { "a APPEND INBOX x\"a\"y NOOP\r\n", 1 },
    { "a APPEND INBOX \"a\"y NOOP\r\n", 1 },
    { "a APPEND INBOX \"a\"\"b\"\r\n", 1 },
    { "a APPEND {y NOOP\r\n", 1 },
    { "a APPEND INBOX{y NOOP\r\n", 1 },
    { "a REPLACE 5 INBOX {y NOOP\r\n", 1 },
    { "a UID REPLACE 5 INBOX {y NOOP\r\n", 1 },
    { "a APPEND INBOX CATENATE (FOO )y NOOP\r\n", 1 },
    { "a APPEND INBOX CATENATE (FOO ) y NOOP\r\n", 1 },
    { "a APPEND INBOX () \"x\" catenate  ( foo ) y NOOP\r\n", 1 },
    { "a REPLACE 5 INBOX CATENATE (FOO ) y NOOP\r\n", 1 },
    { "a APPEND INBOX CATENATE (\"URL\" x ) y NOOP\r\n", 1 },
    { "a APPEND INBOX CATENATE (URL (x) ) y NOOP\r\n", 1 },
    { "a APPEND INBOX CATENATE ((URL x) ) y NOOP\r\n", 1 },
    { "a APPEND INBOX CATENATE (URL ) y NOOP\r\n", 1 },
    { "a APPEND INBOX CATENATE (TEXT ) y NOOP\r\n", 1 },
    { "a APPEND INBOX CATENATE (TEXT x ) y NOOP\r\n", 1 },
    { "a APPEND INBOX CATENATE (TEXT \"x\" ) y NOOP\r\n", 1 },
    { "a APPEND INBOX CATENATE (URL x {5}\r\n)\r\n", 1 },
    { "a APPEND INBOX CATENATE ({5}\r\n)\r\n", 1 },
    { "a APPEND INBOX CATENATE (URL \x7fy NOOP\r\n", 1 },
    { "a APPEND INBOX {5}\r\n {y NOOP\r\n", 2 },
    { "a APPEND INBOX {5}\r\n {5}\r\n ({y NOOP\r\n", 3 },
    { "a APPEND {5}\r\n CATENATE (FOO ) y NOOP\r\n", 2 },
    { "a APPEND INBOX CATENATE (TEXT {5}\r\n FOO )y NOOP\r\n", 2 },
    { "a APPEND INBOX CATENATE (TEXT {5}\r\n {5}\r\n)\r\n", 2 },
    { "a APPEND INBOX CATENATE (TEXT {5}\r\n URL x)y NOOP\r\n", 2 },
    { "a APPEND INBOX UTF8 (~{5}\r\n)y NOOP\r\n", 2 },
    /* clang-format on */
};

/* Which of the lines is the first that must not go up. */
static int find_bad(const char *lines)
{
    struct imapstate_frame frame;
    struct imapstate_span in = imapstate_span_of(lines);
    bool is_in_list = false;
    imapstate_frame_init(&frame, IMAPSTATE_FRAME_COMMANDS);
    for (int number = 1; in.len > 0; number++) {
        struct imapstate_piece piece;
        struct imapstate_command_line line;
        const uint8_t *end = memchr(in.at, '\n', in.len);
        struct imapstate_span octets = { in.at, (size_t)(end - in.at) + 1 };
        /* Memory of its own, so that a sanitizer sees a read outside of it. */
        uint8_t *copy = malloc(octets.len);
        assert_non_null(copy);
        memcpy(copy, octets.at, octets.len);
        assert_int_equal(imapstate_frame_next(&frame, (struct imapstate_span){ copy, octets.len }, &piece),
                         IMAPSTATE_FRAME_LINE);
        assert_int_equal(piece.octets.len, octets.len);
        if (number == 1)
            assert_int_equal(imapstate_command_parse(piece.octets, &line), IMAPSTATE_OK);
        bool is_well =
            number == 1 ? append_begins_well(&line, &piece, &is_in_list) : append_goes_on_well(&piece, &is_in_list);
        free(copy);
        if (!is_well)
            return number;
        /* As if the literal had come. */
        imapstate_frame_init(&frame, IMAPSTATE_FRAME_COMMANDS);
        in.at += octets.len;
        in.len -= octets.len;
    }
    return 0;
}

TEST(a_line_goes_up_if_nothing_of_it_can_be_another_command)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_ROW(rows[i].lines, find_bad(rows[i].lines) == rows[i].bad);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_goes_up_if_nothing_of_it_can_be_another_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
