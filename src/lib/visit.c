#include <imapstate/visit.h>

#include <imapstate/command.h>

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "lines.h"
#include "octet.h"
#include "response.h"
#include "saved.h"
#include "words.h"

/* A command that is not answered. */
struct flight {
    struct flight *next;
    struct imapstate_buf line; /* tag SP command */
    size_t tag_len;
    const struct imapstate_command *command; /* static */
    bool is_announced;
};

struct imapstate_visit {
    struct imapstate_buf wanted;  /* lines */
    struct imapstate_buf covered; /* lines: the commands that the session's state consists of, as far as it was told */
    struct flight *flights;       /* owned; in the order in which they were sent */
    struct saved saved;           /* what the client is to keep */
    struct saved coming;          /* of the SAVESTATE that is in flight */
    bool is_saving;
    bool is_echoed;    /* the untagged STATE has come that proves a restore (P4) */
    bool is_uncertain; /* something is in the state that the client has not told */
    bool has_changed;
    uint8_t status; /* enum imapstate_visit_status */
    uint8_t offer;  /* enum imapstate_visit_offer */
};

/* --- flights --- */

static void flight_free(struct flight *flight)
{
    imapstate_buf_done(&flight->line);
    free(flight);
}

static struct imapstate_span flight_tag(const struct flight *flight)
{
    return (struct imapstate_span){ flight->line.at, flight->tag_len };
}

static struct imapstate_span flight_command(const struct flight *flight)
{
    return (struct imapstate_span){ flight->line.at + flight->tag_len + 1, flight->line.len - flight->tag_len - 1 };
}

/* The row of a command's first word. Those of two words ("UID FETCH") are nothing that is stored. */
static const struct imapstate_command *command_row(struct imapstate_span command)
{
    return imapstate_command_find(words_next(&command));
}

static bool visit_add_flight(struct imapstate_visit *visit, struct imapstate_span tag, struct imapstate_span command)
{
    struct flight *flight = calloc(1, sizeof *flight), **last = &visit->flights;
    if (!flight)
        return false;
    imapstate_buf_init(&flight->line, tag.len + 1 + command.len);
    flight->tag_len = tag.len;
    flight->command = command_row(command);
    if (!imapstate_buf_put(&flight->line, tag) || !imapstate_buf_put_byte(&flight->line, ' ') ||
        !imapstate_buf_put(&flight->line, command)) {
        flight_free(flight);
        return false;
    }
    while (*last)
        last = &(*last)->next;
    *last = flight;
    return true;
}

/* The place of the first flight of this tag: a tag may be in use twice. It holds NULL if there is none. */
static struct flight **visit_flight(struct imapstate_visit *visit, struct imapstate_span tag)
{
    struct flight **at = &visit->flights;
    while (*at && !imapstate_span_equal(flight_tag(*at), tag))
        at = &(*at)->next;
    return at;
}

/* --- the visit --- */

struct imapstate_visit *imapstate_visit_new(void)
{
    struct imapstate_visit *visit = sodium_init() < 0 ? NULL : calloc(1, sizeof *visit);
    if (!visit)
        return NULL;
    imapstate_buf_init(&visit->wanted, SIZE_MAX);
    imapstate_buf_init(&visit->covered, IMAPSTATE_VISIT_COMMANDS_MAX);
    imapstate_saved_init(&visit->saved);
    imapstate_saved_init(&visit->coming);
    return visit;
}

void imapstate_visit_free(struct imapstate_visit *visit)
{
    if (!visit)
        return;
    for (struct flight *flight = visit->flights, *next; flight; flight = next) {
        next = flight->next;
        flight_free(flight);
    }
    imapstate_buf_done(&visit->wanted);
    imapstate_buf_done(&visit->covered);
    imapstate_saved_done(&visit->saved);
    imapstate_saved_done(&visit->coming);
    free(visit);
}

/* STATE and SAVESTATE are the visit's own. */
static bool is_for_the_client(struct imapstate_span command)
{
    uint8_t id = command_row(command)->id;
    return command.len > 0 && id != IMAPSTATE_COMMAND_STATE && id != IMAPSTATE_COMMAND_SAVESTATE;
}

enum imapstate_error imapstate_visit_want(struct imapstate_visit *visit, struct imapstate_span command)
{
    if (!is_for_the_client(command))
        return IMAPSTATE_SYNTAX;
    return lines_put(&visit->wanted, command) ? IMAPSTATE_OK : IMAPSTATE_NO_MEMORY;
}

enum imapstate_error imapstate_visit_recall(struct imapstate_visit *visit, struct imapstate_span kept)
{
    enum imapstate_error error = kept.len > 0 ? imapstate_saved_read(&visit->saved, kept) : IMAPSTATE_OK;
    /* What cannot be read is nothing to be kept. */
    visit->has_changed = error == IMAPSTATE_STATE_INVALID;
    return error;
}

static void visit_forget_token(struct imapstate_visit *visit)
{
    visit->has_changed |= visit->saved.token.len > 0;
    imapstate_saved_done(&visit->saved);
}

bool imapstate_visit_has_token(const struct imapstate_visit *visit)
{
    struct imapstate_span command;
    for (size_t at = 0; lines_next(imapstate_buf_span(&visit->saved.commands), &at, &command);)
        if (!lines_contain(imapstate_buf_span(&visit->wanted), command))
            return false;
    return visit->saved.token.len > 0;
}

/* A token of another server may be no atom. */
static bool put_token(struct imapstate_buf *out, struct imapstate_span token)
{
    return octets_are(token, OCTET_ATOM) ? imapstate_buf_put(out, token) : imapstate_command_put_quoted(out, token);
}

static bool put_command(struct imapstate_buf *out, struct imapstate_span tag, const char *name,
                        struct imapstate_span token)
{
    return imapstate_buf_put(out, tag) && imapstate_buf_printf(out, " %s", name) &&
           (token.len == 0 || (imapstate_buf_put_byte(out, ' ') && put_token(out, token))) &&
           imapstate_buf_put(out, IMAPSTATE_SPAN("\r\n"));
}

/* Appends STATE or SAVESTATE and waits for its answer: all or nothing. */
static bool visit_put(struct imapstate_visit *visit, struct imapstate_span tag, const char *name,
                      struct imapstate_span token, struct imapstate_buf *out)
{
    size_t len_before = out->len;
    if (octets_are(tag, OCTET_TAG) && put_command(out, tag, name, token) &&
        visit_add_flight(visit, tag, imapstate_span_of(name)))
        return true;
    out->len = len_before;
    return false;
}

bool imapstate_visit_put_state(struct imapstate_visit *visit, struct imapstate_span tag, struct imapstate_buf *out)
{
    if (visit->status != IMAPSTATE_VISIT_FRESH && visit->status != IMAPSTATE_VISIT_REFUSED)
        return false;
    if (!imapstate_visit_has_token(visit))
        visit_forget_token(visit);
    if (!visit_put(visit, tag, "STATE", imapstate_buf_span(&visit->saved.token), out))
        return false;
    visit->is_echoed = false;
    visit->status = IMAPSTATE_VISIT_ASKED;
    return true;
}

enum imapstate_error imapstate_visit_sent(struct imapstate_visit *visit, struct imapstate_span tag,
                                          struct imapstate_span command)
{
    if (!octets_are(tag, OCTET_TAG) || !is_for_the_client(command))
        return IMAPSTATE_SYNTAX;
    return visit_add_flight(visit, tag, command) ? IMAPSTATE_OK : IMAPSTATE_NO_MEMORY;
}

static bool visit_is_tracking(const struct imapstate_visit *visit)
{
    return visit->status == IMAPSTATE_VISIT_RESTORED || visit->status == IMAPSTATE_VISIT_TRACKING;
}

static bool visit_can_save(const struct imapstate_visit *visit)
{
    return visit_is_tracking(visit) && !visit->is_saving && !visit->is_uncertain;
}

bool imapstate_visit_is_due(const struct imapstate_visit *visit, uint64_t now_s, uint64_t age_max_s)
{
    const struct saved *saved = &visit->saved;
    if (!visit_can_save(visit))
        return false;
    if (!imapstate_span_equal(imapstate_buf_span(&visit->covered), imapstate_buf_span(&saved->commands)))
        return true;
    return saved->token.len > 0 && (now_s < saved->saved_at_s || now_s - saved->saved_at_s >= age_max_s);
}

bool imapstate_visit_put_savestate(struct imapstate_visit *visit, struct imapstate_span tag, uint64_t now_s,
                                   struct imapstate_buf *out)
{
    if (!visit_can_save(visit) || !visit_put(visit, tag, "SAVESTATE", (struct imapstate_span){ 0 }, out))
        return false;
    imapstate_saved_done(&visit->coming);
    visit->coming.saved_at_s = now_s;
    visit->is_saving = true;
    return true;
}

enum imapstate_visit_status imapstate_visit_status(const struct imapstate_visit *visit)
{
    return visit->status;
}

enum imapstate_visit_offer imapstate_visit_offer(const struct imapstate_visit *visit)
{
    return visit->offer;
}

bool imapstate_visit_next(const struct imapstate_visit *visit, size_t *at, struct imapstate_span *ret_command)
{
    if (visit->status == IMAPSTATE_VISIT_ASKED && visit->saved.token.len > 0)
        return false;
    while (lines_next(imapstate_buf_span(&visit->wanted), at, ret_command))
        if (!lines_contain(imapstate_buf_span(&visit->covered), *ret_command))
            return true;
    return false;
}

bool imapstate_visit_has_changed(const struct imapstate_visit *visit)
{
    return visit->has_changed;
}

bool imapstate_visit_keep(const struct imapstate_visit *visit, struct imapstate_buf *out)
{
    return visit->saved.token.len == 0 || imapstate_saved_write(&visit->saved, out);
}

/* --- what the server says --- */

/* The token of an untagged STATE or SAVESTATE; in is what follows that word. */
static bool token_take(struct imapstate_span in, struct imapstate_buf *ret_token)
{
    if (imapstate_command_astring(&in, ret_token) == IMAPSTATE_OK && in.len == 0 &&
        imapstate_saved_is_token(imapstate_buf_span(ret_token)))
        return true;
    imapstate_buf_done(ret_token);
    return false;
}

static void visit_see_state(struct imapstate_visit *visit, struct imapstate_span in)
{
    struct imapstate_buf token;
    imapstate_buf_init(&token, IMAPSTATE_VISIT_TOKEN_MAX);
    if (visit->status == IMAPSTATE_VISIT_ASKED && token_take(in, &token))
        visit->is_echoed = imapstate_span_equal(imapstate_buf_span(&token), imapstate_buf_span(&visit->saved.token));
    imapstate_buf_done(&token);
}

/* P11: all commands before SAVESTATE are complete, and none behind it has begun. So it stands for what is covered now.
 */
static void visit_see_savestate(struct imapstate_visit *visit, struct imapstate_span in)
{
    struct saved *coming = &visit->coming;
    if (!visit->is_saving)
        return;
    imapstate_buf_done(&coming->token);
    imapstate_buf_clear(&coming->commands);
    if (!imapstate_buf_put(&coming->commands, imapstate_buf_span(&visit->covered)) || !token_take(in, &coming->token))
        imapstate_saved_done(coming);
}

static void visit_see_capabilities(struct imapstate_visit *visit, struct imapstate_span names)
{
    visit->offer = IMAPSTATE_VISIT_OFFER_NO;
    if (words_have(names, IMAPSTATE_SPAN("STATE")))
        visit->offer = IMAPSTATE_VISIT_OFFER_YES;
}

static void visit_see_announcement(struct imapstate_visit *visit, struct imapstate_span tag)
{
    struct flight *flight = *visit_flight(visit, tag);
    if (flight)
        flight->is_announced = true;
    else
        visit->is_uncertain = true;
}

static void visit_untagged(struct imapstate_visit *visit, struct imapstate_span in)
{
    struct imapstate_span word = words_next(&in), arguments;
    if (word_is(word, "CAPABILITY"))
        visit_see_capabilities(visit, in);
    else if (word_is(word, "STATE"))
        visit_see_state(visit, in);
    else if (word_is(word, "SAVESTATE"))
        visit_see_savestate(visit, in);
    else if (word_is(word, "OK") || word_is(word, "PREAUTH")) {
        if (imapstate_response_has_code(in, "CAPABILITY", &arguments))
            visit_see_capabilities(visit, arguments);
        else if (imapstate_response_has_code(in, "STATECMD", &arguments))
            visit_see_announcement(visit, arguments);
    }
}

static void visit_state_answered(struct imapstate_visit *visit, bool is_ok)
{
    struct saved *saved = &visit->saved;
    imapstate_buf_clear(&visit->covered);
    if (!is_ok) {
        visit->status = IMAPSTATE_VISIT_REFUSED;
        if (visit->offer == IMAPSTATE_VISIT_OFFER_NO)
            visit_forget_token(visit);
    } else if (visit->is_echoed && imapstate_buf_put(&visit->covered, imapstate_buf_span(&saved->commands))) {
        visit->status = IMAPSTATE_VISIT_RESTORED;
    } else {
        visit->status = IMAPSTATE_VISIT_TRACKING;
        visit_forget_token(visit);
    }
}

static void visit_savestate_answered(struct imapstate_visit *visit, bool is_ok)
{
    visit->is_saving = false;
    if (is_ok && visit->coming.token.len > 0) {
        imapstate_saved_done(&visit->saved);
        visit->saved = visit->coming;
        imapstate_saved_init(&visit->coming);
        visit->has_changed = true;
    }
    imapstate_saved_done(&visit->coming);
}

/* A command that replaces one of its kind takes that out of the state, stored or not (P9). */
static void visit_uncover(struct imapstate_visit *visit, const struct imapstate_command *row)
{
    struct imapstate_span other;
    for (size_t at = 0; lines_next(imapstate_buf_span(&visit->covered), &at, &other);) {
        if (command_row(other) != row)
            continue;
        size_t begin = at - other.len - LINES_HEADER_OCTETS;
        lines_cut(&visit->covered, at, other);
        at = begin;
    }
}

static void visit_cover(struct imapstate_visit *visit, const struct flight *flight)
{
    struct imapstate_span command = flight_command(flight);
    bool has_arguments = memchr(command.at, ' ', command.len) != NULL;
    /* Without arguments LANGUAGE and COMPARATOR are queries. */
    const struct imapstate_storable *storable = imapstate_storable_find(flight->command->stored);
    if (storable && storable->replaces && has_arguments)
        visit_uncover(visit, flight->command);
    if (flight->is_announced && visit_is_tracking(visit) &&
        !lines_contain(imapstate_buf_span(&visit->covered), command))
        lines_put(&visit->covered, command);
}

/* P16: the state is emptied, and tracking is off. The token stays good. */
static void visit_unauthenticated(struct imapstate_visit *visit)
{
    imapstate_buf_clear(&visit->covered);
    visit->status = IMAPSTATE_VISIT_FRESH;
    visit->is_uncertain = false;
}

static void visit_answered(struct imapstate_visit *visit, const struct flight *flight, bool is_ok)
{
    switch (flight->command->id) {
    case IMAPSTATE_COMMAND_STATE:
        visit_state_answered(visit, is_ok);
        break;
    case IMAPSTATE_COMMAND_SAVESTATE:
        visit_savestate_answered(visit, is_ok);
        break;
    case IMAPSTATE_COMMAND_UNAUTHENTICATE:
        if (is_ok)
            visit_unauthenticated(visit);
        break;
    default:
        if (is_ok)
            visit_cover(visit, flight);
    }
}

static void visit_tagged(struct imapstate_visit *visit, struct imapstate_span tag, struct imapstate_span in)
{
    struct imapstate_span status = words_next(&in), names;
    struct flight **at = visit_flight(visit, tag), *flight = *at;

    if (imapstate_response_has_code(in, "CAPABILITY", &names))
        visit_see_capabilities(visit, names);
    if (!flight)
        return;
    *at = flight->next;
    visit_answered(visit, flight, word_is(status, "OK"));
    flight_free(flight);
}

void imapstate_visit_response(struct imapstate_visit *visit, struct imapstate_span line)
{
    struct imapstate_span in = imapstate_span_without_line_end(line), first = words_first(&in);
    if (word_is(first, "*"))
        visit_untagged(visit, in);
    else if (!word_is(first, "+"))
        visit_tagged(visit, first, in);
}
