/* inherited: the figures of a process that drains after another has taken over from it, read from what its control
 * socket answers to "show counters --all" (reply.h has the form). They are another process's word: what does not look
 * like a figure makes the whole of it useless, as half of a sum is worse than none. */
#ifndef HTTP_INHERITED_H
#define HTTP_INHERITED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of the label's value, with its NUL. */
#define INHERITED_PROCESS_MAX 32u

struct inherited_sample {
    char *text;      /* owned: NAME{process="...",LABELS} VALUE */
    size_t name_len; /* of NAME */
    uint64_t value;  /* without what is behind its point */
};

struct inherited {
    char process[INHERITED_PROCESS_MAX]; /* "old-812": the end of its socket's name */
    struct inherited_sample *samples;    /* owned, and their texts */
    size_t count, room;
};

/* What one scrape gets of all of them. */
struct inheritance {
    struct inherited *of;
    size_t count;
    size_t silent; /* further ones, that did not tell in time, or not all */
};

enum inherited_end {
    INHERITED_GOES_ON,
    INHERITED_WHOLE,   /* that was the last line */
    INHERITED_USELESS, /* it makes no sense, it told of nothing, there is too much of it, or memory is out */
};

/* process: of letters, digits and "-". False if it is not, or too long. */
bool inherited_init(struct inherited *inherited, const char *process);
void inherited_done(struct inherited *inherited);

/* The next line, without its LF. What it takes of memory is taken from octets_left. */
enum inherited_end inherited_read(struct inherited *inherited, const char *line, size_t len, size_t *octets_left);

/* Of the samples of that name; with: a label as it is written, NAME="VALUE", or NULL. */
uint64_t inherited_sum(const struct inherited *inherited, const char *name, const char *with);

#endif
