/* log: one line per event, to standard error or syslog. Never a password, a token or mail text (P15).
 *
 * Whoever logs never waits for who reads: lines are queued (logqueue.h) and written by a thread of the log's own. Only
 * a regular file, which nobody has to read, is written to at once. Safe from all threads: a line is one write. Control
 * characters, non-ASCII and quotes in text from outside are escaped by log_quote(), so that nobody can forge a line. */
#ifndef IO_LOG_H
#define IO_LOG_H

#include <imapstate/span.h>
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_to { LOG_TO_STDERR, LOG_TO_SYSLOG };

/* Before this, info and above go to standard error. May be called again (reload). */
void log_open(enum log_to to, enum log_level level);

/* From here on lines are queued; before, they are written by their caller. Signals that the thread shall not get are
 * blocked by the caller. False: errno tells. */
bool log_start(void);

/* Waits until all is written, but LOG_STOP_MS at most: what nobody reads is lost. Later lines are written by their
 * caller, unless the thread is stuck: then they are lost. Does nothing if there was no log_start(). */
void log_stop(void);
#define LOG_STOP_MS 2000

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

/* Text from outside as it may stand in a log line: printable ASCII but for space, quote and backslash stays, the rest
 * becomes \xHH; cut to what fits, with "..." at the end then. size is 1 at least. Returns ret_text. */
const char *log_quote(struct imapstate_span text, char *ret_text, size_t size);

/* " auth=NAME", to stand behind a user who is acted for, or nothing if name is empty; in ret_text. */
const char *log_acting(struct imapstate_span name, char *ret_text, size_t size);

#endif
