/* allowance: how many connections may wait for a user, or at an upstream, whose server has shown that it has a limit.
 * To a server a parked connection is a session like any other, and counts: a login that it has no room for is made room
 * for, and from then on fewer wait, for a while, so that it does not happen at each visit.
 *
 * A key names an account, or an upstream as a whole (proof.h). They outlive what hangs on them: an account is gone with
 * its last connection. At most ALLOWANCES_MAX are kept, those that were heard of last. No lock and no clock: the holder
 * (park.c) guards them, and passes the time. */
#ifndef UPSTREAM_ALLOWANCE_H
#define UPSTREAM_ALLOWANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "proof.h"

#define ALLOWANCES_MAX 4096u

/* How long a limit is kept in mind since the server has last shown it. */
#define ALLOWANCE_MS (60u * 60u * 1000u)

/* How long what is about to be parked gives way as well, to a login that is tried again. */
#define ALLOWANCE_PRESS_MS 600u

struct allowance;

/* All zero: none is known. */
struct allowances {
    struct allowance *by_key; /* in the order in which they were heard of */
    unsigned count;
};

/* The server has no room for one more. */
void allowances_press(struct allowances *allowances, const uint8_t key[PROOF_HASH_OCTETS], uint64_t now_ms);
bool allowances_is_pressed(const struct allowances *allowances, const uint8_t key[PROOF_HASH_OCTETS], uint64_t now_ms);

/* From here on no more than so many may wait. Out of memory nothing is learned. */
void allowances_cut(struct allowances *allowances, const uint8_t key[PROOF_HASH_OCTETS], unsigned most,
                    uint64_t now_ms);

/* UINT_MAX: the server has not shown a limit. */
unsigned allowances_of(const struct allowances *allowances, const uint8_t key[PROOF_HASH_OCTETS], uint64_t now_ms);

/* Forgets those whose time is up; gives how many limits are left. The time may be an older one than in an earlier
 * call. */
unsigned allowances_sweep(struct allowances *allowances, uint64_t now_ms);

void allowances_done(struct allowances *allowances);

#endif
