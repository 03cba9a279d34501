#include "candidates.h"

#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "outage.h"
#include "pulse.h"

/* Of a target whose weight is 0, while others have more (RFC 2782: "a very small chance"). */
#define CANDIDATES_LIGHT 0.01

void candidates_done(struct candidates *candidates)
{
    free(candidates->at);
    *candidates = (struct candidates){ 0 };
}

const char *candidate_text(const struct candidate *candidate, char ret_text[ADDRESS_TEXT_MAX])
{
    return candidate->member->is_unix ? candidate->member->host : address_text_with_port(&candidate->address, ret_text);
}

void candidate_get(const struct candidate *candidate, struct endpoint *ret_endpoint)
{
    uint16_t port;
    *ret_endpoint = (struct endpoint){ 0 };
    if (candidate->member->is_unix)
        endpoint_from_host(candidate->member->host, "", true, ret_endpoint, &port);
    else
        ret_endpoint->len = address_get(&candidate->address, &ret_endpoint->sockaddr.storage);
}

/* --- looked up --- */

struct lookup {
    struct candidates_wait *wait;
    uint64_t now_ms;
    struct candidates *found;
    unsigned targets; /* that have been looked up, of all services */
    bool is_asked;    /* something is yet to be learned */
    bool is_out_of_memory;
};

static bool candidate_is_equal(const struct candidate *a, const struct candidate *b)
{
    if (a->member->is_unix || b->member->is_unix)
        return a->member == b->member;
    return memcmp(&a->address, &b->address, sizeof a->address) == 0;
}

/* Several names may lead to the same address: it belongs to the first one. */
static void lookup_add(struct lookup *lookup, const struct candidate *candidate)
{
    struct candidates *found = lookup->found;
    for (unsigned i = 0; i < found->count; i++)
        if (candidate_is_equal(&found->at[i], candidate))
            return;
    if (found->count == CANDIDATES_MAX)
        return;
    struct candidate *more = reallocarray(found->at, found->count + 1, sizeof *more);
    lookup->is_out_of_memory |= !more;
    if (!more)
        return;
    found->at = more;
    more[found->count++] = *candidate;
}

static void lookup_host(struct lookup *lookup, struct candidate *candidate, const char *host, uint16_t port,
                        struct resolver_wait *wait)
{
    struct resolver_addresses addresses;
    wait->is_scouting = lookup->wait->is_scouting;
    wait->is_peeking = lookup->wait->is_peeking;
    switch (resolver_look_up(host, port, wait, lookup->now_ms, &addresses)) {
    case RESOLVER_ASKED:
        lookup->is_asked = true;
        break;
    case RESOLVER_UNKNOWN:
        lookup->found->why = addresses.why;
        break;
    case RESOLVER_KNOWN:
        for (unsigned i = 0; i < addresses.count; i++) {
            candidate->address = addresses.addresses[i];
            lookup_add(lookup, candidate);
        }
    }
}

static void lookup_targets(struct lookup *lookup, struct candidate *candidate, const struct resolver_targets *targets)
{
    for (unsigned i = 0; i < targets->count && lookup->targets < RESOLVER_TARGETS_MAX; i++) {
        const struct resolver_target *target = &targets->at[i];
        candidate->priority = target->priority;
        candidate->weight = target->weight;
        lookup_host(lookup, candidate, target->host, target->port, &lookup->wait->targets[lookup->targets++]);
    }
}

static void lookup_service(struct lookup *lookup, struct candidate *candidate, struct resolver_wait *wait)
{
    struct resolver_targets targets;
    const char *why;
    wait->is_scouting = lookup->wait->is_scouting;
    wait->is_peeking = lookup->wait->is_peeking;
    switch (resolver_look_up_service(candidate->member->host, wait, lookup->now_ms, &targets, &why)) {
    case RESOLVER_ASKED:
        lookup->is_asked = true;
        break;
    case RESOLVER_UNKNOWN:
        lookup->found->why = why;
        break;
    case RESOLVER_KNOWN:
        lookup_targets(lookup, candidate, &targets);
    }
}

static void lookup_member(struct lookup *lookup, const struct config_member *member, struct resolver_wait *wait)
{
    struct candidate candidate = { .member = member };
    struct endpoint endpoint;
    uint16_t port;
    if (member->is_srv) {
        lookup_service(lookup, &candidate, wait);
    } else if (endpoint_from_host(member->host, member->port, member->is_unix, &endpoint, &port)) {
        address_set(&candidate.address, &endpoint.sockaddr.any);
        lookup_add(lookup, &candidate);
    } else {
        lookup_host(lookup, &candidate, member->host, port, wait);
    }
}

static enum resolver_result lookup_end(struct lookup *lookup, uint64_t *ret_wait_ms)
{
    struct candidates_wait *wait = lookup->wait;
    uint64_t waited_ms = lookup->now_ms - wait->began_at_ms;
    bool has_some = lookup->found->count > 0;
    if (lookup->is_out_of_memory) {
        candidates_done(lookup->found);
        lookup->found->why = "out of memory";
        return RESOLVER_UNKNOWN;
    }
    if (lookup->is_asked && (!has_some || waited_ms < CANDIDATES_PATIENCE_MS)) {
        *ret_wait_ms = has_some ? CANDIDATES_PATIENCE_MS - waited_ms : RESOLVER_PATIENCE_MS;
        candidates_done(lookup->found);
        return RESOLVER_ASKED;
    }
    return has_some ? RESOLVER_KNOWN : RESOLVER_UNKNOWN;
}

enum resolver_result candidates_look_up(const struct config_upstream *upstream, const struct config_member *only,
                                        struct candidates_wait *wait, uint64_t now_ms,
                                        struct candidates *ret_candidates, uint64_t *ret_wait_ms)
{
    struct lookup lookup = { .wait = wait, .now_ms = now_ms, .found = ret_candidates };
    *ret_candidates = (struct candidates){ .why = "the operator has taken it down" };
    *ret_wait_ms = 0;
    if (wait->began_at_ms == 0)
        wait->began_at_ms = now_ms;
    for (size_t i = 0; i < upstream->member_count; i++) {
        const struct config_member *member = &upstream->members[i];
        if ((!only || only == member) && !outage_is(upstream->name, member->text))
            lookup_member(&lookup, member, &wait->members[i]);
    }
    return lookup_end(&lookup, ret_wait_ms);
}

/* --- in order --- */

/* What decides, from the first to the last. */
struct rank {
    enum pulse_rank health;
    uint64_t member;
    uint16_t priority;
    double load; /* the fewer the better */
    uint64_t place;
    struct candidate candidate;
};

#define COMPARE(a, b)                                                                                                  \
    if ((a) != (b))                                                                                                    \
    return (a) < (b) ? -1 : 1

static int rank_compare(const void *of_a, const void *of_b)
{
    const struct rank *a = of_a, *b = of_b;
    COMPARE(a->health, b->health);
    COMPARE(a->member, b->member);
    COMPARE(a->priority, b->priority);
    COMPARE(a->load, b->load);
    COMPARE(a->place, b->place);
    return 0;
}

/* The same in every gateway: the key is no secret. Names of users differ in case at some of their clients only. */
static uint64_t candidates_hash(struct imapstate_span user, const char *text)
{
    static const uint8_t key[crypto_shorthash_KEYBYTES] = "imapstate";
    uint64_t sums[3] = { 0 };
    uint8_t block[64];
    for (size_t at = 0; at < user.len; at += sizeof block) {
        size_t len = user.len - at < sizeof block ? user.len - at : sizeof block;
        for (size_t i = 0; i < len; i++) {
            uint8_t octet = user.at[at + i];
            block[i] = octet >= 'A' && octet <= 'Z' ? (uint8_t)(octet | 0x20) : octet;
        }
        crypto_shorthash((uint8_t *)&sums[1], block, len, key);
        crypto_shorthash((uint8_t *)&sums[0], (const uint8_t *)sums, 2 * sizeof *sums, key);
    }
    crypto_shorthash((uint8_t *)&sums[1], (const uint8_t *)text, strlen(text), key);
    crypto_shorthash((uint8_t *)&sums[2], (const uint8_t *)sums, 2 * sizeof *sums, key);
    return sums[2];
}

/* Weighted rendezvous: whoever draws the least comes first, and does so in proportion to its weight. */
static double rank_draw(uint64_t hash, uint16_t weight)
{
    double between = ((double)(hash >> 11) + 0.5) / (double)(UINT64_C(1) << 53); /* 0 and 1 */
    return -log(between) / (weight > 0 ? weight : CANDIDATES_LIGHT);
}

/* Among the addresses of its family that its member has, how many have a better hash? */
static uint64_t rank_place(const struct rank *ranks, unsigned count, const struct rank *own)
{
    uint64_t better = 0;
    for (unsigned i = 0; i < count; i++)
        better += ranks[i].candidate.member == own->candidate.member &&
                  ranks[i].candidate.address.family == own->candidate.address.family && ranks[i].load < own->load;
    return 2 * better + (own->candidate.address.family == AF_INET);
}

static void ranks_by_user(struct rank *ranks, unsigned count, struct imapstate_span user)
{
    char text[ADDRESS_TEXT_MAX];
    for (unsigned i = 0; i < count; i++) {
        const struct candidate *candidate = &ranks[i].candidate;
        uint16_t weight = candidate->member->is_srv ? candidate->weight : 1;
        ranks[i].member = candidates_hash(user, candidate->member->text);
        ranks[i].load = rank_draw(candidates_hash(user, candidate_text(candidate, text)), weight);
    }
    for (unsigned i = 0; i < count; i++)
        ranks[i].place = rank_place(ranks, count, &ranks[i]);
    for (unsigned i = 0; i < count; i++)
        if (!ranks[i].candidate.member->is_srv)
            ranks[i].load = 0;
}

static void ranks_by_sessions(struct rank *ranks, unsigned count, const struct config_upstream *upstream)
{
    char text[ADDRESS_TEXT_MAX];
    for (unsigned i = 0; i < count; i++) {
        const struct candidate *candidate = &ranks[i].candidate;
        struct pulse pulse = pulse_read(upstream->name, candidate_text(candidate, text));
        double weight = !candidate->member->is_srv ? 1 : candidate->weight > 0 ? candidate->weight : CANDIDATES_LIGHT;
        ranks[i].load = (double)pulse.sessions / weight;
        ranks[i].place = randombytes_random();
    }
}

static void ranks_in_order(struct rank *ranks, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const struct candidate *candidate = &ranks[i].candidate;
        uint64_t chance = (uint64_t)randombytes_random() << 32 | randombytes_random();
        ranks[i].member = (uint64_t)(uintptr_t)candidate->member; /* of one array */
        ranks[i].load = candidate->member->is_srv ? rank_draw(chance, candidate->weight) : 0;
        ranks[i].place = i;
    }
}

void candidates_sort(struct candidates *candidates, const struct config_upstream *upstream, struct imapstate_span user)
{
    struct rank ranks[CANDIDATES_MAX];
    char text[ADDRESS_TEXT_MAX];
    unsigned count = candidates->count;
    if (count < 2)
        return;
    for (unsigned i = 0; i < count; i++) {
        const struct candidate *candidate = &candidates->at[i];
        ranks[i] = (struct rank){ .candidate = *candidate, .priority = candidate->priority };
        ranks[i].health = pulse_read(upstream->name, candidate_text(candidate, text)).rank;
        ranks[i].candidate.is_dead = ranks[i].health == PULSE_DEAD;
    }
    if (upstream->balance == CONFIG_BALANCE_ORDER)
        ranks_in_order(ranks, count);
    else if (upstream->balance == CONFIG_BALANCE_USER && user.len > 0)
        ranks_by_user(ranks, count, user);
    else
        ranks_by_sessions(ranks, count, upstream);
    qsort(ranks, count, sizeof *ranks, rank_compare);
    for (unsigned i = 0; i < count; i++)
        candidates->at[i] = ranks[i].candidate;
}
