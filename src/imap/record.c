#include "record.h"

#include <imapstate/state.h>

#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "octet.h"

/* A line for each ENABLE: the names, upper case, sorted, an SP between; and, behind a TAB, those of the ENABLED. */
struct record {
    struct imapstate_buf lines;
    struct imapstate_buf heard;
    bool has_heard;
    struct imapstate_buf namespace, heard_namespace; /* whole lines */
    size_t namespace_at, heard_namespace_at;         /* in lines: what was on record when it came */
};

struct record *record_new(void)
{
    struct record *record = calloc(1, sizeof *record);
    if (record) {
        imapstate_buf_init(&record->lines, RECORD_MAX);
        imapstate_buf_init(&record->heard, RECORD_MAX);
        imapstate_buf_init(&record->namespace, RECORD_MAX);
        imapstate_buf_init(&record->heard_namespace, RECORD_MAX);
    }
    return record;
}

void record_free(struct record *record)
{
    if (!record)
        return;
    imapstate_buf_done(&record->lines);
    imapstate_buf_done(&record->heard);
    imapstate_buf_done(&record->namespace);
    imapstate_buf_done(&record->heard_namespace);
    free(record);
}

struct record *record_copy(const struct record *record)
{
    struct record *copy = record_new();
    if (copy && (!imapstate_buf_put(&copy->lines, imapstate_buf_span(&record->lines)) ||
                 !imapstate_buf_put(&copy->namespace, imapstate_buf_span(&record->namespace)))) {
        record_free(copy);
        return NULL;
    }
    if (copy)
        copy->namespace_at = record->namespace_at;
    return copy;
}

bool record_is_empty(const struct record *record)
{
    return !record || record->lines.len == 0;
}

bool record_begins_alike(const struct record *record, const struct record *other)
{
    return imapstate_span_equal(imapstate_buf_span(&record->lines), imapstate_buf_span(&other->lines));
}

void record_forget_heard(struct record *record)
{
    imapstate_buf_clear(&record->heard);
    record->has_heard = false;
}

/* One that does not fit is too long for its line as well: nothing is added then. */
void record_hear(struct record *record, struct imapstate_span names)
{
    struct imapstate_span name;
    record->has_heard = true;
    while (imapstate_enable_next(&names, &name)) {
        bool fits = (record->heard.len == 0 || imapstate_buf_put_byte(&record->heard, ' ')) &&
                    imapstate_buf_put(&record->heard, name);
        if (!fits)
            record->heard.max = 0;
    }
}

/* --- what was asked --- */

static struct imapstate_span behind(struct imapstate_span in, size_t octets)
{
    return (struct imapstate_span){ in.at + octets, in.len - octets };
}

/* RFC 5161 section 4: atoms, with one SP between. What else a server may take for an ENABLE it has to see. */
static bool is_plain(struct imapstate_span request)
{
    for (struct imapstate_span rest = request; octets_take(&rest, OCTET_ATOM).len > 0; rest = behind(rest, 1)) {
        if (rest.len == 0)
            return true;
        if (*rest.at != ' ')
            return false;
    }
    return false;
}

/* False: they are not plain names, or do not fit. */
static bool put_request(struct imapstate_buf *out, struct imapstate_span request)
{
    return request.len <= RECORD_MAX && is_plain(request) && names_put_in_order(out, request);
}

/* --- lines --- */

bool record_add(struct record *record, struct imapstate_span request)
{
    bool fits = record->heard.max > 0 && put_request(&record->lines, request);
    if (record->has_heard)
        fits = fits && imapstate_buf_put_byte(&record->lines, '\t') &&
               imapstate_buf_put(&record->lines, imapstate_buf_span(&record->heard));
    record_forget_heard(record);
    return fits && imapstate_buf_put_byte(&record->lines, '\n');
}

static bool begins_with(struct imapstate_span in, struct imapstate_span begin)
{
    return in.len >= begin.len && (begin.len == 0 || memcmp(in.at, begin.at, begin.len) == 0);
}

/* line: what was answered, and all that follows. */
static enum record_answer answer_of(struct imapstate_span line, struct imapstate_buf *ret_names)
{
    const uint8_t *end = memchr(line.at, '\n', line.len);
    if (!end || *line.at == '\n')
        return end ? RECORD_SILENT : RECORD_UNKNOWN;
    struct imapstate_span names = { line.at + 1, (size_t)(end - line.at - 1) };
    return imapstate_buf_put(ret_names, names) ? RECORD_ENABLED : RECORD_UNKNOWN;
}

enum record_answer record_look_up(const struct record *record, const struct record *told, struct imapstate_span request,
                                  struct imapstate_buf *ret_names)
{
    struct imapstate_buf wanted;
    enum record_answer answer = RECORD_UNKNOWN;
    if (record_is_empty(record))
        return answer;
    imapstate_buf_init(&wanted, 2 * RECORD_MAX);
    bool has_wanted = !told || imapstate_buf_put(&wanted, imapstate_buf_span(&told->lines));
    has_wanted = has_wanted && put_request(&wanted, request);
    struct imapstate_span lines = imapstate_buf_span(&record->lines);
    if (has_wanted && begins_with(lines, imapstate_buf_span(&wanted)) && lines.len > wanted.len &&
        (lines.at[wanted.len] == '\t' || lines.at[wanted.len] == '\n'))
        answer = answer_of(behind(lines, wanted.len), ret_names);
    imapstate_buf_done(&wanted);
    return answer;
}

/* --- NAMESPACE --- */

void record_hear_namespace(struct record *record, struct imapstate_span line)
{
    record_forget_heard_namespace(record);
    imapstate_buf_put(&record->heard_namespace, line);
    record->heard_namespace_at = record->lines.len;
}

void record_forget_heard_namespace(struct record *record)
{
    imapstate_buf_clear(&record->heard_namespace);
}

void record_add_namespace(struct record *record)
{
    struct imapstate_span line = imapstate_buf_span(&record->heard_namespace);
    bool is_fresh = record->namespace.len == 0 || record->namespace_at == record->heard_namespace_at;
    if (line.len > 0 && is_fresh) {
        imapstate_buf_clear(&record->namespace);
        imapstate_buf_put(&record->namespace, line);
        record->namespace_at = record->heard_namespace_at;
    }
    record_forget_heard_namespace(record);
}

bool record_namespace(const struct record *record, const struct record *told, struct imapstate_buf *ret_line)
{
    struct imapstate_span so_far = told ? imapstate_buf_span(&told->lines) : (struct imapstate_span){ 0 };
    return record && record->namespace.len > 0 && record->namespace_at == so_far.len &&
           begins_with(imapstate_buf_span(&record->lines), so_far) &&
           imapstate_buf_put(ret_line, imapstate_buf_span(&record->namespace));
}

/* --- either --- */

bool record_knows(const struct record *record, const struct record *told, const struct imapstate_span *enable)
{
    struct imapstate_buf answer;
    imapstate_buf_init(&answer, RECORD_MAX);
    bool is_known = enable ? record_look_up(record, told, *enable, &answer) != RECORD_UNKNOWN
                           : record_namespace(record, told, &answer);
    imapstate_buf_done(&answer);
    return is_known;
}
