#include "logline.h"

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

/* 2^64 - 1 ms, in seconds, with a "." */
#define LOGLINE_NUMBER_MAX 21u

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

/* At least width digits. By hand, as a line has many numbers, and printf() takes a thousand instructions for each. */
static void logline_put_number(struct logline *line, uint64_t number, unsigned base, unsigned width)
{
    char digits[24];
    size_t at = sizeof digits;
    for (; number > 0 || width > 0; number /= base, width -= width > 0)
        digits[--at] = "0123456789abcdef"[number % base];
    logline_put(line, digits + at, sizeof digits - at);
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

static void logline_put_time(struct logline *line)
{
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    const struct {
        unsigned number, width;
        const char *behind;
    } parts[] = {
        { (unsigned)utc.tm_year + 1900, 4, "-" },
        { (unsigned)utc.tm_mon + 1, 2, "-" },
        { (unsigned)utc.tm_mday, 2, "T" },
        { (unsigned)utc.tm_hour, 2, ":" },
        { (unsigned)utc.tm_min, 2, ":" },
        { (unsigned)utc.tm_sec, 2, "." },
        { (unsigned)(now.tv_nsec / 1000000), 3, "Z" },
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        logline_put_number(line, parts[i].number, 10, parts[i].width);
        logline_put_text(line, parts[i].behind);
    }
}

static void logline_begin_text(struct logline *line)
{
    if (line->reader == LOGLINE_ANYBODY) {
        logline_put_time(line);
        logline_put_text(line, " imapstated[");
        logline_put_number(line, (uint64_t)getpid(), 10, 1);
        logline_put_text(line, "]: ");
        logline_put_text(line, levels[line->level].name);
        logline_put_text(line, ": ");
    }
    line->max = line->len + LOGLINE_TEXT_MAX;
}

static void logline_begin_json(struct logline *line)
{
    line->max = LOGLINE_MAX - strlen(LOGLINE_END);
    logline_put_text(line, "{");
    if (line->reader == LOGLINE_ANYBODY) {
        logline_put_text(line, "\"time\":\"");
        logline_put_time(line);
        logline_put_text(line, "\",\"pid\":");
        logline_put_number(line, (uint64_t)getpid(), 10, 1);
        logline_put_text(line, ",");
    }
    logline_put_text(line, "\"level\":\"");
    logline_put_text(line, levels[line->level].name);
    logline_put_text(line, "\"");
}

void logline_begin(struct logline *line, enum log_level level, enum log_format format, enum logline_reader reader)
{
    line->gap = "";
    line->len = 0;
    line->max = LOGLINE_MAX;
    line->level = (uint8_t)level;
    line->reader = (uint8_t)reader;
    line->is_json = format == LOG_FORMAT_JSON;
    line->is_bare = false;
    if (reader == LOGLINE_JOURNAL) {
        logline_put_text(line, "<");
        logline_put_number(line, (uint64_t)levels[level].priority, 10, 1);
        logline_put_text(line, ">");
    }
    if (line->is_json)
        logline_begin_json(line);
    else
        logline_begin_text(line);
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

void logline_number(struct logline *line, const char *name, uint64_t number)
{
    if (logline_begin_part(line, name, LOGLINE_NUMBER_MAX))
        logline_put_number(line, number, 10, 1);
}

void logline_seconds(struct logline *line, const char *name, uint64_t ms)
{
    if (!logline_begin_part(line, name, LOGLINE_NUMBER_MAX))
        return;
    logline_put_number(line, ms / 1000, 10, 1);
    logline_put_text(line, ".");
    logline_put_number(line, ms % 1000, 10, 3);
    if (!line->is_json)
        logline_put_text(line, "s");
}

void logline_id(struct logline *line, const char *name, uint64_t id)
{
    if (!logline_begin_part(line, name, LOGLINE_NUMBER_MAX))
        return;
    logline_put_text(line, line->is_json ? "\"" : "");
    logline_put_number(line, id, 16, 1);
    logline_put_text(line, line->is_json ? "\"" : "");
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
