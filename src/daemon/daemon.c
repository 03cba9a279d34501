#include "daemon.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "loading.h"
#include "log.h"
#include "park.h"
#include "prelude.h"
#include "process.h"
#include "reload.h"
#include "resolver.h"
#include "service.h"

#define DAEMON_LOOP_INDEX 254u /* below the janitor's; workers' count from 0 */

/* --- signals --- */

/* The log has it. */
static void daemon_on_reloaded(void *asker, bool is_whole, const char *words)
{
}

static void daemon_on_reload(evutil_socket_t signal, short what, void *arg)
{
    reload(arg, daemon_on_reloaded, NULL);
}

static void daemon_on_stop(evutil_socket_t signal, short what, void *arg)
{
    struct daemon *daemon = arg;
    log_info("stopping on signal %d", (int)signal);
    crew_stop(&daemon->crew);
    loop_break(&daemon->loop);
}

/* Threads that are not the main one never see a signal. */
static void daemon_block_signals(int how)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(how, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void daemon_wait_for_signals(struct daemon *daemon)
{
    struct event *events[] = {
        evsignal_new(daemon->loop.base, SIGTERM, daemon_on_stop, daemon),
        evsignal_new(daemon->loop.base, SIGINT, daemon_on_stop, daemon),
        evsignal_new(daemon->loop.base, SIGHUP, daemon_on_reload, daemon),
    };
    for (size_t i = 0; i < 3; i++)
        if (events[i])
            evsignal_add(events[i], NULL);
    daemon_block_signals(SIG_UNBLOCK);
    loop_run(&daemon->loop);
    daemon_block_signals(SIG_BLOCK); /* it is ending, and a second signal shall not end it in disorder */
    for (size_t i = 0; i < 3; i++)
        if (events[i])
            event_free(events[i]);
}

/* --- life --- */

/* Nothing that is told to all loops is about the main thread's. */
static void daemon_on_told(struct loop *loop)
{
}

static void daemon_say_ready(const struct daemon *daemon)
{
    const struct config *config = daemon->service->config;
    log_info("ready: %u workers, %zu listeners, %zu upstreams", daemon->crew.count, config->listener_count,
             config->upstream_count);
}

/* Some threads run already: nothing is freed under them. */
static void __attribute__((noreturn)) daemon_give_up(void)
{
    log_stop();
    exit(EXIT_FAILURE);
}

static bool daemon_make_loop(struct daemon *daemon)
{
    bool is_made = loop_init(&daemon->loop, DAEMON_LOOP_INDEX, daemon_on_told);
    inquiries_init(&daemon->inquiries, &daemon->loop);
    daemon->crew.inquiries = &daemon->inquiries;
    daemon->crew.home = &daemon->loop;
    daemon->has_loop = true;
    if (!is_made)
        log_error("%s", strerror(errno));
    return is_made;
}

static bool daemon_open_inquiries(struct daemon *daemon)
{
    return inquiries_add(&daemon->inquiries, daemon->janitor.worker);
}

int daemon_run(struct daemon *daemon)
{
    const struct config *config = daemon->service->config;
    daemon_block_signals(SIG_BLOCK);
    process_raise_descriptors(config);
    if (!daemon_make_loop(daemon) || !crew_make(&daemon->crew, daemon->service, stderr) ||
        !process_drop_privileges(config))
        return EXIT_FAILURE;
    process_forbid_dumps(); /* after the change of user, which would allow them again */
    process_warn_of_root(config);
    if (!log_start())
        log_warning("log: each thread writes its own lines, as the log's thread cannot be started: %s",
                    strerror(errno));
    if (!crew_start(&daemon->crew))
        daemon_give_up();
    park_configure(config);
    if (!janitor_start(&daemon->janitor, daemon->service, stderr) || !daemon_open_inquiries(daemon))
        daemon_give_up();
    service_forget_revocations(daemon->service);
    daemon_say_ready(daemon);
    daemon_wait_for_signals(daemon);
    crew_join(&daemon->crew);
    janitor_stop(&daemon->janitor);
    log_info("stopped");
    log_stop();
    return EXIT_SUCCESS;
}

/* As the log is not open before the configuration is there, what it has to say is kept until then. */
bool daemon_begin(struct daemon *daemon, bool is_test)
{
    char *text = NULL;
    size_t len = 0;
    FILE *messages = open_memstream(&text, &len);
    if (!messages) {
        fprintf(stderr, "imapstated: %s\n", strerror(errno));
        return false;
    }
    daemon->service = loading_read(daemon->config_path, NULL, messages);
    fclose(messages);
    if (!daemon->service || is_test) {
        fputs(text ? text : "imapstated: out of memory\n", stderr);
    } else {
        daemon->started = config_ref(daemon->service->config);
        log_open(daemon->started->log_to, daemon->started->log_format, daemon->started->log_level);
        loading_log(text);
    }
    free(text);
    return daemon->service;
}

void daemon_end(struct daemon *daemon)
{
    crew_done(&daemon->crew);
    park_done();
    config_unref(daemon->started);
    service_unref(daemon->service);
    if (daemon->has_loop) {
        inquiries_done(&daemon->inquiries);
        loop_done(&daemon->loop);
    }
    prelude_done();
    resolver_done();
    libevent_global_shutdown();
}
