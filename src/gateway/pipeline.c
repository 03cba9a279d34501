#include "pipeline.h"

#include <stdlib.h>
#include <string.h>

void flight_free(struct flight *flight)
{
    if (!flight)
        return;
    imapstate_buf_done(&flight->arguments);
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

struct flight *pipeline_push(struct pipeline *pipeline, const struct imapstate_command *command,
                             struct imapstate_span tag)
{
    struct flight *flight = malloc(sizeof *flight + tag.len);
    if (!flight)
        return NULL;
    *flight = (struct flight){ .command = command, .tag_len = (uint16_t)tag.len };
    memcpy(flight->tag, tag.at, tag.len);
    if (pipeline->last)
        pipeline->last->next = flight;
    else
        pipeline->first = flight;
    pipeline->last = flight;
    pipeline->count++;
    return flight;
}

static bool flight_has_tag(const struct flight *flight, struct imapstate_span tag)
{
    return flight->tag_len == tag.len && memcmp(flight->tag, tag.at, tag.len) == 0;
}

struct flight *pipeline_take(struct pipeline *pipeline, struct imapstate_span tag)
{
    struct flight *before = NULL;
    for (struct flight *flight = pipeline->first; flight; before = flight, flight = flight->next) {
        if (!flight_has_tag(flight, tag))
            continue;
        if (before)
            before->next = flight->next;
        else
            pipeline->first = flight->next;
        if (pipeline->last == flight)
            pipeline->last = before;
        pipeline->count--;
        flight->next = NULL;
        return flight;
    }
    return NULL;
}

bool pipeline_has_tag(const struct pipeline *pipeline, struct imapstate_span tag)
{
    for (const struct flight *flight = pipeline->first; flight; flight = flight->next)
        if (flight_has_tag(flight, tag))
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
