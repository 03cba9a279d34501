#include "check.h"
#include "frame-events.h"

/* The events of an input, in the words of frame-events.h. */
struct frame_row {
    const char *name;
    struct imapstate_span in;
    const char *script;
    const char *want;
};

static const struct frame_row commands[] = {
    /* clang-format off */
    { "nothing is between commands", IMAPSTATE_SPAN(""), "", "." },
    { "a command is a line", IMAPSTATE_SPAN("a NOOP\r\n"), "", "L8be ." },
    { "half a line wants more", IMAPSTATE_SPAN("a NOOP\r"), "", ".+7" },
    { "an empty line is a line", IMAPSTATE_SPAN("\r\na NOOP\r\n"), "", "L2be L8be ." },
    { "pipelined commands are lines of their own", IMAPSTATE_SPAN("a NOOP\r\nb NOOP\r\nc"), "", "L8be L8be .+1" },
    { "LF alone ends a line", IMAPSTATE_SPAN("a NOOP\nb NOOP\r\n\n"), "", "L7bef L8be L1bef ." },
    { "CR without LF is refused", IMAPSTATE_SPAN("a NO\rOP\r\n"), "", "BAD:BARE_CR" },
    { "two CR before LF are refused", IMAPSTATE_SPAN("a NOOP\r\r\n"), "", "BAD:BARE_CR" },
    { "CR in a quoted string is refused", IMAPSTATE_SPAN("a LIST \"\" \"a\rb\"\r\n"), "", "BAD:BARE_CR" },

    { "a quoted string may hold anything else", IMAPSTATE_SPAN("a LOGIN \"{3}\" \"(~{1+}\"\r\n"), "", "L24be ." },
    { "an escaped quote does not end a quoted string", IMAPSTATE_SPAN("a SEARCH SUBJECT \"it\\\"s\"\r\n"), "", "L26be ." },
    { "an escaped backslash is no escape", IMAPSTATE_SPAN("a LOGIN \"x\\\\\" \"y\\\\\\\"\"\r\n"), "", "L23be ." },
    { "an escaped backslash does not keep the quote open", IMAPSTATE_SPAN("a LOGIN x \"y\\\\\"\r\n"), "", "L17be ." },
    { "a backslash outside of quotes is no escape", IMAPSTATE_SPAN("a STORE 1 FLAGS (\\Seen \\\"x\")\r\n"), "", "L30be ." },
    { "an open quoted string is refused", IMAPSTATE_SPAN("a LOGIN \"x\r\n"), "", "BAD:QUOTED_OPEN" },
    { "an escape does not hide the open quote", IMAPSTATE_SPAN("a LOGIN \"x\\\"\r\n"), "", "BAD:QUOTED_OPEN" },
    { "a quote in an atom counts", IMAPSTATE_SPAN("a LIST x\"y z\r\n"), "", "BAD:QUOTED_OPEN" },
    { "CRLF in a quoted string is refused", IMAPSTATE_SPAN("a APPEND \"x\r\ny\"\r\n"), "", "BAD:QUOTED_OPEN" },
    { "a literal does not end an open quoted string", IMAPSTATE_SPAN("a LOGIN \"x {3+}\r\nabc\r\n"), "", "BAD:QUOTED_OPEN" },

    { "{n} waits for the server", IMAPSTATE_SPAN("a LOGIN {3}\r\nabc"), "", "L13b{3} W -+3" },
    { "the octets follow the server's +", IMAPSTATE_SPAN("a LOGIN {3}\r\nabc pw\r\nb NOOP\r\n"), "g",
      "L13b{3} W O3 L5e L8be ." },
    { "a refused literal was none", IMAPSTATE_SPAN("a APPEND x {8}\r\nb NOOP\r\n"), "r", "L16b{8} W L8be ." },
    { "a literal may hold line ends and NUL", IMAPSTATE_SPAN("a X {8}\r\n\r\n\0\n\r\"{1} y\r\n"), "g", "L9b{8} W O8 L5e ." },
    { "half a literal is not between", IMAPSTATE_SPAN("a X {3}\r\nab"), "g", "L9b{3} W O2 -" },
    { "the line behind a literal is part of the command", IMAPSTATE_SPAN("a X {3}\r\nabc"), "g", "L9b{3} W O3 -" },
    { "a command may hold several literals", IMAPSTATE_SPAN("a X {1}\r\nb ({2+}\r\ncd ~{1}\r\ne)\r\n"), "gg",
      "L9b{1} W O1 L8{2+} O2 L7~{1} W O1 L3e ." },
    { "the second literal may be refused", IMAPSTATE_SPAN("a X {1}\r\nb {2}\r\nc NOOP\r\n"), "gr",
      "L9b{1} W O1 L6{2} W L8be ." },
    { "a literal of no octets has no piece", IMAPSTATE_SPAN("a X {0}\r\n {0+}\r\n\r\nb NOOP\r\n"), "g",
      "L9b{0} W L7{0+} L2e L8be ." },
    { "{n+} does not wait", IMAPSTATE_SPAN("a LOGIN {3+}\r\nabc {2+}\r\nde\r\n"), "", "L14b{3+} O3 L7{2+} O2 L2e ." },
    { "~{n} and ~{n+} are literals too", IMAPSTATE_SPAN("a X ~{3}\r\nabc (~{2+}\r\nde)\r\n"), "g",
      "L10b~{3} W O3 L9~{2+} O2 L3e ." },
    { "a literal's line may end in LF alone", IMAPSTATE_SPAN("a X {3+}\nabc\n"), "", "L9bf{3+} O3 L1ef ." },
    { "zeros may lead", IMAPSTATE_SPAN("a X {0000000000000000000003+}\r\nabc\r\n"), "", "L31b{3+} O3 L2e ." },
    { "{n} is announced wherever it stands", IMAPSTATE_SPAN("a LIST x{3}\r\nb NOOP\r\n"), "r", "L13b{3} W L8be ." },
    { "{n} in the middle is none", IMAPSTATE_SPAN("a X {3} y\r\n"), "", "L11be ." },
    { "{n+} in the middle is none", IMAPSTATE_SPAN("a X {3+} y\r\n"), "", "L12be ." },
    { "{n} with a blank behind is none", IMAPSTATE_SPAN("a X {3} \r\n"), "", "L10be ." },
    { "braces without digits are none", IMAPSTATE_SPAN("a X {}\r\na X {+}\r\na X {3-}\r\na X {3a}\r\na X 3}\r\na X }\r\n}\r\n"),
      "", "L8be L9be L10be L10be L8be L7be L3be ." },
    { "{n++} is none", IMAPSTATE_SPAN("a X {3++}\r\n"), "", "L11be ." },
    { "a quoted string at the end is no literal", IMAPSTATE_SPAN("a X \"{3+}\"\r\n"), "", "L12be ." },
    { "quotes begin anew behind a literal", IMAPSTATE_SPAN("a X {1+}\r\n\" \"x {2+}\"\r\n"), "", "L10b{1+} O1 L11e ." },

    { "{n+} behind an atom is refused", IMAPSTATE_SPAN("a LIST x{3+}\r\nabc\r\n"), "", "BAD:LITERAL_MISPLACED" },
    { "{n+} behind a quoted string is refused", IMAPSTATE_SPAN("a LIST \"\"{3+}\r\nabc\r\n"), "", "BAD:LITERAL_MISPLACED" },
    { "{n+} behind TAB is refused", IMAPSTATE_SPAN("a LIST\t{3+}\r\nabc\r\n"), "", "BAD:LITERAL_MISPLACED" },
    { "{n+} behind ) is refused", IMAPSTATE_SPAN("a X (){3+}\r\nabc\r\n"), "", "BAD:LITERAL_MISPLACED" },
    { "{n+} at the begin of a line is refused", IMAPSTATE_SPAN("{3+}\r\nabc\r\n"), "", "BAD:LITERAL_MISPLACED" },
    { "{n+} right behind a literal is refused", IMAPSTATE_SPAN("a X {1+}\r\nb{1+}\r\nc\r\n"), "", "L10b{1+} O1 BAD:LITERAL_MISPLACED" },
    { "~{n+} behind an atom is refused", IMAPSTATE_SPAN("a LIST x~{3+}\r\nabc\r\n"), "", "BAD:LITERAL_MISPLACED" },
    { "~~{n+} is refused", IMAPSTATE_SPAN("a LIST ~~{3+}\r\nabc\r\n"), "", "BAD:LITERAL_MISPLACED" },
    { "{n+} with a blank behind is refused", IMAPSTATE_SPAN("a X {3+} \r\nabc\r\n"), "", "BAD:LITERAL_MISPLACED" },
    { "~{n+} with TAB and SP behind is refused", IMAPSTATE_SPAN("a X ~{3+}\t \r\nabc\r\n"), "", "BAD:LITERAL_MISPLACED" },
    { "4,294,967,295 octets pass", IMAPSTATE_SPAN("a X {4294967295+}\r\nabc"), "", "L19b{4294967295+} O3 -" },
    { "4,294,967,296 octets are too many", IMAPSTATE_SPAN("a X {4294967296+}\r\nabc"), "", "BAD:LITERAL_TOO_LARGE" },
    { "whoever asks for too many does not send", IMAPSTATE_SPAN("a X {18446744073709551619}\r\nb NOOP\r\n"), "r",
      "L28b?{4294967295} W L8be ." },
    { "the same behind a literal", IMAPSTATE_SPAN("a X {1+}\r\nb ({4294967296}\r\n"), "", "L10b{1+} O1 L16?{4294967295} W -" },
    { "but not with a blank behind", IMAPSTATE_SPAN("a X {18446744073709551619} \r\n"), "", "BAD:LITERAL_TOO_LARGE" },
    { "nor with NUL in the line", IMAPSTATE_SPAN("a \0 {18446744073709551619}\r\n"), "", "BAD:NUL" },

    { "a line with NUL is told", IMAPSTATE_SPAN("a NO\0OP\r\nb \"\0\"\r\n\0\nc NOOP\r\n"), "",
      "L9be0 L7be0 L2bef0 L8be ." },
    { "NUL and {n+} are refused", IMAPSTATE_SPAN("a X \0 {3+}\r\nabc\r\n"), "", "BAD:NUL" },
    { "NUL and {n} are refused", IMAPSTATE_SPAN("a X \0 {3}\r\n"), "", "BAD:NUL" },
    { "NUL and a misplaced {n+} are refused", IMAPSTATE_SPAN("a X \0{3+} \r\n"), "", "BAD:NUL" },
    { "NUL behind a literal is told", IMAPSTATE_SPAN("a X {1+}\r\nb\0\r\n"), "", "L10b{1+} O1 L3e0 ." },
    { "an escape does not hide NUL", IMAPSTATE_SPAN("a X \"\\\0\"\r\n"), "", "L10be0 ." },

    { "a continuation line is no command", IMAPSTATE_SPAN("a IDLE\r\nDONE\r\nb NOOP\r\n"), "c", "L8be L6ec L8be ." },
    { "a continuation line has no literals and no quotes", IMAPSTATE_SPAN("a IDLE\r\n\" {3+}\r\n{4}\r\n"), "cc",
      "L8be L8ec L5ec ." },
    { "a continuation that is due is not between", IMAPSTATE_SPAN("a IDLE\r\n"), "c", "L8be -" },
    { "a continuation line may be empty", IMAPSTATE_SPAN("a AUTHENTICATE LOGIN\r\n\r\n\n"), "cc", "L22be L2ec L1ecf ." },
    { "a continuation can be taken back", IMAPSTATE_SPAN("a IDLE\r\nb X {1+}\r\nc\r\n"), "u", "L8be L10b{1+} O1 L2e ." },
    { "NUL in a continuation line is refused", IMAPSTATE_SPAN("a IDLE\r\nDO\0NE\r\n"), "c", "L8be BAD:NUL" },
    { "bare CR in a continuation line is refused", IMAPSTATE_SPAN("a IDLE\r\nDO\rNE\r\n"), "c", "L8be BAD:BARE_CR" },
    /* clang-format on */
};

static const struct frame_row responses[] = {
    /* clang-format off */
    { "nothing is between responses", IMAPSTATE_SPAN(""), "", "." },
    { "a response is a line", IMAPSTATE_SPAN("* 3 EXISTS\r\n* SEARCH 1 2 3\r\n"), "", "L12be L16be ." },
    { "half a line wants more", IMAPSTATE_SPAN("* OK [X] half"), "", ".+13" },
    { "half a line of data wants more", IMAPSTATE_SPAN("* SEARCH 1 2"), "", ".+12" },
    { "half a line behind a literal wants more", IMAPSTATE_SPAN("* 1 FETCH (X {1}\r\na FLAGS"), "", "L18b{1} O1 -+6" },
    { "LF without CR is refused", IMAPSTATE_SPAN("* 3 EXISTS\n* 4 EXISTS\r\n"), "", "BAD:BARE_LF" },
    { "LF alone is refused", IMAPSTATE_SPAN("\n"), "", "BAD:BARE_LF" },
    { "LF without CR may be taken for an end", IMAPSTATE_SPAN("* 3 EXISTS\n\na OK\n* X \r\n"), "l",
      "L11bef L1betf L5betf L6be ." },
    { "but not where it announces a literal", IMAPSTATE_SPAN("* 1 FETCH (X {1}\nx)\r\n"), "l", "BAD:BARE_LF" },
    { "nor behind another", IMAPSTATE_SPAN("* 1 FETCH (X {1}\r\nx {1}\nx)\r\n"), "l", "L18b{1} O1 BAD:BARE_LF" },
    { "an empty line is text", IMAPSTATE_SPAN("\r\n"), "", "L2bet ." },
    { "CR and NUL pass", IMAPSTATE_SPAN("* X a\rb\0c\r\r\n* OK a\rb\0c\r\r\n"), "", "L12be L13bet ." },
    { "a literal follows", IMAPSTATE_SPAN("* 1 FETCH (BODY[] {5}\r\na\nb\r\n UID 3)\r\n* OK\r\n"), "", "L23b{5} O5 L9e L6bet ." },
    { "several literals follow", IMAPSTATE_SPAN("* LIST () {1}\r\n/ ({3}\r\nabc ~{2}\r\n\0\0)\r\n"), "",
      "L15b{1} O1 L7{3} O3 L7~{2} O2 L3e ." },
    { "a literal of no octets has no piece", IMAPSTATE_SPAN("* 1 FETCH (X {0}\r\n {0}\r\n)\r\n"), "", "L18b{0} L6{0} L3e ." },
    { "half a literal is not between", IMAPSTATE_SPAN("* 1 FETCH (X {3}\r\nab"), "", "L18b{3} O2 -" },
    { "behind a literal nothing is text", IMAPSTATE_SPAN("* 1 FETCH (X {1}\r\na OK {2}\r\nbc\r\n"), "",
      "L18b{1} O1 L9{2} O2 L2e ." },

    { "untagged text announces nothing", IMAPSTATE_SPAN("* OK {1}\r\n* NO {1}\r\n* BAD {1}\r\n* BYE {1}\r\n* PREAUTH {1}\r\n"), "",
      "L10bet L10bet L11bet L11bet L15bet ." },
    { "case does not matter", IMAPSTATE_SPAN("* oK {1}\r\n* preAuth {1}\r\n"), "", "L10bet L15bet ." },
    { "a status word alone is text", IMAPSTATE_SPAN("* OK\r\n* BYE\r\n"), "", "L6bet L7bet ." },
    { "other words are data", IMAPSTATE_SPAN("* OKAY {1}\r\na\r\n* O {1}\r\na\r\n* NOT {1}\r\na\r\n* PREAUTHX {1}\r\na\r\n"), "",
      "L12b{1} O1 L2e L9b{1} O1 L2e L11b{1} O1 L2e L16b{1} O1 L2e ." },
    { "a tagged response is text", IMAPSTATE_SPAN("a OK {1}\r\na1 NO {1}\r\nx BAD foo {1}\r\n"), "", "L10bet L11bet L15bet ." },
    { "+ is text", IMAPSTATE_SPAN("+ {1}\r\n+\r\n+x {2}\r\n"), "", "L7bet L3bet L8bet ." },
    { "a tag may begin as data does", IMAPSTATE_SPAN("*x {1}\r\n*\r\n"), "", "L8bet L3bet ." },

    { "{n+} is none", IMAPSTATE_SPAN("* X {3+}\r\n* X ~{3+}\r\n"), "", "L10be L11be ." },
    { "{n} in the middle is none", IMAPSTATE_SPAN("* X {3} \r\n* X {3}x\r\n"), "", "L10be L10be ." },
    { "braces without digits are none", IMAPSTATE_SPAN("* X {}\r\n* X 1}\r\n* X }\r\n* X {\r\n* X {1\r\n* X ~\r\n"), "",
      "L8be L8be L7be L7be L8be L7be ." },
    { "{n} behind an atom is refused", IMAPSTATE_SPAN("* X abc{3}\r\n"), "", "BAD:LITERAL_MISPLACED" },
    { "{n} behind a quoted string is refused", IMAPSTATE_SPAN("* X \"\"~{3}\r\n"), "", "BAD:LITERAL_MISPLACED" },
    { "{n} right behind a literal is refused", IMAPSTATE_SPAN("* X {1}\r\na{3}\r\n"), "", "L9b{1} O1 BAD:LITERAL_MISPLACED" },
    { "4,294,967,295 octets pass", IMAPSTATE_SPAN("* X ~{4294967295}\r\nabc"), "", "L19b~{4294967295} O3 -" },
    { "4,294,967,296 octets are too many", IMAPSTATE_SPAN("* X {4294967296}\r\nabc"), "", "BAD:LITERAL_TOO_LARGE" },
    { "digits without end are too many", IMAPSTATE_SPAN("* X {111111111111111111111111111111}\r\nabc"), "",
      "BAD:LITERAL_TOO_LARGE" },
    { "digits without a brace are data", IMAPSTATE_SPAN("* X 111111111111111111111111111111}\r\n"), "", "L37be ." },
    /* clang-format on */
};

/* Are the events as the row wants them, however the input is cut? */
static void row_check(const struct frame_row *row, enum imapstate_frame_side side, bool passes)
{
    /* first = len is the input in one, first = 0 its octets one by one, all between are cut in two. */
    for (size_t first = 0; first <= row->in.len; first++) {
        struct frame_run run = { .side = side, .script = row->script, .passes = passes };
        frame_run_over(&run, row->in, first, first == 0 ? 1 : SIZE_MAX);
        CHECK_SPAN(row->name, imapstate_buf_span(&run.events), imapstate_span_of(row->want));
        imapstate_buf_done(&run.events);
    }
}

TEST(commands_are_framed_alike_however_the_octets_are_split)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        row_check(&commands[i], IMAPSTATE_FRAME_COMMANDS, false);
}

TEST(responses_are_framed_alike_however_the_octets_are_split)
{
    for (size_t i = 0; i < ARRAY_LEN(responses); i++)
        row_check(&responses[i], IMAPSTATE_FRAME_RESPONSES, false);
}

TEST(responses_are_framed_alike_when_lines_are_passed_in_parts)
{
    for (size_t i = 0; i < ARRAY_LEN(responses); i++)
        row_check(&responses[i], IMAPSTATE_FRAME_RESPONSES, true);
}

/* A line of len octets: head, then fill, then tail. */
static struct imapstate_span line_new(const char *head, char fill, const char *tail, size_t len)
{
    size_t head_len = strlen(head), tail_len = strlen(tail);
    uint8_t *line = malloc(len);
    assert_non_null(line);
    memset(line, fill, len);
    memcpy(line, head, head_len);
    memcpy(line + len - tail_len, tail, tail_len);
    return (struct imapstate_span){ line, len };
}

static const struct {
    const char *name;
    enum imapstate_frame_side side;
    const char *head;
    char fill;
    const char *tail;
    size_t len;
    const char *want;
} long_lines[] = {
    { "a command's line may have 64 KiB", IMAPSTATE_FRAME_COMMANDS, "a ", 'x', "\r\n", 65536, "L65536be ." },
    { "and not more", IMAPSTATE_FRAME_COMMANDS, "a ", 'x', "\r\nb NOOP\r\n", 65545, "L65537be! L8be ." },
    { "its end may not come yet", IMAPSTATE_FRAME_COMMANDS, "a ", 'x', "x", 200000, ".+200000" },
    { "what is too long may end in LF alone", IMAPSTATE_FRAME_COMMANDS, "a ", 'x', "\n", 200000, "L200000bef! ." },
    { "a literal behind what is too long", IMAPSTATE_FRAME_COMMANDS, "a ", 'x', " {3+}\r\nb\rc\r\n", 200000,
      "L199995b!{3+} O3 L2e ." },
    { "one that waits", IMAPSTATE_FRAME_COMMANDS, "a ", 'x', " (~{3}\r\nb NOOP\r\n", 200000, "L199992b!~{3} W -+8" },
    { "one of many digits", IMAPSTATE_FRAME_COMMANDS, "a ", 'x',
      " {00000000000000000000000000000000000000000000000000000003+}\r\nbcd\r\n", 200000, "L199995b!{3+} O3 L2e ." },
    { "one of more digits than are waited for", IMAPSTATE_FRAME_COMMANDS, "a {", '0', "+}\r\n", 70000,
      "BAD:LINE_TOO_LONG" },
    { "digits without a brace", IMAPSTATE_FRAME_COMMANDS, "a ", '0', " x\r\n", 200000, "L200000be! ." },
    { "braces without end", IMAPSTATE_FRAME_COMMANDS, "a ", '{', "x\r\n", 200000, "L200000be! ." },
    { "blanks without end", IMAPSTATE_FRAME_COMMANDS, "a ", ' ', "\r\n", 200000, "BAD:LINE_TOO_LONG" },
    { "a misplaced literal behind what is too long", IMAPSTATE_FRAME_COMMANDS, "a ", 'x', "{3+}\r\n", 200000,
      "BAD:LITERAL_MISPLACED" },
    { "a literal that is too large behind what is too long", IMAPSTATE_FRAME_COMMANDS, "a ", 'x', " {4294967296+}\r\n",
      200000, "BAD:LITERAL_TOO_LARGE" },
    { "one that waits and is too large", IMAPSTATE_FRAME_COMMANDS, "a ", 'x', " {4294967296}\r\n", 200000,
      "L200000b!{4294967295} W -" },
    { "CR alone in what is too long", IMAPSTATE_FRAME_COMMANDS, "a \rb", 'x', "\r\n", 200000, "BAD:BARE_CR" },
    { "CR alone at its end", IMAPSTATE_FRAME_COMMANDS, "a ", 'x', "\r\r\n", 200000, "BAD:BARE_CR" },
    { "an open quote in what is too long", IMAPSTATE_FRAME_COMMANDS, "a \"", 'x', "\r\n", 200000, "BAD:QUOTED_OPEN" },
    { "a quote that ends in another part", IMAPSTATE_FRAME_COMMANDS, "a \"", 'x', "\"\r\n", 200000, "L200000be! ." },
    { "a literal that is announced within quotes", IMAPSTATE_FRAME_COMMANDS, "a \"", 'x', " {3+}\"\r\n", 200000,
      "L200000be! ." },
    { "an odd number of backslashes", IMAPSTATE_FRAME_COMMANDS, "a \"", '\\', "\"\r\n", 200001, "BAD:QUOTED_OPEN" },
    { "an even number of backslashes", IMAPSTATE_FRAME_COMMANDS, "a \"", '\\', "\"\r\n", 200000, "L200000be! ." },
    { "quotes alone, even", IMAPSTATE_FRAME_COMMANDS, "a ", '"', "\r\n", 200000, "L200000be! ." },
    { "quotes alone, odd", IMAPSTATE_FRAME_COMMANDS, "a ", '"', "\r\n", 200001, "BAD:QUOTED_OPEN" },
    { "what is too long behind a literal", IMAPSTATE_FRAME_COMMANDS, "a X {1+}\r\nb ", 'x', "\r\n", 200000,
      "L10b{1+} O1 L199989e! ." },
    { "the end may be missing up to there", IMAPSTATE_FRAME_COMMANDS, "a ", 'x', "x", 65535, ".+65535" },
    { "a text may have 64 KiB", IMAPSTATE_FRAME_RESPONSES, "* OK ", 'x', "\r\n", 65536, "L65536bet ." },
    { "and more", IMAPSTATE_FRAME_RESPONSES, "* OK ", 'x', "\r\n", 65537, "L65537bet ." },
    { "so may a tagged one", IMAPSTATE_FRAME_RESPONSES, "a OK [COPYUID 1 ", '1', "] done\r\n", 200000, "L200000bet ." },
    { "however long, it announces no literal", IMAPSTATE_FRAME_RESPONSES, "a OK ", 'x', " {1}\r\n", 200000,
      "L200000bet ." },
    { "LF without CR is seen at its end", IMAPSTATE_FRAME_RESPONSES, "a OK ", 'x', "\n", 200000, "BAD:BARE_LF" },
    { "the second word must come within 64 KiB", IMAPSTATE_FRAME_RESPONSES, "* ", 'x', " y\r\n", 70000,
      "BAD:LINE_TOO_LONG" },
    { "data may be longer", IMAPSTATE_FRAME_RESPONSES, "* SEARCH", ' ', "\r\n", 200000, "L200000be ." },
    { "a literal may stand at the end of long data", IMAPSTATE_FRAME_RESPONSES, "* 1 FETCH", ' ', " {1}\r\nx\r\n",
      200000, "L199997b{1} O1 L2e ." },
    { "LF without CR is seen at the end of long data", IMAPSTATE_FRAME_RESPONSES, "* 1 FETCH", ' ', "\n", 200000,
      "BAD:BARE_LF" },
    { "digits alone are too many when whole", IMAPSTATE_FRAME_RESPONSES, "* X {", '1', "}\r\n", 200000,
      "BAD:LITERAL_TOO_LARGE" },
};

TEST(lines_have_limits_however_the_octets_are_split)
{
    static const size_t steps[] = { 997, 4096, 65535, 65536, 65537, SIZE_MAX };
    for (size_t i = 0; i < ARRAY_LEN(long_lines); i++) {
        struct imapstate_span in =
            line_new(long_lines[i].head, long_lines[i].fill, long_lines[i].tail, long_lines[i].len);
        for (size_t s = 0; s < 2 * ARRAY_LEN(steps); s++) {
            struct frame_run run = { .side = long_lines[i].side, .script = "", .passes = s % 2 };
            frame_run_over(&run, in, steps[s / 2], steps[s / 2]);
            CHECK_SPAN(long_lines[i].name, imapstate_buf_span(&run.events), imapstate_span_of(long_lines[i].want));
            imapstate_buf_done(&run.events);
        }
        free((void *)in.at);
    }
}

TEST(nul_at_the_begin_of_what_is_too_long_is_not_forgotten)
{
    static const struct {
        const char *tail, *want;
    } nuls[] = { { "\r\n", "L200000be0! ." }, { " {3}\r\n", "BAD:NUL" }, { " {3+}\r\n", "BAD:NUL" } };
    static const size_t steps[] = { 997, 65536, SIZE_MAX };
    for (size_t i = 0; i < ARRAY_LEN(nuls); i++) {
        struct imapstate_span in = line_new("a x", 'x', nuls[i].tail, 200000);
        ((uint8_t *)in.at)[2] = '\0';
        for (size_t s = 0; s < ARRAY_LEN(steps); s++) {
            struct frame_run run = { .side = IMAPSTATE_FRAME_COMMANDS, .script = "" };
            frame_run_over(&run, in, steps[s], steps[s]);
            CHECK_SPAN(nuls[i].tail, imapstate_buf_span(&run.events), imapstate_span_of(nuls[i].want));
            imapstate_buf_done(&run.events);
        }
        free((void *)in.at);
    }
}

TEST(octets_that_arrive_one_by_one_are_searched_once)
{
    struct imapstate_span in = line_new("a ", 'x', "\r\n", 65536);
    struct imapstate_frame frame;
    struct imapstate_piece piece;
    imapstate_frame_init(&frame, IMAPSTATE_FRAME_COMMANDS);
    for (size_t len = 0; len < in.len; len++) {
        /* What was searched may change unseen: nobody looks there again for the end of the line. */
        assert_int_equal(imapstate_frame_next(&frame, (struct imapstate_span){ in.at, len }, &piece),
                         IMAPSTATE_FRAME_MORE);
        assert_int_equal(frame.scanned, len);
    }
    assert_int_equal(imapstate_frame_next(&frame, in, &piece), IMAPSTATE_FRAME_LINE);
    free((void *)in.at);
}

TEST(long_data_is_passed_but_for_what_may_announce_a_literal)
{
    static const struct {
        const char *name;
        struct imapstate_span in;
        size_t want; /* octets passed */
    } rows[] = {
        { "one octet stays, to stand before a brace", IMAPSTATE_SPAN("* SEARCH 1 2x"), 12 },
        { "digits stay, and what is before them", IMAPSTATE_SPAN("* SEARCH 1 234"), 10 },
        { "an announcement stays", IMAPSTATE_SPAN("* 1 FETCH (X ~{12}\r"), 12 },
        { "half an announcement stays", IMAPSTATE_SPAN("* 1 FETCH (X {1"), 12 },
        { "the first two words must be there", IMAPSTATE_SPAN("* SEARCH"), 0 },
        { "text is never passed", IMAPSTATE_SPAN("* OK this is a long text"), 0 },
        { "a tagged response is never passed", IMAPSTATE_SPAN("a OK this is a long text"), 0 },
        { "of nothing nothing is passed", IMAPSTATE_SPAN(""), 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct imapstate_frame frame;
        struct imapstate_piece piece = { 0 };
        imapstate_frame_init(&frame, IMAPSTATE_FRAME_RESPONSES);
        CHECK_ROW(rows[i].name, imapstate_frame_next(&frame, rows[i].in, &piece) == IMAPSTATE_FRAME_MORE);
        CHECK_ROW(rows[i].name, imapstate_frame_is_passable(&frame, rows[i].in) == (rows[i].want > 0));
        CHECK_ROW(rows[i].name, imapstate_frame_pass(&frame, rows[i].in, &piece) == (rows[i].want > 0));
        CHECK_ROW(rows[i].name, piece.octets.len == rows[i].want);
        CHECK_ROW(rows[i].name, imapstate_frame_is_between(&frame) == (rows[i].want == 0));
    }
}

TEST(a_line_whose_end_was_not_searched_is_not_passed)
{
    struct imapstate_frame frame;
    struct imapstate_piece piece;
    imapstate_frame_init(&frame, IMAPSTATE_FRAME_RESPONSES);
    struct imapstate_span in = IMAPSTATE_SPAN("* SEARCH 1 2\r\n* BYE\r\n");
    assert_false(imapstate_frame_pass(&frame, in, &piece));
    assert_int_equal(imapstate_frame_next(&frame, in, &piece), IMAPSTATE_FRAME_LINE);
    assert_int_equal(piece.octets.len, 14);
}

TEST(after_bad_a_frame_stays_bad)
{
    struct imapstate_frame frame;
    struct imapstate_piece piece;
    imapstate_frame_init(&frame, IMAPSTATE_FRAME_COMMANDS);
    assert_int_equal(imapstate_frame_error(&frame), IMAPSTATE_OK);
    assert_int_equal(imapstate_frame_next(&frame, IMAPSTATE_SPAN("a\rb\n"), &piece), IMAPSTATE_FRAME_BAD);
    imapstate_frame_expect_continuation(&frame);
    imapstate_frame_literal_go(&frame);
    imapstate_frame_literal_refused(&frame);
    assert_int_equal(imapstate_frame_next(&frame, IMAPSTATE_SPAN("b NOOP\r\n"), &piece), IMAPSTATE_FRAME_BAD);
    assert_int_equal(imapstate_frame_error(&frame), IMAPSTATE_BARE_CR);
    assert_false(imapstate_frame_is_between(&frame));
}

TEST(decisions_and_continuations_out_of_place_change_nothing)
{
    struct imapstate_frame frame;
    struct imapstate_piece piece;
    imapstate_frame_init(&frame, IMAPSTATE_FRAME_COMMANDS);
    imapstate_frame_literal_go(&frame);
    imapstate_frame_literal_refused(&frame);
    assert_true(imapstate_frame_is_between(&frame));
    assert_int_equal(imapstate_frame_next(&frame, IMAPSTATE_SPAN("a X {2+}\r\n"), &piece), IMAPSTATE_FRAME_LINE);
    imapstate_frame_literal_refused(&frame);
    imapstate_frame_expect_continuation(&frame);
    assert_int_equal(imapstate_frame_next(&frame, IMAPSTATE_SPAN("yz\r\n"), &piece), IMAPSTATE_FRAME_LITERAL);
    imapstate_frame_expect_continuation(&frame);
    imapstate_frame_expect_command(&frame);
    assert_int_equal(imapstate_frame_next(&frame, IMAPSTATE_SPAN("\r\n"), &piece), IMAPSTATE_FRAME_LINE);
    assert_true(piece.ends && !piece.begins && !piece.is_continuation);
    struct imapstate_frame answers;
    imapstate_frame_init(&answers, IMAPSTATE_FRAME_RESPONSES);
    imapstate_frame_expect_continuation(&answers);
    assert_true(imapstate_frame_is_between(&answers));
}

/* A line that may be DONE or a command is taken for either until it is there. */
TEST(what_was_searched_as_a_continuation_is_not_searched_again)
{
    struct imapstate_frame frame;
    struct imapstate_piece piece;
    uint8_t line[1000];
    memset(line, 'x', sizeof line);
    imapstate_frame_init(&frame, IMAPSTATE_FRAME_COMMANDS);
    for (size_t len = 1; len <= sizeof line; len++) {
        assert_int_equal(frame.scanned, len - 1);
        imapstate_frame_expect_continuation(&frame);
        assert_int_equal(imapstate_frame_next(&frame, (struct imapstate_span){ line, len }, &piece),
                         IMAPSTATE_FRAME_MORE);
        imapstate_frame_expect_command(&frame);
        assert_true(imapstate_frame_is_between(&frame));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_are_framed_alike_however_the_octets_are_split),
        cmocka_unit_test(responses_are_framed_alike_however_the_octets_are_split),
        cmocka_unit_test(responses_are_framed_alike_when_lines_are_passed_in_parts),
        cmocka_unit_test(lines_have_limits_however_the_octets_are_split),
        cmocka_unit_test(nul_at_the_begin_of_what_is_too_long_is_not_forgotten),
        cmocka_unit_test(octets_that_arrive_one_by_one_are_searched_once),
        cmocka_unit_test(long_data_is_passed_but_for_what_may_announce_a_literal),
        cmocka_unit_test(a_line_whose_end_was_not_searched_is_not_passed),
        cmocka_unit_test(after_bad_a_frame_stays_bad),
        cmocka_unit_test(decisions_and_continuations_out_of_place_change_nothing),
        cmocka_unit_test(what_was_searched_as_a_continuation_is_not_searched_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
