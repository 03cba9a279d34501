/* takeover: this process was started by one that it is to take over from (upgrade.h is that one's part). */
#ifndef DAEMON_TAKEOVER_H
#define DAEMON_TAKEOVER_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

struct crew;
struct loop;
struct service;

struct takeover {
    int fd; /* of the pair; -1: there is no other process */
    struct event *event;
    void *owner;
    void (*is_main)(void *owner); /* the service manager knows this process, or there is nobody to tell it */
    struct service *previous;     /* counted: the key that the other one had in memory; NULL: none */
    bool is_told;                 /* is_main has been called */
};

/* From the environment, out of which it is taken. False if nobody is to be taken over from. */
bool takeover_find(struct takeover *takeover);

/* Waits for the gift, for some seconds. False after writing to errors what is wrong. */
bool takeover_receive(struct takeover *takeover, struct crew *crew, FILE *errors);

/* The other process's number. */
pid_t takeover_pid(const struct takeover *takeover);

/* What is wrong, for whoever has asked the other process for this; lines, or NULL. */
void takeover_fail(const struct takeover *takeover, const char *text);

/* Everything is open, and nothing has been changed yet. Waits until it may go on. False after writing to errors: the
 * other process does not want it any more. */
bool takeover_ready(struct takeover *takeover, FILE *errors);

/* This process accepts. is_main follows, from the loop. */
void takeover_taken(struct takeover *takeover, struct loop *loop);

/* A reload concerns the sessions of the other process too, as long as it lives. */
void takeover_pass_reload(const struct takeover *takeover);

void takeover_done(struct takeover *takeover);

#endif
