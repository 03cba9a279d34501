#include "opening.h"

#include <stdio.h>
#include <stdlib.h>

#include "capability.h"
#include "deadlist.h"
#include "log.h"
#include "logline.h"
#include "logmark.h"
#include "moves.h"
#include "park.h"
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
    opening->member = &config->members[0];
    opening->scout = scout;
    opening->is_looking = scout != NULL;
    opening->wait.is_scouting = scout != NULL;
    opening->peer.family = opening->local.family = AF_UNIX;
    imapstate_buf_init(&opening->names, CAPABILITY_LIST_MAX);
    snprintf(opening->why, sizeof opening->why, "no address could be reached");
    return opening;
}

void opening_free(struct opening *opening)
{
    if (!opening)
        return;
    scout_free(opening->scout);
    queue_give_up(&opening->queued);
    imapstate_buf_done(&opening->names);
    free(opening);
}

/* --- where to --- */

static enum resolver_result opening_resolve(struct opening *opening, uint64_t now_ms)
{
    if (opening->deadline_ms == 0)
        opening->deadline_ms = now_ms + opening->config->connect_timeout_ms;
    resolver_watch(now_ms);
    return resolver_look_up(opening->member->host, opening->port, &opening->wait, now_ms, &opening->addresses);
}

enum resolver_result opening_look_up(struct opening *opening, uint64_t now_ms, uint64_t *ret_wait_ms)
{
    const struct config_member *member = opening->member;
    *ret_wait_ms = 0;
    if (endpoint_from_host(member->host, member->port, member->is_unix, &opening->endpoint, &opening->port))
        return RESOLVER_KNOWN;
    enum resolver_result result = opening_resolve(opening, now_ms);
    if (result == RESOLVER_KNOWN)
        deadlist_sort(opening->addresses.addresses, opening->addresses.count, opening->scout != NULL, now_ms);
    uint64_t left_ms = opening->deadline_ms > now_ms ? opening->deadline_ms - now_ms : 0;
    if (result == RESOLVER_ASKED)
        *ret_wait_ms = left_ms < RESOLVER_PATIENCE_MS ? left_ms : RESOLVER_PATIENCE_MS;
    return result;
}

const struct endpoint *opening_begin_try(struct opening *opening, uint64_t now_ms)
{
    struct endpoint *endpoint = &opening->endpoint;
    if (opening->addresses.count > 0)
        endpoint->len = address_get(&opening->addresses.addresses[opening->at], &endpoint->sockaddr.storage);
    opening->is_secure = false;
    if (opening->scout)
        scout_begin_anew(opening->scout);
    opening->deadline_ms = now_ms + opening->config->connect_timeout_ms;
    return endpoint;
}

/* --- time --- */

bool opening_is_late(const struct opening *opening, uint64_t now_ms)
{
    return now_ms >= opening->deadline_ms;
}

uint64_t opening_patience_ms(const struct opening *opening, uint64_t now_ms)
{
    uint64_t left_ms = opening_is_late(opening, now_ms) ? 0 : opening->deadline_ms - now_ms;
    bool is_greeted = opening->step != OPENING_GREETING;
    return is_greeted || left_ms < OPENING_PATIENCE_MS ? left_ms : OPENING_PATIENCE_MS;
}

/* --- how it went --- */

const char *opening_address(const struct opening *opening, char ret_text[ADDRESS_TEXT_MAX])
{
    struct address address;
    if (opening->endpoint.len == 0 || opening->member->is_unix)
        return opening->member->host;
    address_set(&address, &opening->endpoint.sockaddr.any);
    return address_text_with_port(&address, ret_text);
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

/* A name's address has not been connected to, or was silent for all the time that it had. What hangs up or says
 * something that is of no use costs no time, and may be meant for this one connection. */
static void opening_note_dead(const struct opening *opening, bool was_connecting, uint64_t now_ms)
{
    bool is_silent = opening->deadline_ms > 0 && opening_is_late(opening, now_ms);
    if (opening->at < opening->addresses.count && (is_silent || was_connecting))
        deadlist_note(&opening->addresses.addresses[opening->at], is_silent, now_ms);
}

void opening_succeed(const struct opening *opening)
{
    if (opening->at < opening->addresses.count)
        deadlist_clear(&opening->addresses.addresses[opening->at]);
}

bool opening_fail(struct opening *opening, const struct logmark *mark, bool was_connecting, const char *why,
                  uint64_t now_ms)
{
    opening_complain(opening, mark, why);
    opening_note_dead(opening, was_connecting, now_ms);
    bool is_worth_it = !opening->scout || !scout_has_names(opening->scout);
    if (opening->at + 1 >= opening->addresses.count || !is_worth_it)
        return false;
    opening->at++;
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
