#include "logline.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "address.h"
#include "jsontext.h"
#include "logquote.h"

/* What a JSON object still needs behind a string that has taken all the room there was. */
#define LOGLINE_END "}\n"

static const struct {
    const char *name;
    int priority;
} levels[LOG_LEVEL_MAX] = {
    [LOG_LEVEL_ERROR] = { "error", LOG_ERR },
    [LOG_LEVEL_WARNING] = { "warning", LOG_WARNING },
    [LOG_LEVEL_INFO] = { "info", LOG_INFO },
    [LOG_LEVEL_DEBUG] = { "debug", LOG_DEBUG },
};

const char *log_level_name(enum log_level level)
{
    return levels[level].name;
}

int log_level_priority(enum log_level level)
{
    return levels[level].priority;
}

/* --- octets --- */

static size_t logline_room(const struct logline *line)
{
    return line->max - line->len;
}

static void logline_put(struct logline *line, const char *octets, size_t len)
{
    size_t room = logline_room(line);
    len = len < room ? len : room;
    memcpy(line->octets + line->len, octets, len);
    line->len += len;
}

static void logline_put_text(struct logline *line, const char *text)
{
    logline_put(line, text, strlen(text));
}

/* What comes from outside is quoted. This is for what was forgotten: a line stays one line. */
static void logline_put_flat(struct logline *line, const char *text)
{
    for (; *text != '\0' && logline_room(line) > 0; text++)
        line->octets[line->len++] = (unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text;
}

static void logline_put_string(struct logline *line, const char *text)
{
    line->len += jsontext_write(imapstate_span_of(text), line->octets + line->len, logline_room(line));
}

/* --- beginning and end --- */

/* Returns the length, always below size. */
static size_t logline_time(char *ret_time, size_t size)
{
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t len = strftime(ret_time, size, "%Y-%m-%dT%H:%M:%S", &utc);
    return len + (size_t)snprintf(ret_time + len, size - len, ".%03ldZ", now.tv_nsec / 1000000);
}

static void logline_begin_text(struct logline *line, const char *time)
{
    char head[64];
    if (line->reader == LOGLINE_ANYBODY) {
        snprintf(head, sizeof head, "%s imapstated[%ld]: %s: ", time, (long)getpid(), levels[line->level].name);
        logline_put_text(line, head);
    }
    line->max = line->len + LOGLINE_TEXT_MAX;
}

static void logline_begin_json(struct logline *line, const char *time)
{
    char head[64];
    line->max = LOGLINE_MAX - strlen(LOGLINE_END);
    logline_put_text(line, "{");
    if (line->reader == LOGLINE_ANYBODY) {
        snprintf(head, sizeof head, "\"time\":\"%s\",\"pid\":%ld,", time, (long)getpid());
        logline_put_text(line, head);
    }
    snprintf(head, sizeof head, "\"level\":\"%s\"", levels[line->level].name);
    logline_put_text(line, head);
}

void logline_begin(struct logline *line, enum log_level level, enum log_format format, enum logline_reader reader)
{
    char time[32] = "", priority[8];
    line->gap = "";
    line->len = 0;
    line->max = LOGLINE_MAX;
    line->level = (uint8_t)level;
    line->reader = (uint8_t)reader;
    line->is_json = format == LOG_FORMAT_JSON;
    line->is_bare = false;
    if (reader == LOGLINE_ANYBODY)
        logline_time(time, sizeof time);
    snprintf(priority, sizeof priority, "<%d>", levels[level].priority);
    if (reader == LOGLINE_JOURNAL)
        logline_put_text(line, priority);
    if (line->is_json)
        logline_begin_json(line, time);
    else
        logline_begin_text(line, time);
}

void logline_end(struct logline *line)
{
    if (!line->is_json && line->is_bare)
        logline_put_text(line, line->gap);
    line->max = LOGLINE_MAX;
    logline_put_text(line, line->is_json ? LOGLINE_END : "\n");
}

/* --- parts --- */

void logline_gap(struct logline *line, const char *gap)
{
    line->gap = gap;
}

void logline_gap_bare(struct logline *line, const char *gap)
{
    line->gap = gap;
    line->is_bare = true;
}

/* False: a value of up to min octets has no room any more. */
static bool logline_begin_part(struct logline *line, const char *name, size_t min)
{
    if (line->is_json) {
        size_t name_len = strlen(name);
        if (logline_room(line) < name_len + 4 + min)
            return false;
        logline_put(line, ",\"", 2);
        logline_put(line, name, name_len);
        logline_put(line, "\":", 2);
        return true;
    }
    logline_put_text(line, line->gap);
    if (!line->is_bare) {
        logline_put_text(line, name);
        logline_put_text(line, "=");
    }
    line->gap = " ";
    line->is_bare = false;
    return true;
}

void logline_words(struct logline *line, const char *name, const char *words)
{
    if (!logline_begin_part(line, name, JSONTEXT_MIN))
        return;
    if (line->is_json)
        logline_put_string(line, words);
    else
        logline_put_flat(line, words);
}

void logline_nothing(struct logline *line, const char *name)
{
    if (logline_begin_part(line, name, JSONTEXT_MIN))
        logline_put_text(line, line->is_json ? "null" : "-");
}

void logline_event(struct logline *line, const char *event)
{
    line->is_bare = true;
    logline_words(line, "event", event);
}

void logline_name(struct logline *line, const char *name, struct imapstate_span octets)
{
    char quoted[LOGLINE_NAME_MAX + 1];
    logline_words(line, name, log_quote(octets, quoted, sizeof quoted));
}

/* digits have the form of a number in both. */
static void logline_digits(struct logline *line, const char *name, const char *digits, const char *unit)
{
    if (!logline_begin_part(line, name, strlen(digits)))
        return;
    logline_put_text(line, digits);
    if (!line->is_json)
        logline_put_text(line, unit);
}

void logline_number(struct logline *line, const char *name, uint64_t number)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRIu64, number);
    logline_digits(line, name, digits, "");
}

void logline_seconds(struct logline *line, const char *name, uint64_t ms)
{
    char digits[32];
    snprintf(digits, sizeof digits, "%" PRIu64 ".%03" PRIu64, ms / 1000, ms % 1000);
    logline_digits(line, name, digits, "s");
}

void logline_address(struct logline *line, const char *name, const struct address *address)
{
    char text[ADDRESS_TEXT_MAX];
    if (!line->is_json) {
        logline_words(line, name, address_text_with_port(address, text));
        return;
    }
    logline_words(line, name, address_text(address, text));
    if (address->family != AF_UNIX)
        logline_number(line, "port", address->port);
}

void logline_message(struct logline *line, const char *format, va_list arguments)
{
    char text[LOGLINE_TEXT_MAX + 1];
    vsnprintf(text, sizeof text, format, arguments);
    line->is_bare = true;
    logline_words(line, "message", text);
}
