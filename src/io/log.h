/* log: one line per event, to standard error or syslog. Never a password, a token or mail text (P15).
 *
 * The caller never waits for a reader: lines are queued (logqueue.h), and a thread of the log's own writes them, some
 * milliseconds later. Only a regular file, which nobody has to read, is written to at once. Safe from all threads: a
 * line is one write.
 *
 * A line that is only words is written by log_write(). One that has data is made of its parts (logline.h), between
 * log_begin() and log_end(), so that each has a field of its own in JSON. */
#ifndef IO_LOG_H
#define IO_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "logline.h"

enum log_to { LOG_TO_STDERR, LOG_TO_SYSLOG };

/* Before this, info and above go to standard error, as text. May be called again (reload). If standard error is the
 * journal's (JOURNAL_STREAM of systemd.exec(5)), lines begin as it likes them. */
void log_open(enum log_to to, enum log_format format, enum log_level level);

/* Is standard error the journal's? */
bool log_has_journal(void);

/* Until the next log_open(), which also forgets the users of loguser.h. */
void log_set_level(enum log_level level);

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

/* One that was begun leaves with log_end(), whatever the level is: the caller has asked log_is_on(). */
void log_begin(struct logline *line, enum log_level level);
void log_end(struct logline *line);

/* The same, behind a message. */
void log_end_with(struct logline *line, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* At the debug level and above; a text over LOGLINE_TEXT_MAX is cut. */
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                                                                                 \
    do {                                                                                                               \
        if (log_is_on(LOG_LEVEL_DEBUG))                                                                                \
            log_write(LOG_LEVEL_DEBUG, __VA_ARGS__);                                                                   \
    } while (0)

#endif
