#include "steering.h"

#include <event2/event.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>

#include "config.h"
#include "controlsocket.h"
#include "crew.h"
#include "daemon.h"
#include "http.h"
#include "log.h"
#include "loop.h"
#include "notify.h"
#include "park.h"
#include "reload.h"
#include "service.h"
#include "takeover.h"
#include "upgrade.h"
#include "watchdog.h"

/* --- it ends, or another process has taken over --- */

static void steering_stop(struct daemon *daemon)
{
    notify_stopping();
    upgrade_give_up(&daemon->upgrade);
    crew_stop(&daemon->crew);
    loop_break(&daemon->loop);
}

/* Nobody is accepted any more, and those who are there may go on for drain_time. */
static void steering_drain(struct daemon *daemon, const char *why)
{
    if (daemon->is_draining)
        return;
    daemon->is_draining = true;
    log_info("draining: %s; sessions go on for %" PRIu64 " s at most", why,
             daemon->service->config->drain_time_ms / 1000);
    notify_status("draining");
    watchdog_done(&daemon->watchdog);
    crew_drain(&daemon->crew);
    park_close();
}

static void steering_on_taken_over(void *owner, pid_t pid)
{
    struct daemon *daemon = owner;
    controlsocket_follow(&daemon->control.socket);
    http_yield(daemon->http); /* it is the other one that is asked from here on */
    if (daemon->owes_reload)
        kill(pid, SIGHUP);
    steering_drain(daemon, "another process has taken over");
}

/* --- signals --- */

/* The log has it. */
static void steering_on_answered(void *asker, bool is_done, const char *words)
{
}

static void steering_on_stop(evutil_socket_t signal, short what, void *arg)
{
    log_info("stopping on signal %d", (int)signal);
    steering_stop(arg);
}

static void steering_reload(void *owner)
{
    struct daemon *daemon = owner;
    takeover_pass_reload(&daemon->takeover);
    reload(daemon, steering_on_answered, NULL);
}

static void steering_on_reload(evutil_socket_t signal, short what, void *arg)
{
    struct daemon *daemon = arg;
    daemon->owes_reload = upgrade_is_under_way(&daemon->upgrade);
    steering_reload(daemon);
}

static void steering_on_upgrade(evutil_socket_t signal, short what, void *arg)
{
    struct daemon *daemon = arg;
    upgrade_begin(&daemon->upgrade, &daemon->crew, daemon->service, steering_on_answered, NULL);
}

static void steering_on_drain(evutil_socket_t signal, short what, void *arg)
{
    steering_drain(arg, "on SIGQUIT");
}

/* Where logs are files, this has them opened anew; ours are somebody else's. */
static void steering_on_reopen(evutil_socket_t signal, short what, void *arg)
{
    log_debug("SIGUSR1: there is no log file to open anew");
}

static const struct {
    int number;
    event_callback_fn taken;
} steering_signals[] = {
    { SIGTERM, steering_on_stop },  { SIGINT, steering_on_stop },    { SIGHUP, steering_on_reload },
    { SIGQUIT, steering_on_drain }, { SIGUSR1, steering_on_reopen }, { SIGUSR2, steering_on_upgrade },
};
#define STEERING_SIGNALS (sizeof steering_signals / sizeof *steering_signals)

/* Threads that are not the main one never see a signal. */
static void steering_mask(int how)
{
    sigset_t signals;
    sigemptyset(&signals);
    for (size_t i = 0; i < STEERING_SIGNALS; i++)
        sigaddset(&signals, steering_signals[i].number);
    pthread_sigmask(how, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

void steering_begin(struct daemon *daemon)
{
    steering_mask(SIG_BLOCK);
    daemon->upgrade.owner = daemon;
    daemon->upgrade.taken_over = steering_on_taken_over;
    daemon->upgrade.reloaded = steering_reload;
}

void steering_run(struct daemon *daemon)
{
    struct event *events[STEERING_SIGNALS];
    for (size_t i = 0; i < STEERING_SIGNALS; i++) {
        events[i] = evsignal_new(daemon->loop.base, steering_signals[i].number, steering_signals[i].taken, daemon);
        if (events[i])
            evsignal_add(events[i], NULL);
    }
    steering_mask(SIG_UNBLOCK);
    loop_run(&daemon->loop);
    steering_mask(SIG_BLOCK); /* it is ending, and a second signal shall not end it in disorder */
    for (size_t i = 0; i < STEERING_SIGNALS; i++)
        if (events[i])
            event_free(events[i]);
}
