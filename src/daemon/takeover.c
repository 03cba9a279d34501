#include "takeover.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "crew.h"
#include "handover.h"
#include "loop.h"
#include "revoking.h"
#include "service.h"
#include "sockets.h"
#include "upgrade.h"

/* The other process has everything at hand, and waits for nobody. */
#define TAKEOVER_PATIENCE_S 20

bool takeover_find(struct takeover *takeover)
{
    const char *number = getenv(UPGRADE_VARIABLE);
    char *end = NULL;
    long fd = number ? strtol(number, &end, 10) : -1;
    takeover->fd = -1;
    if (!number || *end || end == number || fd < 0 || fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0)
        return false;
    unsetenv(UPGRADE_VARIABLE);
    struct timeval patience = { .tv_sec = TAKEOVER_PATIENCE_S };
    setsockopt((int)fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    takeover->fd = (int)fd;
    return true;
}

/* Of whoever made the pair. */
pid_t takeover_pid(const struct takeover *takeover)
{
    struct ucred peer = { 0 };
    socklen_t len = sizeof peer;
    return getsockopt(takeover->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ? 0 : peer.pid;
}

/* --- the gift --- */

static bool takeover_adopt(struct sockets *sockets, struct handover_message *message, FILE *errors)
{
    bool is_given = strcmp((const char *)message->text, "given") == 0;
    const char *wrong = NULL;
    for (size_t i = 0; i < message->fd_count && !wrong; i++) {
        wrong = sockets_adopt(sockets, message->fds[i], is_given);
        message->fds[i] = -1;
    }
    message->fd_count = 0;
    if (wrong)
        fprintf(errors, "a socket of the old process's: %s\n", wrong);
    return !wrong;
}

/* name: HANDOVER_TEXT_MAX octets of room. */
static bool takeover_read_revoked(FILE *file, uint8_t *name)
{
    struct handover_revoked head;
    while (fread(&head, sizeof head, 1, file) == 1) {
        errno = EBADMSG;
        if (head.len > HANDOVER_TEXT_MAX || fread(name, 1, head.len, file) != head.len)
            return false;
        struct imapstate_span user = { name, head.len };
        errno = ENOMEM;
        if (!revoking_take(head.is_for_all ? NULL : &user, head.second_s))
            return false;
    }
    return !ferror(file);
}

static bool takeover_revoke(struct handover_message *message, FILE *errors)
{
    if (message->fd_count != 1)
        return true; /* another version's */
    FILE *file = fdopen(message->fds[0], "r");
    if (file)
        message->fd_count = 0;
    bool is_taken = file && fseek(file, 0, SEEK_SET) == 0 && takeover_read_revoked(file, message->text);
    if (!is_taken)
        fprintf(errors, "the old process's revocations: %s\n", strerror(errno));
    if (file)
        fclose(file);
    return is_taken;
}

static bool takeover_pause(struct crew *crew, const char *name, FILE *errors)
{
    bool is_taken = crew_begin_paused(crew, *name ? name : NULL);
    if (!is_taken)
        fprintf(errors, "%s\n", strerror(ENOMEM));
    return is_taken;
}

static bool takeover_hear(struct takeover *takeover, struct crew *crew, struct handover_message *message, FILE *errors)
{
    struct imapstate_span text = { message->text, message->len };
    switch (message->kind) {
    case HANDOVER_SOCKETS:
        return takeover_adopt(&crew->sockets, message, errors);
    case HANDOVER_KEY:
        service_unref(takeover->previous);
        takeover->previous = service_of_ephemeral_key(text);
        if (!takeover->previous)
            fputs("the old process's key cannot be read\n", errors);
        return takeover->previous;
    case HANDOVER_REVOKED:
        return takeover_revoke(message, errors);
    case HANDOVER_PAUSED:
        return takeover_pause(crew, (const char *)message->text, errors);
    default:
        return true;
    }
}

/* Waits for a message of the kind; others on the way are dealt with. */
static bool takeover_await(struct takeover *takeover, enum handover_kind kind, struct crew *crew, FILE *errors)
{
    struct handover_message *message = malloc(sizeof *message);
    bool has_come = false, goes_on = message;
    while (goes_on && !has_come) {
        int got = handover_receive(takeover->fd, message);
        if (got <= 0) {
            fprintf(errors, "the old process: %s\n",
                    got == 0 ? "it does not want to be replaced any more" : strerror(errno));
            break;
        }
        has_come = message->kind == kind;
        goes_on = has_come || !crew || takeover_hear(takeover, crew, message, errors);
        handover_done(message);
    }
    free(message);
    return has_come;
}

bool takeover_receive(struct takeover *takeover, struct crew *crew, FILE *errors)
{
    return takeover_await(takeover, HANDOVER_END, crew, errors);
}

/* --- what is told --- */

void takeover_fail(const struct takeover *takeover, const char *text)
{
    if (takeover->fd >= 0)
        handover_send(takeover->fd, HANDOVER_FAILED, imapstate_span_of(text ? text : "out of memory\n"), NULL, 0);
}

bool takeover_ready(struct takeover *takeover, FILE *errors)
{
    handover_send(takeover->fd, HANDOVER_READY, imapstate_span_of(""), NULL, 0);
    return takeover_await(takeover, HANDOVER_GO, NULL, errors);
}

static void takeover_is_main(struct takeover *takeover)
{
    bool was_told = takeover->is_told;
    takeover->is_told = true;
    if (!was_told)
        takeover->is_main(takeover->owner);
}

static void takeover_on_event(evutil_socket_t fd, short what, void *arg)
{
    struct takeover *takeover = arg;
    struct handover_message *message = malloc(sizeof *message);
    int got = message ? handover_receive(takeover->fd, message) : 0;
    if (got > 0) {
        if (message->kind == HANDOVER_MAIN)
            takeover_is_main(takeover);
        handover_done(message);
    } else if (got == 0 || errno != EAGAIN) {
        takeover_done(takeover);
        takeover_is_main(takeover);
    }
    free(message);
}

void takeover_taken(struct takeover *takeover, struct loop *loop)
{
    takeover->event = event_new(loop->base, takeover->fd, EV_READ | EV_PERSIST, takeover_on_event, takeover);
    if (takeover->event)
        event_add(takeover->event, NULL);
    handover_send(takeover->fd, HANDOVER_TAKEN, imapstate_span_of(""), NULL, 0);
}

void takeover_pass_reload(const struct takeover *takeover)
{
    if (takeover->fd >= 0)
        handover_send(takeover->fd, HANDOVER_RELOAD, imapstate_span_of(""), NULL, 0);
}

void takeover_done(struct takeover *takeover)
{
    if (takeover->event)
        event_free(takeover->event);
    if (takeover->fd >= 0)
        close(takeover->fd);
    service_unref(takeover->previous);
    takeover->event = NULL;
    takeover->fd = -1;
    takeover->previous = NULL;
}
