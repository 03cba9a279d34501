#include "handover.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union handover_control {
    struct cmsghdr head;
    char octets[CMSG_SPACE(HANDOVER_FDS_MAX * sizeof(int))];
};

bool handover_send(int fd, enum handover_kind kind, struct imapstate_span text, const int *fds, size_t fd_count)
{
    uint8_t octet = kind;
    struct iovec parts[] = {
        { &octet, 1 },
        { (void *)text.at, text.len < HANDOVER_TEXT_MAX ? text.len : HANDOVER_TEXT_MAX },
    };
    union handover_control control = { 0 };
    struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
    if (fd_count > 0) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(fd_count * sizeof *fds);
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        *head = (struct cmsghdr){ CMSG_LEN(fd_count * sizeof *fds), SOL_SOCKET, SCM_RIGHTS };
        memcpy(CMSG_DATA(head), fds, fd_count * sizeof *fds);
    }
    return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

static void handover_take_fds(struct msghdr *head, struct handover_message *message)
{
    for (struct cmsghdr *part = CMSG_FIRSTHDR(head); part; part = CMSG_NXTHDR(head, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(&message->fds[message->fd_count], CMSG_DATA(part), count * sizeof(int));
        message->fd_count += count;
    }
}

int handover_receive(int fd, struct handover_message *ret_message)
{
    union handover_control control = { 0 };
    struct iovec parts[] = { { &ret_message->kind, 1 }, { ret_message->text, HANDOVER_TEXT_MAX } };
    struct msghdr head = {
        .msg_iov = parts, .msg_iovlen = 2, .msg_control = &control, .msg_controllen = sizeof control
    };
    ssize_t got;
    /* One that has ended with something unread is a reset, once, before what it said. */
    do
        got = recvmsg(fd, &head, MSG_CMSG_CLOEXEC);
    while (got < 0 && (errno == EINTR || errno == ECONNRESET));
    ret_message->fd_count = 0;
    if (got <= 0)
        return (int)got;
    ret_message->len = (size_t)got - 1;
    ret_message->text[ret_message->len] = '\0';
    handover_take_fds(&head, ret_message);
    return 1;
}

void handover_done(struct handover_message *message)
{
    for (size_t i = 0; i < message->fd_count; i++)
        close(message->fds[i]);
    sodium_memzero(message->text, sizeof message->text);
    message->fd_count = 0;
}
