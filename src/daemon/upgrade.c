#include "upgrade.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crew.h"
#include "handover.h"
#include "log.h"
#include "loop.h"
#include "notify.h"
#include "revoking.h"
#include "service.h"
#include "sockets.h"

/* A file of a million revocations is read in a second; names are not resolved at the start. */
#define UPGRADE_LIMIT_MS 60000u
/* Where the new process finds its end of the pair. */
#define UPGRADE_FD     3
#define STRING(value)  STRING_(value)
#define STRING_(value) #value

extern char **environ;

/* --- the program --- */

static bool upgrade_is_this_program(const char *path)
{
    struct stat own, other;
    return stat("/proc/self/exe", &own) == 0 && stat(path, &other) == 0 && own.st_dev == other.st_dev &&
           own.st_ino == other.st_ino;
}

char *upgrade_find_program(const char *name)
{
    char path[PATH_MAX];
    /* As it was called: a link may lead to another version later. */
    if (strchr(name, '/') && upgrade_is_this_program(name)) {
        char *folder = *name == '/' ? NULL : getcwd(NULL, 0), *found = NULL;
        if (*name == '/')
            found = strdup(name);
        else if (folder && asprintf(&found, "%s/%s", folder, name) < 0)
            found = NULL;
        free(folder);
        return found;
    }
    ssize_t len = readlink("/proc/self/exe", path, sizeof path);
    if (len <= 0 || (size_t)len >= sizeof path)
        return NULL;
    path[len] = '\0';
    return strdup(path);
}

/* --- the new process --- */

/* What the service manager gave to this process alone. */
static bool upgrade_passes_on(const char *variable)
{
    static const char *const others[] = { UPGRADE_VARIABLE "=", "LISTEN_PID=", "LISTEN_FDS=", "LISTEN_FDNAMES=" };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strncmp(variable, others[i], strlen(others[i])) == 0)
            return false;
    return true;
}

static char **upgrade_make_environment(void)
{
    static char variable[] = UPGRADE_VARIABLE "=" STRING(UPGRADE_FD);
    size_t count = 0, at = 0;
    while (environ[count])
        count++;
    char **environment = calloc(count + 2, sizeof *environment);
    for (size_t i = 0; environment && i < count; i++)
        if (upgrade_passes_on(environ[i]))
            environment[at++] = environ[i];
    if (environment)
        environment[at] = variable;
    return environment;
}

static void upgrade_say_exec_failed(const char *program, const char *why)
{
    uint8_t text[PATH_MAX + 128];
    struct imapstate_span parts[] = { imapstate_span_of(program), imapstate_span_of(": "), imapstate_span_of(why) };
    size_t len = 0;
    for (size_t i = 0; i < 3 && parts[i].len <= sizeof text - len; i++) {
        memcpy(text + len, parts[i].at, parts[i].len);
        len += parts[i].len;
    }
    handover_send(UPGRADE_FD, HANDOVER_FAILED, (struct imapstate_span){ text, len }, NULL, 0);
}

/* Between fork() and exec(): other threads may have held any lock. */
static void __attribute__((noreturn)) upgrade_exec(const struct upgrade *upgrade, int fd, char **environment)
{
    sigset_t none;
    int error = 0;
    for (int signal_number = 1; signal_number < NSIG; signal_number++)
        signal(signal_number, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (fd == UPGRADE_FD)
        error = fcntl(fd, F_SETFD, 0);
    else
        error = dup2(fd, UPGRADE_FD);
    close_range(UPGRADE_FD + 1, ~0u, 0);
    if (error >= 0)
        execve(upgrade->program, upgrade->argv, environment);
    upgrade_say_exec_failed(upgrade->program, strerrordesc_np(errno));
    _exit(EXIT_FAILURE);
}

/* By way of a process that ends at once: its child is nobody's then. -1: errno. */
static pid_t upgrade_start(const struct upgrade *upgrade, int fd, char **environment)
{
    int report[2];
    pid_t pid = -1;
    sigset_t all, before;
    if (pipe2(report, O_CLOEXEC) < 0)
        return -1;
    /* A signal in between would run a handler of this process's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t between = fork();
    if (between == 0) {
        pid = fork();
        if (pid == 0)
            upgrade_exec(upgrade, fd, environment);
        _exit(write(report[1], &pid, sizeof pid) == sizeof pid ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    int error = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(report[1]);
    if (between > 0) {
        waitpid(between, NULL, 0);
        if (read(report[0], &pid, sizeof pid) != sizeof pid)
            pid = -1;
        error = EAGAIN;
    }
    close(report[0]);
    errno = error;
    return pid;
}

/* --- its end, one way or the other --- */

void upgrade_init(struct upgrade *upgrade)
{
    upgrade->fd = -1;
}

void upgrade_done(struct upgrade *upgrade)
{
    if (upgrade->fd < 0)
        return;
    if (upgrade->event)
        event_free(upgrade->event);
    timer_stop(&upgrade->limit);
    close(upgrade->fd);
    free(upgrade->reason);
    upgrade->fd = -1;
    upgrade->event = NULL;
    upgrade->reason = NULL;
}

static void upgrade_fail(struct upgrade *upgrade, const char *why)
{
    char *words = NULL;
    const char *reason = upgrade->reason ? upgrade->reason : why;
    size_t len = strlen(reason);
    char became[128] = "";
    if (upgrade->became)
        snprintf(became, sizeof became, "it has become user \"%s\", who may not have what it had as root\n",
                 upgrade->became);
    if (asprintf(&words, "%s%s%supgrade failed; this process goes on as before\n", reason,
                 len > 0 && reason[len - 1] == '\n' ? "" : "\n", became) < 0)
        words = NULL;
    log_error("upgrade failed; this process goes on as before: %.*s%s%.*s", (int)strcspn(reason, "\n"), reason,
              *became ? "; " : "", (int)strcspn(became, "\n"), became);
    upgrade_done(upgrade);
    upgrade->answered(upgrade->asker, false, words ? words : "upgrade failed: out of memory\n");
    free(words);
}

bool upgrade_is_under_way(const struct upgrade *upgrade)
{
    return upgrade->fd >= 0 && !upgrade->has_taken_over;
}

void upgrade_give_up(struct upgrade *upgrade)
{
    bool is_under_way = upgrade_is_under_way(upgrade);
    upgrade_done(upgrade);
    if (!is_under_way)
        return;
    log_error("upgrade failed: this process was told to stop in the meantime");
    upgrade->answered(upgrade->asker, false, "upgrade failed: this process was told to stop in the meantime\n");
}

static void upgrade_on_limit(void *owner)
{
    struct upgrade *upgrade = owner;
    /* It has not hung up, so it is there. */
    kill(upgrade->pid, SIGKILL);
    upgrade_fail(upgrade, "the new process did not get ready in a minute");
}

/* --- what it says --- */

static void upgrade_finish(struct upgrade *upgrade)
{
    char words[128];
    timer_stop(&upgrade->limit);
    upgrade->has_taken_over = true;
    notify_main(upgrade->pid);
    handover_send(upgrade->fd, HANDOVER_MAIN, imapstate_span_of(""), NULL, 0);
    log_info("process %ld has taken over", (long)upgrade->pid);
    upgrade->taken_over(upgrade->owner, upgrade->pid);
    snprintf(words, sizeof words, "process %ld has taken over from %ld, whose sessions go on\n", (long)upgrade->pid,
             (long)getpid());
    upgrade->answered(upgrade->asker, true, words);
}

static void upgrade_heard(struct upgrade *upgrade, const struct handover_message *message)
{
    switch (message->kind) {
    case HANDOVER_FAILED:
        free(upgrade->reason);
        upgrade->reason = strndup((const char *)message->text, message->len);
        break;
    case HANDOVER_READY:
        handover_send(upgrade->fd, HANDOVER_GO, imapstate_span_of(""), NULL, 0);
        break;
    case HANDOVER_TAKEN:
        if (!upgrade->has_taken_over)
            upgrade_finish(upgrade);
        break;
    case HANDOVER_RELOAD:
        if (upgrade->has_taken_over)
            upgrade->reloaded(upgrade->owner);
        break;
    default:
        break;
    }
}

static void upgrade_on_event(evutil_socket_t fd, short what, void *arg)
{
    struct upgrade *upgrade = arg;
    struct handover_message *message = malloc(sizeof *message);
    int got = message ? handover_receive(upgrade->fd, message) : 0;
    if (got > 0) {
        upgrade_heard(upgrade, message);
        handover_done(message);
    } else if (got == 0 || errno != EAGAIN) {
        if (upgrade->has_taken_over)
            upgrade_done(upgrade);
        else
            upgrade_fail(upgrade, "the new process has ended; its last lines are in the log");
    }
    free(message);
}

/* --- begun --- */

static bool upgrade_give_sockets(int fd, const struct sockets *sockets)
{
    for (size_t i = 0; i < sockets->count; i++) {
        const struct sockets_place *place = &sockets->places[i];
        struct imapstate_span text = imapstate_span_of(place->is_given ? "given" : "");
        for (unsigned at = 0; at < place->count; at += HANDOVER_FDS_MAX) {
            unsigned count = place->count - at < HANDOVER_FDS_MAX ? place->count - at : HANDOVER_FDS_MAX;
            if (!handover_send(fd, HANDOVER_SOCKETS, text, &place->fds[at], count))
                return false;
        }
    }
    return true;
}

static bool upgrade_give_key(int fd, const struct service *service)
{
    struct imapstate_buf line;
    imapstate_buf_init(&line, HANDOVER_TEXT_MAX);
    bool is_given = service_put_ephemeral_key(service, &line) &&
                    (line.len == 0 || handover_send(fd, HANDOVER_KEY, imapstate_buf_span(&line), NULL, 0));
    imapstate_buf_done(&line);
    return is_given;
}

static bool upgrade_put_revoked(void *owner, const struct imapstate_span *user, uint64_t second_s)
{
    const struct handover_revoked head = { second_s, user ? (uint32_t)user->len : 0, !user };
    return fwrite(&head, sizeof head, 1, owner) == 1 && (head.len == 0 || fwrite(user->at, head.len, 1, owner) == 1);
}

/* There may be more of them than what a socket holds before the new process reads. */
static bool upgrade_give_revoked(int fd)
{
    int memory = memfd_create("revocations", MFD_CLOEXEC);
    FILE *file = memory >= 0 ? fdopen(memory, "w") : NULL;
    bool is_given = file && revoking_give(upgrade_put_revoked, file) && fflush(file) == 0 &&
                    handover_send(fd, HANDOVER_REVOKED, imapstate_span_of(""), &memory, 1);
    int error = errno;
    if (file)
        fclose(file);
    else if (memory >= 0)
        close(memory);
    errno = error;
    return is_given;
}

static bool upgrade_give_paused(int fd, const struct crew *crew)
{
    bool is_given = !crew->is_paused || handover_send(fd, HANDOVER_PAUSED, imapstate_span_of(""), NULL, 0);
    for (size_t i = 0; is_given && i < crew->paused_count; i++)
        is_given = handover_send(fd, HANDOVER_PAUSED, imapstate_span_of(crew->paused[i]), NULL, 0);
    return is_given;
}

/* NULL, or why not. */
static const char *upgrade_start_and_give(struct upgrade *upgrade, int peer, const struct crew *crew,
                                          const struct service *service)
{
    char **environment = upgrade_make_environment();
    if (!environment)
        return strerror(ENOMEM);
    upgrade->pid = upgrade_start(upgrade, peer, environment);
    free(environment);
    if (upgrade->pid < 0)
        return strerror(errno);
    if (!upgrade_give_sockets(upgrade->fd, &crew->sockets) || !upgrade_give_key(upgrade->fd, service) ||
        !upgrade_give_revoked(upgrade->fd) || !upgrade_give_paused(upgrade->fd, crew) ||
        !handover_send(upgrade->fd, HANDOVER_END, imapstate_span_of(""), NULL, 0))
        return errno == EPIPE || errno == ECONNRESET ? NULL : strerror(errno); /* its end says why */
    return NULL;
}

static const char *upgrade_refusal(const struct upgrade *upgrade)
{
    if (upgrade->fd >= 0)
        return upgrade->has_taken_over ? "another process has taken over already" : "an upgrade is under way";
    if (!upgrade->program)
        return "it is not known which file this process was started from";
    if (getpid() == 1)
        return "it is process 1 of its container, which ends with it";
    return NULL;
}

void upgrade_begin(struct upgrade *upgrade, const struct crew *crew, const struct service *service,
                   upgrade_callback *answered, void *asker)
{
    const char *wrong = upgrade_refusal(upgrade);
    char words[256];
    if (wrong) {
        log_error("upgrade refused: %s", wrong);
        snprintf(words, sizeof words, "upgrade refused: %s\n", wrong);
        answered(asker, false, words);
        return;
    }
    int pair[2];
    log_info("upgrade begins: %s", upgrade->program);
    upgrade->answered = answered;
    upgrade->asker = asker;
    upgrade->has_taken_over = false;
    timer_init(&upgrade->limit, upgrade->loop, upgrade_on_limit, upgrade);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        upgrade_fail(upgrade, strerror(errno));
        return;
    }
    upgrade->fd = pair[0];
    upgrade->event = event_new(upgrade->loop->base, pair[0], EV_READ | EV_PERSIST, upgrade_on_event, upgrade);
    timer_set(&upgrade->limit, UPGRADE_LIMIT_MS);
    if (!upgrade->event || event_add(upgrade->event, NULL) < 0)
        wrong = strerror(ENOMEM);
    else
        wrong = upgrade_start_and_give(upgrade, pair[1], crew, service);
    close(pair[1]);
    if (wrong)
        upgrade_fail(upgrade, wrong);
}
