/* Many threads, each with a loop of its own, come to one queue, wait, give up and leave, while the limits change. */
#include "check.h"

#include "faults.h"
#include "parking.h"

#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>

#include "loop.h"
#include "queue.h"

#define THREADS 8u
#define COMERS  24u /* of a thread, at a time */
#define STEPS   20000u
#define ADDRESS "192.0.2.1:143"

static const unsigned max_sessions[2] = { 60, 40 }, max_logins[2] = { 30, 20 };
static struct service *services[2];
static atomic_int sessions, logins;
static atomic_uint served;

struct comer {
    struct queue_stay stay;
    struct queue_wait wait;
    bool is_waiting;
};

struct thread {
    pthread_t id;
    struct loop loop;
    struct queue_desk desk;
    uint32_t random;
    struct comer comers[COMERS];
};

static unsigned thread_random(struct thread *thread, unsigned below)
{
    thread->random = thread->random * 1664525u + 1013904223u;
    return (thread->random >> 16) % below;
}

/* The larger limits are never exceeded, whichever are in force. */
static void comer_is_admitted(struct comer *comer)
{
    comer->is_waiting = false;
    served++;
    EXPECT(comer->stay.queue && comer->stay.is_login);
    EXPECT(atomic_fetch_add(&sessions, 1) < (int)max_sessions[0]);
    EXPECT(atomic_fetch_add(&logins, 1) < (int)max_logins[0]);
}

static void comer_comes(struct thread *thread, struct comer *comer)
{
    const struct config_upstream *upstream = &services[0]->config->upstreams[0];
    *comer = (struct comer){ .wait = { .desk = &thread->desk, .owner = comer } };
    uint8_t lane = (uint8_t)thread_random(thread, 4);
    enum queue_answer answer = queue_enter(upstream, ADDRESS, lane, &comer->stay, &comer->wait, 1);
    EXPECT(answer == QUEUE_ADMITTED || answer == QUEUE_WAITS);
    comer->is_waiting = answer == QUEUE_WAITS;
    if (answer == QUEUE_ADMITTED)
        comer_is_admitted(comer);
}

/* It goes on: by a step of its own, or not at all, as nobody has called it yet. */
static void comer_goes_on(struct thread *thread, struct comer *comer)
{
    if (comer->is_waiting && thread_random(thread, 8) == 0) {
        queue_give_up(&comer->wait);
        comer->is_waiting = false;
    } else if (comer->is_waiting) {
        if (queue_take_called(&comer->wait, &comer->stay))
            comer_is_admitted(comer);
    } else if (comer->stay.is_login && thread_random(thread, 2) == 0) {
        logins--;
        queue_end_login(&comer->stay);
    } else if (comer->stay.queue) {
        logins -= comer->stay.is_login;
        sessions--;
        queue_leave(&comer->stay);
    }
}

static bool comer_is_here(const struct comer *comer)
{
    return comer->is_waiting || comer->stay.queue;
}

static void thread_hear(struct thread *thread)
{
    struct queue_wait *wait;
    while ((wait = queue_next_called(&thread->desk))) {
        struct comer *comer = wait->owner;
        EXPECT(queue_take_called(wait, &comer->stay));
        comer_is_admitted(comer);
    }
}

static void *thread_run(void *arg)
{
    struct thread *thread = arg;
    for (unsigned step = 0; step < STEPS; step++) {
        struct comer *comer = &thread->comers[thread_random(thread, COMERS)];
        if (thread_random(thread, 500) == 0)
            queue_configure(services[thread_random(thread, 2)]->config);
        if (comer_is_here(comer))
            comer_goes_on(thread, comer);
        else
            comer_comes(thread, comer);
        thread_hear(thread);
    }
    return NULL;
}

/* Nobody comes any more: everybody who waits has his turn. */
static void *thread_finish(void *arg)
{
    struct thread *thread = arg;
    for (bool is_over = false; !is_over;) {
        is_over = true;
        thread_hear(thread);
        for (unsigned i = 0; i < COMERS; i++) {
            struct comer *comer = &thread->comers[i];
            is_over &= !comer_is_here(comer);
            if (comer->stay.queue)
                comer_goes_on(thread, comer);
        }
    }
    return NULL;
}

static void run(struct thread *threads, void *(*function)(void *))
{
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i].id, NULL, function, &threads[i]), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i].id, NULL);
}

static void on_told(struct loop *loop)
{
}

TEST(no_limit_is_exceeded_and_nobody_is_forgotten)
{
    static struct thread threads[THREADS];
    for (unsigned i = 0; i < 2; i++) {
        char text[256];
        snprintf(text, sizeof text,
                 "upstream \"main\" { address = \"%s\" tls = \"none\" max_sessions = %u max_logins = %u }", ADDRESS,
                 max_sessions[i], max_logins[i]);
        services[i] = parking_service(text);
    }
    queue_configure(services[0]->config);
    for (unsigned i = 0; i < THREADS; i++) {
        assert_true(loop_init(&threads[i].loop, i, on_told));
        queue_desk_init(&threads[i].desk, &threads[i].loop);
        threads[i].random = i;
    }
    run(threads, thread_run);
    run(threads, thread_finish);
    assert_int_equal(faults, 0);
    assert_int_equal(sessions, 0);
    assert_int_equal(logins, 0);
    assert_true(served > THREADS * 100);
    assert_int_equal(queue_waiting("main", ADDRESS), 0);
    queue_done();
    for (unsigned i = 0; i < THREADS; i++)
        loop_done(&threads[i].loop);
    for (unsigned i = 0; i < 2; i++)
        service_unref(services[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(no_limit_is_exceeded_and_nobody_is_forgotten) };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
