#include "log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "crash.h"
#include "logqueue.h"
#include "loguser.h"

#define LOG_GATHER_MS 5

static _Atomic int log_to_now = LOG_TO_STDERR;
static _Atomic int log_format_now = LOG_FORMAT_TEXT;
static _Atomic int log_level_now = LOG_LEVEL_INFO;
static _Atomic bool log_is_to_journal, log_is_to_file;
static _Atomic uint64_t log_unwritten; /* lines that could not be written */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct logqueue queue; /* under lock */
    bool is_queued;        /* under lock: there is a thread */
    bool is_awake;         /* under lock: it writes, or gathers; whatever is queued now need not wake it */
    bool is_stopping;      /* under lock */
} log_state = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

/* LOG_NDELAY: /dev/log may be out of reach once privileges are dropped. */
static void log_connect(void)
{
    openlog("imapstated", LOG_PID | LOG_NDELAY, LOG_MAIL);
}

/* systemd.exec(5): the device and the inode of what it has connected standard error with. A file that it was redirected
 * to has others. */
bool log_has_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat status;
    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &status) == 0 &&
           status.st_dev == device && status.st_ino == inode;
}

/* A regular file takes what it gets; a pipe, a terminal or journald's socket only if somebody reads. */
static bool log_has_file(void)
{
    struct stat status;
    return fstat(STDERR_FILENO, &status) == 0 && S_ISREG(status.st_mode);
}

void log_open(enum log_to to, enum log_format format, enum log_level level)
{
    crash_set_json(format == LOG_FORMAT_JSON);
    log_set_level(level);
    loguser_remove_all();
    atomic_store(&log_format_now, (int)format);
    atomic_store(&log_is_to_journal, log_has_journal());
    atomic_store(&log_is_to_file, log_has_file());
    pthread_mutex_lock(&log_state.lock);
    /* Later it is syslog(3) itself that connects: here the thread might be waiting in there. */
    if (to == LOG_TO_SYSLOG && !log_state.is_queued)
        log_connect();
    pthread_mutex_unlock(&log_state.lock);
    atomic_store(&log_to_now, (int)to);
}

void log_set_level(enum log_level level)
{
    atomic_store(&log_level_now, (int)level);
}

bool log_is_on(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&log_level_now, memory_order_relaxed);
}

/* --- writing --- */

/* A log that cannot be written to is no reason to stop serving: any error but a full pipe loses the line. */
static void log_put(const char *line, size_t len)
{
    while (len > 0) {
        ssize_t done = write(STDERR_FILENO, line, len);
        if (done >= 0) {
            line += done;
            len -= (size_t)done;
        } else if (errno == EAGAIN) { /* whoever else has it may have made it so */
            poll(&(struct pollfd){ .fd = STDERR_FILENO, .events = POLLOUT }, 1, -1);
        } else if (errno != EINTR) {
            atomic_fetch_add(&log_unwritten, 1);
            return;
        }
    }
}

/* A mark of the queue: where a line goes, and at which level. */
static uint8_t log_mark(enum log_to to, enum log_level level)
{
    return (uint8_t)(to * LOG_LEVEL_MAX + level);
}

/* line ends in LF, which is not syslog's. */
static void log_deliver(uint8_t mark, const char *line, size_t len)
{
    if (mark / LOG_LEVEL_MAX == LOG_TO_SYSLOG)
        syslog(log_level_priority(mark % LOG_LEVEL_MAX), "%.*s", (int)len - 1, line);
    else
        log_put(line, len);
}

void log_begin(struct logline *line, enum log_level level)
{
    bool is_syslog = atomic_load(&log_to_now) == LOG_TO_SYSLOG;
    enum logline_reader reader = is_syslog                         ? LOGLINE_SYSLOG
                                 : atomic_load(&log_is_to_journal) ? LOGLINE_JOURNAL
                                                                   : LOGLINE_ANYBODY;
    logline_begin(line, level, (enum log_format)atomic_load(&log_format_now), reader);
}

static uint8_t log_mark_of(const struct logline *line)
{
    return log_mark(line->reader == LOGLINE_SYSLOG ? LOG_TO_SYSLOG : LOG_TO_STDERR, line->level);
}

/* "log: 7 lines are lost here, ..." */
static void log_deliver_loss(uint64_t lost)
{
    struct logline line;
    log_begin(&line, LOG_LEVEL_WARNING);
    logline_event(&line, "log");
    logline_gap_bare(&line, ": ");
    logline_number(&line, "lost", lost);
    logline_gap_bare(&line, " lines are lost here, as nobody read the log in time");
    logline_end(&line);
    log_deliver(log_mark_of(&line), line.octets, line.len);
}

/* --- the thread --- */

/* A page has two lines. To wake the thread for each takes longer than all else that is done for the page, so it waits a
 * moment for more of them. */
static void log_gather(void)
{
    static const struct timespec moment = { .tv_nsec = LOG_GATHER_MS * 1000000 };
    pthread_mutex_unlock(&log_state.lock);
    nanosleep(&moment, NULL);
    pthread_mutex_lock(&log_state.lock);
}

static void log_wait(void)
{
    log_state.is_awake = false;
    pthread_cond_wait(&log_state.changed, &log_state.lock);
    log_state.is_awake = true;
    if (!log_state.is_stopping)
        log_gather();
}

static void *log_run(void *unused __attribute__((unused)))
{
    static struct logqueue_entry entry;
    pthread_mutex_lock(&log_state.lock);
    log_state.is_awake = true;
    for (;;) {
        if (!logqueue_take(&log_state.queue, &entry)) {
            if (log_state.is_stopping)
                break;
            log_wait();
            continue;
        }
        pthread_mutex_unlock(&log_state.lock);
        if (entry.lost > 0)
            log_deliver_loss(entry.lost);
        else
            log_deliver(entry.mark, entry.line, entry.len);
        pthread_mutex_lock(&log_state.lock);
    }
    log_state.is_awake = log_state.is_queued = false;
    pthread_cond_broadcast(&log_state.changed);
    pthread_mutex_unlock(&log_state.lock);
    return NULL;
}

bool log_start(void)
{
    pthread_t thread;
    pthread_attr_t attributes;
    if (!logqueue_init(&log_state.queue)) {
        errno = ENOMEM;
        return false;
    }
    /* Nobody joins it: it may be waiting for who never reads. */
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    log_state.is_queued = true;
    errno = pthread_create(&thread, &attributes, log_run, NULL);
    pthread_attr_destroy(&attributes);
    if (errno == 0)
        return true;
    log_state.is_queued = false;
    logqueue_done(&log_state.queue);
    return false;
}

void log_stop(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += LOG_STOP_MS / 1000;
    pthread_mutex_lock(&log_state.lock);
    log_state.is_stopping = true;
    pthread_cond_broadcast(&log_state.changed);
    while (log_state.is_queued && pthread_cond_timedwait(&log_state.changed, &log_state.lock, &until) != ETIMEDOUT)
        continue;
    if (!log_state.is_queued)
        logqueue_done(&log_state.queue);
    pthread_mutex_unlock(&log_state.lock);
}

uint64_t log_lost(void)
{
    pthread_mutex_lock(&log_state.lock);
    uint64_t lost = log_state.queue.lost_in_all;
    pthread_mutex_unlock(&log_state.lock);
    return lost + atomic_load(&log_unwritten);
}

static bool log_goes_to_file(const struct logline *line)
{
    return line->reader != LOGLINE_SYSLOG && atomic_load(&log_is_to_file);
}

static void log_hand_over(const struct logline *line, bool may_write)
{
    uint8_t mark = log_mark_of(line);
    bool is_awaited = false;
    pthread_mutex_lock(&log_state.lock);
    bool is_behind = log_state.is_queued && (log_state.queue.len > 0 || log_state.is_awake);
    if (!log_state.is_queued || (may_write && !is_behind)) {
        log_deliver(mark, line->octets, line->len);
    } else {
        logqueue_put(&log_state.queue, mark, line->octets, line->len);
        is_awaited = !log_state.is_awake;
    }
    pthread_mutex_unlock(&log_state.lock);
    if (is_awaited) /* behind the lock, which the thread takes first */
        pthread_cond_broadcast(&log_state.changed);
}

void log_end(struct logline *line)
{
    int saved_errno = errno;
    logline_end(line);
    log_hand_over(line, log_goes_to_file(line));
    errno = saved_errno;
}

void log_end_with(struct logline *line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    logline_message(line, format, arguments);
    va_end(arguments);
    log_end(line);
}

void log_write(enum log_level level, const char *format, ...)
{
    if (!log_is_on(level))
        return;
    struct logline line;
    va_list arguments;
    log_begin(&line, level);
    va_start(arguments, format);
    logline_message(&line, format, arguments);
    va_end(arguments);
    log_end(&line);
}
