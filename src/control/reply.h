/* reply: what a command on the control socket is answered: rows, notes, and one end, each a line of JSON.
 *
 *   {"row": {...}}               any number of them
 *   {"note": "..."}              something worth knowing beside it; any number, at any time
 *   {"done": "..."}              the last line: it was done; the words say what
 *   {"error": "...", "kind": K}  the last line: it was not. K: "usage" (there is no such command) or "failed"
 *
 * Whoever carries out the command has the answer until reply_end(), even if whoever asked has gone in the meantime:
 * then everything that is put is dropped. Main thread only. */
#ifndef CONTROL_REPLY_H
#define CONTROL_REPLY_H

#include <jansson.h>
#include <stdbool.h>

/* Where its lines go. */
struct reply_reader {
    void (*put)(void *owner, const char *line); /* without a line end */
    bool (*has_room)(void *owner);              /* false: it reads more slowly than it is answered */
    void (*ended)(void *owner);                 /* the last line was put; the answer is gone */
    void *owner;
};

enum reply_end { REPLY_DONE, REPLY_FAILED, REPLY_USAGE };

/* NULL: out of memory. reader is copied. */
struct reply *reply_new(const struct reply_reader *reader);

/* The reader has gone, and is told nothing any more. */
void reply_abandon(struct reply *reply);

/* The reader may have room now. */
void reply_drained(struct reply *reply);

/* --- for whoever carries out the command --- */

/* Takes row, an object; NULL, when memory was out, is a note of that. */
void reply_put_row(struct reply *reply, json_t *row);
void reply_put_note(struct reply *reply, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* May rows be put? If not, go_on is called, once, when they may, or nobody reads them any more. */
bool reply_has_room(struct reply *reply, void (*go_on)(void *waiter), void *waiter);

/* Does nobody read it any more? Then what is costly can be left out. It is to be ended even so. */
bool reply_is_abandoned(const struct reply *reply);

/* The end. Words are one or more sentences, in lines without an LF at the end. */
void reply_end(struct reply *reply, enum reply_end end, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
