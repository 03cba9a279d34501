/* Property: whatever a client asks to enable and a server answers, what is on record is the answer to a session that
 * begins in the same way, at each of its steps; and to no session that has begun otherwise. */
#include "fuzz.h"

#include "record.h"

#include <imapstate/state.h>

#include <string.h>

#define STEPS 8u

/* One ENABLE: its names; and what the ENABLED had, if one came. */
struct enable {
    struct imapstate_span request, said;
    bool has_said;
};

static bool add(struct record *record, const struct enable *enable)
{
    record_forget_heard(record);
    if (enable->has_said)
        record_hear(record, enable->said);
    return record_add(record, enable->request);
}

/* Of the first count ENABLEs, all of which fit. */
static struct record *record_of(const struct enable *enables, size_t count)
{
    struct record *record = record_new();
    CHECK(record);
    for (size_t i = 0; i < count; i++)
        CHECK(add(record, &enables[i]));
    return record;
}

/* With one SP between the names, and nothing else, as a record has them. */
static bool is_said(struct imapstate_span names, struct imapstate_span said)
{
    struct imapstate_span name, other;
    while (imapstate_enable_next(&said, &name))
        if (!imapstate_enable_next(&names, &other) || !imapstate_span_equal(name, other))
            return false;
    return names.len == 0;
}

static bool has_all(struct imapstate_span names, struct imapstate_span others)
{
    struct imapstate_span name;
    while (imapstate_enable_next(&others, &name)) {
        struct imapstate_span left = names, own;
        bool is_there = false;
        while (!is_there && imapstate_enable_next(&left, &own))
            is_there = imapstate_span_equal_nocase(own, name);
        if (!is_there)
            return false;
    }
    return true;
}

/* In whatever order and case, and however often. */
static bool is_same(struct imapstate_span a, struct imapstate_span b)
{
    return has_all(a, b) && has_all(b, a);
}

#define NOBODYS "X-NOBODY-ASKS-FOR-THIS"

static void check_step(const struct record *record, const struct enable *enables, size_t count, size_t step)
{
    struct record *told = record_of(enables, step);
    struct imapstate_buf names;
    imapstate_buf_init(&names, RECORD_MAX);
    enum record_answer answer = record_look_up(record, told, enables[step].request, &names);
    CHECK(answer == (enables[step].has_said ? RECORD_ENABLED : RECORD_SILENT));
    CHECK(is_said(imapstate_buf_span(&names), enables[step].said));
    for (size_t i = 0; i < count; i++) {
        imapstate_buf_clear(&names);
        answer = record_look_up(record, told, enables[i].request, &names);
        CHECK((answer != RECORD_UNKNOWN) == is_same(enables[i].request, enables[step].request));
    }
    imapstate_buf_clear(&names);
    const struct enable other = { .request = IMAPSTATE_SPAN(NOBODYS) };
    record_free(told);
    told = record_of(&other, 1);
    CHECK(record_look_up(record, told, enables[step].request, &names) == RECORD_UNKNOWN);
    record_free(told);
    imapstate_buf_done(&names);
}

/* Takes what stands up to the next separator off *in. */
static struct imapstate_span take(struct imapstate_span *in, uint8_t separator, bool *ret_is_there)
{
    struct imapstate_span part = *in;
    const uint8_t *end = in->len > 0 ? memchr(in->at, separator, in->len) : NULL;
    *ret_is_there = end;
    part.len = end ? (size_t)(end - in->at) : in->len;
    *in = (struct imapstate_span){ in->at + part.len + (end != NULL), in->len - part.len - (end != NULL) };
    return part;
}

/* A line each: "names>names", or "names" where there was no ENABLED. */
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct imapstate_span in = { at, len };
    struct enable enables[STEPS];
    struct record *record = record_new();
    size_t count = 0;
    bool fits = true, has_more = len > 0 && !imapstate_span_contains_nocase(in, IMAPSTATE_SPAN(NOBODYS));
    CHECK(record);
    while (has_more && fits && count < STEPS) {
        struct imapstate_span line = take(&in, '\n', &has_more);
        enables[count].request = take(&line, '>', &enables[count].has_said);
        enables[count].said = line;
        fits = add(record, &enables[count]);
        count += fits;
    }
    record_free(record);
    record = record_of(enables, count);
    CHECK(record_is_empty(record) == (count == 0));
    for (size_t step = 0; step < count; step++)
        check_step(record, enables, count, step);
    record_free(record);
    return 0;
}
