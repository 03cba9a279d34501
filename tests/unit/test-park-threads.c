/* Many threads park and take, while others prove, refuse, give up, sweep and reload. */
#include "check.h"

#include "allowance.h"
#include "faults.h"
#include "parking.h"

#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdatomic.h>
#include <time.h>

#include "proof.h"

#define THREADS       8u
#define STEPS         10000u
#define OWN_MAX       16u /* connections of a thread's making, at a time */
#define CONNECTIONS   (THREADS * OWN_MAX)
#define HELD_MAX      4u
#define MAX_IN_PARK   9u
#define UPSTREAM_TEXT "upstream \"main\" { address = \"127.0.0.1:143\" tls = \"none\" }\n"

static const char *const users[] = { "ann", "bob", "eve" };
static const char *const states[] = { "", "QRESYNC", "NOTIFY" };

static struct {
    const char *user, *state;
    int peer;
    atomic_bool is_held; /* by a thread; else it is parked, or has ended */
} connections[CONNECTIONS];

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return ALLOWANCE_MS + (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static struct service *services[2];
static atomic_uint taken_back;

struct thread {
    pthread_t id;
    unsigned index;
    uint32_t random;
    struct parked *held[HELD_MAX];
};

static unsigned thread_random(struct thread *thread, unsigned below)
{
    thread->random = thread->random * 1664525u + 1013904223u;
    return (thread->random >> 16) % below;
}

/* Which one it is stands where a capability list would. */
static unsigned connection_of(const struct parked *parked)
{
    unsigned number = 0;
    EXPECT(parked->kept.alerts.len == sizeof number);
    memcpy(&number, parked->kept.alerts.at, sizeof number);
    return number;
}

static void thread_hold(struct thread *thread, struct parked *parked, const char *user, const char *state)
{
    unsigned number = connection_of(parked), place = 0;
    EXPECT(!atomic_exchange(&connections[number].is_held, true));
    EXPECT(!user || strcmp(connections[number].user, user) == 0);
    EXPECT(!state || strcmp(connections[number].state, state) == 0);
    EXPECT(imapstate_span_equal(imapstate_buf_span(&parked->kept.state), imapstate_span_of(connections[number].state)));
    EXPECT(send(parked->fd, "", 0, MSG_NOSIGNAL) == 0); /* open, both ends */
    while (place < HELD_MAX && thread->held[place])
        place++;
    if (place < HELD_MAX) {
        thread->held[place] = parked;
        return;
    }
    connections[number].is_held = false;
    parked_free(parked);
}

static void thread_put(struct thread *thread, unsigned place, bool is_to_end)
{
    struct parked *parked = thread->held[place];
    thread->held[place] = NULL;
    if (!parked)
        return;
    connections[connection_of(parked)].is_held = false;
    parked->kept.parked_at_ms = parked->used_at_ms = now_ms();
    if (is_to_end)
        parked_free(parked);
    else
        park_put(parked, now_ms());
}

/* A place for a connection of this thread's making: one that was never used, or whose connection has ended. */
static bool thread_find_place(const struct thread *thread, unsigned *ret_number)
{
    char said[64];
    for (unsigned number = thread->index * OWN_MAX; number < (thread->index + 1) * OWN_MAX; number++) {
        bool is_used = connections[number].user != NULL;
        if (is_used && !parking_is_ended(connections[number].peer, said, sizeof said))
            continue;
        if (is_used)
            close(connections[number].peer);
        *ret_number = number;
        return true;
    }
    return false;
}

/* A login upstream, as good as any. */
static void thread_log_in(struct thread *thread, const struct proof_identity *identity, const char *user)
{
    unsigned number;
    struct proof *proof = park_prove(identity, now_ms());
    if (!proof || !thread_find_place(thread, &number)) {
        park_proof_unref(proof);
        return;
    }
    const char *state = states[thread_random(thread, ARRAY_LEN(states))];
    struct parked *parked = parking_connection(services[0], proof, state, now_ms(), &connections[number].peer);
    connections[number].user = user;
    connections[number].state = state;
    EXPECT(imapstate_buf_put(&parked->kept.alerts, (struct imapstate_span){ (const uint8_t *)&number, sizeof number }));
    park_proof_unref(proof);
    thread_hold(thread, parked, user, state);
}

/* A login without the upstream, and the choice of another connection behind it. */
static void thread_come_back(struct thread *thread, const struct proof_identity *identity, const char *user)
{
    struct proof *proof = NULL;
    struct parked *parked = park_match(identity, now_ms(), &proof);
    const char *state = states[thread_random(thread, ARRAY_LEN(states))];
    EXPECT((parked != NULL) == (proof != NULL));
    if (!parked)
        return;
    taken_back++;
    thread_hold(thread, parked, user, NULL);
    parked = park_take(proof, *state ? PARK_STATE : PARK_PRISTINE, imapstate_span_of(state), now_ms());
    if (parked)
        thread_hold(thread, parked, user, state);
    park_proof_unref(proof);
}

static void thread_sweep(struct thread *thread)
{
    struct list tired;
    list_init(&tired);
    park_sweep(now_ms(), &tired);
    list_each_safe(link, &tired)
    {
        struct parked *parked = list_entry(link, struct parked, age_link);
        list_remove(&parked->age_link);
        thread_hold(thread, parked, NULL, NULL);
    }
}

/* By one or the other secret, the user's own or that of somebody who acts for all of them. */
static struct proof_identity identity_of(const char *user, bool is_other_secret, bool is_acted_for)
{
    struct proof_identity identity = parking_identity(user, is_other_secret ? "other" : "secret");
    if (is_acted_for)
        identity.authentication = IMAPSTATE_SPAN("boss");
    return identity;
}

static void thread_step(struct thread *thread)
{
    const char *user = users[thread_random(thread, ARRAY_LEN(users))];
    struct proof_identity identity = identity_of(user, thread_random(thread, 8) == 0, thread_random(thread, 3) == 0);
    switch (thread_random(thread, 64)) {
    case 0:
        park_refuse(&identity);
        break;
    case 5:
        park_suspect(&identity);
        break;
    case 1:
        /* What is learned is over at once: there is to be something parked. */
        park_yield(identity.upstream, identity.user, thread_random(thread, 2), now_ms() - ALLOWANCE_MS);
        park_give_way(identity.upstream, identity.user, now_ms());
        park_give_up_oldest(identity.upstream);
        break;
    case 2:
        park_configure(services[thread_random(thread, 2)]->config);
        break;
    case 3:
    case 4:
        thread_sweep(thread);
        break;
    default:
        switch (thread_random(thread, 3)) {
        case 0:
            thread_log_in(thread, &identity, user);
            break;
        case 1:
            thread_come_back(thread, &identity, user);
            break;
        default:
            thread_put(thread, thread_random(thread, HELD_MAX), thread_random(thread, 32) == 0);
        }
    }
    EXPECT(park_count() <= MAX_IN_PARK);
}

static void *thread_run(void *arg)
{
    struct thread *thread = arg;
    for (unsigned i = 0; i < STEPS; i++)
        thread_step(thread);
    for (unsigned i = 0; i < HELD_MAX; i++)
        thread_put(thread, i, false);
    return NULL;
}

/* All that is parked can be had, by its user, and no more than that. */
static void take_all(void)
{
    unsigned count = park_count(), taken = 0;
    struct thread thread = { .index = THREADS };
    for (size_t i = 0; i < ARRAY_LEN(users) * 4; i++) {
        const char *user = users[i / 4];
        struct proof_identity identity = identity_of(user, i % 2, i / 2 % 2);
        struct proof *proof = park_prove(&identity, now_ms());
        struct parked *parked;
        while ((parked = park_take(proof, PARK_ANY, (struct imapstate_span){ 0 }, now_ms()))) {
            thread_hold(&thread, parked, user, NULL);
            thread_put(&thread, 0, true);
            taken++;
        }
        park_proof_unref(proof);
    }
    assert_int_equal(taken, count);
    assert_int_equal(park_count(), 0);
}

/* Every connection that was ever made has been closed: whatever is not held and not parked has ended. */
static void check_all_ended(void)
{
    char said[64];
    for (size_t i = 0; i < CONNECTIONS; i++) {
        if (!connections[i].user)
            continue;
        assert_true(parking_is_ended(connections[i].peer, said, sizeof said));
        close(connections[i].peer);
    }
}

TEST(no_connection_is_ever_held_twice_or_lost)
{
    static struct thread threads[THREADS];
    services[0] = parking_service(UPSTREAM_TEXT "park { per_user = 3 max = 9 time = \"1s\" keepalive = \"100ms\" }\n");
    services[1] = parking_service(UPSTREAM_TEXT "park { per_user = 2 max = 5 time = \"1s\" keepalive = \"100ms\" }\n");
    park_configure(services[0]->config);
    for (unsigned i = 0; i < THREADS; i++) {
        threads[i] = (struct thread){ .index = i, .random = i };
        assert_int_equal(pthread_create(&threads[i].id, NULL, thread_run, &threads[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i].id, NULL), 0);
    assert_int_equal(faults, 0);
    assert_true(taken_back > STEPS / 10);
    take_all();
    assert_int_equal(faults, 0);
    park_done();
    check_all_ended();
    service_unref(services[0]);
    service_unref(services[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_connection_is_ever_held_twice_or_lost),
    };
    signal(SIGPIPE, SIG_IGN);
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
