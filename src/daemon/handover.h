/* handover: what a process and the one that takes over from it tell each other, over a pair of connected sockets
 * (SOCK_SEQPACKET): a message at a time, with descriptors.
 *
 *   the old one                        the new one
 *   SOCKETS, KEY, REVOKED, PAUSED, END ->  reads its configuration, opens what else it needs
 *                            <-        READY, or FAILED and why; nothing has changed until here
 *   GO                       ->        accepts
 *                            <-        TAKEN
 *   MAIN: drains             ->        tells the service manager
 *                            <-        RELOAD, whenever it reloads itself
 *
 * A message of a kind that one does not know is another version's, and is passed over. The end of file is the end of
 * the other process. */
#ifndef DAEMON_HANDOVER_H
#define DAEMON_HANDOVER_H

#include <imapstate/span.h>
#include <stdbool.h>

enum handover_kind {
    HANDOVER_SOCKETS = 's', /* descriptors of one address; text: "given" if the service manager has opened them */
    HANDOVER_KEY = 'k',     /* text: the line of a key that only lives in memory */
    HANDOVER_REVOKED = 'v', /* the descriptor of a file with revocations that are held in memory: for each of them
                               struct handover_revoked, then the user's name */
    HANDOVER_PAUSED = 'p',  /* text: the name of a listener that accepts nobody; none: all listeners */
    HANDOVER_END = 'e',
    HANDOVER_GO = 'g',
    HANDOVER_MAIN = 'm',
    HANDOVER_READY = 'r',
    HANDOVER_FAILED = 'f', /* text: lines */
    HANDOVER_TAKEN = 't',
    HANDOVER_RELOAD = 'l',
};

#define HANDOVER_TEXT_MAX 4096u

/* It is the same machine that reads it. */
struct handover_revoked {
    uint64_t second_s;
    uint32_t len; /* of the name; HANDOVER_TEXT_MAX at most */
    uint32_t is_for_all;
};

/* In one message; the kernel's limit is 253. */
#define HANDOVER_FDS_MAX 128u

struct handover_message {
    uint8_t kind;
    size_t len;
    uint8_t text[HANDOVER_TEXT_MAX + 1]; /* NUL-terminated */
    int fds[HANDOVER_FDS_MAX];           /* the receiver's own */
    size_t fd_count;
};

/* A longer text is cut. False: errno. It never waits. */
bool handover_send(int fd, enum handover_kind kind, struct imapstate_span text, const int *fds, size_t fd_count);

/* Waits if the socket does. 1: there is one; 0: the other process has ended; -1: errno. */
int handover_receive(int fd, struct handover_message *ret_message);

/* Closes the descriptors, and wipes. */
void handover_done(struct handover_message *message);

#endif
