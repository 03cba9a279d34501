#include <imapstate/server.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redo.h"

/* po/update collects the texts: a gateway has them in other languages, too. */
#define N_(text) text

/*     untracked -> tracking     restoring: between RUN and the answer, in either */
struct imapstate_server {
    struct imapstate_state *state;     /* owned; NULL until tracking begins */
    struct imapstate_state *restoring; /* owned; NULL: no restore is under way */
    struct redo redo;                  /* of restoring */
    bool has_changed;                  /* a storable command has taken effect, or a state was restored */
    bool is_set_up_otherwise;          /* something is on, or may be, that no storable command has set up */
    uint8_t selected;                  /* enum imapstate_selected */
};

struct imapstate_server *imapstate_server_new(void)
{
    return calloc(1, sizeof(struct imapstate_server));
}

static void server_end_restore(struct imapstate_server *server)
{
    imapstate_state_free(server->restoring);
    server->restoring = NULL;
    imapstate_redo_done(&server->redo);
}

void imapstate_server_free(struct imapstate_server *server)
{
    if (!server)
        return;
    server_end_restore(server);
    imapstate_state_free(server->state);
    free(server);
}

bool imapstate_server_is_tracking(const struct imapstate_server *server)
{
    return server->state;
}

bool imapstate_server_has_changed(const struct imapstate_server *server)
{
    return server->has_changed;
}

const struct imapstate_state *imapstate_server_state(const struct imapstate_server *server)
{
    return server->state;
}

const struct imapstate_state *imapstate_server_restoring(const struct imapstate_server *server)
{
    return server->restoring;
}

/* --- what commands have done --- */

bool imapstate_server_took_effect(struct imapstate_server *server, struct imapstate_span tag,
                                  enum imapstate_entry_kind kind, struct imapstate_span value)
{
    if (server->restoring)
        return false; /* the restore's own */
    server->has_changed = true;
    if (!server->state)
        return false;
    /* RFC 9051 section 9: a response code ends at "]", so a tag that has one could not be told by STATECMD. */
    if (value.len > 0 && tag.len > 0 && !memchr(tag.at, ']', tag.len))
        return imapstate_state_record(server->state, kind, value) == IMAPSTATE_OK;
    imapstate_state_remove(server->state, kind);
    return false;
}

void imapstate_server_set_pristine(struct imapstate_server *server, bool is_pristine)
{
    server->is_set_up_otherwise = !is_pristine;
}

void imapstate_server_overflowed(struct imapstate_server *server)
{
    struct imapstate_entry entry;
    imapstate_redo_overflowed(&server->redo);
    for (size_t i = 0; server->state && imapstate_state_at(server->state, i, &entry); i++)
        if (entry.kind == IMAPSTATE_ENTRY_NOTIFY) {
            imapstate_state_record(server->state, IMAPSTATE_ENTRY_NOTIFY, IMAPSTATE_SPAN("NONE"));
            break;
        }
}

void imapstate_server_set_selected(struct imapstate_server *server, enum imapstate_selected selected)
{
    server->selected = (uint8_t)selected;
}

enum imapstate_selected imapstate_server_selected(const struct imapstate_server *server)
{
    return (enum imapstate_selected)server->selected;
}

/* --- STATE --- */

static enum imapstate_answer server_begin_tracking(struct imapstate_server *server,
                                                   const struct imapstate_token_binding *binding,
                                                   enum imapstate_answer answer)
{
    if (!server->state)
        server->state = imapstate_state_new(imapstate_token_state_max(binding));
    return server->state ? answer : IMAPSTATE_ANSWER_NO_MEMORY;
}

enum imapstate_answer imapstate_server_track(struct imapstate_server *server,
                                             const struct imapstate_token_binding *binding)
{
    if (server->selected != IMAPSTATE_SELECTED_NO)
        return IMAPSTATE_ANSWER_SELECTED;
    if (server->restoring)
        return IMAPSTATE_ANSWER_ENDED; /* in half a state */
    return server_begin_tracking(server, binding, IMAPSTATE_ANSWER_TRACKING);
}

/* Opens the token and begins to restore what it holds. */
static enum imapstate_error server_open(struct imapstate_server *server, const struct imapstate_keyring *keyring,
                                        const struct imapstate_token_binding *binding, uint64_t now_s,
                                        struct imapstate_span token)
{
    struct imapstate_buf encoded;
    imapstate_buf_init(&encoded, IMAPSTATE_TOKEN_MAX);
    server_end_restore(server);
    server->restoring = imapstate_state_new(imapstate_token_state_max(binding));
    enum imapstate_error error = server->restoring ? IMAPSTATE_OK : IMAPSTATE_NO_MEMORY;
    if (error == IMAPSTATE_OK)
        error = imapstate_token_open(keyring, binding, now_s, token, &encoded);
    if (error == IMAPSTATE_OK)
        error = imapstate_state_decode(server->restoring, imapstate_buf_span(&encoded));
    if (error == IMAPSTATE_OK && !imapstate_redo_init(&server->redo, server->restoring))
        error = IMAPSTATE_NO_MEMORY;
    imapstate_buf_done(&encoded);
    if (error != IMAPSTATE_OK)
        server_end_restore(server);
    return error;
}

enum imapstate_answer imapstate_server_restore(struct imapstate_server *server, const struct imapstate_keyring *keyring,
                                               const struct imapstate_token_binding *binding, uint64_t now_s,
                                               struct imapstate_span token, enum imapstate_error *ret_error)
{
    enum imapstate_error ignored, *error = ret_error ? ret_error : &ignored;
    *error = IMAPSTATE_OK;
    if (server->selected != IMAPSTATE_SELECTED_NO)
        return IMAPSTATE_ANSWER_SELECTED;
    if (server->restoring)
        return IMAPSTATE_ANSWER_ENDED; /* in half a state */
    if (token.len == 0 || token.len > IMAPSTATE_TOKEN_MAX) {
        *error = IMAPSTATE_TOKEN_MALFORMED;
        return IMAPSTATE_ANSWER_MALFORMED;
    }
    bool is_pristine = !server->has_changed && !server->is_set_up_otherwise;
    *error = is_pristine ? server_open(server, keyring, binding, now_s, token) : IMAPSTATE_NOT_PRISTINE;
    if (*error == IMAPSTATE_OK)
        return IMAPSTATE_ANSWER_RUN;
    if (imapstate_error_is_final(*error))
        return server_begin_tracking(server, binding, IMAPSTATE_ANSWER_DECLINED);
    return *error == IMAPSTATE_NO_MEMORY ? IMAPSTATE_ANSWER_NO_MEMORY : IMAPSTATE_ANSWER_UNAVAILABLE;
}

/* What the command has done, as far as it can be proven by it. */
static void server_prove(struct imapstate_server *server, struct redo_step *step, struct imapstate_span value)
{
    switch ((enum imapstate_proof)step->storable->proof) {
    case IMAPSTATE_PROOF_NAMES:
        imapstate_redo_names_are_on(&server->redo, value);
        break;
    case IMAPSTATE_PROOF_CHOICE_LISTED:
    case IMAPSTATE_PROOF_CHOICE:
        imapstate_redo_chose(step, value);
        break;
    case IMAPSTATE_PROOF_ANSWER:
        break;
    }
}

void imapstate_server_ran(struct imapstate_server *server, size_t index, bool is_ok, struct imapstate_span value)
{
    struct redo *redo = &server->redo;
    if (!server->restoring)
        return;
    if (index >= redo->count || redo->steps[index].is_answered) {
        imapstate_redo_fail(redo, "", "an answer came that belongs to no command");
        return;
    }
    if (is_ok)
        server_prove(server, &redo->steps[index], value);
    imapstate_redo_completed(redo, &redo->steps[index], is_ok ? NULL : "failed");
}

enum imapstate_answer imapstate_server_verdict(struct imapstate_server *server)
{
    if (!server->restoring)
        return IMAPSTATE_ANSWER_ENDED;
    switch (imapstate_redo_status(&server->redo)) {
    case REDO_RUNNING:
        return IMAPSTATE_ANSWER_RUN;
    case REDO_DONE:
        return imapstate_server_conclude(server, NULL, IMAPSTATE_OUTCOME_RESTORED);
    case REDO_FAILED:
        break;
    }
    return IMAPSTATE_ANSWER_UNDO;
}

static void server_take_over(struct imapstate_server *server)
{
    server->has_changed |= imapstate_state_count(server->restoring) > 0;
    imapstate_state_free(server->state);
    server->state = server->restoring;
    server->restoring = NULL;
}

enum imapstate_answer imapstate_server_conclude(struct imapstate_server *server,
                                                const struct imapstate_token_binding *binding,
                                                enum imapstate_outcome outcome)
{
    enum imapstate_answer answer = IMAPSTATE_ANSWER_ENDED;
    if (!server->restoring)
        return answer;
    switch (outcome) {
    case IMAPSTATE_OUTCOME_RESTORED:
        server_take_over(server);
        answer = IMAPSTATE_ANSWER_RESTORED;
        break;
    case IMAPSTATE_OUTCOME_UNDONE:
        answer = server_begin_tracking(server, binding, IMAPSTATE_ANSWER_DECLINED);
        break;
    case IMAPSTATE_OUTCOME_INTERRUPTED:
        answer = IMAPSTATE_ANSWER_UNAVAILABLE;
        break;
    case IMAPSTATE_OUTCOME_TAINTED:
        break;
    }
    server_end_restore(server);
    return answer;
}

/* --- SAVESTATE --- */

static enum imapstate_answer answer_of_sealing(enum imapstate_error error)
{
    switch (error) {
    case IMAPSTATE_OK:
        return IMAPSTATE_ANSWER_SAVED;
    case IMAPSTATE_STATE_TOO_LARGE:
        return IMAPSTATE_ANSWER_TOO_LARGE;
    default:
        return IMAPSTATE_ANSWER_NOT_SAVED;
    }
}

static enum imapstate_error server_seal(const struct imapstate_server *server, const struct imapstate_keyring *keyring,
                                        const struct imapstate_token_binding *binding, unsigned format, uint64_t now_s,
                                        uint64_t lifetime_s, struct imapstate_buf *ret_token, uint64_t *ret_left_s)
{
    struct imapstate_key key;
    struct imapstate_buf encoded;
    if (!imapstate_keyring_sealing(keyring, now_s, &key))
        return IMAPSTATE_KEY_NONE;
    imapstate_buf_init(&encoded, IMAPSTATE_STATE_MAX);
    enum imapstate_error error = IMAPSTATE_NO_MEMORY;
    if (imapstate_state_encode(server->state, &encoded))
        error = imapstate_token_seal_as(format, &key, binding, now_s, lifetime_s, imapstate_buf_span(&encoded),
                                        ret_token, ret_left_s);
    imapstate_buf_done(&encoded);
    return error;
}

enum imapstate_answer imapstate_server_save(const struct imapstate_server *server,
                                            const struct imapstate_keyring *keyring,
                                            const struct imapstate_token_binding *binding, unsigned format,
                                            uint64_t now_s, uint64_t lifetime_s, struct imapstate_buf *ret_token,
                                            uint64_t *ret_left_s, enum imapstate_error *ret_error)
{
    enum imapstate_error ignored, *error = ret_error ? ret_error : &ignored;
    *error = IMAPSTATE_OK;
    if (!server->state)
        return IMAPSTATE_ANSWER_NOT_TRACKING;
    *error = server->restoring
                 ? IMAPSTATE_UNSUPPORTED
                 : server_seal(server, keyring, binding, format, now_s, lifetime_s, ret_token, ret_left_s);
    return answer_of_sealing(*error);
}

/* --- on the wire --- */

static const char *const answer_texts[] = {
    [IMAPSTATE_ANSWER_TRACKING] = "OK " N_("State command tracking enabled."),
    [IMAPSTATE_ANSWER_RESTORED] = "OK " N_("State restored."),
    [IMAPSTATE_ANSWER_DECLINED] = "OK " N_("State not restored, but state command tracking enabled."),
    [IMAPSTATE_ANSWER_UNAVAILABLE] = "NO [UNAVAILABLE] " N_("State cannot be restored at the moment."),
    [IMAPSTATE_ANSWER_ENDED] = "NO [UNAVAILABLE] " N_("State cannot be restored at the moment."),
    [IMAPSTATE_ANSWER_MALFORMED] = "BAD " N_("STATE takes at most one token."),
    [IMAPSTATE_ANSWER_SELECTED] = "BAD " N_("STATE is not allowed while a mailbox is selected."),
    [IMAPSTATE_ANSWER_SAVED] = N_("State saved."),
    [IMAPSTATE_ANSWER_NOT_TRACKING] = "NO [CLIENTBUG] " N_("STATE must come first."),
    [IMAPSTATE_ANSWER_TOO_LARGE] = "NO [LIMIT] " N_("State is too large to be saved."),
    [IMAPSTATE_ANSWER_NOT_SAVED] = "NO [UNAVAILABLE] " N_("State cannot be saved at the moment."),
    [IMAPSTATE_ANSWER_NO_MEMORY] = "NO [UNAVAILABLE] " N_("Out of memory."),
};

const char *imapstate_answer_text(enum imapstate_answer answer, uint64_t left_s, char ret_text[IMAPSTATE_ANSWER_SIZE])
{
    bool has_text = (size_t)answer < sizeof answer_texts / sizeof answer_texts[0] && answer_texts[answer];
    const char *text = has_text ? answer_texts[answer] : "";
    if (answer == IMAPSTATE_ANSWER_SAVED)
        /* RFC 9051 section 9: "number" has 32 bits. */
        snprintf(ret_text, IMAPSTATE_ANSWER_SIZE, "OK [STATEEXPIRES %" PRIu64 "] %s",
                 left_s < UINT32_MAX ? left_s : UINT32_MAX, text);
    else
        snprintf(ret_text, IMAPSTATE_ANSWER_SIZE, "%s", text);
    return ret_text;
}

/* Appends the parts, one after the other, and a line end; or nothing. */
static bool put_line(struct imapstate_buf *out, const struct imapstate_span *parts, size_t count)
{
    size_t len_before = out->len;
    bool fits = true;
    for (size_t i = 0; i < count; i++)
        fits = fits && imapstate_buf_put(out, parts[i]);
    if (fits && imapstate_buf_put(out, IMAPSTATE_SPAN("\r\n")))
        return true;
    out->len = len_before;
    return false;
}

#define PUT_LINE(out, ...)                                                                                             \
    put_line(out, (const struct imapstate_span[]){ __VA_ARGS__ },                                                      \
             sizeof((const struct imapstate_span[]){ __VA_ARGS__ }) / sizeof(struct imapstate_span))

bool imapstate_answer_put_untagged(enum imapstate_answer answer, struct imapstate_span token, struct imapstate_buf *out)
{
    if (answer == IMAPSTATE_ANSWER_RESTORED)
        return PUT_LINE(out, IMAPSTATE_SPAN("* STATE "), token);
    return answer != IMAPSTATE_ANSWER_SAVED || PUT_LINE(out, IMAPSTATE_SPAN("* SAVESTATE "), token);
}

bool imapstate_answer_put(enum imapstate_answer answer, struct imapstate_span tag, struct imapstate_span token,
                          uint64_t left_s, struct imapstate_buf *out)
{
    char text[IMAPSTATE_ANSWER_SIZE];
    size_t len_before = out->len;
    imapstate_answer_text(answer, left_s, text);
    bool fits = imapstate_answer_put_untagged(answer, token, out);
    if (*text)
        fits = fits && PUT_LINE(out, tag, IMAPSTATE_SPAN(" "), imapstate_span_of(text));
    if (answer == IMAPSTATE_ANSWER_ENDED)
        fits = fits && PUT_LINE(out, IMAPSTATE_SPAN("* BYE [UNAVAILABLE] The session cannot continue."));
    if (!fits)
        out->len = len_before;
    return fits;
}

bool imapstate_answer_put_statecmd(struct imapstate_span tag, struct imapstate_buf *out)
{
    return PUT_LINE(out, IMAPSTATE_SPAN("* OK [STATECMD "), tag, IMAPSTATE_SPAN("] Saved in state data."));
}
