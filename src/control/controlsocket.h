/* controlsocket: the unix socket that an operator's commands come by. It belongs to the user who started the daemon,
 * root as a rule, and to the group of the configuration.
 *
 * What a daemon that is gone has left at its path is replaced; one at which somebody listens never is, nor anything
 * else that has that name. */
#ifndef CONTROL_CONTROLSOCKET_H
#define CONTROL_CONTROLSOCKET_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

struct config;

struct controlsocket {
    char *path;   /* owned; NULL: there is none */
    char *place;  /* owned: the path that it is to have when its predecessor has made room; NULL: it has it */
    int fd;       /* -1: there is none */
    gid_t group;  /* whose members may connect */
    dev_t device; /* with inode: that the file is still ours */
    ino_t inode;
};

void controlsocket_init(struct controlsocket *socket);

/* Opens the one that config has, which may be none. Before privileges are dropped. With a predecessor, a process that
 * it takes over from and that may have the path, it is opened beside it. False after writing why not. */
bool controlsocket_open(struct controlsocket *socket, const struct config *config, bool has_predecessor, FILE *errors);

/* After that: will it be able to take the place? False after writing why not. */
bool controlsocket_may_take_place(const struct controlsocket *socket, const struct config *config, FILE *errors);

/* It gets its path; at no moment nobody listens there. What the predecessor, whose process number that is, had there is
 * at PATH.old-NUMBER from now on. False: errno. */
bool controlsocket_take_place(struct controlsocket *socket, pid_t predecessor);

/* A successor may have taken its place, as above. */
void controlsocket_follow(struct controlsocket *socket);

/* Closes it, and removes its file, if it is still its own. */
void controlsocket_done(struct controlsocket *socket);

/* May whoever has connected give commands? Root, the daemon's own user and the group's members may. */
bool controlsocket_admits(const struct controlsocket *socket, int fd);

#endif
