/* log: one line per event, to standard error or syslog. Never a password, a token or mail text (P15).
 *
 * The caller never waits for a reader: lines are queued (logqueue.h), and a thread of the log's own writes them. Only a
 * regular file, which nobody has to read, is written to at once. Safe from all threads: a line is one write.
 * log_quote() escapes control characters, non-ASCII and quotes in text from outside, so that nobody can forge a
 * line. */
#ifndef IO_LOG_H
#define IO_LOG_H

#include <imapstate/span.h>
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_to { LOG_TO_STDERR, LOG_TO_SYSLOG };

/* Before this, info and above go to standard error. May be called again (reload). */
void log_open(enum log_to to, enum log_level level);

/* From here on lines are queued; before that, their callers write them. The caller has blocked the signals that the
 * thread must not get. False: see errno. */
bool log_start(void);

/* Waits until everything is written, but at most LOG_STOP_MS: what nobody reads is lost. Later lines are written by
 * their callers, unless the thread is stuck: then they are lost. Does nothing without log_start(). */
void log_stop(void);
#define LOG_STOP_MS 2000

/* How many lines nobody will ever read: the queue was full, or they could not be written. */
uint64_t log_lost(void);

bool log_is_on(enum log_level level);

/* "2026-11-24T04:30:42.123Z imapstated[PID]: level: text" on standard error; syslog has its own beginning. At the debug
 * level and above; a text over 2 KiB is cut. */
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                                                                                 \
    do {                                                                                                               \
        if (log_is_on(LOG_LEVEL_DEBUG))                                                                                \
            log_write(LOG_LEVEL_DEBUG, __VA_ARGS__);                                                                   \
    } while (0)

/* Text from outside in a form that is safe in a log line: printable ASCII except space, quote and backslash stays, the
 * rest becomes \xHH. Cut to what fits, and then with "..." at the end. size is at least 1. Returns ret_text. */
const char *log_quote(struct imapstate_span text, char *ret_text, size_t size);

/* " auth=NAME", to follow a user whom somebody else acts for, or nothing if name is empty; in ret_text. */
const char *log_acting(struct imapstate_span name, char *ret_text, size_t size);

#endif
