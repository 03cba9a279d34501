/* controlclient: the other end of the daemon's control socket: sends a command, and reads what it is answered (the
 * daemon's answer.h and controlline.h have the form). */
#ifndef CTL_CONTROLCLIENT_H
#define CTL_CONTROLCLIENT_H

#include <jansson.h>
#include <stdbool.h>

#define CONTROLCLIENT_SOCKET "/run/imapstate/control"

enum controlclient_end {
    CONTROLCLIENT_DONE,
    CONTROLCLIENT_FAILED, /* the daemon says why not */
    CONTROLCLIENT_USAGE,  /* it does not know such a command */
    CONTROLCLIENT_LOST,   /* the connection broke before the end, or what came makes no sense */
};

/* Whoever reads the answer. Texts and rows are borrowed for the call. */
struct controlclient_reader {
    void (*row)(void *owner, json_t *row);
    void (*note)(void *owner, const char *words);
    void *owner;
};

/* NULL: errno; E2BIG: the path is too long. */
struct controlclient *controlclient_open(const char *path);
void controlclient_free(struct controlclient *client); /* accepts NULL */

/* One command after the other may be asked for. ret_words: the daemon's words, or what is wrong with the connection;
 * valid until the next call. */
enum controlclient_end controlclient_ask(struct controlclient *client, const char *const *words, size_t count,
                                         const struct controlclient_reader *reader, const char **ret_words);

#endif
