/* What is taken out of a command lies inside of it, and an astring that was read reads the same when it is written
 * anew. */
#include "fuzz.h"

#include <imapstate/command.h>

#include <string.h>

static void require(bool condition)
{
    if (!condition)
        abort();
}

static bool is_inside(struct imapstate_span part, struct imapstate_span whole)
{
    return part.len == 0 ||
           (part.at >= whole.at && part.len <= whole.len && (size_t)(part.at - whole.at) <= whole.len - part.len);
}

/* tag, name and arguments stand in this order with one SP between, and nothing of the line but its end is left. */
static void parse_check(struct imapstate_span line)
{
    struct imapstate_command_line parts;
    enum imapstate_error error = imapstate_command_parse(line, &parts);
    require(parts.command != NULL);
    require(is_inside(parts.tag, line) && is_inside(parts.name, line) && is_inside(parts.arguments, line));
    require(parts.tag.len == 0 || parts.tag.at == line.at);
    if (error != IMAPSTATE_OK) {
        require(error == IMAPSTATE_SYNTAX && !parts.command->is_known);
        return;
    }
    require(parts.tag.len > 0 && parts.name.len > 0);
    require(!memchr(parts.tag.at, '\0', parts.tag.len) && !memchr(parts.name.at, '\0', parts.name.len));
    require(parts.tag.at[parts.tag.len] == ' ' && parts.name.at == parts.tag.at + parts.tag.len + 1);
    require(parts.arguments.at == parts.name.at + parts.name.len + parts.has_arguments_sp);
    require(line.len - (size_t)(parts.arguments.at + parts.arguments.len - line.at) <= 2);
    require(!parts.command->is_known ||
            imapstate_span_equal_nocase(parts.name, imapstate_span_of(parts.command->name)));
}

static void literal_put(struct imapstate_buf *buf, struct imapstate_span value)
{
    require(imapstate_buf_printf(buf, "{%zu+}\r\n", value.len) && imapstate_buf_put(buf, value));
}

static void astring_check(struct imapstate_span in, size_t max)
{
    struct imapstate_span rest = in;
    struct imapstate_buf value, literal, again;
    imapstate_buf_init(&value, max);
    imapstate_buf_init(&literal, SIZE_MAX);
    imapstate_buf_init(&again, max);
    if (imapstate_command_astring(&rest, &value) == IMAPSTATE_OK) {
        require(rest.len < in.len && rest.at + rest.len == in.at + in.len && value.len <= in.len);
        literal_put(&literal, imapstate_buf_span(&value));
        struct imapstate_span written = imapstate_buf_span(&literal);
        require(imapstate_command_astring(&written, &again) == IMAPSTATE_OK && written.len == 0);
        require(imapstate_span_equal(imapstate_buf_span(&value), imapstate_buf_span(&again)));
    } else {
        require(rest.at == in.at && rest.len == in.len && value.len == 0);
    }
    imapstate_buf_done(&value);
    imapstate_buf_done(&literal);
    imapstate_buf_done(&again);
}

static void login_string_check(struct imapstate_span in)
{
    struct imapstate_span rest = in;
    struct imapstate_buf value;
    imapstate_buf_init(&value, 64);
    if (imapstate_command_login_string(&rest, &value) == IMAPSTATE_OK)
        require(rest.len < in.len && rest.at + rest.len == in.at + in.len && value.len <= in.len);
    else
        require(rest.at == in.at && rest.len == in.len && value.len == 0);
    imapstate_buf_done(&value);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct imapstate_span in = { at, len };
    parse_check(in);
    astring_check(in, SIZE_MAX);
    astring_check(in, 16);
    login_string_check(in);
    const struct imapstate_command *command;
    for (size_t i = 0; (command = imapstate_command_at(i)); i++)
        imapstate_command_may_enable(command, in);
    return 0;
}
