#include "way.h"

#include <imapstate/command.h>

#include <stdlib.h>
#include <string.h>

struct ways {
    struct way_lore lore; /* atomic */
    unsigned references;  /* atomic */
};

/* An authorization identity can be said by PLAIN only. */
static uint8_t ways_possible(const struct sasl_identity *identity, const struct capabilities *offers)
{
    uint8_t possible = 0;
    if (offers->mechanisms & SASL_BIT(SASL_PLAIN))
        possible |= WAY_BIT(WAY_PLAIN);
    if (identity->authorization.len > 0)
        return possible;
    if (offers->mechanisms & SASL_BIT(SASL_LOGIN))
        possible |= WAY_BIT(WAY_AUTH_LOGIN);
    return offers->logindisabled ? possible : possible | WAY_BIT(WAY_LOGIN);
}

bool way_waits(struct imapstate_span string)
{
    return !imapstate_command_is_quotable(string) ||
           (string.len > 0 && (memchr(string.at, '"', string.len) || memchr(string.at, '\\', string.len)));
}

/* PLAIN takes one round trip with an initial response; without one, LOGIN does, if no string has to wait for a "+". */
static enum way way_quickest(uint8_t possible, const struct sasl_identity *identity, const struct capabilities *offers)
{
    bool is_simple = !way_waits(imapstate_buf_span(&identity->authentication)) &&
                     !way_waits(imapstate_buf_span(&identity->password));
    bool has_login = possible & WAY_BIT(WAY_LOGIN);
    if ((possible & WAY_BIT(WAY_PLAIN)) && (offers->sasl_ir || !has_login || !is_simple))
        return WAY_PLAIN;
    return has_login ? WAY_LOGIN : WAY_AUTH_LOGIN;
}

enum way way_choose(struct way_lore lore, enum way own, const struct sasl_identity *identity,
                    const struct capabilities *offers, uint8_t refused)
{
    uint8_t possible = ways_possible(identity, offers) & (uint8_t)~refused;
    if (possible == 0)
        return WAY_NONE;
    if (possible & (uint8_t)~lore.broken)
        possible &= (uint8_t)~lore.broken;
    if (possible & WAY_BIT(own))
        return own;
    for (enum way way = WAY_LOGIN; way < WAY_NONE; way++)
        if (possible & lore.worked & WAY_BIT(way))
            return way;
    return way_quickest(possible, identity, offers);
}

struct ways *ways_new(void)
{
    struct ways *ways = calloc(1, sizeof *ways);
    if (ways)
        ways->references = 1;
    return ways;
}

struct ways *ways_ref(struct ways *ways)
{
    __atomic_add_fetch(&ways->references, 1, __ATOMIC_RELAXED);
    return ways;
}

void ways_unref(struct ways *ways)
{
    if (ways && __atomic_sub_fetch(&ways->references, 1, __ATOMIC_ACQ_REL) == 0)
        free(ways);
}

struct way_lore ways_lore(const struct ways *ways)
{
    struct way_lore lore;
    __atomic_load(&ways->lore, &lore, __ATOMIC_RELAXED);
    return lore;
}

static struct way_lore lore_with(struct way_lore lore, enum way way, uint8_t refused)
{
    lore.has_admitted = true;
    if (way == WAY_NONE)
        return lore;
    lore.worked = WAY_BIT(way);
    lore.broken = (uint8_t)((lore.broken | refused) & ~WAY_BIT(way));
    return lore;
}

void ways_admit(struct ways *ways, enum way way, uint8_t refused)
{
    struct way_lore before = ways_lore(ways), after;
    do
        after = lore_with(before, way, refused);
    while (!__atomic_compare_exchange(&ways->lore, &before, &after, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
}
