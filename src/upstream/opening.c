#include "opening.h"

#include <stdio.h>
#include <stdlib.h>

#include "capability.h"
#include "log.h"
#include "logline.h"
#include "logmark.h"
#include "moves.h"
#include "park.h"
#include "pulse.h"
#include "sasl.h"
#include "scout.h"

/* How long a greeting is waited for before parked connections give way. */
#define OPENING_PATIENCE_MS 1000u

#define BIT(step) MOVES_BIT(step)

static const unsigned opening_may_enter[OPENING_STEP_MAX] = {
    [OPENING_GREETING] = BIT(OPENING_GREETING) | BIT(OPENING_CAPABILITY) | BIT(OPENING_STARTTLS) | BIT(OPENING_ID) |
                         BIT(OPENING_FAILING),
    [OPENING_CAPABILITY] = BIT(OPENING_STARTTLS) | BIT(OPENING_ID) | BIT(OPENING_FAILING),
    [OPENING_STARTTLS] = BIT(OPENING_CAPABILITY) | BIT(OPENING_FAILING),
    [OPENING_FAILING] = BIT(OPENING_GREETING),
};

static const char *const opening_step_names[OPENING_STEP_MAX] = { "GREETING", "CAPABILITY", "STARTTLS", "ID",
                                                                  "FAILING" };

static const struct moves opening_moves = { "opening", opening_step_names, opening_may_enter };

bool opening_enter(struct opening *opening, enum opening_step next)
{
    if (!moves_allow(&opening_moves, opening->step, next))
        return false;
    opening->step = (uint8_t)next;
    return true;
}

/* --- life --- */

struct opening *opening_new(const struct config_upstream *config, struct scout *scout)
{
    struct opening *opening = calloc(1, sizeof *opening);
    if (!opening) {
        scout_free(scout);
        return NULL;
    }
    opening->config = config;
    opening->scout = scout;
    opening->is_looking = scout != NULL;
    opening->wait.is_scouting = scout != NULL;
    opening->peer.family = opening->local.family = AF_UNIX;
    imapstate_buf_init(&opening->names, CAPABILITY_LIST_MAX);
    imapstate_buf_init(&opening->user, SASL_NAME_MAX);
    snprintf(opening->why, sizeof opening->why, "no address could be reached");
    return opening;
}

void opening_free(struct opening *opening)
{
    if (!opening)
        return;
    race_leave(&opening->runner);
    scout_free(opening->scout);
    queue_give_up(&opening->queued);
    imapstate_buf_done(&opening->names);
    imapstate_buf_done(&opening->user);
    free(opening);
}

/* --- where to --- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Who waits for a scout need not wait for a name longer than for an address. How long until that is over. */
static uint64_t opening_heed_slow_name(struct opening *opening, uint64_t now_ms)
{
    uint64_t stalls_at_ms = opening->wait.began_at_ms + RACE_STALL_MS;
    if (now_ms < stalls_at_ms)
        return stalls_at_ms - now_ms;
    if (!opening->has_stalled)
        scout_stalls(opening->scout);
    opening->has_stalled = true;
    return UINT64_MAX;
}

enum resolver_result opening_look_up(struct opening *opening, uint64_t now_ms, uint64_t *ret_wait_ms,
                                     const char **ret_why)
{
    struct race *race = opening->runner.race;
    if (opening->deadline_ms == 0)
        opening->deadline_ms = now_ms + opening->config->connect_timeout_ms;
    resolver_watch(now_ms);
    enum resolver_result result =
        candidates_look_up(opening->config, opening->only, &opening->wait, now_ms, &race->candidates, ret_wait_ms);
    uint64_t left_ms = opening->deadline_ms > now_ms ? opening->deadline_ms - now_ms : 0;
    if (result == RESOLVER_ASKED && opening->scout)
        left_ms = earlier(left_ms, opening_heed_slow_name(opening, now_ms));
    *ret_wait_ms = earlier(*ret_wait_ms, left_ms);
    *ret_why = race->candidates.why;
    race->known = race->candidates.count;
    if (result == RESOLVER_KNOWN)
        candidates_sort(&race->candidates, opening->config, imapstate_buf_span(&opening->user));
    return result;
}

bool opening_advance(struct opening *opening)
{
    const struct candidate *candidate = race_take(opening->runner.race);
    if (candidate)
        opening->candidate = *candidate;
    return candidate;
}

const struct endpoint *opening_begin_try(struct opening *opening, uint64_t now_ms)
{
    candidate_get(&opening->candidate, &opening->endpoint);
    opening->is_secure = false;
    if (opening->scout)
        scout_begin_anew(opening->scout);
    opening->deadline_ms = now_ms + opening->config->connect_timeout_ms;
    opening->room_at_ms = now_ms + OPENING_PATIENCE_MS;
    opening->stalls_at_ms = now_ms + RACE_STALL_MS;
    opening->has_stalled = false;
    return &opening->endpoint;
}

/* --- time --- */

bool opening_is_late(const struct opening *opening, uint64_t now_ms)
{
    return now_ms >= opening->deadline_ms;
}

void opening_progress(struct opening *opening, uint64_t now_ms)
{
    if (opening->stalls_at_ms > 0)
        opening->stalls_at_ms = now_ms + RACE_STALL_MS;
}

bool opening_stalls(struct opening *opening, uint64_t now_ms)
{
    bool stalls = opening->stalls_at_ms > 0 && now_ms >= opening->stalls_at_ms;
    if (stalls)
        opening->stalls_at_ms = 0;
    opening->has_stalled |= stalls;
    if (stalls && opening->scout)
        scout_stalls(opening->scout);
    return stalls;
}

bool opening_wants_room(struct opening *opening, uint64_t now_ms)
{
    bool is_silent = opening->step == OPENING_GREETING && now_ms >= opening->room_at_ms;
    if (is_silent)
        opening->room_at_ms = now_ms + OPENING_PATIENCE_MS;
    return is_silent && opening->config->max_sessions == 0; /* where that is known, it is only slow */
}

uint64_t opening_patience_ms(const struct opening *opening, uint64_t now_ms)
{
    uint64_t until_ms = opening->deadline_ms;
    if (opening->step == OPENING_GREETING)
        until_ms = earlier(until_ms, opening->room_at_ms);
    if (opening->stalls_at_ms > 0)
        until_ms = earlier(until_ms, opening->stalls_at_ms);
    return until_ms > now_ms ? until_ms - now_ms : 0;
}

/* --- how it went --- */

const char *opening_address(const struct opening *opening, char ret_text[ADDRESS_TEXT_MAX])
{
    const struct config_member *member = opening->only ? opening->only : &opening->config->members[0];
    return opening->candidate.member ? candidate_text(&opening->candidate, ret_text) : member->host;
}

/* mark: of the session that it is for; NULL: for none. */
static void opening_log(const struct opening *opening, const struct logmark *mark, const char *why)
{
    char text[ADDRESS_TEXT_MAX];
    struct logline line;
    log_begin(&line, LOG_LEVEL_WARNING);
    if (mark)
        logmark_put(mark, &line);
    logline_words(&line, "upstream", opening->config->name);
    logline_words(&line, "address", opening_address(opening, text));
    logline_gap_bare(&line, ": ");
    logline_words(&line, "reason", why);
    log_end(&line);
}

void opening_complain(struct opening *opening, const struct logmark *mark, const char *why)
{
    if (mark ? logmark_is_on(mark, LOG_LEVEL_WARNING) : log_is_on(LOG_LEVEL_WARNING))
        opening_log(opening, mark, why);
    snprintf(opening->why, sizeof opening->why, "%s", why);
}

void opening_succeed(const struct opening *opening, uint64_t now_ms)
{
    char text[ADDRESS_TEXT_MAX];
    if (opening->candidate.member)
        pulse_beat(opening->config->name, candidate_text(&opening->candidate, text), !opening->has_stalled, now_ms);
}

void opening_fail(struct opening *opening, const struct logmark *mark, bool is_ours, const char *why, uint64_t now_ms)
{
    const struct config_upstream *config = opening->config;
    char text[ADDRESS_TEXT_MAX];
    opening_complain(opening, mark, why);
    if (opening->candidate.member && !is_ours)
        pulse_fail(config->name, candidate_text(&opening->candidate, text), config->fail_timeout_ms, now_ms);
}

bool opening_goes_on(const struct opening *opening)
{
    bool is_worth_it = !opening->scout || !scout_has_names(opening->scout);
    return is_worth_it && race_goes_on(opening->runner.race);
}

bool opening_lose(const struct opening *opening, uint64_t now_ms)
{
    char text[ADDRESS_TEXT_MAX];
    return pulse_lose(opening->config->name, candidate_text(&opening->candidate, text), now_ms, opening->deadline_ms);
}

bool opening_may_pass(const struct opening *opening)
{
    return race_may_pass(opening->runner.race, &opening->candidate);
}

void opening_pass(struct opening *opening)
{
    race_put_off(opening->runner.race, &opening->candidate);
    opening_advance(opening);
}

const struct candidate *opening_other(const struct opening *opening, unsigned n)
{
    const struct race *race = opening->runner.race;
    return race ? race_left(race, n) : NULL;
}

void opening_change_to(struct opening *opening, unsigned n)
{
    opening->candidate = race_swap(opening->runner.race, n, &opening->candidate);
}

bool opening_puts_off(struct opening *opening, uint64_t now_ms)
{
    char text[ADDRESS_TEXT_MAX];
    if (!opening_goes_on(opening))
        return false;
    pulse_lose(opening->config->name, candidate_text(&opening->candidate, text), now_ms, now_ms);
    race_put_off(opening->runner.race, &opening->candidate);
    return true;
}

bool opening_makes_room(const struct opening *opening)
{
    return opening->step == OPENING_GREETING && !opening->is_looking &&
           park_give_up_oldest(imapstate_span_of(opening->config->name));
}

bool opening_tries_again(struct opening *opening, uint64_t *ret_after_ms)
{
    return opening->step == OPENING_GREETING && (opening_makes_room(opening) || opening->presses > 0) &&
           park_press(&opening->presses, ret_after_ms);
}

bool opening_is_preliminary(const struct opening *opening)
{
    return opening->config->tls == CONFIG_TLS_STARTTLS && !opening->is_secure;
}
