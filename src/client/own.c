#include "own.h"

#include "append.h"
#include "capability.h"
#include "catalogue.h"
#include "choice.h"
#include "chorus.h"
#include "client.h"
#include "compression.h"
#include "greeting.h"
#include "id.h"
#include "language.h"
#include "leaving.h"
#include "login.h"
#include "offers.h"
#include "origin.h"
#include "record.h"
#include "relay.h"
#include "request.h"
#include "restore.h"
#include "rewrite.h"
#include "service.h"
#include "session.h"
#include "stream.h"
#include "words.h"

/* The tagged answer, with which the request is done. */
static void own_say(struct client *client, const char *answer)
{
    struct imapstate_span tag = request_tag(&client->request);
    client_say(client, &tag, answer);
    request_done(&client->request);
}

/* --- before login --- */

static void own_capability(struct client *client)
{
    struct offers *shown = client_show_before_login(client);
    if (shown) {
        client_say_offers(client, shown);
        own_say(client, "OK " N_("Capability completed."));
    } else {
        own_say(client, "NO [UNAVAILABLE] " N_("Out of memory."));
    }
    offers_unref(shown);
}

static void own_starttls(struct client *client)
{
    if (client->listener->tls != CONFIG_TLS_STARTTLS || client->stream.ssl) {
        own_say(client,
                client->stream.ssl ? "BAD " N_("TLS is already active.") : "BAD " N_("STARTTLS is not offered."));
        return;
    }
    own_say(client, "OK " N_("Begin TLS negotiation now."));
    stream_flush(&client->stream);
    if (stream_is_drained(&client->stream))
        greeting_secure(client);
    else
        client_close(client, CLIENT_ENDING_SLOW);
}

static void own_logout(struct client *client)
{
    if (client->state == CLIENT_AUTHENTICATED && leaving_rest_upstream(client))
        return;
    client_say(client, NULL, "BYE " N_("Logging out."));
    own_say(client, "OK " N_("Logout completed."));
    client_close(client, CLIENT_ENDING_LOGOUT);
}

/* What the upstream answers the gateway, to all alike. */
static void own_known_id(struct client *client)
{
    struct imapstate_buf arguments;
    imapstate_buf_init(&arguments, ID_MAX);
    struct service_reach reach = client->state == CLIENT_AUTHENTICATED
                                     ? (struct service_reach){ &client->home, 1 }
                                     : service_upstreams_of(client->service, client->listener);
    if (!chorus_id(&reach, &arguments))
        imapstate_buf_put(&arguments, IMAPSTATE_SPAN("NIL"));
    stream_put(&client->stream, IMAPSTATE_SPAN("* ID "));
    stream_put(&client->stream, imapstate_buf_span(&arguments));
    stream_put(&client->stream, IMAPSTATE_SPAN("\r\n"));
    own_say(client, "OK " N_("ID completed."));
    imapstate_buf_done(&arguments);
}

/* After login, with an upstream: it goes on without what only a trusted proxy may say, and what the upstream answers
 * goes to this client alone. False: memory is out. */
static bool own_pass_id(struct client *client, struct imapstate_span arguments)
{
    struct id *said = id_new();
    struct imapstate_buf passed;
    imapstate_buf_init(&passed, ID_MAX);
    bool is_valid = said && id_read(arguments, false, said) == IMAPSTATE_OK && id_write(said, NULL, &passed);
    if (is_valid &&
        relay_pass(client, request_tag(&client->request), client->request.command, imapstate_buf_span(&passed)))
        request_done(&client->request);
    id_free(said);
    imapstate_buf_done(&passed);
    return is_valid;
}

/* The client's ID is kept for the upstream that its login will be made on, or that it will be given. */
static void own_id(struct client *client)
{
    struct imapstate_span arguments = request_arguments(&client->request);
    bool is_offered = client_offers(client).id;
    bool has_upstream = client->upstream;
    if (!is_offered)
        own_say(client, "BAD " N_("ID is not offered."));
    else if (!(has_upstream ? own_pass_id(client, arguments) : origin_hear_id(client, arguments)))
        own_say(client, "BAD " N_("Invalid arguments."));
    else if (!has_upstream && !client_is_ending(client))
        own_known_id(client);
}

/* --- LANGUAGE --- */

/* RFC 5255 section 3.3 */
static void own_put_languages(struct client *client, const struct languages *languages)
{
    struct imapstate_buf list;
    imapstate_buf_init(&list, IMAPSTATE_LINE_MAX);
    language_put_list(languages, &list);
    stream_put(&client->stream, IMAPSTATE_SPAN("* LANGUAGE ("));
    stream_put(&client->stream, imapstate_buf_span(&list));
    stream_put(&client->stream, IMAPSTATE_SPAN(")\r\n"));
    imapstate_buf_done(&list);
}

/* In the language that has been chosen. */
static void own_language_chosen(struct client *client)
{
    struct imapstate_span tag = request_tag(&client->request);
    struct imapstate_span language = imapstate_span_of(catalogue_tag(client->language));
    if (client->state == CLIENT_AUTHENTICATED && session_set_language(&client->session, tag, language))
        relay_announce(client, tag, client->request.command);
    own_say(client, "OK " N_("Language changed by LANGUAGE command."));
}

static void own_language_asked(void *client)
{
    own_language_chosen(client);
}

/* Not ours to answer: before login, or when the upstream, which has just been chosen, turns out to have LANGUAGE. */
static void own_language_is_theirs(struct client *client)
{
    own_say(client, client->state == CLIENT_AUTHENTICATED ? "NO " N_("None of these languages is offered.")
                                                          : "BAD " N_("Command not allowed before login."));
}

static void own_put_known_namespaces(struct client *client, struct imapstate_span line)
{
    rewrite_put_namespace(client, line);
    session_tell_namespace(&client->session, line);
    choice_was_told(client);
}

/* A language is chosen: it counts from the untagged LANGUAGE on (RFC 5255 section 3.2). line: the namespaces that
 * follow, where they are told, and known. */
static void own_speak(struct client *client, uint8_t language, bool tells, const struct imapstate_buf *line)
{
    const struct languages chosen = { .offered = LANGUAGE_BIT(language) };
    client->language = language;
    own_put_languages(client, &chosen);
    if (tells && line->len > 0)
        own_put_known_namespaces(client, imapstate_buf_span(line));
    if (!tells || line->len > 0)
        own_language_chosen(client);
    else if (relay_ask(client, IMAPSTATE_SPAN("NAMESPACE"), own_language_asked))
        request_asks(&client->request);
}

/* After login the names of namespaces follow, which are the upstream's to tell: now, or on record. */
static void own_choose_language(struct client *client, uint8_t language)
{
    struct imapstate_buf line;
    imapstate_buf_init(&line, RECORD_MAX);
    bool tells = client->state == CLIENT_AUTHENTICATED && offers_known(client->session.offers)->namespace;
    bool is_ready = !tells || choice_namespace(client, &line);
    /* Once there is an upstream, and nothing of ours in flight, it is asked again. */
    if (!is_ready)
        is_ready = restore_make_upstream(client, NULL) && client_is_at_rest(client);
    if (is_ready && !client_has_language(client))
        own_language_is_theirs(client);
    else if (is_ready)
        own_speak(client, language, tells, &line);
    imapstate_buf_done(&line);
}

static void own_language(struct client *client)
{
    const struct languages *languages = &client->service->config->languages;
    uint8_t language;
    if (!client_has_language(client)) {
        own_language_is_theirs(client);
        return;
    }
    switch (language_choose(languages, request_arguments(&client->request), &language)) {
    case LANGUAGE_LISTED:
        if (request_has_arguments(&client->request)) {
            own_say(client, "BAD " N_("Invalid arguments."));
            return;
        }
        own_put_languages(client, languages);
        own_say(client, "OK " N_("LANGUAGE completed."));
        break;
    case LANGUAGE_CHOSEN:
        own_choose_language(client, language);
        break;
    case LANGUAGE_NONE:
        own_say(client, "NO " N_("None of these languages is offered."));
        break;
    case LANGUAGE_INVALID:
        own_say(client, "BAD " N_("Invalid arguments."));
        break;
    }
}

static void own_before_login(struct client *client)
{
    switch (client->request.command->id) {
    case IMAPSTATE_COMMAND_CAPABILITY:
        own_capability(client);
        break;
    case IMAPSTATE_COMMAND_NOOP:
        own_say(client, "OK " N_("NOOP completed."));
        break;
    case IMAPSTATE_COMMAND_STARTTLS:
        own_starttls(client);
        break;
    case IMAPSTATE_COMMAND_LOGOUT:
        own_logout(client);
        break;
    case IMAPSTATE_COMMAND_ID:
        own_id(client);
        break;
    case IMAPSTATE_COMMAND_LANGUAGE:
        own_language(client);
        break;
    case IMAPSTATE_COMMAND_LOGIN:
        login_command(client);
        request_done(&client->request);
        break;
    case IMAPSTATE_COMMAND_AUTHENTICATE:
        login_authenticate(client);
        request_done(&client->request);
        break;
    default:
        own_say(client, "BAD " N_("Command not allowed before login."));
    }
}

/* --- commands after login --- */

/* RFC 4978 section 3 */
static void own_compress(struct client *client)
{
    struct compression *compression;
    struct imapstate_span arguments = request_arguments(&client->request), name = words_next(&arguments);
    if (!client->listener->compress)
        own_say(client, "NO [CANNOT] " N_("Compression is not offered."));
    else if (!imapstate_span_equal_nocase(name, IMAPSTATE_SPAN("DEFLATE")) || words_behind_blanks(arguments).len > 0)
        own_say(client, "BAD " N_("COMPRESS takes DEFLATE."));
    else if (client->stream.compression)
        own_say(client, "NO [COMPRESSIONACTIVE] " N_("Compression is already active."));
    else if (!(compression = compression_new(&client->clients->loop->pool)))
        own_say(client, "NO [UNAVAILABLE] " N_("Out of memory."));
    else {
        own_say(client, "OK " N_("Compression is active now."));
        stream_compress(&client->stream, compression);
    }
}

/* RFC 8437, and P16 */
static void own_unauthenticate(struct client *client)
{
    own_say(client, "OK " N_("Unauthenticated."));
    leaving_unauthenticate(client);
}

/* Before there is an upstream; afterwards it is asked. */
static void own_capability_after_login(struct client *client)
{
    client_say_offers(client, client->session.shown);
    own_say(client, "OK " N_("Capability completed."));
}

/* --- ENABLE --- */

static void own_tell_enabled(struct client *client, const struct imapstate_span *names)
{
    struct imapstate_span tag = request_tag(&client->request);
    if (names) {
        stream_put(&client->stream, IMAPSTATE_SPAN("* ENABLED"));
        stream_put(&client->stream, names->len > 0 ? IMAPSTATE_SPAN(" ") : *names);
        stream_put(&client->stream, *names);
        stream_put(&client->stream, IMAPSTATE_SPAN("\r\n"));
    }
    if (session_tell_enabled(&client->session, tag, request_arguments(&client->request), names))
        relay_announce(client, tag, client->request.command);
    choice_was_told(client);
    own_say(client, "OK " N_("Enable completed."));
}

/* In a session that has not chosen its connection: what was answered to one that began in the same way; or, if nobody
 * knows that any more, what the upstream answers. */
static void own_enable(struct client *client)
{
    struct imapstate_span arguments = request_arguments(&client->request);
    struct imapstate_buf said;
    imapstate_buf_init(&said, RECORD_MAX);
    enum record_answer answer = choice_look_up(client, arguments, &said);
    struct imapstate_span names = imapstate_buf_span(&said);
    if (answer != RECORD_UNKNOWN)
        own_tell_enabled(client, answer == RECORD_ENABLED ? &names : NULL);
    else if (restore_make_upstream(client, NULL) && client_is_at_rest(client) &&
             relay_pass(client, request_tag(&client->request), client->request.command, arguments))
        request_done(&client->request);
    imapstate_buf_done(&said);
}

static void own_namespace(struct client *client)
{
    struct imapstate_buf line;
    imapstate_buf_init(&line, RECORD_MAX);
    if (choice_namespace(client, &line)) {
        own_put_known_namespaces(client, imapstate_buf_span(&line));
        own_say(client, "OK " N_("Namespaces listed."));
    } else if (restore_make_upstream(client, NULL) && client_is_at_rest(client) &&
               relay_pass(client, request_tag(&client->request), client->request.command,
                          request_arguments(&client->request))) {
        request_done(&client->request);
    }
    imapstate_buf_done(&line);
}

static void own_after_login(struct client *client)
{
    switch (client->request.command->id) {
    case IMAPSTATE_COMMAND_STATE:
        restore_state(client);
        request_done(&client->request);
        break;
    case IMAPSTATE_COMMAND_SAVESTATE:
        restore_savestate(client);
        request_done(&client->request);
        break;
    case IMAPSTATE_COMMAND_LOGOUT:
        own_logout(client);
        break;
    case IMAPSTATE_COMMAND_UNAUTHENTICATE:
        own_unauthenticate(client);
        break;
    case IMAPSTATE_COMMAND_COMPRESS:
        own_compress(client);
        break;
    case IMAPSTATE_COMMAND_LANGUAGE:
        own_language(client);
        break;
    case IMAPSTATE_COMMAND_CAPABILITY:
        own_capability_after_login(client);
        break;
    case IMAPSTATE_COMMAND_ID:
        own_id(client);
        break;
    case IMAPSTATE_COMMAND_ENABLE:
        own_enable(client);
        break;
    case IMAPSTATE_COMMAND_NAMESPACE:
        own_namespace(client);
        break;
    default:
        own_say(client, "BAD " N_("Command not allowed after login."));
    }
}

/* P2, P16. Where a server is answered for (CAPABILITY, NOOP, LOGOUT, STARTTLS), arguments count for nothing, as with
 * Dovecot. */
static bool own_takes_no_arguments(uint8_t id)
{
    return id == IMAPSTATE_COMMAND_SAVESTATE || id == IMAPSTATE_COMMAND_UNAUTHENTICATE;
}

static void own_run(struct client *client)
{
    struct request *request = &client->request;
    if (request->complaint)
        own_say(client, request->complaint);
    else if (own_takes_no_arguments(request->command->id) && request_has_arguments(request))
        own_say(client, "BAD " N_("The command takes no arguments."));
    else if (client->state == CLIENT_AUTHENTICATED)
        own_after_login(client);
    else
        own_before_login(client);
}

/* --- collecting a request --- */

static const char *own_complaint(const struct client *client, enum imapstate_error error,
                                 const struct imapstate_command *command, const struct imapstate_piece *line)
{
    if (line->refused != IMAPSTATE_OK)
        return request_to_refused(line->refused);
    if (line->has_nul)
        return "BAD " N_("NUL in a command.");
    if (error != IMAPSTATE_OK)
        return "BAD " N_("Command is not valid IMAP.");
    if (client->state == CLIENT_AUTHENTICATED)
        /* Whoever has logged in gets no "+" for it: the octets behind it would be held for nothing. */
        return command->id == IMAPSTATE_COMMAND_LOGIN || command->id == IMAPSTATE_COMMAND_AUTHENTICATE
                   ? "BAD " N_("Command not allowed after login.")
                   : NULL;
    if (!command->is_known)
        return "BAD " N_("Unknown command.");
    if (!(command->allowed & IMAPSTATE_IN_NOT_AUTHENTICATED))
        return "BAD " N_("Command not allowed before login.");
    /* Whoever has not logged in gets no "+" for anything else: the octets behind it would be held for nothing. */
    bool may_have_literal = command->id == IMAPSTATE_COMMAND_LOGIN || command->id == IMAPSTATE_COMMAND_AUTHENTICATE;
    if (line->literal.announced && line->literal.synchronizing && !may_have_literal)
        return "BAD " N_("Literal not allowed before login.");
    return NULL;
}

static void own_begin(struct client *client, const struct imapstate_piece *piece)
{
    struct imapstate_command_line line;
    enum imapstate_error error = imapstate_command_parse(piece->octets, &line);
    const char *complaint = own_complaint(client, error, line.command, piece);
    bool is_in_list;
    if (!complaint && !append_begins_well(&line, piece, &is_in_list))
        complaint = "BAD " N_("Command is not valid IMAP.");
    request_begin(&client->request, line.command, piece, complaint);
}

const char *own_to_frame_error(enum imapstate_error error)
{
    switch (error) {
    case IMAPSTATE_LINE_TOO_LONG:
    case IMAPSTATE_LITERAL_TOO_LARGE:
        return request_to_refused(error);
    case IMAPSTATE_LITERAL_MISPLACED:
        return "BAD " N_("Non-synchronizing literal where no string can begin.");
    case IMAPSTATE_BARE_CR:
        return "BAD " N_("CR without LF.");
    case IMAPSTATE_BARE_LF:
        return "BAD " N_("LF without CR.");
    case IMAPSTATE_NUL:
        return "BAD " N_("NUL in a command.");
    case IMAPSTATE_QUOTED_OPEN:
        return "BAD " N_("Quoted string without its closing quote.");
    default:
        return "BAD " N_("Command cannot be read with certainty.");
    }
}

void own_take(struct client *client, const struct imapstate_piece *piece)
{
    if (piece->begins)
        own_begin(client, piece);
    else
        request_add(&client->request, piece);
    if (client->request.phase == REQUEST_COMPLETE && piece->literal.announced)
        imapstate_frame_literal_refused(&client->frame);
}

bool own_takes_input(const struct client *client)
{
    /* Whoever does not read its answers gets no further ones. */
    return client->request.phase < REQUEST_OWES_GO && stream_has_room((struct stream *)&client->stream);
}

static bool own_say_go(struct client *client)
{
    if (!client_may_speak(client))
        return false;
    stream_put(&client->stream, IMAPSTATE_SPAN("+ OK\r\n"));
    imapstate_frame_literal_go(&client->frame);
    request_said_go(&client->request);
    return true;
}

bool own_go_on(struct client *client)
{
    if (client->request.phase < REQUEST_OWES_GO || !stream_has_room(&client->stream))
        return false;
    if (client->request.phase == REQUEST_OWES_GO)
        return own_say_go(client);
    /* The barrier: what the gateway answers comes after every earlier command and before every later one (P11). */
    if (client->state == CLIENT_AUTHENTICATED && !client_is_at_rest(client))
        return false;
    own_run(client);
    return true;
}
