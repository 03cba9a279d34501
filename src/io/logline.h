/* logline: one line of the log, made of its parts, as text or as one JSON object. No I/O but a look at the clock.
 *
 *   text: 2026-11-24T04:30:42.123Z imapstated[812]: info: client=4f2a user=ann closing: logout (in=120)
 *   JSON: {"time":"2026-11-24T04:30:42.123Z","pid":812,"level":"info","client":"4f2a","user":"ann","event":"closing",
 *          "reason":"logout","in":120}
 *
 * Text puts a space and NAME= in front of a value, unless logline_gap() or logline_gap_bare() was called before it;
 * JSON has no gaps. Whatever the values are, a line is one line, and JSON is well-formed: what is too long is cut
 * within its string, and what has no room any more is left out. */
#ifndef IO_LOGLINE_H
#define IO_LOGLINE_H

#include <imapstate/span.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct address;

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG, LOG_LEVEL_MAX };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* What a line begins with depends on who reads it, and what that knows by itself. */
enum logline_reader {
    LOGLINE_ANYBODY, /* nothing: time, process and level */
    LOGLINE_JOURNAL, /* time and process; the priority in the form of sd-daemon(3), "<4>" */
    LOGLINE_SYSLOG,  /* all of them */
};

/* In octets, with the LF: a write to a pipe of up to PIPE_BUF octets (4096) is one piece, even if several share it. */
#define LOGLINE_MAX 4096u

/* The most octets of a text line behind its beginning, and of a message. */
#define LOGLINE_TEXT_MAX 2047u

/* The most of a name that a client has chosen, in the form of log_quote(). */
#define LOGLINE_NAME_MAX 255u

struct logline {
    const char *gap; /* static: what comes before the next part in text */
    size_t len, max; /* of octets */
    uint8_t level;   /* enum log_level */
    uint8_t reader;  /* enum logline_reader */
    bool is_json;
    bool is_bare; /* the next part has no name in text */
    char octets[LOGLINE_MAX];
};

/* "error", "warning", "info", "debug". */
const char *log_level_name(enum log_level level);

/* What syslog(3) calls it. */
int log_level_priority(enum log_level level);

void logline_begin(struct logline *line, enum log_level level, enum log_format format, enum logline_reader reader);

/* Adds the line end; from here on the octets are the line. */
void logline_end(struct logline *line);

/* Text only: what stands before the next part instead of a space; and, bare, instead of "NAME=" too. Static. */
void logline_gap(struct logline *line, const char *gap);
void logline_gap_bare(struct logline *line, const char *gap);

/* What has happened, in fixed words; in text it has no name. */
void logline_event(struct logline *line, const char *event);

/* name is static, and made of letters, digits and "_". Words are our own, or an operator's: control characters become
 * "?". A name is anybody's, and is quoted (logquote.h). */
void logline_words(struct logline *line, const char *name, const char *words);
void logline_nothing(struct logline *line, const char *name); /* text: "-"; JSON: null */
void logline_name(struct logline *line, const char *name, struct imapstate_span octets);
void logline_number(struct logline *line, const char *name, uint64_t number);
void logline_id(struct logline *line, const char *name, uint64_t id);      /* in hexadecimal; in JSON a string */
void logline_seconds(struct logline *line, const char *name, uint64_t ms); /* 0.123; in text an "s" follows */

/* Text: "NAME=192.0.2.7:50122". JSON: the port has a field of its own, "port". */
void logline_address(struct logline *line, const char *name, const struct address *address);

/* Human text, "message" in JSON. */
void logline_message(struct logline *line, const char *format, va_list arguments) __attribute__((format(printf, 2, 0)));

#endif
