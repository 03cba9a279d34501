#include "session.h"

#include <imapstate/frame.h>

#include <stdlib.h>
#include <string.h>

#include "condstore.h"
#include "evidence.h"
#include "names.h"
#include "record.h"
#include "sasl.h"
#include "setup.h"
#include "words.h"

#define SESSION_NAMES_MAX 8192u /* octets in the names that are enabled */
#define SESSION_VALUE_MAX 1024u

void session_init(struct session *session)
{
    *session = (struct session){ 0 };
    imapstate_buf_init(&session->user, SASL_NAME_MAX);
    imapstate_buf_init(&session->enabled, SESSION_NAMES_MAX);
    imapstate_buf_init(&session->language, SESSION_VALUE_MAX);
    imapstate_buf_init(&session->comparator, SESSION_VALUE_MAX);
}

void session_done(struct session *session)
{
    imapstate_buf_done(&session->user);
    free(session->acting);
    offers_unref(session->shown);
    offers_unref(session->offers);
    imapstate_buf_done(&session->enabled);
    imapstate_buf_done(&session->language);
    imapstate_buf_done(&session->comparator);
    imapstate_server_free(session->server);
    imapstate_state_free(session->in_effect);
    record_free(session->record);
    session_init(session);
}

bool session_begin(struct session *session, struct imapstate_span user, bool is_certain, struct offers *offers,
                   struct offers *shown, uint64_t epoch)
{
    session_done(session);
    session->is_certain = is_certain;
    session->epoch = epoch;
    session->offers = offers_ref(offers);
    session->shown = offers_ref(shown);
    session->server = imapstate_server_new();
    return session->server && imapstate_buf_put(&session->user, user);
}

void session_set_offers(struct session *session, struct offers *offers)
{
    offers_ref(offers);
    offers_unref(session->offers);
    session->offers = offers;
}

void session_set_shown(struct session *session, struct offers *shown)
{
    offers_ref(shown);
    offers_unref(session->shown);
    session->shown = shown;
}

bool session_begin_acting(struct session *session, const char *acting)
{
    session->acting = *acting ? strdup(acting) : NULL;
    return !*acting || session->acting;
}

struct imapstate_token_binding session_binding(const struct session *session, const char *upstream)
{
    return (struct imapstate_token_binding){
        .user = imapstate_buf_span(&session->user),
        .upstream = imapstate_span_of(upstream),
        .names = offers_names(session->shown),
        .epoch = session->epoch,
    };
}

bool session_is_shown(const struct session *session, const struct offers *shown)
{
    uint8_t own[IMAPSTATE_FINGERPRINT_OCTETS], others[IMAPSTATE_FINGERPRINT_OCTETS];
    struct imapstate_span told = offers_names(session->shown), names = offers_names(shown);
    return session->shown == shown || imapstate_span_equal(told, names) ||
           (imapstate_token_fingerprint(told, session->epoch, own) &&
            imapstate_token_fingerprint(names, session->epoch, others) && memcmp(own, others, sizeof own) == 0);
}

enum imapstate_selected session_selected(const struct session *session)
{
    return session->server ? imapstate_server_selected(session->server) : IMAPSTATE_SELECTED_NO;
}

/* --- names --- */

static bool session_has_enabled(const struct session *session, struct imapstate_span name)
{
    return evidence_names_enable(imapstate_buf_span(&session->enabled), name);
}

static void session_add_enabled(struct session *session, struct imapstate_span names)
{
    for (struct imapstate_span name; imapstate_enable_next(&names, &name);) {
        if (session_has_enabled(session, name))
            continue;
        if (!imapstate_buf_put_byte(&session->enabled, ' ') || !imapstate_buf_put(&session->enabled, name))
            session->is_uncertain = true;
    }
}

struct imapstate_state *session_copy(const struct imapstate_state *state)
{
    struct imapstate_buf encoded;
    imapstate_buf_init(&encoded, IMAPSTATE_STATE_MAX);
    struct imapstate_state *copy = imapstate_state_new(IMAPSTATE_STATE_MAX);
    if (copy && (!imapstate_state_encode(state, &encoded) ||
                 imapstate_state_decode(copy, imapstate_buf_span(&encoded)) != IMAPSTATE_OK)) {
        imapstate_state_free(copy);
        copy = NULL;
    }
    imapstate_buf_done(&encoded);
    return copy;
}

void session_forget_enabled(struct session *session)
{
    imapstate_buf_clear(&session->enabled);
    session->seen = 0;
    if (!session_is_set_up(session))
        record_free(session_take_record(session));
}

static void session_add_effects(struct session *session)
{
    struct imapstate_entry entry;
    for (size_t i = 0; session->in_effect && imapstate_state_at(session->in_effect, i, &entry); i++)
        if (entry.kind == IMAPSTATE_ENTRY_ENABLE)
            session_add_enabled(session, entry.value);
}

void session_restore(struct session *session, struct imapstate_state *in_effect, enum session_restored restored)
{
    imapstate_state_free(session->in_effect);
    session->in_effect = in_effect;
    session->restored = (uint8_t)restored;
    session_add_effects(session);
}

void session_is_set_up_again(struct session *session)
{
    session_add_effects(session);
}

/* What the untagged answer to the command of this kind in flight has chosen; NULL for a kind without a choice. */
static struct imapstate_buf *session_choice(struct session *session, unsigned kind)
{
    switch (kind) {
    case IMAPSTATE_ENTRY_LANGUAGE:
        return &session->language;
    case IMAPSTATE_ENTRY_COMPARATOR:
        return &session->comparator;
    default:
        return NULL;
    }
}

/* --- the record --- */

struct record *session_take_record(struct session *session)
{
    struct record *record = session->record;
    session->record = NULL;
    return record;
}

void session_give_record(struct session *session, struct record *record)
{
    if (record && (record_is_empty(session->record) || record_begins_alike(session->record, record))) {
        record_free(session->record);
        session->record = record;
    } else {
        record_free(record);
    }
}

bool session_is_set_up(const struct session *session)
{
    return session->in_effect && imapstate_state_count(session->in_effect) > 0;
}

/* Does what is on record say how the session came to be as it is? */
static bool session_is_on_record(const struct session *session)
{
    struct imapstate_entry entry;
    for (size_t i = 0; session->in_effect && imapstate_state_at(session->in_effect, i, &entry); i++)
        if (entry.kind != IMAPSTATE_ENTRY_ENABLE || record_is_empty(session->record))
            return false;
    return true;
}

/* RFC 5161 section 3: ENABLE comes before any mailbox is selected; behind that a server may answer it otherwise. And
 * what was switched on without ENABLE some leave out of ENABLED (Cyrus). */
static bool session_is_fresh(const struct session *session)
{
    return !session->has_selected && !(session->condstore & ~(unsigned)CONDSTORE_BY_ENABLE);
}

/* An ENABLE, or a NAMESPACE, is under way. Without memory for it there is no record. */
static void session_open_record(struct session *session, enum imapstate_command_id id)
{
    if (id == IMAPSTATE_COMMAND_ENABLE && !session_is_fresh(session)) {
        record_free(session_take_record(session));
        return;
    }
    if (!session->record && session_is_on_record(session))
        session->record = record_new();
    /* Whether or not it comes on record: what an earlier one has left is none of its answer. */
    if (session->record && id == IMAPSTATE_COMMAND_ENABLE)
        record_forget_heard(session->record);
    else if (session->record)
        record_forget_heard_namespace(session->record);
}

/* Has ENABLED named nothing but what ENABLEs have asked for, this one included? Who is told of more from the record is
 * not in that state: its connection need not have it on. */
static bool session_is_as_asked(const struct session *session, struct imapstate_span arguments)
{
    struct imapstate_span rest = imapstate_buf_span(&session->enabled);
    for (struct imapstate_span name; imapstate_enable_next(&rest, &name);)
        if (!evidence_has_enabled(session->in_effect, name) && !evidence_names_enable(arguments, name))
            return false;
    return true;
}

/* One was answered OK, and has not taken effect here yet. */
static void session_record(struct session *session, struct imapstate_span arguments)
{
    if (session->record && session_is_on_record(session) &&
        !(session_is_as_asked(session, arguments) && record_add(session->record, arguments)))
        record_free(session_take_record(session));
}

/* --- on the way down --- */

void session_sent_line(struct session *session, const struct imapstate_command *command,
                       struct imapstate_span arguments)
{
    session->condstore |= (uint8_t)condstore_of(command, arguments);
    if (!command->parkable)
        session->is_uncertain = true;
    if (command->id == IMAPSTATE_COMMAND_SELECT || command->id == IMAPSTATE_COMMAND_EXAMINE)
        session->has_selected = true;
    /* Only one of these is in flight at a time, so what was chosen by an earlier one says nothing of this one. */
    if (command->stored == IMAPSTATE_ENTRY_ENABLE || command->id == IMAPSTATE_COMMAND_NAMESPACE)
        session_open_record(session, command->id);
    struct imapstate_buf *choice = session_choice(session, command->stored);
    if (choice)
        imapstate_buf_clear(choice);
    if (command->stored != IMAPSTATE_ENTRY_NONE)
        session->chosen &= (uint8_t)~EVIDENCE_OF_KIND(command->stored);
}

void session_sent_rest(struct session *session, const struct imapstate_command *command, struct imapstate_span line)
{
    session->condstore |= (uint8_t)condstore_of_rest(command, line);
}

void session_sent_literal(struct session *session, const struct imapstate_command *command, struct imapstate_span line,
                          bool is_first)
{
    session->had_literal |= command->literals != IMAPSTATE_LITERALS_MESSAGE;
    session->condstore |= (uint8_t)condstore_of_literal(command, line, is_first);
}

/* --- on the way up --- */

/* A command for a language or a comparator has one untagged answer. A second one is that of a command that nobody knows
 * of, and which of the two was last is a guess: returned as not asked for. */
static unsigned session_saw_choice(struct session *session, const struct imapstate_storable *storable,
                                   struct imapstate_span arguments)
{
    struct imapstate_buf *choice = session_choice(session, storable->kind);
    unsigned second = session->chosen & EVIDENCE_OF_KIND(storable->kind);
    imapstate_buf_clear(choice);
    imapstate_storable_choice(storable, arguments, choice);
    session->chosen |= (uint8_t)EVIDENCE_OF_KIND(storable->kind);
    return second;
}

/* Where something else is in flight nobody knows in which state it was answered. */
static void session_saw_namespace(struct session *session, const struct pipeline *pipeline, struct imapstate_span line)
{
    struct imapstate_span rest = line;
    words_first(&rest);
    if (session->record && pipeline->count == 1 && pipeline->first->command->id == IMAPSTATE_COMMAND_NAMESPACE &&
        word_is(words_next(&rest), "NAMESPACE") && words_have_end(line) && !memchr(line.at, '{', line.len) &&
        session_is_on_record(session))
        record_hear_namespace(session->record, line);
}

void session_saw_response(struct session *session, const struct pipeline *pipeline, struct imapstate_span line)
{
    session_saw_namespace(session, pipeline, line);
    unsigned evidence = evidence_read(line), unasked = evidence ? evidence_unasked(evidence, pipeline) : 0;
    words_first(&line); /* "*" */
    const struct imapstate_storable *storable = evidence ? imapstate_storable_of_response(words_next(&line)) : NULL;
    if (storable && storable->proof == IMAPSTATE_PROOF_NAMES) {
        session_add_enabled(session, line);
        if (session->record && session_is_on_record(session))
            record_hear(session->record, line);
    } else if (storable)
        unasked |= session_saw_choice(session, storable, line);
    else if (evidence == EVIDENCE_OVERFLOW && session->server) {
        imapstate_server_overflowed(session->server);
        session->chosen |= EVIDENCE_OF_KIND(IMAPSTATE_ENTRY_NOTIFY);
    }
    session->seen |= (uint16_t)unasked;
}

void session_saw_echo(struct session *session, struct imapstate_span line)
{
    if (evidence_read(line) != EVIDENCE_ENABLED)
        return;
    words_next(&line); /* "*" */
    words_next(&line);
    session_add_enabled(session, line);
}

void session_saw_at_login(struct session *session, unsigned evidence)
{
    session->seen |= (uint16_t)evidence;
}

/* Appends the name if it is on now, whoever switched it on (P9). *fits: as long as there is memory. */
static bool session_put_enabled(const struct session *session, struct imapstate_span name, struct imapstate_buf *ret,
                                bool *fits)
{
    if (!session_has_enabled(session, name))
        return false;
    *fits = *fits && (ret->len == 0 || imapstate_buf_put_byte(ret, ' ')) && imapstate_buf_put(ret, name);
    return true;
}

/* The names of an ENABLE that are on now, in one order: so the same ENABLE makes the same state. Of too many octets the
 * order is as it was. False if there are none. Empty: there are, but memory is out. */
static bool session_enabled_of(const struct session *session, struct imapstate_span requested,
                               struct imapstate_buf *ret)
{
    struct imapstate_span each[NAMES_COUNT_MAX], name;
    bool fits = true, is_any = false;
    size_t count = names_in_order(requested, each);
    for (size_t i = 0; i < count; i++)
        is_any |= session_put_enabled(session, each[i], ret, &fits);
    while (count == 0 && imapstate_enable_next(&requested, &name))
        is_any |= session_put_enabled(session, name, ret, &fits);
    if (!fits)
        imapstate_buf_clear(ret);
    return is_any;
}

/* What a completed command has made true: the value of its entry (empty if that is not known). False if nothing has
 * changed. */
static bool session_effect(struct session *session, const struct flight *flight,
                           const struct imapstate_storable *storable, struct imapstate_buf *ret_value)
{
    struct imapstate_span arguments = imapstate_buf_span(&flight->arguments);
    switch ((enum imapstate_proof)storable->proof) {
    case IMAPSTATE_PROOF_NAMES:
        return session_enabled_of(session, arguments, ret_value);
    case IMAPSTATE_PROOF_CHOICE_LISTED:
    case IMAPSTATE_PROOF_CHOICE:
        imapstate_buf_put(ret_value, imapstate_buf_span(session_choice(session, storable->kind)));
        return arguments.len > 0 || flight->is_too_large;
    case IMAPSTATE_PROOF_ANSWER:
        break;
    }
    imapstate_buf_put(ret_value, arguments);
    return true;
}

/* Whether or not anybody keeps it, it has been done to the connection. */
static void session_take_effect(struct session *session, enum imapstate_entry_kind kind, struct imapstate_span value)
{
    if (!session->in_effect)
        session->in_effect = imapstate_state_new(IMAPSTATE_STATE_MAX);
    if (!session->in_effect || imapstate_state_record(session->in_effect, kind, value) != IMAPSTATE_OK)
        session->is_uncertain = true;
}

/* Of what was done to the connection. */
static bool session_find_effect(const struct session *session, enum imapstate_entry_kind kind,
                                struct imapstate_entry *ret_entry)
{
    for (size_t i = 0; session->in_effect && imapstate_state_at(session->in_effect, i, ret_entry); i++)
        if (ret_entry->kind == kind)
            return true;
    return false;
}

/* Was the question which language or comparator is in use answered with another one than the one that was set? */
static bool session_is_told_otherwise(struct session *session, const struct flight *flight)
{
    const struct imapstate_buf *told = session_choice(session, flight->command->stored);
    struct imapstate_entry entry;
    return told && told->len > 0 && flight->arguments.len == 0 &&
           session_find_effect(session, flight->command->stored, &entry) &&
           !imapstate_span_equal_nocase(entry.value, imapstate_buf_span(told));
}

/* What it has set nobody knows: it was too large to be kept, or answered before all of it had gone up, with no response
 * to say what is on; or it is a NOTIFY that the server has ended before its OK (RFC 5465 section 5.8), or the one
 * before it. */
static bool session_is_unknown(const struct session *session, const struct flight *flight,
                               const struct imapstate_storable *storable)
{
    bool has_ended = storable->kind == IMAPSTATE_ENTRY_NOTIFY && (session->chosen & EVIDENCE_OF_KIND(storable->kind));
    return flight->is_too_large || has_ended || (flight->is_answered && storable->proof == IMAPSTATE_PROOF_ANSWER);
}

static bool session_completed_storable(struct session *session, const struct flight *flight,
                                       const struct imapstate_storable *storable)
{
    bool is_announced = false, is_unknown = session_is_unknown(session, flight, storable);
    struct imapstate_buf value;
    imapstate_buf_init(&value, IMAPSTATE_LINE_MAX * 2);
    if (storable->kind == IMAPSTATE_ENTRY_ENABLE)
        session_record(session,
                       flight->is_too_large ? (struct imapstate_span){ 0 } : imapstate_buf_span(&flight->arguments));
    session->is_uncertain |= is_unknown || session_is_told_otherwise(session, flight);
    if (session_effect(session, flight, storable, &value)) {
        struct imapstate_span tag = { flight->tag, flight->tag_len };
        session_take_effect(session, storable->kind, imapstate_buf_span(&value));
        is_announced =
            imapstate_server_took_effect(session->server, tag, storable->kind,
                                         is_unknown ? (struct imapstate_span){ 0 } : imapstate_buf_span(&value));
    }
    imapstate_buf_done(&value);
    return is_announced;
}

bool session_tell_enabled(struct session *session, struct imapstate_span tag, struct imapstate_span arguments,
                          const struct imapstate_span *names)
{
    bool is_announced = false;
    struct imapstate_buf value;
    imapstate_buf_init(&value, IMAPSTATE_LINE_MAX);
    session_open_record(session, IMAPSTATE_COMMAND_ENABLE);
    if (names)
        session_add_enabled(session, *names);
    if (names && session->record)
        record_hear(session->record, *names);
    session_record(session, arguments);
    if (session_enabled_of(session, arguments, &value)) {
        session_take_effect(session, IMAPSTATE_ENTRY_ENABLE, imapstate_buf_span(&value));
        is_announced =
            imapstate_server_took_effect(session->server, tag, IMAPSTATE_ENTRY_ENABLE, imapstate_buf_span(&value));
    }
    imapstate_buf_done(&value);
    return is_announced;
}

void session_tell_namespace(struct session *session, struct imapstate_span line)
{
    session_open_record(session, IMAPSTATE_COMMAND_NAMESPACE);
    if (session->record && session_is_on_record(session)) {
        record_hear_namespace(session->record, line);
        record_add_namespace(session->record);
    }
}

/* The value that its entry would have: NOTIFY's is its arguments, the others' is what is chosen. */
static bool session_value_of(const struct imapstate_command_line *line, const struct imapstate_storable *storable,
                             struct imapstate_buf *ret_value)
{
    struct imapstate_span arguments = imapstate_span_without_line_end(line->arguments);
    if (storable->proof == IMAPSTATE_PROOF_ANSWER)
        return imapstate_buf_put(ret_value, arguments);
    return imapstate_command_astring(&arguments, ret_value) == IMAPSTATE_OK && arguments.len == 0;
}

/* False: nobody can say, or out of memory. */
static bool session_would_store(const struct session *session, const struct imapstate_command_line *line,
                                const struct imapstate_storable *storable, struct imapstate_buf *ret_state)
{
    struct imapstate_state *state =
        session->in_effect ? session_copy(session->in_effect) : imapstate_state_new(IMAPSTATE_STATE_MAX);
    struct imapstate_buf value;
    imapstate_buf_init(&value, IMAPSTATE_LINE_MAX);
    bool is_known = state && session_value_of(line, storable, &value) &&
                    imapstate_state_record(state, storable->kind, imapstate_buf_span(&value)) == IMAPSTATE_OK &&
                    setup_put(state, 0, ret_state);
    imapstate_buf_done(&value);
    imapstate_state_free(state);
    return is_known;
}

bool session_would_be(const struct session *session, const struct imapstate_command_line *line,
                      struct imapstate_buf *ret_state)
{
    const struct imapstate_storable *storable = imapstate_storable_find(line->command->stored);
    if (storable)
        return storable->replaces && session_would_store(session, line, storable, ret_state);
    unsigned asked = condstore_asked(line->command, line->arguments);
    return asked && !session_has_enabled(session, IMAPSTATE_SPAN("CONDSTORE")) &&
           setup_put(session->in_effect, asked, ret_state);
}

bool session_set_language(struct session *session, struct imapstate_span tag, struct imapstate_span language)
{
    return imapstate_server_took_effect(session->server, tag, IMAPSTATE_ENTRY_LANGUAGE, language);
}

static void session_completed_selection(struct session *session, const struct flight *flight, enum status_word status)
{
    struct imapstate_server *server = session->server;
    switch (flight->command->id) {
    case IMAPSTATE_COMMAND_SELECT:
    case IMAPSTATE_COMMAND_EXAMINE:
        /* RFC 9051 section 6.3.2: a SELECT that fails leaves no mailbox selected; one that was BAD may have left things
         * as they were. So may one whose literal was refused: was it the SELECT, or the string? */
        if (status == STATUS_BAD || (status == STATUS_NO && flight->is_answered))
            imapstate_server_set_selected(server, IMAPSTATE_SELECTED_UNKNOWN);
        else
            imapstate_server_set_selected(server, status == STATUS_OK ? IMAPSTATE_SELECTED_YES : IMAPSTATE_SELECTED_NO);
        break;
    case IMAPSTATE_COMMAND_CLOSE:
    case IMAPSTATE_COMMAND_UNSELECT:
        if (status == STATUS_OK)
            imapstate_server_set_selected(server, IMAPSTATE_SELECTED_NO);
        break;
    default:
        break;
    }
}

/* Is its OK worth something? What needs no mail store any front end can answer (Exchange: NOOP). */
static bool session_needs_store(const struct imapstate_command *command)
{
    return !(command->allowed & IMAPSTATE_IN_NOT_AUTHENTICATED) && command->stored == IMAPSTATE_ENTRY_NONE &&
           command->id != IMAPSTATE_COMMAND_NAMESPACE && command->id != IMAPSTATE_COMMAND_IDLE;
}

void session_judge(struct session *session, const struct imapstate_command *command, const struct status *status)
{
    if (status_doubts_connection(status))
        session->is_in_doubt = true;
    else if (status->word == STATUS_OK && session_needs_store(command))
        session->is_in_doubt = false;
}

bool session_completed(struct session *session, const struct flight *flight, enum status_word status)
{
    session->was_refused = status != STATUS_OK;
    /* Whether a STATUS that is refused has switched anything on nobody knows. */
    if (status != STATUS_OK && session->condstore & CONDSTORE_BY_STATUS)
        session->condstore |= CONDSTORE_BY_OTHERS;
    /* Behind a mistake in APPEND Dovecot reads the rest of the line as a command: APPEND INBOX {x ENABLE QRESYNC. */
    if (status != STATUS_OK && flight->command->literals == IMAPSTATE_LITERALS_MESSAGE)
        session->is_uncertain = true;
    if (flight->is_behind_done && flight->command->id != IMAPSTATE_COMMAND_IDLE)
        session->has_said_done = false;
    const struct imapstate_storable *storable = imapstate_storable_find(flight->command->stored);
    if (!storable) {
        if (flight->command->id == IMAPSTATE_COMMAND_NAMESPACE && status == STATUS_OK && session->record)
            record_add_namespace(session->record);
        session_completed_selection(session, flight, status);
        return false;
    }
    if (status == STATUS_OK)
        return session_completed_storable(session, flight, storable);
    /* ENABLE may have switched on some of its names all the same, NOTIFY all notifications off (RFC 5465 section 5.8).
     * That LANGUAGE and COMPARATOR then change nothing is said in RFC 5255, but for a server that names a choice. */
    const struct imapstate_buf *choice = session_choice(session, storable->kind);
    session->is_uncertain |= !choice || choice->len > 0;
    return false;
}

bool session_has_utf8(const struct session *session)
{
    return session_has_enabled(session, IMAPSTATE_SPAN("UTF8=ACCEPT")) ||
           session_has_enabled(session, IMAPSTATE_SPAN("IMAP4rev2"));
}

bool session_is_notified(const struct session *session)
{
    struct imapstate_entry entry;
    return session_find_effect(session, IMAPSTATE_ENTRY_NOTIFY, &entry) &&
           !imapstate_span_equal_nocase(entry.value, IMAPSTATE_SPAN("NONE"));
}

/* RFC 6855 section 3: an ENABLE changes how mailbox names are read. A NOTIFY from before it, which a warm restore sets
 * again behind it, would be about other mailboxes. */
static bool session_is_notified_otherwise(const struct session *session)
{
    struct imapstate_entry entry;
    bool is_set = false;
    for (size_t i = 0; session->in_effect && imapstate_state_at(session->in_effect, i, &entry); i++) {
        if (is_set && entry.kind == IMAPSTATE_ENTRY_ENABLE && session_has_utf8(session))
            return true;
        is_set |= entry.kind == IMAPSTATE_ENTRY_NOTIFY && session_is_notified(session);
    }
    return false;
}

/* As far as can be seen, is something on that the commands of this session have not set up? */
static bool session_is_set_up_otherwise(const struct session *session)
{
    struct imapstate_span rest = imapstate_buf_span(&session->enabled);
    for (struct imapstate_span name; imapstate_enable_next(&rest, &name);)
        if (!evidence_has_enabled(session->in_effect, name))
            return true;
    unsigned seen = session->seen;
    if (session->condstore & (CONDSTORE_BY_STATUS | CONDSTORE_BY_OTHERS))
        seen &= ~(unsigned)EVIDENCE_MODSEQ;
    return !evidence_is_accounted(seen, session->in_effect);
}

bool session_is_pristine(const struct session *session)
{
    return session->condstore == 0 && !session->had_literal && !session_is_set_up_otherwise(session);
}

bool session_is_parkable(const struct session *session, struct imapstate_buf *ret_state)
{
    /* Where CONDSTORE is on anyway, nothing switches it on unseen. */
    unsigned ways = session_has_enabled(session, IMAPSTATE_SPAN("CONDSTORE")) ? 0 : session->condstore;
    return !session->is_uncertain && !(ways & (CONDSTORE_BY_ENABLE | CONDSTORE_UNKNOWN)) &&
           !session_is_set_up_otherwise(session) && !session_is_notified_otherwise(session) &&
           setup_put(session->in_effect, ways, ret_state);
}
