#include "park.h"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"
#include "alert.h"
#include "allowance.h"
#include "log.h"
#include "logline.h"
#include "loguser.h"
#include "offers.h"
#include "outage.h"
#include "proof.h"
#include "queue.h"
#include "resolver.h"
#include "setup.h"
#include "tag.h"

/* A capability list and a state come to it, each in as much memory as it takes. */
_Static_assert(sizeof(struct parked) <= 256, "an unencrypted parked connection is to stay below 1 KiB");

/* Everything in here is guarded by the lock: the proofs, their accounts and what hangs on them as well. A connection
 * that was taken out is its taker's. */
static struct {
    pthread_mutex_t lock;
    struct config_park limits;
    const struct config *config; /* borrowed; NULL before there is one */
    struct proofs proofs;
    struct allowances allowances;
    struct list by_age;            /* all that are parked, the oldest first */
    unsigned count, limits_known;  /* known: as of the last sweep */
    bool is_closed;                /* another process parks */
    struct park_counters counters; /* but for what is counted elsewhere; begins when there is something to count */
} park = { .lock = PTHREAD_MUTEX_INITIALIZER, .by_age = { &park.by_age, &park.by_age } };

/* --- what is counted --- */

const char *const park_end_names[PARK_END_COUNT] = {
    [PARK_END_TIME] = "time",
    [PARK_END_LIFETIME] = "lifetime",
    [PARK_END_PROOF] = "reauth_interval",
    [PARK_END_PER_USER] = "per_user",
    [PARK_END_MAX] = "max",
    [PARK_END_CROWDED] = "crowded",
    [PARK_END_REFUSED] = "refused",
    [PARK_END_PASSWORD] = "password",
    [PARK_END_MOVED] = "moved",
    [PARK_END_CONFIG] = "configuration",
    [PARK_END_STOP] = "stop",
    [PARK_END_FORGOTTEN] = "forgotten",
    [PARK_END_DOWN] = "down",
    [PARK_END_LATE] = "late",
    [PARK_END_DEAD] = "dead",
};

/* For the log. */
static const char *const park_end_words[PARK_END_COUNT] = {
    [PARK_END_TIME] = "time is up",
    [PARK_END_LIFETIME] = "lifetime is up",
    [PARK_END_PROOF] = "the proof is too old",
    [PARK_END_PER_USER] = "the user has newer ones",
    [PARK_END_MAX] = "there are too many",
    [PARK_END_CROWDED] = "the upstream wants fewer connections",
    [PARK_END_REFUSED] = "the credentials are refused",
    [PARK_END_PASSWORD] = "another password is in use",
    [PARK_END_MOVED] = "the upstream's name leads elsewhere",
    [PARK_END_CONFIG] = "the configuration has changed",
    [PARK_END_STOP] = "the gateway ends",
    [PARK_END_LATE] = "it may not be parked any more",
    [PARK_END_DEAD] = "found dead, or in doubt",
    [PARK_END_FORGOTTEN] = "the operator has had it forgotten",
    [PARK_END_DOWN] = "the operator has taken the upstream down",
};

void park_counters_init(struct park_counters *counters)
{
    *counters = (struct park_counters){ 0 };
    rows_init(&counters->upstreams, sizeof(struct park_row), &counters->other_upstreams.row);
}

void park_counters_done(struct park_counters *counters)
{
    rows_done(&counters->upstreams);
}

static struct park_row *park_row(const char *upstream)
{
    if (!park.counters.upstreams.other)
        park_counters_init(&park.counters);
    return (struct park_row *)rows_have(&park.counters.upstreams, imapstate_span_of(upstream));
}

static void park_row_add(struct row *row, const struct row *from_row)
{
    struct park_row *into = (struct park_row *)row;
    const struct park_row *from = (const struct park_row *)from_row;
    into->parked += from->parked;
    for (unsigned i = 0; i < PARK_END_COUNT; i++)
        into->ends[i] += from->ends[i];
}

void park_count_into(struct park_counters *into)
{
    pthread_mutex_lock(&park.lock);
    if (park.counters.upstreams.other)
        rows_add(&into->upstreams, &park.counters.upstreams, park_row_add);
    into->suspended_accounts += park.proofs.suspended_count;
    into->limits += park.limits_known;
    pthread_mutex_unlock(&park.lock);
}

void park_count_end(const char *upstream, enum park_end end)
{
    pthread_mutex_lock(&park.lock);
    park_row(upstream)->ends[end]++;
    pthread_mutex_unlock(&park.lock);
}

/* --- connections --- */

void kept_init(struct kept *kept)
{
    *kept = (struct kept){ 0 };
    imapstate_buf_init(&kept->state, SETUP_MAX);
    imapstate_buf_init(&kept->alerts, ALERTS_MAX);
}

/* Neither parked nor about to be. Guarded by the lock. */
static void kept_forget_expected(struct kept *kept)
{
    if (kept->is_going)
        kept->proof->user->going_count--;
    kept->is_going = false;
}

void park_expect(struct kept *kept)
{
    if (!kept->proof || kept->is_going)
        return;
    pthread_mutex_lock(&park.lock);
    kept->is_going = true;
    kept->proof->user->going_count++;
    pthread_mutex_unlock(&park.lock);
}

static void kept_done_proof(struct kept *kept)
{
    if (!kept->proof)
        return;
    pthread_mutex_lock(&park.lock);
    kept_forget_expected(kept);
    proof_unref(&park.proofs, kept->proof);
    pthread_mutex_unlock(&park.lock);
}

void kept_done(struct kept *kept)
{
    kept_done_proof(kept);
    offers_unref(kept->offers);
    imapstate_buf_done(&kept->state);
    imapstate_buf_done(&kept->alerts);
    queue_leave(&kept->stay);
    free(kept->session);
    record_free(kept->record);
    kept->record = NULL;
    kept->proof = NULL;
    kept->offers = NULL;
    kept->session = NULL;
}

struct kept kept_take(struct kept *kept)
{
    struct kept taken = *kept;
    kept_init(kept);
    return taken;
}

struct parked *parked_new(void)
{
    struct parked *parked = calloc(1, sizeof *parked);
    if (!parked)
        return NULL;
    parked->fd = -1;
    list_init(&parked->proof_link);
    list_init(&parked->age_link);
    kept_init(&parked->kept);
    return parked;
}

static void parked_say_logout(struct parked *parked)
{
    static const char logout[] = UPSTREAM_TAG " LOGOUT\r\n";
    if (parked->fd < 0)
        return;
    /* A courtesy to the server's log. If it does not fit now, the end of file tells the same. */
    ssize_t sent = parked->ssl ? SSL_write(parked->ssl, logout, sizeof logout - 1)
                               : send(parked->fd, logout, sizeof logout - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent <= 0)
        log_debug("park: no LOGOUT said");
    if (parked->ssl)
        SSL_shutdown(parked->ssl);
}

void parked_free(struct parked *parked)
{
    if (!parked)
        return;
    parked_say_logout(parked);
    SSL_free(parked->ssl);
    if (parked->fd >= 0)
        close(parked->fd);
    kept_done(&parked->kept);
    service_unref(parked->service);
    free(parked);
}

/* Takes out of the pool. */
static void parked_remove(struct parked *parked)
{
    list_remove(&parked->proof_link);
    list_remove(&parked->age_link);
    parked->kept.proof->user->parked_count--;
    park.count--;
    parked->row->parked--;
}

/* At debug, for all users or this one. */
static void parked_log_end(const struct parked *parked, const char *why)
{
    struct imapstate_span user = park_proof_user(parked->kept.proof);
    struct logline line;
    if (!log_is_on(LOG_LEVEL_DEBUG) && (loguser_generation() == 0 || !loguser_has(user)))
        return;
    log_begin(&line, LOG_LEVEL_DEBUG);
    logline_name(&line, "user", user);
    logline_words(&line, "upstream", parked->config->name);
    log_end_with(&line, "park: ended: %s", why);
}

/* Takes out, to be ended when the lock has been given back: that writes to a socket. */
static void parked_doom(struct parked *parked, struct list *doomed, enum park_end why)
{
    parked_remove(parked);
    parked->end = (uint8_t)why;
    if (!parked->is_new) {
        parked_log_end(parked, park_end_words[why]);
        parked->row->ends[why]++;
    }
    list_move(&parked->age_link, doomed);
}

static void parked_end_doomed(struct list *doomed)
{
    list_each_safe(link, doomed) parked_free(list_entry(link, struct parked, age_link));
}

/* Whoever waited for the lock brings an older now than whoever had it before: sums do not wrap, differences would. */
static bool parked_has_expired(const struct parked *parked, uint64_t now_ms, enum park_end *ret_why)
{
    bool is_late = now_ms >= parked->kept.parked_at_ms + park.limits.time_ms;
    bool is_old = now_ms >= parked->kept.born_at_ms + park.limits.lifetime_ms;
    *ret_why = is_late ? PARK_END_TIME : PARK_END_LIFETIME;
    return is_late || is_old;
}

/* Does it lead where its upstream's name leads? One that is not connected any more shows that when it is taken. */
static bool parked_is_in_place(const struct parked *parked)
{
    return parked->member->is_unix || parked->server.family == AF_UNSPEC ||
           resolver_leads_to(parked->member->host, &parked->server);
}

/* --- configuration --- */

/* Those of members that stay stay. */
static bool park_is_same_upstream(const struct config_upstream *a, const struct parked *parked)
{
    const struct config_upstream *b = parked->config;
    /* Where only a route leads is none of its members. */
    bool is_there = b->base ? config_is_same_server(a, b->base) : config_has_member(a, b, parked->member);
    return strcmp(a->name, b->name) == 0 && is_there && a->send_client_address == b->send_client_address &&
           a->authorization_identity == b->authorization_identity;
}

static bool park_is_configured(const struct parked *parked)
{
    for (size_t i = 0; park.config && i < park.config->upstream_count; i++)
        if (park_is_same_upstream(&park.config->upstreams[i], parked))
            return true;
    return false;
}

/* Guarded by the lock. */
static bool park_is_on(void)
{
    return !park.is_closed && park.limits.per_user > 0 && park.limits.max > 0;
}

/* --- what sessions do --- */

/* What hung on proofs that are good no more. */
static void park_doom(struct list *given_up, struct list *doomed, enum park_end why)
{
    list_each_safe(link, given_up) parked_doom(list_entry(link, struct parked, proof_link), doomed, why);
}

struct proof *park_prove(const struct proof_identity *identity, uint64_t now_ms)
{
    struct list given_up, doomed;
    struct proof *proof = NULL;
    list_init(&given_up);
    list_init(&doomed);
    pthread_mutex_lock(&park.lock);
    if (park_is_on())
        proof = proofs_prove(&park.proofs, identity, now_ms);
    else
        proofs_restore(&park.proofs, identity);
    if (park.limits.one_password)
        proofs_void_others(&park.proofs, identity, &given_up);
    park_doom(&given_up, &doomed, PARK_END_PASSWORD);
    pthread_mutex_unlock(&park.lock);
    parked_end_doomed(&doomed);
    return proof;
}

struct proof *park_proof_ref(struct proof *proof)
{
    pthread_mutex_lock(&park.lock);
    proof_ref(proof);
    pthread_mutex_unlock(&park.lock);
    return proof;
}

void park_proof_unref(struct proof *proof)
{
    if (!proof)
        return;
    pthread_mutex_lock(&park.lock);
    proof_unref(&park.proofs, proof);
    pthread_mutex_unlock(&park.lock);
}

struct imapstate_span park_proof_user(const struct proof *proof)
{
    return (struct imapstate_span){ proof->user->name, proof->user->name_len };
}

void park_set_alerts(struct proof *proof, struct imapstate_span alerts)
{
    pthread_mutex_lock(&park.lock);
    imapstate_buf_clear(&proof->alerts);
    imapstate_buf_put(&proof->alerts, alerts);
    pthread_mutex_unlock(&park.lock);
}

void park_alerts(const struct proof *proof, struct imapstate_buf *ret_alerts)
{
    pthread_mutex_lock(&park.lock);
    imapstate_buf_put(ret_alerts, imapstate_buf_span(&proof->alerts));
    pthread_mutex_unlock(&park.lock);
}

void park_refuse(const struct proof_identity *identity)
{
    struct list given_up, doomed;
    list_init(&given_up);
    list_init(&doomed);
    pthread_mutex_lock(&park.lock);
    proofs_refuse(&park.proofs, identity, &given_up);
    park_doom(&given_up, &doomed, PARK_END_REFUSED);
    pthread_mutex_unlock(&park.lock);
    parked_end_doomed(&doomed);
}

void park_suspect(const struct proof_identity *identity)
{
    pthread_mutex_lock(&park.lock);
    proofs_suspect(&park.proofs, identity);
    pthread_mutex_unlock(&park.lock);
}

bool parked_is(const struct parked *parked, enum park_want want, struct imapstate_span state)
{
    switch (want) {
    case PARK_ANY:
        return true;
    case PARK_PRISTINE:
        return parked->kept.state.len == 0;
    case PARK_STATE:
        return imapstate_span_equal(imapstate_buf_span(&parked->kept.state), state);
    }
    return false;
}

/* The one that was parked last is the likeliest to live. */
static struct parked *parked_take(struct proof *proof, enum park_want want, struct imapstate_span state,
                                  uint64_t now_ms)
{
    for (struct list *link = proof->parked.previous; link != &proof->parked; link = link->previous) {
        struct parked *parked = list_entry(link, struct parked, proof_link);
        enum park_end why;
        if (parked_has_expired(parked, now_ms, &why) || !parked_is(parked, want, state))
            continue;
        parked_remove(parked);
        return parked;
    }
    return NULL;
}

struct parked *park_match(const struct proof_identity *identity, uint64_t now_ms, struct proof **ret_proof)
{
    pthread_mutex_lock(&park.lock);
    struct proof *proof = proofs_match(&park.proofs, identity, now_ms);
    struct parked *parked = proof ? parked_take(proof, PARK_ANY, (struct imapstate_span){ 0 }, now_ms) : NULL;
    if (parked && ret_proof)
        *ret_proof = proof_ref(proof);
    pthread_mutex_unlock(&park.lock);
    return parked;
}

/* That of the one that was parked last, of those that may serve and know. */
static const struct record *proof_record(const struct proof *proof, const struct record *told,
                                         const struct imapstate_span *enable, uint64_t now_ms)
{
    enum park_end why;
    for (const struct list *link = proof->parked.previous; link != &proof->parked; link = link->previous) {
        const struct parked *parked = list_entry(link, struct parked, proof_link);
        if (parked->kept.record && !parked_has_expired(parked, now_ms, &why) &&
            record_knows(parked->kept.record, told, enable))
            return parked->kept.record;
    }
    return NULL;
}

struct record *park_record(struct proof *proof, const struct record *told, const struct imapstate_span *enable,
                           uint64_t now_ms)
{
    pthread_mutex_lock(&park.lock);
    bool is_good = proof_is_good(&park.proofs, proof, now_ms);
    const struct record *record = is_good ? proof_record(proof, told, enable, now_ms) : NULL;
    struct record *copy = record ? record_copy(record) : NULL;
    pthread_mutex_unlock(&park.lock);
    return copy;
}

struct parked *park_take(struct proof *proof, enum park_want want, struct imapstate_span state, uint64_t now_ms)
{
    pthread_mutex_lock(&park.lock);
    struct parked *parked = proof_is_good(&park.proofs, proof, now_ms) ? parked_take(proof, want, state, now_ms) : NULL;
    pthread_mutex_unlock(&park.lock);
    return parked;
}

/* Is another one of the same proof in the same state? */
static bool parked_is_spare(const struct parked *parked)
{
    struct imapstate_span state = imapstate_buf_span(&parked->kept.state);
    list_each_safe(link, &parked->kept.proof->parked)
    {
        const struct parked *other = list_entry(link, struct parked, proof_link);
        if (other != parked && parked_is(other, state.len > 0 ? PARK_STATE : PARK_PRISTINE, state))
            return true;
    }
    return false;
}

/* The oldest of a proof's; if spare, of those that another one can stand in for. NULL: there is none. */
static struct parked *proof_oldest(struct proof *proof, bool spare)
{
    list_each_safe(link, &proof->parked)
    {
        struct parked *parked = list_entry(link, struct parked, proof_link);
        if (!spare || parked_is_spare(parked))
            return parked;
    }
    return NULL;
}

/* The same of a user's. */
static struct parked *account_oldest(struct account *account, bool spare)
{
    struct parked *oldest = NULL;
    list_each_safe(link, &account->proofs)
    {
        struct parked *first = proof_oldest(list_entry(link, struct proof, user_link), spare);
        if (first && (!oldest || first->kept.parked_at_ms < oldest->kept.parked_at_ms))
            oldest = first;
    }
    return oldest;
}

static void account_doom_oldest(struct account *account, struct list *doomed, enum park_end why)
{
    struct parked *spare = account_oldest(account, true);
    parked_doom(spare ? spare : account_oldest(account, false), doomed, why);
}

/* How many more there are at the upstream than its server has room for. */
static unsigned park_surplus(const struct park_row *row, const char *upstream, uint64_t now_ms)
{
    uint8_t key[PROOF_HASH_OCTETS];
    proofs_key(imapstate_span_of(upstream), (struct imapstate_span){ 0 }, key);
    unsigned most = allowances_of(&park.allowances, key, now_ms);
    return row->parked > most ? (unsigned)row->parked - most : 0;
}

/* The one that has been parked longest at the upstream. NULL: none is. */
static struct parked *upstream_oldest(struct imapstate_span upstream)
{
    for (struct list *link = park.by_age.next; link != &park.by_age; link = link->next) {
        struct parked *parked = list_entry(link, struct parked, age_link);
        if (imapstate_span_equal(imapstate_span_of(parked->config->name), upstream))
            return parked;
    }
    return NULL;
}

/* What servers have shown that they have no room for. */
static void park_keep_to_allowances(struct account *account, const struct park_row *row, const char *upstream,
                                    uint64_t now_ms, struct list *doomed)
{
    struct parked *oldest;
    if (park.allowances.count == 0)
        return;
    for (unsigned most = allowances_of(&park.allowances, account->key, now_ms); account->parked_count > most;)
        account_doom_oldest(account, doomed, PARK_END_CROWDED);
    for (unsigned surplus = park_surplus(row, upstream, now_ms);
         surplus > 0 && (oldest = upstream_oldest(imapstate_span_of(upstream))); surplus--)
        parked_doom(oldest, doomed, PARK_END_CROWDED);
}

static void park_keep_to_limits(struct account *account, struct list *doomed)
{
    while (account->parked_count > park.limits.per_user)
        account_doom_oldest(account, doomed, PARK_END_PER_USER);
    while (park.count > park.limits.max)
        parked_doom(list_entry(park.by_age.next, struct parked, age_link), doomed, PARK_END_MAX);
}

/* Both lists are by age. One that has shown a sign of life is as old as before. */
static void parked_insert(struct parked *parked)
{
    struct list *next = &parked->kept.proof->parked;
    while (next->previous != &parked->kept.proof->parked &&
           list_entry(next->previous, struct parked, proof_link)->kept.parked_at_ms > parked->kept.parked_at_ms)
        next = next->previous;
    list_move_before(&parked->proof_link, next);
    next = &park.by_age;
    while (next->previous != &park.by_age &&
           list_entry(next->previous, struct parked, age_link)->kept.parked_at_ms > parked->kept.parked_at_ms)
        next = next->previous;
    list_move_before(&parked->age_link, next);
}

/* Why it may not wait, apart from how many there are; PARK_END_COUNT: it may. A session, or the janitor, may have had
 * it while the configuration changed. A suspended proof may become good again; one that is void or too old would have
 * to be proved anew, on a new connection. */
static enum park_end park_obstacle(const struct parked *parked, uint64_t now_ms)
{
    const struct proof *proof = parked->kept.proof;
    enum park_end why;
    if (park.is_closed)
        return PARK_END_STOP;
    if (!park_is_on() || !park_is_configured(parked))
        return PARK_END_CONFIG;
    if (outage_is(parked->config->name, parked->member->text))
        return PARK_END_DOWN;
    if (proof->is_void)
        return PARK_END_REFUSED;
    if (!proof_is_fresh(&park.proofs, proof, now_ms))
        return PARK_END_PROOF;
    if (parked_has_expired(parked, now_ms, &why))
        return why;
    if (!parked_is_in_place(parked))
        return PARK_END_MOVED;
    bool is_crowded =
        queue_is_short(parked->kept.stay.queue) || allowances_is_pressed(&park.allowances, proof->user->key, now_ms);
    return is_crowded ? PARK_END_CROWDED : PARK_END_COUNT;
}

/* It waits, or one that is too many ends. */
static void park_add(struct parked *parked, uint64_t now_ms, struct list *doomed)
{
    struct account *user = parked->kept.proof->user;
    parked_insert(parked);
    user->parked_count++;
    park.count++;
    parked->row->parked++;
    park_keep_to_limits(user, doomed);
    park_keep_to_allowances(user, parked->row, parked->config->name, now_ms, doomed);
}

static void parked_come_late(struct parked *parked, enum park_end why, struct list *doomed)
{
    parked->end = (uint8_t)why;
    if (!parked->is_new) {
        parked_log_end(parked, park_end_words[PARK_END_LATE]);
        parked->row->ends[PARK_END_LATE]++;
    }
    list_move(&parked->age_link, doomed);
}

enum park_end park_put(struct parked *parked, uint64_t now_ms)
{
    struct list doomed;
    list_init(&doomed);
    if (parked->server.family == AF_UNSPEC)
        address_of_peer(parked->fd, &parked->server);
    pthread_mutex_lock(&park.lock);
    struct account *user = parked->kept.proof->user;
    parked->row = park_row(parked->config->name);
    parked->end = PARK_END_COUNT;
    enum park_end why = park_obstacle(parked, now_ms);
    kept_forget_expected(&parked->kept);
    if (why == PARK_END_COUNT)
        park_add(parked, now_ms, &doomed);
    else
        parked_come_late(parked, why, &doomed);
    if (!list_is_empty(&doomed))
        user->ended_at_ms = now_ms;
    parked->is_new = false;
    why = parked->end;
    pthread_mutex_unlock(&park.lock);
    parked_end_doomed(&doomed);
    return why;
}

/* Could there be room now, as something of the user's has ended, or is about to? */
static bool account_is_leaving(const struct account *account, uint64_t now_ms)
{
    return account && (account->parked_count > 0 || account->going_count > 0 ||
                       (account->ended_at_ms > 0 && now_ms < account->ended_at_ms + ALLOWANCE_PRESS_MS));
}

static void account_give_up(struct account *account, struct list *doomed)
{
    struct list given_up;
    list_init(&given_up);
    list_each_safe(link, &account->proofs) proof_give_up(list_entry(link, struct proof, user_link), &given_up);
    park_doom(&given_up, doomed, PARK_END_CROWDED);
}

/* It is one more than that that there was no room for. True: that is news. */
static bool park_learn(const uint8_t key[PROOF_HASH_OCTETS], unsigned most, uint64_t now_ms)
{
    unsigned known = allowances_of(&park.allowances, key, now_ms);
    allowances_cut(&park.allowances, key, most, now_ms);
    return most < known;
}

static void park_yield_of_user(struct imapstate_span upstream, struct imapstate_span user, uint64_t now_ms,
                               struct list *doomed, struct park_yield *room)
{
    struct account *account = proofs_account(&park.proofs, upstream, user);
    unsigned parked = account ? account->parked_count : 0;
    uint8_t key[PROOF_HASH_OCTETS];
    proofs_key(upstream, user, key);
    room->may_help = account_is_leaving(account, now_ms) || allowances_is_pressed(&park.allowances, key, now_ms);
    if (!room->may_help)
        return;
    allowances_press(&park.allowances, key, now_ms);
    if (parked > 0 && park_learn(key, parked / 2, now_ms))
        room->most = parked / 2;
    if (account)
        account_give_up(account, doomed);
}

static void park_yield_of_all(struct imapstate_span upstream, struct imapstate_span user, uint64_t now_ms,
                              struct list *doomed, struct park_yield *room)
{
    struct account *account = proofs_account(&park.proofs, upstream, user);
    struct parked *oldest = upstream_oldest(upstream);
    unsigned parked = oldest ? (unsigned)oldest->row->parked : 0;
    /* What has taken the room may be somebody else's, so one may always wait: it gives way in its turn. */
    unsigned most = parked > 1 ? parked - (parked + 3) / 4 : parked;
    uint8_t key[PROOF_HASH_OCTETS];
    proofs_key(upstream, (struct imapstate_span){ 0 }, key);
    room->may_help =
        oldest || account_is_leaving(account, now_ms) || allowances_is_pressed(&park.allowances, key, now_ms);
    if (oldest)
        allowances_press(&park.allowances, key, now_ms);
    if (parked > 0 && park_learn(key, most, now_ms))
        room->most = most;
    if (account && account->parked_count > 0)
        account_give_up(account, doomed);
    else if (oldest)
        parked_doom(oldest, doomed, PARK_END_CROWDED);
}

struct park_yield park_yield(struct imapstate_span upstream, struct imapstate_span user, bool is_of_all,
                             uint64_t now_ms)
{
    struct park_yield room = { .most = UINT_MAX };
    struct list doomed;
    list_init(&doomed);
    pthread_mutex_lock(&park.lock);
    unsigned before = park.count;
    if (is_of_all)
        park_yield_of_all(upstream, user, now_ms, &doomed, &room);
    else
        park_yield_of_user(upstream, user, now_ms, &doomed, &room);
    room.ended = before - park.count;
    pthread_mutex_unlock(&park.lock);
    parked_end_doomed(&doomed);
    return room;
}

void park_give_way(struct imapstate_span upstream, struct imapstate_span user, uint64_t now_ms)
{
    struct list doomed;
    list_init(&doomed);
    pthread_mutex_lock(&park.lock);
    struct account *account = proofs_account(&park.proofs, upstream, user);
    if (account && allowances_of(&park.allowances, account->key, now_ms) < UINT_MAX)
        account_give_up(account, &doomed);
    pthread_mutex_unlock(&park.lock);
    parked_end_doomed(&doomed);
}

typedef bool park_choice(const struct parked *parked, const void *what);

static bool park_give_up_oldest_where(park_choice *is_it, const void *what)
{
    struct list doomed;
    list_init(&doomed);
    pthread_mutex_lock(&park.lock);
    for (struct list *link = park.by_age.next; link != &park.by_age; link = link->next) {
        struct parked *parked = list_entry(link, struct parked, age_link);
        if (!is_it(parked, what))
            continue;
        parked_doom(parked, &doomed, PARK_END_CROWDED);
        break;
    }
    pthread_mutex_unlock(&park.lock);
    bool is_given_up = !list_is_empty(&doomed);
    parked_end_doomed(&doomed);
    return is_given_up;
}

static bool parked_is_of_upstream(const struct parked *parked, const void *what)
{
    const struct imapstate_span *upstream = what;
    return imapstate_span_equal(imapstate_span_of(parked->config->name), *upstream);
}

static bool parked_is_of_queue(const struct parked *parked, const void *queue)
{
    return parked->kept.stay.queue == queue;
}

bool park_give_up_oldest(struct imapstate_span upstream)
{
    return park_give_up_oldest_where(parked_is_of_upstream, &upstream);
}

void park_make_room(const struct queue *queue)
{
    while (queue_is_short(queue) && park_give_up_oldest_where(parked_is_of_queue, queue))
        ;
}

void park_follow(const char *name)
{
    struct list doomed;
    list_init(&doomed);
    pthread_mutex_lock(&park.lock);
    list_each_safe(link, &park.by_age)
    {
        struct parked *parked = list_entry(link, struct parked, age_link);
        bool is_its = parked->member->is_srv || strcmp(parked->member->host, name) == 0;
        if (is_its && !parked_is_in_place(parked))
            parked_doom(parked, &doomed, PARK_END_MOVED);
    }
    pthread_mutex_unlock(&park.lock);
    parked_end_doomed(&doomed);
}

unsigned park_give_up_all(const char *upstream, const char *member)
{
    struct list doomed;
    list_init(&doomed);
    pthread_mutex_lock(&park.lock);
    unsigned before = park.count;
    list_each_safe(link, &park.by_age)
    {
        struct parked *parked = list_entry(link, struct parked, age_link);
        if (strcmp(parked->config->name, upstream) == 0 && (!member || strcmp(parked->member->text, member) == 0))
            parked_doom(parked, &doomed, PARK_END_DOWN);
    }
    unsigned count = before - park.count;
    pthread_mutex_unlock(&park.lock);
    parked_end_doomed(&doomed);
    return count;
}

unsigned park_forget(const struct imapstate_span *user, unsigned *ret_voided)
{
    struct list given_up, doomed;
    list_init(&given_up);
    list_init(&doomed);
    pthread_mutex_lock(&park.lock);
    unsigned before = park.count;
    *ret_voided = proofs_forget(&park.proofs, user, &given_up);
    park_doom(&given_up, &doomed, PARK_END_FORGOTTEN);
    unsigned count = before - park.count;
    pthread_mutex_unlock(&park.lock);
    parked_end_doomed(&doomed);
    return count;
}

/* --- for whoever looks in --- */

static void parked_copy_fill(struct parked_copy *copy, const struct parked *parked)
{
    const struct account *user = parked->kept.proof->user;
    *copy = (struct parked_copy){
        .upstream = strdup(parked->config->name),
        .has_tls = parked->ssl,
        .is_pristine = parked->kept.state.len == 0,
        .is_good = !parked->kept.proof->is_void && !parked->kept.proof->is_suspended,
        .born_at_ms = parked->kept.born_at_ms,
        .parked_at_ms = parked->kept.parked_at_ms,
        .has_server = parked->server.family != AF_UNSPEC,
        .server = parked->server,
    };
    imapstate_buf_init(&copy->user, SIZE_MAX);
    imapstate_buf_put(&copy->user, (struct imapstate_span){ user->name, user->name_len });
}

void parked_copy_done(struct parked_copy *copy)
{
    imapstate_buf_done(&copy->user);
    free(copy->upstream);
}

/* Has it been passed? Those that were parked in the same millisecond are told by their number. */
static bool park_place_passes(struct park_place *place, const struct parked *parked)
{
    uint64_t at_ms = parked->kept.parked_at_ms;
    if (at_ms != place->at_ms) {
        bool is_passed = at_ms < place->at_ms;
        if (!is_passed)
            *place = (struct park_place){ .at_ms = at_ms };
        return is_passed;
    }
    return place->seen < place->given;
}

size_t park_list(struct park_place *place, struct parked_copy *ret_copies, size_t max)
{
    size_t count = 0;
    place->seen = 0;
    pthread_mutex_lock(&park.lock);
    for (struct list *link = park.by_age.next; link != &park.by_age && count < max; link = link->next) {
        const struct parked *parked = list_entry(link, struct parked, age_link);
        bool is_passed = park_place_passes(place, parked);
        bool is_here = parked->kept.parked_at_ms == place->at_ms;
        place->seen += is_here;
        if (is_passed)
            continue;
        place->given += is_here;
        parked_copy_fill(&ret_copies[count++], parked);
    }
    pthread_mutex_unlock(&park.lock);
    return count;
}

bool park_press(uint8_t *presses, uint64_t *ret_after_ms)
{
    static const uint64_t after_ms[] = { 20, 100, 400 };
    if (*presses == sizeof after_ms / sizeof *after_ms)
        return false;
    *ret_after_ms = after_ms[(*presses)++];
    return true;
}

/* --- the janitor's --- */

void park_sweep(uint64_t now_ms, struct list *ret_tired)
{
    struct list doomed;
    list_init(&doomed);
    pthread_mutex_lock(&park.lock);
    park.limits_known = allowances_sweep(&park.allowances, now_ms);
    list_each_safe(link, &park.by_age)
    {
        struct parked *parked = list_entry(link, struct parked, age_link);
        const struct proof *proof = parked->kept.proof;
        enum park_end why;
        if (parked_has_expired(parked, now_ms, &why)) {
            parked_doom(parked, &doomed, why);
        } else if (!proof_is_fresh(&park.proofs, proof, now_ms)) {
            parked_doom(parked, &doomed, PARK_END_PROOF);
        } else if (now_ms >= parked->used_at_ms + park.limits.keepalive_ms) {
            parked_remove(parked);
            list_move(&parked->age_link, ret_tired);
            parked->kept.is_going = true;
            proof->user->going_count++;
        }
    }
    pthread_mutex_unlock(&park.lock);
    parked_end_doomed(&doomed);
}

/* --- reload, end --- */

void park_configure(const struct config *config)
{
    struct list doomed;
    list_init(&doomed);
    pthread_mutex_lock(&park.lock);
    park.limits = config->park;
    park.config = config;
    park.proofs.reauth_interval_ms = config->park.reauth_interval_ms;
    for (size_t i = 0; i < config->upstream_count; i++)
        park_row(config->upstreams[i].name); /* of what is told, nothing is missing before it has happened */
    list_each_safe(link, &park.by_age)
    {
        struct parked *parked = list_entry(link, struct parked, age_link);
        if (!park_is_on() || !park_is_configured(parked))
            parked_doom(parked, &doomed, PARK_END_CONFIG);
    }
    for (struct account *account = park.proofs.accounts; account; account = account->hh.next)
        park_keep_to_limits(account, &doomed);
    pthread_mutex_unlock(&park.lock);
    parked_end_doomed(&doomed);
}

unsigned park_count(void)
{
    pthread_mutex_lock(&park.lock);
    unsigned count = park.count;
    pthread_mutex_unlock(&park.lock);
    return count;
}

unsigned park_count_at(struct imapstate_span upstream)
{
    unsigned count = 0;
    pthread_mutex_lock(&park.lock);
    for (struct list *link = park.by_age.next; link != &park.by_age; link = link->next)
        count +=
            imapstate_span_equal(imapstate_span_of(list_entry(link, struct parked, age_link)->config->name), upstream);
    pthread_mutex_unlock(&park.lock);
    return count;
}

void park_close(void)
{
    struct list doomed;
    list_init(&doomed);
    pthread_mutex_lock(&park.lock);
    park.is_closed = true;
    list_each_safe(link, &park.by_age) parked_doom(list_entry(link, struct parked, age_link), &doomed, PARK_END_STOP);
    pthread_mutex_unlock(&park.lock);
    parked_end_doomed(&doomed);
}

void park_done(void)
{
    park_close();
    park.is_closed = false;
    proofs_forget_key(&park.proofs);
    allowances_done(&park.allowances);
    park.limits_known = 0;
    park_counters_done(&park.counters);
    park.counters = (struct park_counters){ 0 };
    park.config = NULL;
}
