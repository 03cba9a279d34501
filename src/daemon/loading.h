/* loading: the configuration is read, with all that belongs to it, and what there is to say about it. */
#ifndef DAEMON_LOADING_H
#define DAEMON_LOADING_H

#include <stdio.h>

struct service;

/* NULL if it cannot be used. What is wrong, or is hardly intended, goes to messages, a line each. Keys that live as
 * long as the process are taken over from previous, which may be NULL. */
struct service *loading_read(const char *path, const struct service *previous, FILE *messages);

/* Logs such lines; the level says what "FILE: warning: ..." does. text, which may be NULL if there was no memory for
 * it, is changed. */
void loading_log(char *text);

#endif
