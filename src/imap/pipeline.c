#include "pipeline.h"

#include <imapstate/frame.h>

#include <stdlib.h>
#include <string.h>

void flight_free(struct flight *flight)
{
    if (!flight)
        return;
    imapstate_buf_done(&flight->arguments);
    imapstate_buf_done(&flight->held);
    free(flight);
}

void pipeline_done(struct pipeline *pipeline)
{
    while (pipeline->first) {
        struct flight *flight = pipeline->first;
        pipeline->first = flight->next;
        flight_free(flight);
    }
    *pipeline = (struct pipeline){ 0 };
}

static uint32_t flight_octets(const struct flight *flight)
{
    return (uint32_t)(sizeof *flight + flight->tag_len + flight->arguments.len);
}

bool pipeline_has_room(const struct pipeline *pipeline, size_t octets)
{
    return pipeline->count == 0 || (pipeline->count < PIPELINE_FLIGHTS_MAX &&
                                    pipeline->octets + sizeof(struct flight) + octets <= PIPELINE_OCTETS_MAX);
}

struct flight *pipeline_push(struct pipeline *pipeline, const struct imapstate_command *command,
                             struct imapstate_span tag)
{
    struct flight *flight = malloc(sizeof *flight + tag.len);
    if (!flight)
        return NULL;
    *flight = (struct flight){ .command = command, .tag_len = (uint16_t)tag.len };
    if (tag.len > 0)
        memcpy(flight->tag, tag.at, tag.len);
    imapstate_buf_init(&flight->arguments, IMAPSTATE_LINE_MAX);
    imapstate_buf_init(&flight->held, IMAPSTATE_LINE_MAX);
    if (pipeline->last)
        pipeline->last->next = flight;
    else
        pipeline->first = flight;
    pipeline->last = flight;
    pipeline->count++;
    pipeline->octets += flight_octets(flight);
    return flight;
}

void pipeline_capture(struct pipeline *pipeline, struct flight *flight, struct imapstate_span octets)
{
    if (!flight->is_capturing)
        return;
    pipeline->octets -= flight_octets(flight);
    if (!imapstate_buf_put(&flight->arguments, octets)) {
        imapstate_buf_done(&flight->arguments);
        flight->is_capturing = false;
        flight->is_too_large = true;
    }
    pipeline->octets += flight_octets(flight);
}

/* Clients count: in most tags it is the last octet that differs. */
static bool flight_has_tag(const struct flight *flight, struct imapstate_span tag)
{
    if (flight->tag_len != tag.len || (tag.len > 0 && flight->tag[tag.len - 1] != tag.at[tag.len - 1]))
        return false;
    return imapstate_span_equal((struct imapstate_span){ flight->tag, flight->tag_len }, tag);
}

struct flight *pipeline_find(const struct pipeline *pipeline, struct imapstate_span tag)
{
    for (struct flight *flight = pipeline->first; flight; flight = flight->next)
        if (!flight->is_answered && flight_has_tag(flight, tag))
            return flight;
    return NULL;
}

void pipeline_remove(struct pipeline *pipeline, struct flight *flight)
{
    struct flight *before = NULL, **link = &pipeline->first;
    while (*link != flight) {
        before = *link;
        link = &before->next;
    }
    *link = flight->next;
    if (pipeline->last == flight)
        pipeline->last = before;
    pipeline->count--;
    pipeline->octets -= flight_octets(flight);
    pipeline->holds_back = false;
    flight->next = NULL;
}

struct flight *pipeline_take(struct pipeline *pipeline, struct imapstate_span tag)
{
    struct flight *flight = pipeline_find(pipeline, tag);
    if (flight)
        pipeline_remove(pipeline, flight);
    return flight;
}

bool pipeline_has_tag(const struct pipeline *pipeline, struct imapstate_span tag)
{
    for (const struct flight *flight = pipeline->first; flight; flight = flight->next)
        if (flight_has_tag(flight, tag))
            return true;
    return false;
}

bool pipeline_has_unasked_literal(const struct pipeline *pipeline)
{
    for (const struct flight *flight = pipeline->first; flight; flight = flight->next)
        if (flight->has_unasked_literal)
            return true;
    return false;
}

bool pipeline_has_command(const struct pipeline *pipeline, const struct imapstate_command *command)
{
    for (const struct flight *flight = pipeline->first; flight; flight = flight->next)
        if (flight->command == command)
            return true;
    return false;
}
