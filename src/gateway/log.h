/* log: one line per event, to standard error or syslog. Never a password, a token or mail text (P15).
 *
 * Safe from all threads: a line is one write. Control characters, non-ASCII and quotes in text from outside are escaped
 * by log_quote(), so that nobody can forge a line. */
#ifndef GATEWAY_LOG_H
#define GATEWAY_LOG_H

#include <imapstate/span.h>
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_to { LOG_TO_STDERR, LOG_TO_SYSLOG };

/* Before this, info and above go to standard error. May be called again (reload). */
void log_open(enum log_to to, enum log_level level);

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

#endif
