#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "logqueue.h"

/* Head and text together stay below PIPE_BUF (4096), so that a line is one piece even in a pipe that several share. */
#define LOG_TEXT_MAX    2048
#define LOG_HEAD_MAX    128
#define LOG_LEVEL_COUNT 4

static _Atomic int log_to_now = LOG_TO_STDERR;
static _Atomic int log_level_now = LOG_LEVEL_INFO;
static _Atomic uint64_t log_unwritten; /* lines that could not be written */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct logqueue queue; /* under lock */
    bool is_queued;        /* under lock: there is a thread */
    bool is_writing;       /* under lock: it has taken a line that may not have been written yet */
    bool is_stopping;      /* under lock */
} log_state = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static const struct {
    const char *name;
    int syslog_priority;
} log_levels[] = {
    [LOG_LEVEL_ERROR] = { "error", LOG_ERR },
    [LOG_LEVEL_WARNING] = { "warning", LOG_WARNING },
    [LOG_LEVEL_INFO] = { "info", LOG_INFO },
    [LOG_LEVEL_DEBUG] = { "debug", LOG_DEBUG },
};

/* LOG_NDELAY: /dev/log may be out of reach once privileges are dropped. */
static void log_connect(void)
{
    openlog("imapstated", LOG_PID | LOG_NDELAY, LOG_MAIL);
}

void log_open(enum log_to to, enum log_level level)
{
    atomic_store(&log_level_now, (int)level);
    pthread_mutex_lock(&log_state.lock);
    /* Later it is syslog(3) itself that connects: here the thread might be waiting in there. */
    if (to == LOG_TO_SYSLOG && !log_state.is_queued)
        log_connect();
    pthread_mutex_unlock(&log_state.lock);
    atomic_store(&log_to_now, (int)to);
}

bool log_is_on(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&log_level_now, memory_order_relaxed);
}

/* What comes from outside went through log_quote(). This is for what was forgotten: a line stays one line. */
static void log_flatten(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

/* Returns the length of the head, always below size. */
static size_t log_head(enum log_level level, char *ret_head, size_t size)
{
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t len = strftime(ret_head, size, "%Y-%m-%dT%H:%M:%S", &utc);
    int more = snprintf(ret_head + len, size - len, ".%03ldZ imapstated[%ld]: %s: ", now.tv_nsec / 1000000,
                        (long)getpid(), log_levels[level].name);
    return len + (size_t)more;
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
    return (uint8_t)(to * LOG_LEVEL_COUNT + level);
}

/* line ends in LF, which is not syslog's. */
static void log_deliver(uint8_t mark, const char *line, size_t len)
{
    if (mark / LOG_LEVEL_COUNT == LOG_TO_SYSLOG)
        syslog(log_levels[mark % LOG_LEVEL_COUNT].syslog_priority, "%.*s", (int)len - 1, line);
    else
        log_put(line, len);
}

/* Returns the length of the line; line has LOG_HEAD_MAX + LOG_TEXT_MAX + 1 octets. */
static size_t log_compose(enum log_to to, enum log_level level, const char *text, char *line)
{
    size_t len = to == LOG_TO_SYSLOG ? 0 : log_head(level, line, LOG_HEAD_MAX);
    size_t text_len = strlen(text);
    memcpy(line + len, text, text_len);
    len += text_len;
    line[len++] = '\n';
    return len;
}

static void log_deliver_loss(uint64_t lost)
{
    char text[96], line[LOG_HEAD_MAX + LOG_TEXT_MAX + 1];
    enum log_to to = (enum log_to)atomic_load(&log_to_now);
    snprintf(text, sizeof text, "log: %" PRIu64 " lines are lost here, as nobody read the log in time", lost);
    log_deliver(log_mark(to, LOG_LEVEL_WARNING), line, log_compose(to, LOG_LEVEL_WARNING, text, line));
}

/* --- the thread --- */

static void log_wait(void)
{
    log_state.is_writing = false;
    pthread_cond_broadcast(&log_state.changed);
    pthread_cond_wait(&log_state.changed, &log_state.lock);
}

static void *log_run(void *unused __attribute__((unused)))
{
    static struct logqueue_entry entry;
    pthread_mutex_lock(&log_state.lock);
    for (;;) {
        if (!logqueue_take(&log_state.queue, &entry)) {
            if (log_state.is_stopping)
                break;
            log_wait();
            continue;
        }
        log_state.is_writing = true;
        pthread_mutex_unlock(&log_state.lock);
        if (entry.lost > 0)
            log_deliver_loss(entry.lost);
        else
            log_deliver(entry.mark, entry.line, entry.len);
        pthread_mutex_lock(&log_state.lock);
    }
    log_state.is_writing = log_state.is_queued = false;
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

/* A regular file takes what it gets; a pipe, a terminal or journald's socket only if somebody reads. */
static bool log_goes_to_file(enum log_to to)
{
    struct stat status;
    return to == LOG_TO_STDERR && fstat(STDERR_FILENO, &status) == 0 && S_ISREG(status.st_mode);
}

static void log_hand_over(uint8_t mark, const char *line, size_t len, bool may_write)
{
    pthread_mutex_lock(&log_state.lock);
    bool is_behind = log_state.is_queued && (log_state.queue.len > 0 || log_state.is_writing);
    if (!log_state.is_queued || (may_write && !is_behind)) {
        log_deliver(mark, line, len);
    } else {
        logqueue_put(&log_state.queue, mark, line, len);
        if (!log_state.is_writing)
            pthread_cond_broadcast(&log_state.changed);
    }
    pthread_mutex_unlock(&log_state.lock);
}

void log_write(enum log_level level, const char *format, ...)
{
    if (!log_is_on(level))
        return;
    int saved_errno = errno;
    enum log_to to = (enum log_to)atomic_load(&log_to_now);
    char text[LOG_TEXT_MAX], line[LOG_HEAD_MAX + LOG_TEXT_MAX + 1];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    log_flatten(text);
    log_hand_over(log_mark(to, level), line, log_compose(to, level, text, line), log_goes_to_file(to));
    errno = saved_errno;
}

/* --- text from outside --- */

static bool log_is_plain(uint8_t octet)
{
    return octet > 0x20 && octet < 0x7f && octet != '"' && octet != '\\';
}

const char *log_quote(struct imapstate_span text, char *ret_text, size_t size)
{
    static const char hex[] = "0123456789abcdef";
    static const char cut[] = "...";
    size_t len = 0;
    size_t cut_at = 0; /* where the mark still fits */
    for (size_t i = 0; i < text.len; i++) {
        uint8_t octet = text.at[i];
        size_t width = log_is_plain(octet) ? 1 : 4;
        if (width >= size - len) {
            if (sizeof(cut) <= size - cut_at) {
                memcpy(ret_text + cut_at, cut, sizeof(cut));
                return ret_text;
            }
            break;
        }
        if (width == 1)
            ret_text[len] = (char)octet;
        else
            memcpy(ret_text + len, (const char[]){ '\\', 'x', hex[octet >> 4], hex[octet & 15] }, 4);
        len += width;
        if (sizeof(cut) <= size - len)
            cut_at = len;
    }
    ret_text[len] = '\0';
    return ret_text;
}

const char *log_acting(struct imapstate_span name, char *ret_text, size_t size)
{
    const char prefix[] = " auth=";
    *ret_text = '\0';
    if (name.len > 0) {
        memcpy(ret_text, prefix, sizeof prefix - 1);
        log_quote(name, ret_text + sizeof prefix - 1, size - (sizeof prefix - 1));
    }
    return ret_text;
}
