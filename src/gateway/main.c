/* imapstated: the gateway's beginning, its signals and its end. */
#include <errno.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <getopt.h>
#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "config.h"
#include "configfile.h"
#include "deadlist.h"
#include "janitor.h"
#include "listener.h"
#include "log.h"
#include "loop.h"
#include "park.h"
#include "prelude.h"
#include "resolver.h"
#include "service.h"
#include "worker.h"

#define EXIT_USAGE 2

struct daemon {
    const char *config_path;
    struct service *service; /* counted: the newest */
    struct config *started;  /* counted: what it was started with */
    struct event_base *base; /* of the main thread, for signals */
    struct worker **workers;
    unsigned worker_count;
    struct janitor janitor;
};

/* --- the process --- */

/* P15: no core dump, and no debugger of the same user's, sees passwords and tokens. */
static void main_forbid_dumps(void)
{
    struct rlimit none = { 0, 0 };
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
}

/* Two descriptors a client, and some for the daemon. */
static void main_raise_descriptors(const struct config *config)
{
    struct rlimit limit;
    rlim_t parked = config->park.per_user > 0 ? config->park.max : 0;
    rlim_t wanted = (rlim_t)config->max_clients * 2 + parked + 64;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    if (limit.rlim_cur < wanted) {
        limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur < wanted)
        log_warning(
            "file descriptors are limited to %llu, fewer than the %llu that max_clients = %u and park's max = %u need; "
            "clients beyond that are refused",
            (unsigned long long)limit.rlim_cur, (unsigned long long)wanted, config->max_clients, config->park.max);
}

static bool main_drop_privileges(const struct config *config)
{
    if (!*config->user && !*config->group)
        return true;
    struct passwd *user = *config->user ? getpwnam(config->user) : NULL;
    struct group *group = *config->group ? getgrnam(config->group) : NULL;
    if (*config->user && !user) {
        log_error("%s: user \"%s\" does not exist", config->path, config->user);
        return false;
    }
    if (*config->group && !group) {
        log_error("%s: group \"%s\" does not exist", config->path, config->group);
        return false;
    }
    if (geteuid() != 0) {
        /* Started as that user already: there is nothing to drop. */
        if ((!user || user->pw_uid == geteuid()) && (!group || group->gr_gid == getegid()))
            return true;
        log_error("%s: only root can become user \"%s\"", config->path, config->user);
        return false;
    }
    gid_t gid = group ? group->gr_gid : user->pw_gid;
    bool is_dropped = (user ? initgroups(user->pw_name, gid) : setgroups(0, NULL)) == 0 && setgid(gid) == 0 &&
                      (!user || setuid(user->pw_uid) == 0);
    if (!is_dropped)
        log_error("privileges cannot be dropped: %s", strerror(errno));
    return is_dropped;
}

/* Whoever finds a fault in what reads everybody's octets would have the whole host by it. */
static void main_warn_of_root(const struct config *config)
{
    if (geteuid() == 0)
        log_warning("%s: it stays root: set user, or start it as a user of its own", config->path);
}

/* --- configuration --- */

static struct service *main_load(const char *path, const struct service *previous, FILE *errors)
{
    struct config *config = configfile_read(path, errors);
    if (!config)
        return NULL;
    for (size_t i = 0; i < config->warning_count; i++)
        fprintf(errors, "%s\n", config->warnings[i]);
    return service_load(config, previous, errors);
}

/* The level says what "FILE: warning: ..." does. text is NULL if there was no memory for it. */
static void main_log_lines(char *text)
{
    static const char warning[] = ": warning: ";
    if (!text) {
        log_error("%s", strerror(ENOMEM));
        return;
    }
    for (char *line = text, *end; *line; line = end) {
        end = strchrnul(line, '\n');
        if (*end)
            *end++ = '\0';
        const char *kind = strstr(line, warning);
        if (kind)
            log_warning("%.*s: %s", (int)(kind - line), line, kind + sizeof warning - 1);
        else
            log_error("%s", line);
    }
}

static bool main_has_server(const struct config *config, const struct config_upstream *upstream)
{
    for (size_t i = 0; i < config->upstream_count; i++)
        if (strcmp(config->upstreams[i].name, upstream->name) == 0 &&
            config_is_same_server(&config->upstreams[i], upstream))
            return true;
    return false;
}

/* What was learned of an upstream is not true of the one that has its name now, or will have it after another reload.
 */
static void main_forget_moved(const struct config *before, const struct config *now)
{
    for (size_t i = 0; i < before->upstream_count; i++)
        if (!main_has_server(now, &before->upstreams[i]))
            prelude_forget(before->upstreams[i].name);
}

static bool main_has_name(const void *arg, const char *name)
{
    const struct config *config = arg;
    for (size_t i = 0; i < config->upstream_count; i++)
        if (!config->upstreams[i].is_unix && strcmp(config->upstreams[i].host, name) == 0)
            return true;
    return false;
}

static void main_reload(struct daemon *daemon)
{
    /* Whatever becomes of the configuration, who has changed something about names or hosts says so by this. */
    deadlist_expire();
    resolver_renew(loop_now_ms(&daemon->janitor.worker->loop));
    char *text = NULL;
    size_t len = 0;
    FILE *messages = open_memstream(&text, &len);
    if (!messages) {
        log_error("reload failed: %s", strerror(errno));
        return;
    }
    struct service *service = main_load(daemon->config_path, daemon->service, messages);
    /* Listening sockets are opened once, as root perhaps, and workers started. */
    bool can_follow = service && config_can_follow(service->config, daemon->started, messages);
    fclose(messages);
    main_log_lines(text);
    free(text);
    if (!can_follow) {
        log_error(service ? "reload refused: listeners, their addresses and workers change only with a restart"
                          : "reload failed; the configuration, keys and certificates stay as they were");
        service_unref(service);
        return;
    }
    log_open(service->config->log_to, service->config->log_level);
    main_raise_descriptors(service->config);
    for (unsigned i = 0; i < daemon->worker_count; i++)
        worker_tell(daemon->workers[i], service);
    worker_tell(daemon->janitor.worker, service);
    service_forget_revocations(service);
    park_configure(service->config);
    resolver_configure(main_has_name, service->config);
    main_forget_moved(daemon->service->config, service->config);
    service_unref(daemon->service);
    daemon->service = service;
    log_info("reloaded: configuration, keys and certificates");
}

/* --- signals --- */

static void main_on_reload(evutil_socket_t signal, short what, void *arg)
{
    main_reload(arg);
}

static void main_on_stop(evutil_socket_t signal, short what, void *arg)
{
    struct daemon *daemon = arg;
    log_info("stopping on signal %d", (int)signal);
    for (unsigned i = 0; i < daemon->worker_count; i++)
        worker_tell(daemon->workers[i], NULL);
    event_base_loopbreak(daemon->base);
}

/* Threads that are not the main one never see a signal. */
static void main_block_signals(int how)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(how, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void main_wait_for_signals(struct daemon *daemon)
{
    struct event *events[] = {
        evsignal_new(daemon->base, SIGTERM, main_on_stop, daemon),
        evsignal_new(daemon->base, SIGINT, main_on_stop, daemon),
        evsignal_new(daemon->base, SIGHUP, main_on_reload, daemon),
    };
    for (size_t i = 0; i < 3; i++)
        if (events[i])
            evsignal_add(events[i], NULL);
    main_block_signals(SIG_UNBLOCK);
    event_base_dispatch(daemon->base);
    main_block_signals(SIG_BLOCK); /* it is ending, and a second signal shall not end it in disorder */
    for (size_t i = 0; i < 3; i++)
        if (events[i])
            event_free(events[i]);
}

/* --- workers --- */

static unsigned main_worker_count(const struct config *config)
{
    if (config->workers > 0)
        return config->workers;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    return cpus > 0 ? (unsigned)cpus : 1;
}

static bool main_make_workers(struct daemon *daemon, unsigned count)
{
    struct listener *listeners = NULL;
    size_t per_worker = 0;
    if (!listener_open_all(daemon->service->config, count, &listeners, &per_worker, stderr))
        return false;
    daemon->workers = calloc(count, sizeof *daemon->workers);
    for (unsigned i = 0; daemon->workers && i < count; i++) {
        daemon->workers[i] = worker_new(i, daemon->service, &listeners[i * per_worker], per_worker, stderr);
        if (!daemon->workers[i])
            break;
        daemon->worker_count++;
    }
    free(listeners);
    return daemon->worker_count == count;
}

static bool main_start_workers(struct daemon *daemon)
{
    for (unsigned i = 0; i < daemon->worker_count; i++)
        if (!worker_start(daemon->workers[i])) {
            log_error("worker %u cannot be started: %s", i, strerror(errno));
            return false;
        }
    return true;
}

static void main_say_ready(const struct daemon *daemon)
{
    const struct config *config = daemon->service->config;
    log_info("ready: %u workers, %zu listeners, %zu upstreams", daemon->worker_count, config->listener_count,
             config->upstream_count);
}

/* Some threads run already: nothing is freed under them. */
static void __attribute__((noreturn)) main_give_up(void)
{
    log_stop();
    exit(EXIT_FAILURE);
}

static int main_run(struct daemon *daemon)
{
    const struct config *config = daemon->service->config;
    main_block_signals(SIG_BLOCK);
    main_raise_descriptors(config);
    daemon->base = event_base_new();
    if (!daemon->base || !main_make_workers(daemon, main_worker_count(config)) || !main_drop_privileges(config))
        return EXIT_FAILURE;
    main_forbid_dumps(); /* after the change of user, which would allow them again */
    main_warn_of_root(config);
    if (!log_start())
        log_warning("log: each thread writes its own lines, as the log's thread cannot be started: %s",
                    strerror(errno));
    if (!main_start_workers(daemon))
        main_give_up();
    park_configure(config);
    if (!janitor_start(&daemon->janitor, daemon->service, stderr))
        main_give_up();
    service_forget_revocations(daemon->service);
    main_say_ready(daemon);
    main_wait_for_signals(daemon);
    for (unsigned i = 0; i < daemon->worker_count; i++)
        worker_join(daemon->workers[i]);
    janitor_stop(&daemon->janitor);
    log_info("stopped");
    log_stop();
    return EXIT_SUCCESS;
}

/* As the log is not open before the configuration is there, what it has to say is kept until then. With test it is only
 * told. */
static bool main_begin(struct daemon *daemon, bool is_test)
{
    char *text = NULL;
    size_t len = 0;
    FILE *messages = open_memstream(&text, &len);
    if (!messages) {
        fprintf(stderr, "imapstated: %s\n", strerror(errno));
        return false;
    }
    daemon->service = main_load(daemon->config_path, NULL, messages);
    fclose(messages);
    if (!daemon->service || is_test) {
        fputs(text ? text : "imapstated: out of memory\n", stderr);
    } else {
        daemon->started = config_ref(daemon->service->config);
        log_open(daemon->started->log_to, daemon->started->log_level);
        main_log_lines(text);
    }
    free(text);
    return daemon->service;
}

static void main_end(struct daemon *daemon)
{
    for (unsigned i = 0; i < daemon->worker_count; i++)
        worker_free(daemon->workers[i]);
    free(daemon->workers);
    park_done();
    config_unref(daemon->started);
    service_unref(daemon->service);
    if (daemon->base)
        event_base_free(daemon->base);
    prelude_done();
    resolver_done();
    libevent_global_shutdown();
}

/* --- options --- */

static int main_usage(FILE *to, int status)
{
    fputs("Usage: imapstated -c FILE [-t]\n"
          "\n"
          "A gateway that adds the IMAP STATE extension to the IMAP server behind it.\n"
          "\n"
          "  -c, --config FILE  the configuration\n"
          "  -t, --test         check the configuration, certificates, keys and revocations, and exit\n"
          "  -V, --version      print the version and exit\n"
          "  -h, --help         print this and exit\n"
          "\n"
          "Signals: SIGHUP reloads configuration, certificates, keys and revocations; SIGTERM shuts down in an orderly "
          "way.\n",
          to);
    return status;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' },
        { "test", no_argument, NULL, 't' },
        { "version", no_argument, NULL, 'V' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    struct daemon daemon = { 0 };
    bool is_test = false;
    for (int option; (option = getopt_long(argc, argv, "c:tVh", options, NULL)) != -1;) {
        switch (option) {
        case 'c':
            daemon.config_path = optarg;
            break;
        case 't':
            is_test = true;
            break;
        case 'V':
            puts("imapstated " IMAPSTATE_VERSION);
            return EXIT_SUCCESS;
        case 'h':
            return main_usage(stdout, EXIT_SUCCESS);
        default:
            return main_usage(stderr, EXIT_USAGE);
        }
    }
    if (!daemon.config_path || optind != argc)
        return main_usage(stderr, EXIT_USAGE);
    main_forbid_dumps();
    if (sodium_init() < 0 || evthread_use_pthreads() < 0) {
        fputs("imapstated: libsodium or libevent cannot be used\n", stderr);
        return EXIT_FAILURE;
    }
    if (!main_begin(&daemon, is_test))
        return EXIT_FAILURE;
    int status = is_test ? EXIT_SUCCESS : main_run(&daemon);
    main_end(&daemon);
    return status;
}
