#include "allowance.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct allowance {
    UT_hash_handle hh;
    uint8_t key[PROOF_HASH_OCTETS];
    unsigned most; /* UINT_MAX: it was only pressed */
    uint64_t until_ms, pressed_until_ms;
};

static struct allowance *allowance_find(const struct allowances *allowances, const uint8_t key[PROOF_HASH_OCTETS])
{
    struct allowance *allowance = NULL;
    if (allowances->by_key)
        HASH_FIND(hh, allowances->by_key, key, PROOF_HASH_OCTETS, allowance);
    return allowance;
}

static void allowance_remove(struct allowances *allowances, struct allowance *allowance)
{
    HASH_DEL(allowances->by_key, allowance);
    allowances->count--;
    free(allowance);
}

/* Behind all others. False: memory is out, and it is gone. */
static bool allowance_add(struct allowances *allowances, struct allowance *allowance)
{
    HASH_ADD(hh, allowances->by_key, key, sizeof allowance->key, allowance);
    if (!allowance->hh.tbl) {
        free(allowance);
        return false;
    }
    allowances->count++;
    return true;
}

/* The one that was heard of last; NULL: memory is out. */
static struct allowance *allowances_have(struct allowances *allowances, const uint8_t key[PROOF_HASH_OCTETS],
                                         uint64_t now_ms)
{
    struct allowance *allowance = calloc(1, sizeof *allowance), *before = allowance_find(allowances, key);
    if (!allowance)
        return NULL;
    memcpy(allowance->key, key, sizeof allowance->key);
    allowance->most = allowances_of(allowances, key, now_ms);
    allowance->pressed_until_ms = before ? before->pressed_until_ms : 0;
    allowance->until_ms = now_ms + ALLOWANCE_MS;
    if (before)
        allowance_remove(allowances, before);
    else if (allowances->count == ALLOWANCES_MAX)
        allowance_remove(allowances, allowances->by_key);
    return allowance_add(allowances, allowance) ? allowance : NULL;
}

void allowances_press(struct allowances *allowances, const uint8_t key[PROOF_HASH_OCTETS], uint64_t now_ms)
{
    struct allowance *allowance = allowances_have(allowances, key, now_ms);
    if (allowance)
        allowance->pressed_until_ms = now_ms + ALLOWANCE_PRESS_MS;
}

bool allowances_is_pressed(const struct allowances *allowances, const uint8_t key[PROOF_HASH_OCTETS], uint64_t now_ms)
{
    const struct allowance *allowance = allowance_find(allowances, key);
    return allowance && now_ms < allowance->pressed_until_ms;
}

void allowances_cut(struct allowances *allowances, const uint8_t key[PROOF_HASH_OCTETS], unsigned most, uint64_t now_ms)
{
    struct allowance *allowance = allowances_have(allowances, key, now_ms);
    if (allowance && most < allowance->most)
        allowance->most = most;
}

unsigned allowances_of(const struct allowances *allowances, const uint8_t key[PROOF_HASH_OCTETS], uint64_t now_ms)
{
    const struct allowance *allowance = allowance_find(allowances, key);
    return allowance && now_ms < allowance->until_ms ? allowance->most : UINT_MAX;
}

unsigned allowances_sweep(struct allowances *allowances, uint64_t now_ms)
{
    unsigned limits = 0;
    while (allowances->by_key && now_ms >= allowances->by_key->until_ms)
        allowance_remove(allowances, allowances->by_key);
    for (const struct allowance *allowance = allowances->by_key; allowance; allowance = allowance->hh.next)
        limits += allowance->most < UINT_MAX;
    return limits;
}

void allowances_done(struct allowances *allowances)
{
    while (allowances->by_key)
        allowance_remove(allowances, allowances->by_key);
}
