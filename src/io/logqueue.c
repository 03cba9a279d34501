#include "logqueue.h"

#include <stdlib.h>
#include <string.h>

struct logqueue_head {
    uint64_t lost;
    uint16_t len;
    uint8_t mark;
} __attribute__((packed));

bool logqueue_init(struct logqueue *queue)
{
    *queue = (struct logqueue){ .ring = malloc(LOGQUEUE_OCTETS_MAX) };
    return queue->ring;
}

void logqueue_done(struct logqueue *queue)
{
    free(queue->ring);
    *queue = (struct logqueue){ 0 };
}

static void logqueue_append(struct logqueue *queue, const void *octets, size_t len)
{
    size_t at = (queue->from + queue->len) % LOGQUEUE_OCTETS_MAX;
    size_t first = len < LOGQUEUE_OCTETS_MAX - at ? len : LOGQUEUE_OCTETS_MAX - at;
    memcpy(queue->ring + at, octets, first);
    memcpy(queue->ring, (const char *)octets + first, len - first);
    queue->len += len;
}

static void logqueue_drop(struct logqueue *queue, void *ret_octets, size_t len)
{
    size_t first = len < LOGQUEUE_OCTETS_MAX - queue->from ? len : LOGQUEUE_OCTETS_MAX - queue->from;
    memcpy(ret_octets, queue->ring + queue->from, first);
    memcpy((char *)ret_octets + first, queue->ring, len - first);
    queue->from = (queue->from + len) % LOGQUEUE_OCTETS_MAX;
    queue->len -= len;
}

static void logqueue_put_entry(struct logqueue *queue, const struct logqueue_head *head, const char *line)
{
    logqueue_append(queue, head, sizeof *head);
    logqueue_append(queue, line, head->len);
}

void logqueue_put(struct logqueue *queue, uint8_t mark, const char *line, size_t len)
{
    len = len < LOGQUEUE_LINE_MAX ? len : LOGQUEUE_LINE_MAX;
    size_t room = LOGQUEUE_OCTETS_MAX - queue->len;
    queue->is_shedding =
        queue->is_shedding ? room < LOGQUEUE_OCTETS_MAX / 2 : room < len + 2 * sizeof(struct logqueue_head);
    if (queue->is_shedding) {
        queue->lost++;
        queue->lost_in_all++;
        return;
    }
    if (queue->lost > 0)
        logqueue_put_entry(queue, &(struct logqueue_head){ .lost = queue->lost }, line);
    queue->lost = 0;
    logqueue_put_entry(queue, &(struct logqueue_head){ .len = (uint16_t)len, .mark = mark }, line);
}

bool logqueue_take(struct logqueue *queue, struct logqueue_entry *ret_entry)
{
    struct logqueue_head head = { .lost = queue->lost };
    if (queue->len > 0)
        logqueue_drop(queue, &head, sizeof head);
    else if (queue->lost == 0)
        return false;
    else
        queue->lost = 0;
    ret_entry->lost = head.lost;
    ret_entry->len = head.len;
    ret_entry->mark = head.mark;
    logqueue_drop(queue, ret_entry->line, head.len);
    return true;
}
