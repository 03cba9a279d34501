#include "exchange.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "capability.h"
#include "words.h"

/* Octets that may wait: of an answer without an end, and of a flight. */
#define EXCHANGE_MAX (1u << 20)

static bool exchange_fail(struct exchange *exchange, const char *what)
{
    exchange->error = what;
    return false;
}

static bool exchange_fail_memory(struct exchange *exchange)
{
    return exchange_fail(exchange, imapstate_strerror(IMAPSTATE_NO_MEMORY));
}

/* --- what the server says --- */

static struct imapstate_span behind(struct imapstate_span text, size_t len)
{
    return (struct imapstate_span){ text.at + len, text.len - len };
}

static bool exchange_keep_refusal(struct exchange *exchange, struct imapstate_span text)
{
    imapstate_buf_clear(&exchange->refusal);
    return imapstate_buf_put(&exchange->refusal, text) || exchange_fail_memory(exchange);
}

static bool exchange_hear_untagged(struct exchange *exchange, struct imapstate_span text)
{
    struct imapstate_span word = words_at(text, 0);
    bool is_bye = word_is(word, "BYE");
    if (is_bye && !exchange_keep_refusal(exchange, text))
        return false;
    if (exchange->has_greeting)
        return true;
    exchange->has_greeting = true;
    if (word_is(word, "OK"))
        return true;
    if (is_bye)
        return exchange_fail(exchange, "the server accepts no connections now");
    return exchange_fail(exchange, word_is(word, "PREAUTH") ? "the server has logged somebody in by itself (PREAUTH)"
                                                            : "this is not an IMAP server");
}

static bool exchange_hear_tagged(struct exchange *exchange, struct imapstate_span tag, struct imapstate_span text)
{
    struct exchange_command *command = exchange->commands;
    while (command < exchange->commands + exchange->command_count &&
           (command->status != EXCHANGE_PENDING || !word_is(tag, command->tag)))
        command++;
    if (command == exchange->commands + exchange->command_count)
        return exchange_fail(exchange, exchange->has_greeting ? "an answer came that belongs to no command"
                                                              : "this is not an IMAP server");
    struct imapstate_span word = words_at(text, 0);
    if (word_is(word, "OK"))
        command->status = EXCHANGE_OK;
    else if (word_is(word, "NO"))
        command->status = EXCHANGE_NO;
    else
        command->status = EXCHANGE_BAD;
    return command->status == EXCHANGE_OK || exchange_keep_refusal(exchange, text);
}

static bool exchange_hear_question(struct exchange *exchange, struct imapstate_span text)
{
    exchange->is_asked = true;
    imapstate_buf_clear(&exchange->question);
    return imapstate_buf_put(&exchange->question, text) || exchange_fail_memory(exchange);
}

/* The first line of a response. */
static bool exchange_hear_response(struct exchange *exchange, struct imapstate_span octets)
{
    struct imapstate_span line = imapstate_span_without_line_end(octets), text = line, tag = words_first(&text), names;

    imapstate_visit_response(exchange->visit, octets);
    if (capability_find(octets, &names)) {
        imapstate_buf_clear(&exchange->names);
        if (!imapstate_buf_put(&exchange->names, names))
            return exchange_fail_memory(exchange);
    }
    if (line.len > 0 && line.at[0] == '+')
        return exchange_hear_question(exchange, behind(line, line.len > 1 && line.at[1] == ' ' ? 2 : 1));
    return word_is(tag, "*") ? exchange_hear_untagged(exchange, text) : exchange_hear_tagged(exchange, tag, text);
}

/* A line that could not be shown. */
static bool exchange_fail_shown(struct exchange *exchange)
{
    return exchange->transcript->count < TRANSCRIPT_SECRETS_MAX
               ? exchange_fail_memory(exchange)
               : exchange_fail(exchange, "the server has sent more tokens than can be masked");
}

static bool exchange_hear_piece(struct exchange *exchange, const struct imapstate_piece *piece)
{
    if (!transcript_server(exchange->transcript, piece->octets))
        return exchange_fail_shown(exchange);
    if (piece->literal.announced)
        transcript_literal(exchange->transcript, piece->literal.octets);
    return !piece->begins || exchange_hear_response(exchange, piece->octets);
}

const struct exchange_command *exchange_pending(const struct exchange *exchange)
{
    for (size_t i = 0; i < exchange->command_count; i++)
        if (exchange->commands[i].status == EXCHANGE_PENDING)
            return &exchange->commands[i];
    return NULL;
}

bool exchange_is_over(const struct exchange *exchange)
{
    return exchange->has_greeting && (exchange->is_asked || !exchange_pending(exchange));
}

bool exchange_hear(struct exchange *exchange)
{
    struct imapstate_piece piece;
    while (!exchange_is_over(exchange)) {
        switch (imapstate_frame_next(&exchange->frame, imapstate_buf_span(&exchange->in), &piece)) {
        case IMAPSTATE_FRAME_LINE:
            if (!exchange_hear_piece(exchange, &piece))
                return false;
            break;
        case IMAPSTATE_FRAME_LITERAL:
            break;
        case IMAPSTATE_FRAME_BAD:
            return exchange_fail(exchange, exchange->has_greeting
                                               ? imapstate_strerror(imapstate_frame_error(&exchange->frame))
                                               : "this is not an IMAP server");
        default:
            return true;
        }
        imapstate_buf_drop(&exchange->in, piece.octets.len);
    }
    return true;
}

/* --- beginning and end --- */

bool exchange_init(struct exchange *exchange, struct transcript *transcript)
{
    *exchange = (struct exchange){ .transcript = transcript, .visit = imapstate_visit_new() };
    imapstate_frame_init(&exchange->frame, IMAPSTATE_FRAME_RESPONSES);
    imapstate_buf_init(&exchange->in, EXCHANGE_MAX);
    imapstate_buf_init(&exchange->out, EXCHANGE_MAX);
    imapstate_buf_init(&exchange->names, EXCHANGE_MAX);
    imapstate_buf_init(&exchange->refusal, EXCHANGE_MAX);
    imapstate_buf_init(&exchange->question, EXCHANGE_MAX);
    return exchange->visit || exchange_fail_memory(exchange);
}

void exchange_done(struct exchange *exchange)
{
    imapstate_visit_free(exchange->visit);
    imapstate_buf_done(&exchange->in);
    imapstate_buf_done(&exchange->out);
    imapstate_buf_done(&exchange->names);
    imapstate_buf_done(&exchange->refusal);
    imapstate_buf_done(&exchange->question);
}

void exchange_begin_flight(struct exchange *exchange)
{
    imapstate_buf_clear(&exchange->out);
    exchange->is_asked = false;
}

/* --- what we say --- */

/* The next command's place. The commands of a flight that is over make room for it. */
static struct exchange_command *exchange_next_command(struct exchange *exchange, struct imapstate_span name)
{
    if (exchange->out.len == 0 && !exchange_pending(exchange))
        exchange->command_count = 0;
    assert(exchange->command_count < EXCHANGE_COMMANDS_MAX);
    struct exchange_command *command = &exchange->commands[exchange->command_count++];
    *command = (struct exchange_command){ .status = EXCHANGE_PENDING };
    snprintf(command->tag, sizeof command->tag, "A%u", ++exchange->number);
    struct imapstate_span word = words_next(&name);
    snprintf(command->name, sizeof command->name, "%.*s", (int)word.len, (const char *)word.at);
    return command;
}

/* Shows what was appended to the flight. */
static bool exchange_show(struct exchange *exchange, size_t begin, bool is_put)
{
    struct imapstate_span line = { exchange->out.at + begin, exchange->out.len - begin };
    return (is_put && transcript_client(exchange->transcript, line)) || exchange_fail_memory(exchange);
}

bool exchange_put(struct exchange *exchange, struct imapstate_span text)
{
    struct exchange_command *command = exchange_next_command(exchange, text);
    size_t begin = exchange->out.len;
    bool is_put = imapstate_visit_sent(exchange->visit, imapstate_span_of(command->tag), text) == IMAPSTATE_OK &&
                  imapstate_buf_printf(&exchange->out, "%s ", command->tag) &&
                  imapstate_buf_put(&exchange->out, text) && imapstate_buf_put(&exchange->out, IMAPSTATE_SPAN("\r\n"));
    return exchange_show(exchange, begin, is_put);
}

bool exchange_put_state(struct exchange *exchange)
{
    struct exchange_command *command = exchange_next_command(exchange, IMAPSTATE_SPAN("STATE"));
    size_t begin = exchange->out.len;
    bool is_put = imapstate_visit_put_state(exchange->visit, imapstate_span_of(command->tag), &exchange->out);
    return exchange_show(exchange, begin, is_put);
}

bool exchange_put_savestate(struct exchange *exchange, uint64_t now_s)
{
    struct exchange_command *command = exchange_next_command(exchange, IMAPSTATE_SPAN("SAVESTATE"));
    size_t begin = exchange->out.len;
    bool is_put =
        imapstate_visit_put_savestate(exchange->visit, imapstate_span_of(command->tag), now_s, &exchange->out);
    if (!is_put)
        return exchange_fail(exchange, "the server has announced a command as stored that was not sent");
    return exchange_show(exchange, begin, is_put);
}

bool exchange_put_continuation(struct exchange *exchange, struct imapstate_span line)
{
    size_t begin = exchange->out.len;
    bool is_put = imapstate_buf_put(&exchange->out, line) && imapstate_buf_put(&exchange->out, IMAPSTATE_SPAN("\r\n"));
    return exchange_show(exchange, begin, is_put);
}

bool exchange_offers(const struct exchange *exchange, const char *word)
{
    return words_have(imapstate_buf_span(&exchange->names), imapstate_span_of(word));
}

enum exchange_status exchange_status(const struct exchange *exchange, size_t index)
{
    assert(index < exchange->command_count);
    return exchange->commands[index].status;
}
