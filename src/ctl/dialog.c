#include "dialog.h"

#include "capability.h"
#include "clock.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Octets that may wait: of an answer without an end, and of a flight. */
#define DIALOG_MAX (1u << 20)

static bool dialog_fail(struct dialog *dialog, const char *what)
{
    snprintf(dialog->connection.error, sizeof dialog->connection.error, "%s", what);
    return false;
}

static bool dialog_fail_memory(struct dialog *dialog)
{
    return dialog_fail(dialog, imapstate_strerror(IMAPSTATE_NO_MEMORY));
}

/* --- what the server says --- */

/* Does text begin with the word and an SP? In any case. */
static bool begins_with(struct imapstate_span text, const char *word)
{
    size_t len = strlen(word);
    return text.len > len && text.at[len] == ' ' &&
           imapstate_span_equal_nocase((struct imapstate_span){ text.at, len }, imapstate_span_of(word));
}

static struct imapstate_span behind(struct imapstate_span text, size_t len)
{
    return (struct imapstate_span){ text.at + len, text.len - len };
}

static bool dialog_keep_refusal(struct dialog *dialog, struct imapstate_span text)
{
    imapstate_buf_clear(&dialog->refusal);
    return imapstate_buf_put(&dialog->refusal, text) || dialog_fail_memory(dialog);
}

static bool dialog_hear_untagged(struct dialog *dialog, struct imapstate_span text)
{
    bool is_bye = begins_with(text, "BYE");
    if (is_bye && !dialog_keep_refusal(dialog, text))
        return false;
    if (dialog->has_greeting)
        return true;
    dialog->has_greeting = true;
    if (begins_with(text, "OK"))
        return true;
    if (is_bye)
        return dialog_fail(dialog, "the server wants no connection now");
    return dialog_fail(dialog, begins_with(text, "PREAUTH") ? "the server has logged somebody in by itself (PREAUTH)"
                                                            : "this is no IMAP server");
}

static bool dialog_hear_tagged(struct dialog *dialog, struct imapstate_span line)
{
    struct dialog_command *command = dialog->commands;
    while (command < dialog->commands + dialog->command_count &&
           (command->status != DIALOG_PENDING || !begins_with(line, command->tag)))
        command++;
    if (command == dialog->commands + dialog->command_count)
        return dialog_fail(dialog, dialog->has_greeting ? "an answer came that belongs to no command"
                                                        : "this is no IMAP server");
    struct imapstate_span text = behind(line, strlen(command->tag) + 1);
    if (begins_with(text, "OK"))
        command->status = DIALOG_OK;
    else if (begins_with(text, "NO"))
        command->status = DIALOG_NO;
    else
        command->status = DIALOG_BAD;
    return command->status == DIALOG_OK || dialog_keep_refusal(dialog, text);
}

/* The first line of a response. */
static bool dialog_hear(struct dialog *dialog, struct imapstate_span octets)
{
    struct imapstate_span line = imapstate_span_without_line_end(octets), names;

    imapstate_visit_response(dialog->visit, octets);
    if (capability_find(octets, &names)) {
        imapstate_buf_clear(&dialog->names);
        if (!imapstate_buf_put(&dialog->names, names))
            return dialog_fail_memory(dialog);
    }
    if (line.len > 0 && line.at[0] == '+')
        return dialog->is_asked = true;
    if (begins_with(line, "*"))
        return dialog_hear_untagged(dialog, behind(line, 2));
    return dialog_hear_tagged(dialog, line);
}

static bool dialog_hear_piece(struct dialog *dialog, const struct imapstate_piece *piece)
{
    if (!transcript_server(dialog->transcript, piece->octets))
        return dialog_fail_memory(dialog);
    if (piece->literal.announced)
        transcript_literal(dialog->transcript, piece->literal.octets);
    return !piece->begins || dialog_hear(dialog, piece->octets);
}

/* The first command that waits for its answer, or NULL. */
static const struct dialog_command *dialog_pending(const struct dialog *dialog)
{
    for (size_t i = 0; i < dialog->command_count; i++)
        if (dialog->commands[i].status == DIALOG_PENDING)
            return &dialog->commands[i];
    return NULL;
}

/* Is it our turn? */
static bool dialog_is_over(const struct dialog *dialog)
{
    return dialog->has_greeting && (dialog->is_asked || !dialog_pending(dialog));
}

/* What has arrived, up to the end of the flight: what is behind STARTTLS must not be looked at. */
static bool dialog_hear_all(struct dialog *dialog)
{
    struct imapstate_piece piece;
    while (!dialog_is_over(dialog)) {
        switch (imapstate_frame_next(&dialog->frame, imapstate_buf_span(&dialog->in), &piece)) {
        case IMAPSTATE_FRAME_LINE:
            if (!dialog_hear_piece(dialog, &piece))
                return false;
            break;
        case IMAPSTATE_FRAME_LITERAL:
            break;
        case IMAPSTATE_FRAME_BAD:
            return dialog_fail(dialog, dialog->has_greeting ? imapstate_strerror(imapstate_frame_error(&dialog->frame))
                                                            : "this is no IMAP server");
        default:
            return true;
        }
        imapstate_buf_drop(&dialog->in, piece.octets.len);
    }
    return true;
}

/* Says in the error what was waited for. */
static bool dialog_read(struct dialog *dialog)
{
    const struct dialog_command *pending = dialog_pending(dialog);
    char error[sizeof dialog->connection.error];

    if (connection_read(&dialog->connection, &dialog->in))
        return true;
    memcpy(error, dialog->connection.error, sizeof error);
    snprintf(dialog->connection.error, sizeof dialog->connection.error, "%.200s (waiting for %s%s)", error,
             pending ? "the answer to " : "the greeting", pending ? pending->name : "");
    return false;
}

static bool dialog_await(struct dialog *dialog)
{
    while (!dialog_is_over(dialog))
        if (!dialog_read(dialog) || !dialog_hear_all(dialog))
            return false;
    return true;
}

/* --- what we say --- */

/* The next command's place. The commands of a flight that is over make room for it. */
static struct dialog_command *dialog_next_command(struct dialog *dialog, struct imapstate_span name)
{
    if (dialog->out.len == 0 && !dialog_pending(dialog))
        dialog->command_count = 0;
    assert(dialog->command_count < DIALOG_COMMANDS_MAX);
    struct dialog_command *command = &dialog->commands[dialog->command_count++];
    *command = (struct dialog_command){ .status = DIALOG_PENDING };
    snprintf(command->tag, sizeof command->tag, "A%u", ++dialog->number);
    size_t len = 0;
    while (len < name.len && name.at[len] != ' ' && len + 1 < sizeof command->name)
        len++;
    memcpy(command->name, name.at, len);
    return command;
}

/* Shows what was appended to the flight. */
static bool dialog_show(struct dialog *dialog, size_t begin, bool is_put)
{
    struct imapstate_span line = { dialog->out.at + begin, dialog->out.len - begin };
    return (is_put && transcript_client(dialog->transcript, line)) || dialog_fail_memory(dialog);
}

bool dialog_put(struct dialog *dialog, struct imapstate_span text)
{
    struct dialog_command *command = dialog_next_command(dialog, text);
    size_t begin = dialog->out.len;
    bool is_put = imapstate_visit_sent(dialog->visit, imapstate_span_of(command->tag), text) == IMAPSTATE_OK &&
                  imapstate_buf_printf(&dialog->out, "%s ", command->tag) && imapstate_buf_put(&dialog->out, text) &&
                  imapstate_buf_put(&dialog->out, IMAPSTATE_SPAN("\r\n"));
    return dialog_show(dialog, begin, is_put);
}

bool dialog_put_state(struct dialog *dialog)
{
    struct dialog_command *command = dialog_next_command(dialog, IMAPSTATE_SPAN("STATE"));
    size_t begin = dialog->out.len;
    bool is_put = imapstate_visit_put_state(dialog->visit, imapstate_span_of(command->tag), &dialog->out);
    return dialog_show(dialog, begin, is_put);
}

bool dialog_put_savestate(struct dialog *dialog)
{
    struct dialog_command *command = dialog_next_command(dialog, IMAPSTATE_SPAN("SAVESTATE"));
    size_t begin = dialog->out.len;
    bool is_put = imapstate_visit_put_savestate(dialog->visit, imapstate_span_of(command->tag), (uint64_t)time(NULL),
                                                &dialog->out);
    if (!is_put)
        return dialog_fail(dialog, "the server has announced a command as stored that was not sent");
    return dialog_show(dialog, begin, is_put);
}

bool dialog_put_continuation(struct dialog *dialog, struct imapstate_span line)
{
    size_t begin = dialog->out.len;
    bool is_put = imapstate_buf_put(&dialog->out, line) && imapstate_buf_put(&dialog->out, IMAPSTATE_SPAN("\r\n"));
    return dialog_show(dialog, begin, is_put);
}

bool dialog_fly(struct dialog *dialog)
{
    dialog->flights++;
    dialog->is_asked = false;
    connection_set_deadline(&dialog->connection);
    bool is_written = connection_write(&dialog->connection, imapstate_buf_span(&dialog->out));
    imapstate_buf_clear(&dialog->out);
    if (!is_written)
        return false;
    if (!dialog_await(dialog))
        return false;
    dialog->answered_us = clock_us();
    return true;
}

/* --- beginning and end --- */

bool dialog_begin(struct dialog *dialog, const struct connection_target *target, struct transcript *transcript)
{
    *dialog = (struct dialog){ .transcript = transcript, .visit = imapstate_visit_new(), .began_us = clock_us() };
    imapstate_frame_init(&dialog->frame, IMAPSTATE_FRAME_RESPONSES);
    imapstate_buf_init(&dialog->in, DIALOG_MAX);
    imapstate_buf_init(&dialog->out, DIALOG_MAX);
    imapstate_buf_init(&dialog->names, DIALOG_MAX);
    imapstate_buf_init(&dialog->refusal, DIALOG_MAX);
    if (!connection_open(&dialog->connection, target))
        return false;
    if (!dialog->visit)
        return dialog_fail_memory(dialog);
    connection_set_deadline(&dialog->connection);
    if (!dialog_await(dialog))
        return false;
    dialog->greeted_us = dialog->answered_us = clock_us();
    return true;
}

void dialog_done(struct dialog *dialog)
{
    connection_close(&dialog->connection);
    imapstate_visit_free(dialog->visit);
    imapstate_buf_done(&dialog->in);
    imapstate_buf_done(&dialog->out);
    imapstate_buf_done(&dialog->names);
    imapstate_buf_done(&dialog->refusal);
}

bool dialog_start_tls(struct dialog *dialog)
{
    if (!dialog_put(dialog, IMAPSTATE_SPAN("STARTTLS")) || !dialog_fly(dialog))
        return false;
    if (dialog_status(dialog, 0) != DIALOG_OK)
        return dialog_fail(dialog, "the server refuses STARTTLS");
    /* Somebody in between may have put them there (RFC 9051 section 11.3). */
    if (dialog->in.len > 0)
        return dialog_fail(dialog, "octets came in clear behind the answer to STARTTLS");
    imapstate_buf_clear(&dialog->names);
    return connection_secure(&dialog->connection);
}

bool dialog_offers(const struct dialog *dialog, const char *word)
{
    struct imapstate_span names = imapstate_buf_span(&dialog->names);
    while (names.len > 0) {
        size_t len = 0;
        while (len < names.len && names.at[len] != ' ')
            len++;
        if (imapstate_span_equal_nocase((struct imapstate_span){ names.at, len }, imapstate_span_of(word)))
            return true;
        names = behind(names, len < names.len ? len + 1 : len);
    }
    return false;
}

enum dialog_status dialog_status(const struct dialog *dialog, size_t index)
{
    assert(index < dialog->command_count);
    return dialog->commands[index].status;
}
