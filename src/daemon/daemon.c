#include "daemon.h"

#include <errno.h>
#include <event2/event.h>
#include <imapstate/version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "control.h"
#include "controlsocket.h"
#include "crew.h"
#include "figures.h"
#include "http.h"
#include "inquiry.h"
#include "janitor.h"
#include "list.h"
#include "loading.h"
#include "log.h"
#include "loop.h"
#include "notify.h"
#include "orders.h"
#include "outage.h"
#include "park.h"
#include "prelude.h"
#include "process.h"
#include "pulse.h"
#include "queue.h"
#include "resolver.h"
#include "revoking.h"
#include "routecache.h"
#include "service.h"
#include "sockets.h"
#include "steering.h"
#include "takeover.h"
#include "upgrade.h"
#include "watchdog.h"

#define DAEMON_LOOP_INDEX 254u /* below the janitor's; workers' count from 0 */

/* In the main thread, also when a worker has come to its end. */
static void daemon_on_told(struct loop *loop)
{
    struct daemon *daemon = list_entry(loop, struct daemon, loop);
    if (daemon->is_draining && crew_has_ended(&daemon->crew))
        loop_break(loop);
}

/* It serves, and whoever manages it may know. */
static void daemon_on_main(void *owner)
{
    struct daemon *daemon = owner;
    const struct config *config = daemon->service->config;
    char status[128];
    snprintf(status, sizeof status, "ready: %u workers, %zu listeners, %zu upstreams", daemon->crew.active,
             config->listener_count, config->upstream_count);
    log_info("%s", status);
    notify_ready(status);
    watchdog_begin(&daemon->watchdog, &daemon->inquiries);
}

static bool daemon_make_loop(struct daemon *daemon, FILE *errors)
{
    bool is_made = loop_init(&daemon->loop, DAEMON_LOOP_INDEX, daemon_on_told);
    inquiries_init(&daemon->inquiries, &daemon->loop);
    daemon->crew.inquiries = &daemon->inquiries;
    daemon->crew.home = &daemon->loop;
    daemon->upgrade.loop = &daemon->loop;
    control_init(&daemon->control);
    daemon->has_loop = true;
    if (!is_made)
        fprintf(errors, "%s\n", strerror(errno));
    return is_made;
}

/* Sockets that the service manager has opened; the configuration says what becomes of them. */
static bool daemon_adopt_given(struct daemon *daemon, FILE *errors)
{
    int count = sd_listen_fds(1);
    for (int i = 0; i < count; i++) {
        const char *wrong = sockets_adopt(&daemon->crew.sockets, SD_LISTEN_FDS_START + i, true);
        if (wrong)
            fprintf(errors, "socket %d of the service manager's: %s\n", i, wrong);
        if (wrong)
            return false;
    }
    return true;
}

/* While privileges are still there: its addresses may need them. */
static bool daemon_open_http(struct daemon *daemon, FILE *errors)
{
    daemon->standing = (struct standing){
        .service = daemon->service,
        .version = IMAPSTATE_VERSION_TEXT,
        .started_s = time(NULL),
        .reloaded_s = time(NULL),
        .is_listening = !crew_has_paused(&daemon->crew),
        .is_draining = &daemon->is_draining,
        .control = &daemon->control.socket,
    };
    daemon->http = http_new(&daemon->loop, &daemon->inquiries, &daemon->standing);
    if (!daemon->http)
        fprintf(errors, "%s\n", strerror(ENOMEM));
    return daemon->http && http_follow(daemon->http, daemon->service->config, &daemon->crew.sockets, errors);
}

/* All that can fail before anybody notices. */
static bool daemon_prepare(struct daemon *daemon, FILE *errors)
{
    const struct config *config = daemon->service->config;
    bool was_root = geteuid() == 0;
    if (!daemon_make_loop(daemon, errors) || !daemon_adopt_given(daemon, errors) ||
        !crew_make(&daemon->crew, daemon->service, errors) || !daemon_open_http(daemon, errors) ||
        !control_open(&daemon->control, config, daemon->has_predecessor, errors) ||
        !process_drop_privileges(config, errors))
        return false;
    if (was_root && geteuid() != 0)
        daemon->upgrade.became = daemon->started->user;
    process_forbid_dumps(); /* after the change of user, which would allow them again */
    return !daemon->has_predecessor || (controlsocket_may_take_place(&daemon->control.socket, config, errors) &&
                                        takeover_ready(&daemon->takeover, errors));
}

/* As the log is not open before the configuration is there, what it has to say is kept until then. */
static bool daemon_load(struct daemon *daemon, FILE *messages)
{
    if (daemon->has_predecessor && !takeover_receive(&daemon->takeover, &daemon->crew, messages))
        return false;
    daemon->service = loading_read(daemon->config_path, daemon->takeover.previous, messages);
    return daemon->service;
}

/* A step of the start, with what it has to say. If it has failed, whoever waits for this process is told too. */
static bool daemon_step(struct daemon *daemon, bool (*step)(struct daemon *daemon, FILE *messages), char **ret_text)
{
    char *text = NULL;
    size_t len = 0;
    FILE *messages = open_memstream(&text, &len);
    bool is_done = messages && step(daemon, messages);
    if (messages)
        fclose(messages);
    if (!is_done)
        takeover_fail(&daemon->takeover, text);
    *ret_text = text;
    return is_done;
}

/* Some threads run already: nothing is freed under them. */
static void __attribute__((noreturn)) daemon_give_up(void)
{
    log_stop();
    exit(EXIT_FAILURE);
}

static void daemon_start(struct daemon *daemon)
{
    const struct config *config = daemon->service->config;
    process_warn_of_root(config);
    if (!log_start())
        log_warning("log: each thread writes its own lines, as the log's thread cannot be started: %s",
                    strerror(errno));
    park_configure(config);
    queue_configure(config);
    if (!janitor_start(&daemon->janitor, daemon->service, stderr) ||
        !inquiries_add(&daemon->inquiries, daemon->janitor.worker) || !crew_start(&daemon->crew))
        daemon_give_up();
    service_forget_revocations(daemon->service);
    daemon->actions = orders_actions(daemon);
    if (!control_start(&daemon->control, &daemon->loop, &daemon->inquiries, &daemon->actions))
        daemon_give_up();
    if (daemon->has_predecessor && !controlsocket_take_place(&daemon->control.socket, takeover_pid(&daemon->takeover)))
        log_error("control: its socket stays beside that of the old process: %s", strerror(errno));
    if (daemon->has_predecessor)
        takeover_taken(&daemon->takeover, &daemon->loop);
    else
        daemon_on_main(daemon);
}

int daemon_run(struct daemon *daemon)
{
    char *text;
    steering_begin(daemon);
    process_raise_descriptors(daemon->service->config);
    bool is_prepared = daemon_step(daemon, daemon_prepare, &text);
    loading_log(text);
    free(text);
    if (!is_prepared)
        return EXIT_FAILURE;
    daemon_start(daemon);
    steering_run(daemon);
    crew_join(&daemon->crew);
    inquiries_leave_out(&daemon->inquiries, daemon->janitor.worker);
    janitor_stop(&daemon->janitor);
    log_info("stopped");
    log_stop();
    return EXIT_SUCCESS;
}

bool daemon_begin(struct daemon *daemon, char *const *argv, bool is_test)
{
    char *text;
    upgrade_init(&daemon->upgrade);
    daemon->program = upgrade_find_program(argv[0]);
    daemon->upgrade.argv = argv;
    daemon->upgrade.program = daemon->program;
    daemon->takeover.owner = daemon;
    daemon->takeover.is_main = daemon_on_main;
    daemon->has_predecessor = takeover_find(&daemon->takeover) && !is_test;
    if (daemon->has_predecessor)
        notify_take_place();
    bool is_loaded = daemon_step(daemon, daemon_load, &text);
    if (!is_loaded && !is_test && log_has_journal()) {
        log_open(LOG_TO_STDERR, LOG_FORMAT_TEXT, LOG_LEVEL_INFO);
        loading_log(text);
    } else if (!is_loaded || is_test) {
        fputs(text ? text : "imapstated: out of memory\n", stderr);
    } else {
        daemon->started = config_ref(daemon->service->config);
        log_open(daemon->started->log_to, daemon->started->log_format, daemon->started->log_level);
        loading_log(text);
    }
    free(text);
    return is_loaded;
}

void daemon_end(struct daemon *daemon)
{
    takeover_done(&daemon->takeover);
    upgrade_done(&daemon->upgrade);
    http_free(daemon->http);
    if (daemon->has_loop)
        control_done(&daemon->control);
    crew_done(&daemon->crew);
    park_done();
    queue_done();
    config_unref(daemon->started);
    service_unref(daemon->service);
    if (daemon->has_loop) {
        figures_desk_free(daemon->desk);
        inquiries_done(&daemon->inquiries);
        loop_done(&daemon->loop);
    }
    outage_done();
    pulse_done();
    revoking_done();
    service_done();
    routecache_forget();
    prelude_done();
    resolver_done();
    free(daemon->program);
    libevent_global_shutdown();
}
