#include "inquiry.h"

#include <stdint.h>
#include <stdlib.h>

#include "errand.h"
#include "loop.h"
#include "timer.h"
#include "worker.h"

/* An answer is written by one thread and read by another as it is: what has_answered says is in place before it. */
struct part {
    struct errand errand;
    struct inquiry *inquiry; /* borrowed: it lives as long as any of its parts is awaited */
    bool has_answered;       /* atomic */
    bool has_ended;          /* atomic: its worker's thread had ended */
    void *slot;              /* in inquiry->slots */
};

struct inquiry {
    struct list link;     /* in inquiries->open */
    struct errand errand; /* the last part is done: to the main thread's loop */
    struct inquiries *inquiries;
    const struct question *question;
    void *argument;
    void *asker;
    struct timer timer;
    unsigned awaited; /* atomic: parts that have not been dealt with, and inquiry_begin() while it asks */
    bool is_told;     /* answered() has been called, or nobody wants it to be */
    char *slots;      /* owned */
    size_t count;
    struct part parts[];
};

/* --- the end --- */

static void inquiry_free(struct inquiry *inquiry)
{
    for (size_t i = 0; i < inquiry->count && inquiry->question->slot_done; i++)
        inquiry->question->slot_done(inquiry->parts[i].slot);
    if (inquiry->question->argument_done)
        inquiry->question->argument_done(inquiry->argument);
    timer_stop(&inquiry->timer);
    list_remove(&inquiry->link);
    inquiry->inquiries->open_count--;
    free(inquiry->slots);
    free(inquiry);
}

static void inquiry_tell(struct inquiry *inquiry)
{
    bool was_told = inquiry->is_told;
    inquiry->is_told = true;
    if (!was_told)
        inquiry->question->answered(inquiry, inquiry->asker);
}

void inquiry_abandon(struct inquiry *inquiry)
{
    inquiry->is_told = true;
}

static void inquiry_on_timer(void *owner)
{
    inquiry_tell(owner);
}

static void inquiry_come_home(struct errand *errand, struct loop *loop)
{
    struct inquiry *inquiry = list_entry(errand, struct inquiry, errand);
    inquiry_tell(inquiry);
    inquiry_free(inquiry);
}

/* --- in the workers' threads --- */

/* The last one sends it home. If the main thread's loop has ended, inquiries_done() finds it. */
static void inquiry_deal_with(struct inquiry *inquiry)
{
    if (__atomic_sub_fetch(&inquiry->awaited, 1, __ATOMIC_ACQ_REL) == 0)
        loop_send(inquiry->inquiries->loop, &inquiry->errand);
}

static void part_end(struct part *part)
{
    __atomic_store_n(&part->has_ended, true, __ATOMIC_RELEASE);
    inquiry_deal_with(part->inquiry);
}

static void part_run(struct errand *errand, struct loop *loop)
{
    struct part *part = list_entry(errand, struct part, errand);
    if (!loop) {
        part_end(part);
        return;
    }
    part->inquiry->question->ask(list_entry(loop, struct worker, loop), part->slot, part->inquiry->argument);
    __atomic_store_n(&part->has_answered, true, __ATOMIC_RELEASE);
    inquiry_deal_with(part->inquiry);
}

/* --- asking --- */

static struct inquiry *inquiry_new(struct inquiries *inquiries, const struct question *question)
{
    size_t count = inquiries->worker_count;
    if (inquiries->is_over || inquiries->open_count >= INQUIRIES_OPEN_MAX)
        return NULL;
    struct inquiry *inquiry = calloc(1, sizeof *inquiry + count * sizeof *inquiry->parts);
    char *slots = calloc(count + 1, question->slot_octets + 1);
    if (!inquiry || !slots) {
        free(inquiry);
        free(slots);
        return NULL;
    }
    *inquiry = (struct inquiry){ .inquiries = inquiries, .question = question, .slots = slots, .count = count };
    inquiry->errand.run = inquiry_come_home;
    for (size_t i = 0; i < count; i++)
        inquiry->parts[i] =
            (struct part){ .errand.run = part_run, .inquiry = inquiry, .slot = slots + i * question->slot_octets };
    list_init(&inquiry->link);
    list_move(&inquiry->link, &inquiries->open);
    inquiries->open_count++;
    return inquiry;
}

struct inquiry *inquiry_begin(struct inquiries *inquiries, const struct question *question, void *argument, void *asker)
{
    struct inquiry *inquiry = inquiry_new(inquiries, question);
    if (!inquiry) {
        if (question->argument_done)
            question->argument_done(argument);
        return NULL;
    }
    inquiry->argument = argument;
    inquiry->asker = asker;
    timer_init(&inquiry->timer, inquiries->loop, inquiry_on_timer, inquiry);
    timer_set(&inquiry->timer, question->limit_ms);
    inquiry->awaited = (unsigned)inquiry->count + 1;
    for (size_t i = 0; i < inquiry->count; i++)
        if (!loop_send(&inquiries->workers[i]->loop, &inquiry->parts[i].errand))
            part_end(&inquiry->parts[i]);
    inquiry_deal_with(inquiry);
    return inquiry;
}

/* --- the answers --- */

size_t inquiry_count(const struct inquiry *inquiry)
{
    return inquiry->count;
}

void *inquiry_slot(const struct inquiry *inquiry, size_t index)
{
    const struct part *part = &inquiry->parts[index];
    return __atomic_load_n(&part->has_answered, __ATOMIC_ACQUIRE) ? part->slot : NULL;
}

size_t inquiry_missing(const struct inquiry *inquiry)
{
    size_t missing = 0;
    for (size_t i = 0; i < inquiry->count; i++)
        missing += !inquiry_slot(inquiry, i) && !__atomic_load_n(&inquiry->parts[i].has_ended, __ATOMIC_ACQUIRE);
    return missing;
}

const void *inquiry_argument(const struct inquiry *inquiry)
{
    return inquiry->argument;
}

/* --- who is asked --- */

void inquiries_init(struct inquiries *inquiries, struct loop *loop)
{
    *inquiries = (struct inquiries){ .loop = loop };
    list_init(&inquiries->open);
}

void inquiries_done(struct inquiries *inquiries)
{
    inquiries->is_over = true;
    errands_close(&inquiries->loop->errands); /* those that are on their way home */
    list_each_safe(link, &inquiries->open) inquiry_come_home(&list_entry(link, struct inquiry, link)->errand, NULL);
    free(inquiries->workers);
    inquiries->workers = NULL;
    inquiries->worker_count = 0;
}

bool inquiries_add(struct inquiries *inquiries, struct worker *worker)
{
    struct worker **workers = reallocarray(inquiries->workers, inquiries->worker_count + 1, sizeof *inquiries->workers);
    if (!workers)
        return false;
    inquiries->workers = workers;
    workers[inquiries->worker_count++] = worker;
    return true;
}

void inquiries_leave_out(struct inquiries *inquiries, const struct worker *worker)
{
    size_t kept = 0;
    for (size_t i = 0; i < inquiries->worker_count; i++)
        if (inquiries->workers[i] != worker)
            inquiries->workers[kept++] = inquiries->workers[i];
    inquiries->worker_count = kept;
}
