#include "race.h"

#include <stdlib.h>
#include <string.h>

/* Of all threads. */
static unsigned race_rivals;

static void race_unref(struct race *race)
{
    if (--race->references > 0)
        return;
    candidates_done(&race->candidates);
    free(race);
}

static void race_add(struct race *race, struct runner *runner, struct upstream *upstream)
{
    race->references++;
    runner->race = race;
    runner->upstream = upstream;
    list_init(&runner->link);
    list_move(&runner->link, &race->runners);
}

bool race_begin(struct runner *runner, struct upstream *leader)
{
    struct race *race = calloc(1, sizeof *race);
    if (!race)
        return false;
    list_init(&race->runners);
    race->leader = leader;
    race_add(race, runner, leader);
    return true;
}

static bool race_has_room(const struct race *race)
{
    if (race->rival_count == RACE_RIVALS_MAX)
        return false;
    if (__atomic_add_fetch(&race_rivals, 1, __ATOMIC_RELAXED) <= RACE_ALL_RIVALS_MAX)
        return true;
    __atomic_sub_fetch(&race_rivals, 1, __ATOMIC_RELAXED);
    return false;
}

bool race_join(struct runner *runner, struct upstream *upstream, struct race *race)
{
    if (!race_has_room(race))
        return false;
    race->rival_count++;
    runner->is_rival = true;
    race_add(race, runner, upstream);
    return true;
}

void race_leave(struct runner *runner)
{
    struct race *race = runner->race;
    if (!race)
        return;
    list_remove(&runner->link);
    if (runner->is_rival) {
        __atomic_sub_fetch(&race_rivals, 1, __ATOMIC_RELAXED);
        race->rival_count--;
    }
    runner->is_rival = runner->is_out = false;
    runner->race = NULL;
    race_unref(race);
}

bool race_goes_on(const struct race *race)
{
    return race && race->next < race->candidates.count;
}

const struct candidate *race_take(struct race *race)
{
    return race_goes_on(race) ? &race->candidates.at[race->next++] : NULL;
}

const struct candidate *race_left(const struct race *race, unsigned n)
{
    const struct candidates *candidates = &race->candidates;
    unsigned at = race->next + n; /* the dead are last */
    return at < candidates->count && !candidates->at[at].is_dead ? &candidates->at[at] : NULL;
}

struct candidate race_swap(struct race *race, unsigned n, const struct candidate *candidate)
{
    struct candidate *place = &race->candidates.at[race->next + n], taken = *place;
    *place = *candidate;
    return taken;
}

void race_put_off(struct race *race, const struct candidate *candidate)
{
    struct candidates *candidates = &race->candidates;
    struct candidate again = *candidate;
    unsigned at = race->next;
    if (candidates->count >= 2 * race->known)
        return;
    struct candidate *more = reallocarray(candidates->at, candidates->count + 1, sizeof *more);
    if (!more)
        return;
    candidates->at = more;
    again.is_again = true;
    while (at < candidates->count && !more[at].is_dead)
        at++;
    memmove(&more[at + 1], &more[at], (candidates->count - at) * sizeof *more);
    more[at] = again;
    candidates->count++;
}

bool race_may_pass(const struct race *race, const struct candidate *candidate)
{
    return race_goes_on(race) && !candidate->is_again && !race->candidates.at[race->next].is_dead;
}

bool race_has_others(const struct race *race, const struct runner *runner)
{
    if (!race)
        return false;
    list_each_safe(link, &race->runners)
    {
        const struct runner *other = list_entry(link, struct runner, link);
        if (other != runner && !other->is_out)
            return true;
    }
    return false;
}
