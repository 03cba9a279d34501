/* The lines of APPEND and REPLACE: of what goes up, nothing outside of quoted strings is a control or 8-bit octet, a
 * brace but that of the literal which the line announces, or right behind a string. */
#include "fuzz.h"

#include "append.h"

#include <string.h>

static void check_line(struct imapstate_span text)
{
    bool is_quoted = false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '"' && !is_quoted)
            CHECK(i == 0 || text.at[i - 1] == ' ' || text.at[i - 1] == '(');
        if (text.at[i] == '"' && is_quoted)
            CHECK(i + 1 == text.len || text.at[i + 1] == ' ' || text.at[i + 1] == ')');
        if (text.at[i] == '"')
            is_quoted = !is_quoted;
        else if (is_quoted && text.at[i] == '\\')
            i++;
        else if (!is_quoted)
            CHECK(text.at[i] >= ' ' && text.at[i] < 0x7f && text.at[i] != '{');
    }
    CHECK(!is_quoted);
}

/* What stands before the announcement of a literal. */
static struct imapstate_span text_of(const struct imapstate_piece *piece, struct imapstate_span text)
{
    if (!piece->literal.announced)
        return text;
    const uint8_t *brace = memrchr(text.at, '{', text.len);
    CHECK(brace);
    return (struct imapstate_span){ text.at, (size_t)(brace - text.at) - piece->literal.binary };
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct imapstate_span in = { at, len };
    bool is_in_list = false;
    for (bool begins = true; in.len > 0; begins = false) {
        struct imapstate_frame frame;
        struct imapstate_piece piece;
        struct imapstate_command_line line;
        imapstate_frame_init(&frame, IMAPSTATE_FRAME_COMMANDS);
        if (imapstate_frame_next(&frame, in, &piece) != IMAPSTATE_FRAME_LINE || piece.refused != IMAPSTATE_OK)
            return 0;
        struct imapstate_span text = imapstate_span_without_line_end(piece.octets);
        if (begins && imapstate_command_parse(piece.octets, &line) != IMAPSTATE_OK)
            return 0;
        if (begins ? !append_begins_well(&line, &piece, &is_in_list) : !append_goes_on_well(&piece, &is_in_list))
            return 0;
        if (begins && line.command->literals != IMAPSTATE_LITERALS_MESSAGE)
            return 0;
        check_line(text_of(&piece, begins ? line.arguments : text));
        in.at += piece.octets.len;
        in.len -= piece.octets.len;
    }
    return 0;
}
