/* upgrade: another process takes over, started from the program on disk; this one goes on undisturbed until that one
 * accepts, and if it does not come to that.
 *
 * The new process is nobody's child, so that a service manager sees its end. It gets the listening sockets, and the key
 * of tokens if that only lives in memory, by the messages of handover.h: nothing of it is in its environment but the
 * number of one descriptor, and no descriptor goes to a program that does not ask for it. */
#ifndef DAEMON_UPGRADE_H
#define DAEMON_UPGRADE_H

#include <stdbool.h>
#include <sys/types.h>

#include "timer.h"

struct crew;
struct service;

/* words: lines, each with its LF. */
typedef void upgrade_callback(void *asker, bool is_done, const char *words);

struct upgrade {
    /* Set before anything else. */
    char *const *argv;   /* borrowed: what this process was started with */
    const char *program; /* borrowed: the file to start */
    struct loop *loop;   /* borrowed */
    const char *became;  /* borrowed: the user that it has become, who may not have again what root had; NULL: none */
    void *owner;
    void (*taken_over)(void *owner, pid_t pid); /* it accepts: nothing more is to be accepted here */
    void (*reloaded)(void *owner);              /* the one that has taken over has been told to reload */

    int fd; /* of the pair; -1: there is no other process */
    pid_t pid;
    struct event *event;
    struct timer limit;
    upgrade_callback *answered;
    void *asker;
    char *reason; /* owned: what the new process says of its failure; NULL: nothing yet */
    bool has_taken_over;
};

/* The environment's variable that has the number of the descriptor. */
#define UPGRADE_VARIABLE "IMAPSTATED_HANDOVER"

/* The file that a program was started from, as an absolute path, which may lead to another file later; owned. NULL: out
 * of memory, or it is not known. */
char *upgrade_find_program(const char *name);

void upgrade_init(struct upgrade *upgrade);

/* answered is called when the new process has taken over, or there is none that will: possibly from within. It is asked
 * to by one at a time. */
void upgrade_begin(struct upgrade *upgrade, const struct crew *crew, const struct service *service,
                   upgrade_callback *answered, void *asker);

/* Is a new process on its way? What it has been given is as it was when that began. */
bool upgrade_is_under_way(const struct upgrade *upgrade);

/* This process was told to end: whoever has asked for one that is under way is told so. */
void upgrade_give_up(struct upgrade *upgrade);

/* This process ends: a new one that has not taken over does so too, as soon as it wants to. */
void upgrade_done(struct upgrade *upgrade);

#endif
