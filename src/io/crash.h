/* crash: the last words of a process that dies by a fault of its own: one line on standard error, with the version and
 * the stack, and then the signal does what it does.
 *
 * The stack is a list of places in the program and its libraries ("imapstated+0x1f3a2"), for addr2line(1) or a
 * debugger; nothing that memory or registers hold is written, as that may be a secret (P15). */
#ifndef IO_CRASH_H
#define IO_CRASH_H

#include <stdbool.h>

/* For SIGSEGV, SIGBUS, SIGILL, SIGFPE and SIGABRT, as far as nobody else has taken them, such as a sanitizer. version
 * is borrowed. After the libraries are loaded. */
void crash_init(const char *version);

/* How the line is written: as an object of JSON, or as text. */
void crash_set_json(bool is_json);

/* The thread has a stack to say its last words on, even if its own has overflowed. Each thread has one for as long as
 * it runs; one without says nothing in that case. */
void crash_begin_thread(void);
void crash_end_thread(void);

#endif
