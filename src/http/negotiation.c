#include "negotiation.h"

#include <imapstate/span.h>
#include <stdbool.h>
#include <stdint.h>

/* A quality, in thousandths. */
#define QUALITY_MAX 1000u

static bool is_blank(uint8_t octet)
{
    return octet == ' ' || octet == '\t';
}

static struct imapstate_span trimmed(struct imapstate_span text)
{
    while (text.len > 0 && is_blank(text.at[0]))
        text = (struct imapstate_span){ text.at + 1, text.len - 1 };
    while (text.len > 0 && is_blank(text.at[text.len - 1]))
        text.len--;
    return text;
}

/* Cuts off the part before the next separator that is not within quotes; without blanks around it. False: nothing is
 * left. */
static bool next_part(struct imapstate_span *text, char separator, struct imapstate_span *ret_part)
{
    bool is_quoted = false;
    size_t len = 0;
    if (text->len == 0)
        return false;
    for (; len < text->len && (is_quoted || text->at[len] != separator); len++) {
        if (text->at[len] == '"')
            is_quoted = !is_quoted;
        else if (is_quoted && text->at[len] == '\\' && len + 1 < text->len)
            len++;
    }
    *ret_part = trimmed((struct imapstate_span){ text->at, len });
    size_t used = len < text->len ? len + 1 : len;
    *text = (struct imapstate_span){ text->at + used, text->len - used };
    return true;
}

/* "0", "0.5", "1.000": RFC 9110 section 12.4.2. What is none counts as 0. */
static unsigned read_quality(struct imapstate_span text)
{
    unsigned quality = 0, weight = QUALITY_MAX;
    for (size_t i = 0; i < text.len; i++) {
        if (i == 1 && text.at[i] == '.')
            continue;
        if (text.at[i] < '0' || text.at[i] > '9' || weight == 0)
            return 0;
        quality += (text.at[i] - (unsigned)'0') * weight;
        weight /= 10;
    }
    return text.len > 0 && quality <= QUALITY_MAX ? quality : 0;
}

struct range {
    struct imapstate_span type;
    struct imapstate_span version; /* empty: none is named */
    unsigned quality;
};

static void read_parameter(struct imapstate_span parameter, struct range *range)
{
    struct imapstate_span name;
    if (!next_part(&parameter, '=', &name))
        return;
    struct imapstate_span value = trimmed(parameter);
    if (imapstate_span_equal_nocase(name, IMAPSTATE_SPAN("q")))
        range->quality = read_quality(value);
    else if (imapstate_span_equal_nocase(name, IMAPSTATE_SPAN("version")))
        range->version = value;
}

static struct range read_range(struct imapstate_span text)
{
    struct range range = { .quality = QUALITY_MAX };
    struct imapstate_span parameter;
    if (next_part(&text, ';', &range.type))
        while (next_part(&text, ';', &parameter))
            read_parameter(parameter, &range);
    return range;
}

/* 1.0 has taken nothing away from 0.0.1, which older ones ask for. */
static bool is_openmetrics(const struct range *range)
{
    bool is_spoken = range->version.len == 0 || imapstate_span_equal(range->version, IMAPSTATE_SPAN("1.0.0")) ||
                     imapstate_span_equal(range->version, IMAPSTATE_SPAN("0.0.1"));
    return is_spoken && imapstate_span_equal_nocase(range->type, IMAPSTATE_SPAN("application/openmetrics-text"));
}

static bool is_text(const struct range *range)
{
    bool is_spoken = range->version.len == 0 || imapstate_span_equal(range->version, IMAPSTATE_SPAN("0.0.4"));
    return is_spoken && imapstate_span_equal_nocase(range->type, IMAPSTATE_SPAN("text/plain"));
}

enum exposition_form negotiation_form(const char *accept)
{
    struct imapstate_span left = accept ? imapstate_span_of(accept) : (struct imapstate_span){ 0 }, part;
    unsigned openmetrics = 0, text = 0;
    while (next_part(&left, ',', &part)) {
        struct range range = read_range(part);
        if (is_openmetrics(&range) && range.quality > openmetrics)
            openmetrics = range.quality;
        if (is_text(&range) && range.quality > text)
            text = range.quality;
    }
    return openmetrics > text ? EXPOSITION_OPENMETRICS : EXPOSITION_TEXT;
}
