#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

/* Head and text together stay below PIPE_BUF (4096), so that a line is one piece even in a pipe that several share. */
#define LOG_TEXT_MAX 2048
#define LOG_HEAD_MAX 128

static _Atomic int log_to_now = LOG_TO_STDERR;
static _Atomic int log_level_now = LOG_LEVEL_INFO;

static const struct {
    const char *name;
    int syslog_priority;
} log_levels[] = {
    [LOG_LEVEL_ERROR] = { "error", LOG_ERR },
    [LOG_LEVEL_WARNING] = { "warning", LOG_WARNING },
    [LOG_LEVEL_INFO] = { "info", LOG_INFO },
    [LOG_LEVEL_DEBUG] = { "debug", LOG_DEBUG },
};

void log_open(enum log_to to, enum log_level level)
{
    atomic_store(&log_level_now, (int)level);
    /* LOG_NDELAY: /dev/log may be out of reach once privileges are dropped. */
    if (to == LOG_TO_SYSLOG)
        openlog("imapstated", LOG_PID | LOG_NDELAY, LOG_MAIL);
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

static void log_write_stderr(enum log_level level, const char *text)
{
    char line[LOG_HEAD_MAX + LOG_TEXT_MAX + 1];
    size_t len = log_head(level, line, LOG_HEAD_MAX);
    size_t text_len = strlen(text);
    memcpy(line + len, text, text_len);
    len += text_len;
    line[len++] = '\n';
    /* A log that cannot be written to is no reason to stop serving: any other error loses the line. */
    while (write(STDERR_FILENO, line, len) < 0 && errno == EINTR)
        continue;
}

void log_write(enum log_level level, const char *format, ...)
{
    if (!log_is_on(level))
        return;
    int saved_errno = errno;
    char text[LOG_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    log_flatten(text);
    if (atomic_load(&log_to_now) == LOG_TO_SYSLOG)
        syslog(log_levels[level].syslog_priority, "%s", text);
    else
        log_write_stderr(level, text);
    errno = saved_errno;
}

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
