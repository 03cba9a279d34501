#include "relay.h"

#include <string.h>

#include "admission.h"
#include "append.h"
#include "capability.h"
#include "catalogue.h"
#include "choice.h"
#include "client.h"
#include "down.h"
#include "evidence.h"
#include "fitness.h"
#include "language.h"
#include "offers.h"
#include "record.h"
#include "resend.h"
#include "restore.h"
#include "rewrite.h"
#include "session.h"
#include "status.h"
#include "stream.h"
#include "tag.h"
#include "upstream.h"
#include "waking.h"
#include "words.h"

/* Of what relay_ask() asks. */
#define RELAY_TAG UPSTREAM_TAG "-ask"

/* So much of "* 12 FETCH (...)" is waited for, so that an unasked MODSEQ is seen however the network has cut it. */
#define RELAY_NUMBERED_HELD 512u

/* --- down --- */

/* An ID in which the client may say what only a trusted proxy may (id.h), plainly or hidden by an escape or
 * in a literal: it goes on when it has been read. */
static bool relay_is_doubtful_id(const struct imapstate_command_line *line, const struct imapstate_piece *piece)
{
    return line->command->id == IMAPSTATE_COMMAND_ID &&
           (piece->literal.announced || imapstate_span_contains_nocase(line->arguments, IMAPSTATE_SPAN("x-")) ||
            imapstate_span_contains_nocase(line->arguments, IMAPSTATE_SPAN("\\")));
}

/* The gateway's own, of an authenticated client; all others are the upstream's. */
static bool relay_is_ours(const struct client *client, const struct imapstate_command *command)
{
    switch (command->id) {
    case IMAPSTATE_COMMAND_AUTHENTICATE:
    case IMAPSTATE_COMMAND_COMPRESS:
    case IMAPSTATE_COMMAND_LOGIN:
    case IMAPSTATE_COMMAND_LOGOUT:
    case IMAPSTATE_COMMAND_SAVESTATE:
    case IMAPSTATE_COMMAND_STARTTLS:
    case IMAPSTATE_COMMAND_STATE:
        return true;
    case IMAPSTATE_COMMAND_UNAUTHENTICATE:
        return offers_known(client->session.offers)->unauthenticate;
    case IMAPSTATE_COMMAND_LANGUAGE:
        return client_has_language(client);
    case IMAPSTATE_COMMAND_CAPABILITY:
        return !client->upstream;
    case IMAPSTATE_COMMAND_ID:
        return !client->upstream;
    default:
        return false;
    }
}

/* Can it be answered before there is a connection? */
static bool relay_is_on_record(struct client *client, const struct imapstate_command_line *line,
                               const struct imapstate_piece *piece)
{
    struct imapstate_buf answer;
    bool is_on_record = false;
    imapstate_buf_init(&answer, RECORD_MAX);
    if (line->command->id == IMAPSTATE_COMMAND_ENABLE && !piece->literal.announced)
        is_on_record =
            choice_look_up(client, imapstate_span_without_line_end(line->arguments), &answer) != RECORD_UNKNOWN;
    else if (line->command->id == IMAPSTATE_COMMAND_NAMESPACE && !line->has_arguments_sp)
        is_on_record = choice_namespace(client, &answer);
    imapstate_buf_done(&answer);
    return is_on_record;
}

/* May the octets of a literal go up as they come? They are then counted by us and by the upstream, each for itself, and
 * an upstream that takes the line for a mistake takes them for commands. Those of APPEND may, behind the mailbox's
 * name, which is no message. arguments: of a first line; a further one is behind a literal, which was the name at
 * least. */
static bool relay_may_stream(const struct client *client, const struct imapstate_piece *piece,
                             struct imapstate_span arguments)
{
    const struct capabilities *offers = offers_known(client->session.offers);
    const struct imapstate_literal *literal = &piece->literal;
    bool is_name = piece->begins && !memchr(arguments.at, ' ', arguments.len);
    return client->upstream->config->append_literals == CONFIG_LITERALS_STREAM &&
           client->sending->command->id == IMAPSTATE_COMMAND_APPEND && !is_name && capability_nonsync_max(offers) > 0 &&
           literal->octets <= capability_nonsync_max(offers) && (!literal->binary || offers->binary);
}

/* May a line go up twice? No server runs APPEND before it has the message, which it is yet to ask for. Of other
 * commands that is not certain: Dovecot runs SUBSCRIBE as it stands and takes the literal behind it for commands. */
static bool relay_may_repeat(const struct client *client, const struct imapstate_command *command,
                             const struct imapstate_piece *piece)
{
    bool awaits_message = command->literals == IMAPSTATE_LITERALS_MESSAGE && piece->literal.announced &&
                          client->upstream->config->append_literals != CONFIG_LITERALS_STREAM;
    return command->repeatable || awaits_message;
}

static void relay_distrust(struct client *client, const char *detail)
{
    client->session.is_uncertain = true; /* the upstream may be elsewhere than we are: never to be parked */
    client_set_detail(client, detail);
    client_end(client, CLIENT_ENDING_FRAMING, "BYE " N_("Command cannot be read with certainty."));
}

/* Of a storable command, the arguments are kept until it is answered. */
static void relay_capture(struct client *client, struct imapstate_span octets)
{
    pipeline_capture(&client->pipeline, client->sending, octets);
}

static void relay_forward(struct client *client, struct imapstate_span octets)
{
    choice_sent(client, octets, client->sending->may_repeat);
    stream_forward(&client->upstream->stream, octets);
}

/* RFC 9051 section 2.2: a line ends with CRLF. Whoever ends it with LF alone is understood, but nobody behind us shall
 * have to. */
static void relay_forward_line(struct client *client, const struct imapstate_piece *piece)
{
    if (piece->is_bare_lf) {
        relay_forward(client, (struct imapstate_span){ piece->octets.at, piece->octets.len - 1 });
        relay_forward(client, IMAPSTATE_SPAN("\r\n"));
    } else {
        relay_forward(client, piece->octets);
    }
}

/* The line's "{n+}" goes up as "{n}": its "+" is what tells that the upstream sees a literal, too. */
static void relay_forward_asking(struct client *client, const struct imapstate_piece *piece)
{
    const uint8_t *end = piece->octets.at + piece->octets.len,
                  *plus = memrchr(piece->octets.at, '+', piece->octets.len);
    relay_forward(client, (struct imapstate_span){ piece->octets.at, (size_t)(plus - piece->octets.at) });
    relay_forward(client, (struct imapstate_span){ plus + 1, 1 }); /* the brace */
    relay_forward(client, piece->is_bare_lf ? IMAPSTATE_SPAN("\r\n") : (struct imapstate_span){ end - 2, 2 });
}

static enum down relay_forward_announcing(struct client *client, const struct imapstate_piece *piece,
                                          struct imapstate_span arguments, bool is_first)
{
    bool is_answered = client->sending->is_answered;
    session_sent_literal(&client->session, client->sending->command, arguments, is_first);
    if (!piece->literal.synchronizing && !relay_may_stream(client, piece, arguments)) {
        relay_forward_asking(client, piece);
        return is_answered ? DOWN_SWALLOWING : DOWN_AWAITS_GO_UNASKED;
    }
    relay_forward_line(client, piece);
    if (piece->literal.synchronizing && is_answered) {
        /* RFC 9051 section 4.3: no "+" will come, and the client has its answer. */
        imapstate_frame_literal_refused(&client->frame);
        return DOWN_SWALLOWED;
    }
    if (piece->literal.synchronizing)
        return DOWN_AWAITS_GO;
    client->sending->has_unasked_literal = true;
    client->session.is_uncertain = true;  /* never to be parked */
    resend_spoil(&client->choice.resend); /* another upstream might not take it so */
    return DOWN_SENDING;
}

/* What is kept of a storable command is what goes up, so that a state is the same however a client writes it. */
static void relay_capture_line(struct client *client, const struct imapstate_piece *piece,
                               struct imapstate_span arguments)
{
    const struct imapstate_literal *literal = &piece->literal;
    bool is_unasked = literal->announced && !literal->synchronizing;
    size_t cut = (piece->is_bare_lf ? 1u : 2u) + (is_unasked ? 2 : 0); /* the line end, "+}" */
    relay_capture(client, (struct imapstate_span){ arguments.at, arguments.len > cut ? arguments.len - cut : 0 });
    if (literal->announced)
        relay_capture(client, is_unasked ? IMAPSTATE_SPAN("}\r\n") : IMAPSTATE_SPAN("\r\n"));
}

/* A line of a command goes up. arguments: of the first one, what follows the command's name. */
static void relay_send_line(struct client *client, const struct imapstate_piece *piece, struct imapstate_span arguments,
                            bool is_first)
{
    client->sending->may_repeat = relay_may_repeat(client, client->sending->command, piece);
    relay_capture_line(client, piece, arguments);
    (is_first ? session_sent_line : session_sent_rest)(&client->session, client->sending->command, arguments);
    if (piece->literal.announced) {
        down_enter(client, relay_forward_announcing(client, piece, arguments, is_first));
        return;
    }
    struct flight *flight = client->sending;
    relay_forward_line(client, piece);
    down_enter(client, flight->command->id == IMAPSTATE_COMMAND_IDLE ? DOWN_IDLE_ASKED : DOWN_BETWEEN);
    if (flight->is_answered) {
        pipeline_remove(&client->pipeline, flight);
        flight_free(flight);
    }
}

static void relay_begin_command(struct client *client, const struct imapstate_piece *piece,
                                const struct imapstate_command_line *line)
{
    /* Its "+" would be IDLE's, or the literal's: nobody could tell. */
    if (line->command->id == IMAPSTATE_COMMAND_IDLE && piece->literal.announced) {
        relay_distrust(client, "literal after IDLE");
        return;
    }
    struct flight *flight = pipeline_push(&client->pipeline, line->command, line->tag);
    if (!flight) {
        client_end(client, CLIENT_ENDING_MEMORY, "BYE " N_("Out of memory."));
        return;
    }
    flight->is_capturing = line->command->stored != IMAPSTATE_ENTRY_NONE;
    flight->is_behind_done = client->session.has_said_done;
    client->sending = flight;
    choice_forget_credentials(client);
    const uint8_t *end = piece->octets.at + piece->octets.len;
    const uint8_t *from = line->has_arguments_sp ? line->arguments.at : end - (piece->is_bare_lf ? 1 : 2);
    relay_send_line(client, piece, (struct imapstate_span){ from, (size_t)(end - from) }, true);
}

/* A whole command of one line. */
static bool relay_say(struct client *client, struct flight *flight, struct imapstate_span arguments)
{
    struct imapstate_buf line;
    imapstate_buf_init(&line, 2 * IMAPSTATE_LINE_MAX);
    bool is_said = flight && imapstate_buf_put(&line, (struct imapstate_span){ flight->tag, flight->tag_len }) &&
                   imapstate_buf_printf(&line, " %s", flight->command->name) && imapstate_buf_put(&line, arguments) &&
                   imapstate_buf_put(&line, IMAPSTATE_SPAN("\r\n"));
    if (is_said) {
        choice_forget_credentials(client);
        flight->may_repeat = flight->command->repeatable;
        choice_sent(client, imapstate_buf_span(&line), flight->may_repeat);
        stream_put(&client->upstream->stream, imapstate_buf_span(&line));
    } else {
        client_end(client, CLIENT_ENDING_MEMORY, "BYE " N_("Out of memory."));
    }
    imapstate_buf_done(&line);
    return is_said;
}

bool relay_ask(struct client *client, struct imapstate_span command, flight_answered *answered)
{
    struct flight *flight =
        pipeline_push(&client->pipeline, imapstate_command_find(command), IMAPSTATE_SPAN(RELAY_TAG));
    client->pipeline.answered = answered;
    if (flight) {
        flight->is_ours = true;
        session_sent_line(&client->session, flight->command, (struct imapstate_span){ 0 });
    }
    return relay_say(client, flight, (struct imapstate_span){ 0 });
}

bool relay_pass(struct client *client, struct imapstate_span tag, const struct imapstate_command *command,
                struct imapstate_span arguments)
{
    struct imapstate_buf spaced;
    imapstate_buf_init(&spaced, IMAPSTATE_LINE_MAX);
    bool fits = arguments.len == 0 || (imapstate_buf_put_byte(&spaced, ' ') && imapstate_buf_put(&spaced, arguments));
    struct flight *flight = fits ? pipeline_push(&client->pipeline, command, tag) : NULL;
    if (flight && command->stored != IMAPSTATE_ENTRY_NONE) {
        flight->is_capturing = true;
        pipeline_capture(&client->pipeline, flight, arguments);
    }
    if (flight)
        session_sent_line(&client->session, command, arguments);
    bool is_passed = relay_say(client, flight, imapstate_buf_span(&spaced));
    imapstate_buf_done(&spaced);
    return is_passed;
}

/* What is kept of a command until it is answered. How long a literal of a storable one is, only the octets tell. */
static size_t relay_kept_octets(const struct imapstate_piece *piece, const struct imapstate_command_line *line)
{
    if (line->command->stored == IMAPSTATE_ENTRY_NONE)
        return line->tag.len;
    return piece->literal.announced ? line->tag.len + IMAPSTATE_LINE_MAX : piece->octets.len;
}

/* Must this command wait until one that is in flight has been answered? Two with the same tag, or two that store the
 * same kind of thing, could not be told apart by their answers. And all together are bounded. */
static bool relay_must_wait(const struct client *client, const struct imapstate_piece *piece,
                            const struct imapstate_command_line *line)
{
    const struct pipeline *pipeline = &client->pipeline;
    if (!pipeline_has_room(pipeline, relay_kept_octets(piece, line)) || pipeline_has_tag(pipeline, line->tag))
        return true;
    if (client->upstream->is_asked_ahead && imapstate_span_equal(line->tag, IMAPSTATE_SPAN(WAKING_TAG)))
        return true;
    return line->command->stored != IMAPSTATE_ENTRY_NONE && pipeline_has_command(pipeline, line->command);
}

static enum relay_down relay_down_command(struct client *client, const struct imapstate_piece *piece)
{
    struct imapstate_command_line line;
    bool is_in_list;
    enum imapstate_error error = imapstate_command_parse(piece->octets, &line);
    if (error != IMAPSTATE_OK || piece->has_nul || piece->refused != IMAPSTATE_OK ||
        relay_is_ours(client, line.command) || relay_is_on_record(client, &line, piece) ||
        relay_is_doubtful_id(&line, piece) || !append_begins_well(&line, piece, &is_in_list))
        return RELAY_OURS;
    if (!restore_make_upstream(client, piece->literal.announced ? NULL : &line))
        return RELAY_NOT_YET;
    client->pipeline.holds_back = choice_awaits_life(client, relay_may_repeat(client, line.command, piece)) ||
                                  relay_must_wait(client, piece, &line);
    if (client->pipeline.holds_back)
        return RELAY_NOT_YET;
    relay_begin_command(client, piece, &line);
    client->pipeline.holds_back = client->upstream->is_ahead; /* until it is answered */
    if (client->sending)
        client->sending->is_in_list = is_in_list;
    return RELAY_TAKEN;
}

/* RFC 9051 section 6.3.13 */
static void relay_down_done(struct client *client, const struct imapstate_piece *piece)
{
    struct imapstate_span word = words_at(piece->octets, 0);
    size_t line_end = piece->is_bare_lf ? 1 : 2;
    if (!imapstate_span_equal_nocase(word, IMAPSTATE_SPAN("DONE")) || piece->octets.len != word.len + line_end) {
        relay_distrust(client, "IDLE is not ended by DONE");
        return;
    }
    relay_forward_line(client, piece);
    client->session.has_said_done = true;
    down_enter(client, DOWN_BETWEEN);
}

static void relay_up_completed(struct client *client, const struct flight *flight, const struct status *status,
                               struct imapstate_span line);

/* The refused command has come to its end: it is answered, but not within a response that has passed in part. */
static bool relay_end_swallowing(struct client *client)
{
    if (!client_may_speak(client) || !stream_has_room(&client->stream))
        return false;
    struct flight *flight = client->sending;
    struct imapstate_span line = imapstate_buf_span(&flight->held);
    struct status status;
    pipeline_remove(&client->pipeline, flight);
    down_enter(client, DOWN_BETWEEN);
    if (line.len > 0 && status_parse(line, &status))
        relay_up_completed(client, flight, &status, line);
    stream_flush(&client->stream); /* line is gone with the flight */
    flight_free(flight);
    return true;
}

/* The rest of a refused command. A synchronizing literal in it ends it: the answer that is held refuses that, too. */
static void relay_swallow(struct client *client, enum imapstate_frame_result result,
                          const struct imapstate_piece *piece)
{
    bool is_asking = piece->literal.announced && piece->literal.synchronizing;
    if (is_asking)
        imapstate_frame_literal_refused(&client->frame);
    if (is_asking || (result == IMAPSTATE_FRAME_LINE && piece->ends))
        down_enter(client, DOWN_SWALLOWED);
}

/* RFC 9051 section 9: SP, ")" or the line's end stand behind a string. A server that says "+" to a message of no octets
 * and refuses it at once (Cyrus) takes the line behind it for a command; one that begins so is none. */
static bool relay_is_behind_string(const struct imapstate_piece *line)
{
    return memchr(" )\r\n", *line->octets.at, 4);
}

/* A line behind a literal. */
static bool relay_is_certain_line(struct client *client, const struct imapstate_piece *piece)
{
    struct flight *flight = client->sending;
    bool is_in_list = flight->is_in_list;
    bool is_certain =
        flight->command->literals != IMAPSTATE_LITERALS_MESSAGE || append_goes_on_well(piece, &is_in_list);
    flight->is_in_list = is_in_list;
    return is_certain;
}

static enum relay_down relay_down_piece(struct client *client, enum imapstate_frame_result result,
                                        const struct imapstate_piece *piece)
{
    if (piece->is_continuation) {
        relay_down_done(client, piece);
        return RELAY_TAKEN;
    }
    if (piece->begins)
        return relay_down_command(client, piece);
    if (piece->has_nul) {
        /* The command's beginning has gone up already; what a server makes of the rest is anybody's guess. */
        relay_distrust(client, imapstate_strerror(IMAPSTATE_NUL));
        return RELAY_TAKEN;
    }
    if (client->down == DOWN_SWALLOWING) {
        relay_swallow(client, result, piece);
        return RELAY_TAKEN;
    }
    if (piece->refused != IMAPSTATE_OK) {
        relay_distrust(client, imapstate_strerror(piece->refused));
        return RELAY_TAKEN;
    }
    if (result == IMAPSTATE_FRAME_LINE && !relay_is_behind_string(piece)) {
        relay_distrust(client, "no end of a string after a literal");
        return RELAY_TAKEN;
    }
    if (result == IMAPSTATE_FRAME_LINE && !relay_is_certain_line(client, piece)) {
        relay_distrust(client, "no arguments of APPEND after a literal");
        return RELAY_TAKEN;
    }
    if (result == IMAPSTATE_FRAME_LINE) {
        relay_send_line(client, piece, piece->octets, false);
        return RELAY_TAKEN;
    }
    client->sending->may_repeat &= client->sending->command->repeatable;
    relay_capture(client, piece->octets);
    relay_forward(client, piece->octets);
    return RELAY_TAKEN;
}

static bool relay_has_room(const struct client *client)
{
    return !client->upstream || stream_has_room(&client->upstream->stream);
}

/* Octets of a literal that may be a message? */
static bool relay_is_message(const struct client *client, enum imapstate_frame_result result)
{
    return result == IMAPSTATE_FRAME_LITERAL && client->sending &&
           client->sending->command->literals == IMAPSTATE_LITERALS_MESSAGE;
}

bool relay_awaits_upstream(const struct client *client)
{
    switch ((enum down)client->down) {
    case DOWN_BETWEEN:
    case DOWN_AWAITS_GO_UNASKED: /* what follows may be here already */
    case DOWN_SWALLOWED:
    case DOWN_IDLE_ASKED:
        return true;
    case DOWN_SENDING:
        return stream_input(&client->stream).len > 0 && !relay_has_room(client);
    default:
        return false;
    }
}

enum relay_down relay_down(struct client *client, enum imapstate_frame_result result,
                           const struct imapstate_piece *piece)
{
    enum relay_down taken = relay_down_piece(client, result, piece);
    return taken == RELAY_TAKEN && relay_is_message(client, result) ? RELAY_TAKEN_MESSAGE : taken;
}

/* A line that is held back is not looked at anew with each octet that arrives, from whomever. */
static bool relay_may_go_down(const struct client *client)
{
    return !client->restore && !client->admission && !down_awaits_word(client) && !client->pipeline.holds_back &&
           relay_has_room(client);
}

bool relay_takes_input(const struct client *client)
{
    return client->down != DOWN_SWALLOWED && relay_may_go_down(client);
}

bool relay_go_on(struct client *client)
{
    return client->down == DOWN_SWALLOWED && relay_may_go_down(client) && relay_end_swallowing(client);
}

/* --- up --- */

/* "* 12 FETCH ...": most lines, and none of our business. */
static bool relay_is_numbered(struct imapstate_span line)
{
    return line.len > 2 && line.at[0] == '*' && line.at[1] == ' ' && line.at[2] >= '0' && line.at[2] <= '9';
}

/* True: the "+" is the client's. */
static bool relay_up_continue(struct client *client)
{
    switch (client->down) {
    case DOWN_AWAITS_GO:
        down_enter(client, DOWN_SENDING);
        imapstate_frame_literal_go(&client->frame);
        return true;
    case DOWN_AWAITS_GO_UNASKED:
        down_enter(client, DOWN_SENDING);
        return false;
    case DOWN_IDLE_ASKED:
        down_enter(client, DOWN_IDLING);
        return true;
    default:
        /* The server has seen a literal or a dialog where we saw none. */
        client_distrust_upstream(client, "+ that nothing asked for");
        return false;
    }
}

void relay_announce(struct client *client, struct imapstate_span tag, const struct imapstate_command *command)
{
    stream_put(&client->stream, IMAPSTATE_SPAN("* OK [STATECMD "));
    stream_put(&client->stream, tag);
    stream_put(&client->stream, IMAPSTATE_SPAN("] "));
    /* TRANSLATORS: %s is the name of an IMAP command, such as ENABLE. */
    stream_printf(&client->stream, client_text(client, N_("%s will be saved in state data.")), command->name);
    stream_put(&client->stream, IMAPSTATE_SPAN("\r\n"));
}

/* What the gateway itself has asked is answered. A tagged alert is the user's all the same. */
static void relay_up_asked(struct client *client, const struct status *status, struct imapstate_span line)
{
    if (status->has_alert) {
        stream_put(&client->stream, IMAPSTATE_SPAN("*"));
        stream_put(&client->stream, (struct imapstate_span){ line.at + status->tag.len, line.len - status->tag.len });
    }
    client->pipeline.answered(client);
}

/* RFC 5255: where LANGUAGE is the upstream's, our own lines follow. */
static void relay_follow_language(struct client *client)
{
    struct imapstate_span language = imapstate_buf_span(&client->session.language);
    if (language.len > 0 && !language_find(&client->service->config->languages, language, &client->language))
        client->language = LANGUAGE_DEFAULT;
}

static void relay_up_completed(struct client *client, const struct flight *flight, const struct status *status,
                               struct imapstate_span line)
{
    bool is_announced = session_completed(&client->session, flight, status->word);
    session_judge(&client->session, flight->command, status);
    if (flight->is_ours) {
        relay_up_asked(client, status, line);
        return;
    }
    if (flight->command->id == IMAPSTATE_COMMAND_LANGUAGE && status->word == STATUS_OK && flight->arguments.len > 0)
        relay_follow_language(client);
    if (is_announced)
        relay_announce(client, status->tag, flight->command);
    if (!rewrite_put_line(client, line, flight->command))
        return; /* flight may be gone */
    /* A server that finds a mistake before the literal may well answer BAD there and then and read the literal's octets
     * as commands (Dovecot does). */
    if (flight->has_unasked_literal && status->word == STATUS_BAD)
        relay_distrust(client, "literal in a command that was answered BAD");
}

/* The command that the way down is about is answered before all of it has gone up. False: nobody can know what the
 * upstream reads next. */
static bool relay_up_refused(struct client *client, struct flight *flight)
{
    switch (client->down) {
    case DOWN_AWAITS_GO:
        /* RFC 9051 section 4.3: the server refuses the literal; the next line is a command. */
        imapstate_frame_literal_refused(&client->frame);
        flight->is_answered = true;
        break;
    case DOWN_AWAITS_GO_UNASKED:
        /* The client knows nothing of it and sends on: the octets, and whatever else the command has. */
        flight->is_answered = true;
        down_enter(client, DOWN_SWALLOWING);
        return true;
    case DOWN_SENDING:
        return flight->has_unasked_literal;
    default:
        break;
    }
    down_enter(client, DOWN_BETWEEN);
    return true;
}

/* A server that has just ended IDLE by itself takes DONE for a command, and "DONE" for its tag. */
static bool relay_is_about_done(struct client *client, const struct status *status)
{
    bool is_it = client->session.has_said_done && status->word != STATUS_OK &&
                 imapstate_span_equal_nocase(status->tag, IMAPSTATE_SPAN("DONE"));
    client->session.has_said_done &= !is_it;
    return is_it;
}

/* The answer, if there is one, is the client's all the same. */
static void relay_end_early(struct client *client, struct imapstate_span line)
{
    if (line.len > 0 && words_have_end(line) && !rewrite_put_line(client, line, NULL))
        return; /* which has ended the session already */
    client_distrust_upstream(client, "answer to a command in the middle of its literal");
}

/* A command is answered for which a connection was taken that is where it leads to. True: it was refused: it is sent to
 * another one, or the session ends (P6). */
static bool relay_up_ahead(struct client *client, const struct status *status)
{
    if (status->word == STATUS_OK)
        choice_arrive(client);
    else if (choice_retreat(client))
        upstream_lose(client->upstream, "it is in a state that the session is not in");
    else
        choice_give_up(client, ADMISSION_UNREACHABLE);
    return status->word != STATUS_OK;
}

/* True: the line goes on as it is. */
static bool relay_up_tagged(struct client *client, struct imapstate_span line)
{
    struct status status;
    bool is_answer = status_parse(line, &status) && status.word <= STATUS_BAD;
    struct flight *flight = is_answer ? pipeline_find(&client->pipeline, status.tag) : NULL;
    if (!flight && is_answer && relay_is_about_done(client, &status))
        return true;
    if (!flight) {
        client_distrust_upstream(client, "tagged answer to no command");
        return false;
    }
    if (flight == client->sending && !relay_up_refused(client, flight)) {
        relay_end_early(client, line);
        return false;
    }
    if (client->upstream->is_ahead && relay_up_ahead(client, &status))
        return false;
    if (flight != client->sending) {
        pipeline_remove(&client->pipeline, flight);
        relay_up_completed(client, flight, &status, line);
        flight_free(flight);
    } else if (client->down != DOWN_SWALLOWING) {
        flight->is_answered = true;
        relay_up_completed(client, flight, &status, line);
    } else if (!imapstate_buf_put(&flight->held, line)) {
        client_end(client, CLIENT_ENDING_MEMORY, "BYE " N_("Out of memory."));
    }
    return false; /* it has gone on already */
}

/* A tag may hold "]" (RFC 9051 section 9), but there are servers that take such a one for none and answer "* BAD"
 * (Dovecot). */
static void relay_up_untagged_bad(struct client *client)
{
    client->session.is_uncertain = true; /* which command it is about is a guess, and if it was carried out, another */
    if (pipeline_has_unasked_literal(&client->pipeline)) {
        relay_distrust(client, "literal in a command that may have been answered BAD");
        return;
    }
    for (struct flight *flight = client->pipeline.first; flight; flight = flight->next) {
        if (flight->is_answered || !memchr(flight->tag, ']', flight->tag_len))
            continue;
        if (flight == client->sending && !relay_up_refused(client, flight)) {
            relay_end_early(client, (struct imapstate_span){ 0 });
            return;
        }
        if (flight != client->sending) {
            pipeline_remove(&client->pipeline, flight);
            flight_free(flight);
        }
        return;
    }
}

/* What answers the ID or the NOOP that went ahead. */
static bool relay_up_own(struct client *client, struct imapstate_span line)
{
    struct upstream *upstream = client->upstream;
    if (!waking_is_own(upstream, line))
        return false;
    if (*line.at == '*')
        return true;
    upstream->is_asked_ahead = false;
    client->pipeline.holds_back = false; /* a command with this tag, or one that waits for a sign of life */
    return true;
}

/* An untagged response begins: what does it show to be on? is_whole: its first line has an end. */
static void relay_weigh(struct client *client, struct imapstate_span begun, bool is_whole)
{
    if (*begun.at != '*')
        return;
    if (client->admission)
        client->admission->evidence |= (uint16_t)evidence_read(begun);
    else if (!client->restore || !is_whole || relay_is_numbered(begun)) /* else the replay tells whose it is */
        session_saw_response(&client->session, &client->pipeline, begun);
}

/* RFC 9585: [INPROGRESS ("tag" ...)] of a command that the gateway itself has said is none of the client's (P17; the
 * tags of a replay are the replay's to know). */
static bool relay_names_ours(const struct client *client, struct imapstate_span line)
{
    struct status status;
    bool is_asking = client->admission || client->upstream->is_asked_ahead || client->request.phase == REQUEST_ASKING;
    return is_asking && *line.at == '*' && status_parse(line, &status) && !status_has_code(&status, "CAPABILITY") &&
           imapstate_span_contains_nocase(status.code, IMAPSTATE_SPAN(UPSTREAM_TAG));
}

/* Does {n} stand at the end, wherever? */
static bool relay_ends_in_braces(struct imapstate_span line)
{
    line = imapstate_span_without_line_end(line);
    if (line.len < 3 || line.at[--line.len] != '}')
        return false;
    while (line.len > 0 && line.at[line.len - 1] >= '0' && line.at[line.len - 1] <= '9')
        line.len--;
    return line.len > 0 && line.at[line.len - 1] == '{' && line.at[line.len] != '}';
}

/* No response begins so (RFC 9051 section 7): a blank line, free text, a code without its "* OK", what stands behind a
 * line end within a quoted string. A line that may be the answer to a command is none of these. */
static bool relay_is_noise(struct imapstate_span line)
{
    static const char *const answers[] = { "OK", "NO", "BAD" };
    if (*line.at == '+' || (*line.at == '*' && line.len > 1 && line.at[1] == ' '))
        return false;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
        if (word_is(words_at(line, 1), answers[i]))
            return false;
    return true;
}

/* Noise is the client's to make sense of, as it would be without the gateway. What the connection is in after that
 * nobody knows. If it announces a literal, perhaps, nobody knows what the next line is. */
static bool relay_up_noise(struct client *client, const struct imapstate_piece *piece)
{
    client->session.is_uncertain = true;
    bool is_certain = words_have_end(piece->octets) && !relay_ends_in_braces(piece->octets);
    if (!is_certain)
        client_distrust_upstream(client, "a line that is not a response may announce a literal");
    return is_certain;
}

/* The first line of a response. True: it goes on to the client, with all that belongs to it. */
static bool relay_up_line(struct client *client, const struct imapstate_piece *piece)
{
    struct imapstate_span line = piece->octets;
    if (piece->is_bare_lf)
        client->session.is_uncertain = true;
    if (relay_is_numbered(line))
        return true;
    if (client->upstream->state == UPSTREAM_ATTACHED && relay_is_noise(line))
        return relay_up_noise(client, piece);
    if (piece->is_text && words_at(line, 0).len == 1 && line.at[0] == '*' &&
        imapstate_span_equal_nocase(words_at(line, 1), IMAPSTATE_SPAN("BYE")))
        client->upstream->has_said_bye = true;
    if (piece->is_text && relay_names_ours(client, line))
        return false;
    if (relay_up_own(client, line))
        return false;
    if (client->admission)
        return admission_hear(client, line);
    if (client->restore)
        return restore_hear(client, line) == RESTORE_PASS;
    if (!piece->is_text)
        return true;
    if (line.at[0] == '+')
        return relay_up_continue(client);
    if (line.at[0] != '*')
        return relay_up_tagged(client, line);
    if (imapstate_span_equal_nocase(words_at(line, 1), IMAPSTATE_SPAN("BAD")))
        relay_up_untagged_bad(client);
    return true;
}

/* Untagged responses that are looked into must be there as a whole; of all others the beginning may go on already. */
static bool relay_holds(struct imapstate_span in)
{
    static const char *const held[] = { "CAPABILITY", "ENABLED", "LANGUAGE", "COMPARATOR", "NAMESPACE", "ID" };
    if (relay_is_numbered(in))
        return in.len < RELAY_NUMBERED_HELD;
    struct imapstate_span word = words_at(in, 1);
    for (size_t i = 0; i < sizeof held / sizeof *held; i++)
        if (imapstate_span_equal_nocase(word, imapstate_span_of(held[i])))
            return true;
    return false;
}

static bool relay_up_pass(struct upstream *upstream, struct imapstate_span in, struct imapstate_piece *ret_piece)
{
    return imapstate_frame_is_passable(&upstream->frame, in) &&
           !(imapstate_frame_is_between(&upstream->frame) && relay_holds(in)) &&
           imapstate_frame_pass(&upstream->frame, in, ret_piece);
}

/* Of a line of text that is longer than a line may be, the words at its front are enough: but not where the gateway
 * itself has asked, or keeps the line, nor where a capability list may be in it (P1). */
static bool relay_needs_whole(const struct client *client, const struct imapstate_piece *piece)
{
    return piece->begins && piece->is_text && !words_have_end(piece->octets) &&
           (client->restore || client->admission || client->upstream->is_asked_ahead ||
            client->down == DOWN_SWALLOWING || client->down == DOWN_AWAITS_GO_UNASKED ||
            client->request.phase == REQUEST_ASKING ||
            imapstate_span_contains_nocase(piece->octets, IMAPSTATE_SPAN("[CAPABILITY ")));
}

/* False: the upstream, or the client, has been given up. */
static bool relay_up_piece(struct client *client, struct upstream *upstream, const struct imapstate_piece *piece)
{
    bool is_first_line = piece->begins && words_have_end(piece->octets);
    bool is_head =
        piece->begins && piece->is_text && !is_first_line; /* of a line that is too long to be looked at whole */
    if (piece->begins)
        relay_weigh(client, piece->octets, is_first_line);
    if (piece->begins)
        upstream->is_hiding = (is_first_line || is_head) && !relay_up_line(client, piece);
    if (client->upstream != upstream || client_is_ending(client))
        return false;
    if (upstream->is_hiding) {
        upstream->is_hiding = !is_head; /* what has gone on is the begin of it only */
        return true;
    }
    if (is_first_line && !relay_is_numbered(piece->octets))
        return rewrite_put_line(client, piece->octets, NULL);
    stream_forward(&client->stream, piece->octets);
    return true;
}

static bool relay_up_step(struct client *client, struct upstream *upstream)
{
    struct imapstate_span in = stream_input(&upstream->stream);
    if (in.len == 0 || !stream_has_room(&client->stream))
        return false;
    struct imapstate_piece piece;
    switch (imapstate_frame_next(&upstream->frame, in, &piece)) {
    case IMAPSTATE_FRAME_LINE:
    case IMAPSTATE_FRAME_LITERAL:
        break;
    case IMAPSTATE_FRAME_MORE:
        if (relay_up_pass(upstream, in, &piece)) {
            if (!relay_needs_whole(client, &piece))
                break;
            client_distrust_upstream(client, imapstate_strerror(IMAPSTATE_LINE_TOO_LONG));
            return false;
        }
        if (stream_is_full(&upstream->stream))
            client_distrust_upstream(client, imapstate_strerror(IMAPSTATE_LINE_TOO_LONG));
        return false;
    default:
        client_distrust_upstream(client, imapstate_strerror(imapstate_frame_error(&upstream->frame)));
        return false;
    }
    if (!relay_up_piece(client, upstream, &piece))
        return false;
    stream_consume(&upstream->stream, piece.octets.len);
    return true;
}

/* A connection that was parked speaks: false if there is nothing to pass on. */
static bool relay_up_first(struct client *client, struct upstream *upstream)
{
    switch (fitness_read(client, upstream)) {
    case FITNESS_OWN:
        return true;
    case FITNESS_FIT:
        choice_heard(client);
        return true;
    case FITNESS_MORE:
        return false; /* more follows, or its end */
    case FITNESS_EXPIRED:
        upstream_lose(upstream, "its session had expired: BYE to the first command");
        return false;
    case FITNESS_UNFIT:
        upstream_lose(upstream, "it does not work: no working server would answer the first command like that");
        return false;
    }
    return true;
}

static bool relay_up_next(struct client *client, struct upstream *upstream)
{
    if (upstream->is_woken && stream_input(&upstream->stream).len > 0 && imapstate_frame_is_between(&upstream->frame) &&
        !relay_up_first(client, upstream))
        return false;
    return relay_up_step(client, upstream);
}

void relay_up(struct client *client)
{
    struct upstream *upstream = client->upstream;
    client->active_at_ms = client_now_ms(client);
    if (upstream->is_silent && stream_input(&upstream->stream).len > 0)
        waking_heard(upstream);
    while (relay_up_next(client, upstream))
        ;
}

/* True: another connection has taken its place, or is being made. */
static bool relay_replace(struct client *client, const struct upstream *lost)
{
    enum choice_replacement replacement = choice_replace(client, lost);
    if (replacement != CHOICE_RESTORE)
        return replacement == CHOICE_REPLACED;
    if (restore_again(client))
        return true;
    choice_cannot_replace(client);
    return false;
}

void relay_upstream_lost(struct client *client, const struct upstream *lost, const char *why)
{
    client_log(client, LOG_LEVEL_DEBUG, "upstream lost: %s", why);
    client->pipeline.holds_back = false; /* what it waited for need not come any more */
    if (client->restore) {
        restore_upstream_lost(client, lost, why);
        return;
    }
    if (relay_replace(client, lost))
        return;
    bool holds = client->down == DOWN_SWALLOWING || client->down == DOWN_SWALLOWED;
    if (holds && imapstate_frame_is_between(&lost->frame))
        relay_end_swallowing(client);
    client_set_detail(client, why);
    if (lost->is_woken)
        choice_give_up(client, ADMISSION_UNREACHABLE);
    else if (imapstate_frame_is_between(&lost->frame) && !lost->has_said_bye)
        client_end(client, CLIENT_ENDING_UPSTREAM_CLOSED,
                   "BYE [UNAVAILABLE] " N_("The mail server has closed the connection."));
    else
        client_close(client, CLIENT_ENDING_UPSTREAM_CLOSED);
}
