#include "control.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "commands.h"
#include "log.h"
#include "loop.h"

/* How long nobody is accepted if there is no descriptor left for it. */
static const struct timeval control_pause = { .tv_usec = 100000 };

static void control_refuse(int fd, const char *line)
{
    if (send(fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        log_debug("control: refusal could not be sent: %s", strerror(errno));
    close(fd);
}

static void control_take(struct control *control, int fd)
{
    if (!controlsocket_admits(&control->socket, fd)) {
        log_warning("control: a connection was refused: neither root's, nor the daemon's user's, nor of the group's");
        control_refuse(fd, "{\"error\":\"only root, the daemon's user and members of the socket's group may give "
                           "commands\",\"kind\":\"failed\"}\n");
    } else if (control->peers.count >= CONTROL_PEERS_MAX) {
        control_refuse(fd, "{\"error\":\"too many control connections\",\"kind\":\"failed\"}\n");
    } else {
        controlpeer_begin(&control->peers, fd);
    }
}

static void control_on_resume(evutil_socket_t fd, short what, void *arg)
{
    struct control *control = arg;
    event_add(&control->accept_event, NULL);
}

static void control_on_accept(evutil_socket_t listening, short what, void *arg)
{
    struct control *control = arg;
    int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        control_take(control, fd);
        return;
    }
    if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
        return;
    log_warning("control: %s", strerror(errno));
    event_del(&control->accept_event); /* the loop must not spin on it */
    event_add(&control->resume_event, &control_pause);
}

static void control_obey(void *owner, struct imapstate_span line, struct reply *reply)
{
    struct control *control = owner;
    commands_obey(&control->scope, line, reply);
}

void control_init(struct control *control)
{
    *control = (struct control){ 0 };
    controlsocket_init(&control->socket);
}

bool control_open(struct control *control, const struct config *config, bool has_predecessor, FILE *errors)
{
    return controlsocket_open(&control->socket, config, has_predecessor, errors);
}

bool control_start(struct control *control, struct loop *loop, struct inquiries *inquiries,
                   const struct control_actions *actions)
{
    if (control->socket.fd < 0)
        return true;
    control->loop = loop;
    control->scope = (struct scope){ loop, inquiries, actions };
    controlpeers_init(&control->peers, loop->base, control_obey, control);
    evtimer_assign(&control->resume_event, loop->base, control_on_resume, control);
    event_assign(&control->accept_event, loop->base, control->socket.fd, EV_READ | EV_PERSIST, control_on_accept,
                 control);
    control->is_accepting = event_add(&control->accept_event, NULL) == 0;
    return control->is_accepting;
}

void control_done(struct control *control)
{
    if (control->is_accepting) {
        event_del(&control->accept_event);
        event_del(&control->resume_event);
        controlpeers_done(&control->peers);
    }
    controlsocket_done(&control->socket);
    control->is_accepting = false;
}
