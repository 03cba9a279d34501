/* pulse: whether the addresses of upstreams work, as everybody finds it out who connects to one, and how many sessions
 * each has. Shared by all workers, and kept by the upstream's name and the address as text over reloads.
 *
 * An address at which nobody could log in is dead for a while (fail_timeout). After that it is tried by one at a time,
 * for whom nobody waits (upstreams_check()), and until that has succeeded it stays behind the others. One that is
 * silent while another one is ready has lost: it comes behind the others until somebody is ready there after all, and
 * if that took too long again and again, until it is prompt once more. None of them is given up: where there is no
 * better one, a dead one is tried. */
#ifndef UPSTREAM_PULSE_H
#define UPSTREAM_PULSE_H

#include <stdbool.h>
#include <stdint.h>

/* How many addresses are remembered, of all upstreams; the one that was used longest ago gives way. */
#define PULSE_MAX 1024u

/* Lost so often, an address is slow. */
#define PULSE_LOST_MAX 3u

/* In the order in which they are tried. */
enum pulse_rank { PULSE_GOOD, PULSE_SLOW, PULSE_DEAD, PULSE_RANK_COUNT };
extern const char *const pulse_rank_names[PULSE_RANK_COUNT];

struct pulse {
    enum pulse_rank rank;
    uint64_t sessions; /* that have a connection there, or log in on one */
};

/* What is known; of an address that nobody has connected to, that it is good. */
struct pulse pulse_read(const char *upstream, const char *address);

/* Somebody could log in. is_prompt: without having been silent on the way. */
void pulse_beat(const char *upstream, const char *address, bool is_prompt, uint64_t now_ms);

/* Nobody could. */
void pulse_fail(const char *upstream, const char *address, uint64_t fail_timeout_ms, uint64_t now_ms);

/* It is silent, and another one is ready. True: the caller goes on trying it, for until_ms at most, as nobody else
 * does. */
bool pulse_lose(const char *upstream, const char *address, uint64_t now_ms, uint64_t until_ms);

/* Is it time to try an address: one whose time of being dead is over, or of which nobody knows for check_ms (0: for
 * ever) that it is good and prompt? True: the caller does, and nobody else until until_ms. */
bool pulse_is_due(const char *upstream, const char *address, uint64_t check_ms, uint64_t now_ms, uint64_t until_ms);

/* A session has begun there (1), or has ended (-1). */
void pulse_count(const char *upstream, const char *address, int more);

/* All are to be tried again, the dead ones too, although they stay dead until then. */
void pulse_expire(void);

/* Forgets everything, at the end. */
void pulse_done(void);

#endif
