/* scripted: a server in a process of its own, which says and wants to hear what a script has, line by line. Behind
 * check.h and certificate.h.
 *
 *   < TEXT   is sent, CRLF behind; "$" in it is the tag of the last command, "~" another CRLF
 *   . TEXT   is sent octet by octet, without an end
 *   > TEXT   a command that begins like this behind its tag must come
 *   = TEXT   a line must come, just this
 *   T        handshake
 *   Z        reads until the client closes, and says nothing
 *   E        the client must close, and say no more
 *   F        sends without an end, until the client closes
 *   ---      closes, and takes the next connection
 *
 * At its end it closes. scripted_end() fails the test if something else came, or nothing. */
#ifndef TEST_SCRIPTED_H
#define TEST_SCRIPTED_H

#include <openssl/ssl.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct scripted {
    pid_t pid;
    char port[8];
};

/* The child's connection. */
struct scripted_peer {
    int listener, fd;
    SSL_CTX *context; /* NULL: no TLS */
    SSL *ssl;
    char tag[64];
};

static inline void scripted_fail(const char *what, const char *line)
{
    fprintf(stderr, "scripted server: %s: %s\n", what, line);
    _exit(1);
}

static inline int scripted_read(struct scripted_peer *peer, void *at, int len)
{
    return peer->ssl ? SSL_read(peer->ssl, at, len) : (int)read(peer->fd, at, (size_t)len);
}

static inline bool scripted_write(struct scripted_peer *peer, const char *at, size_t len)
{
    while (len > 0) {
        int written = peer->ssl ? SSL_write(peer->ssl, at, (int)len) : (int)send(peer->fd, at, len, MSG_NOSIGNAL);
        if (written <= 0)
            return false;
        at += written;
        len -= (size_t)written;
    }
    return true;
}

/* Without its CRLF. */
static inline void scripted_read_line(struct scripted_peer *peer, char *line, size_t size, const char *want)
{
    size_t len = 0;
    while (len < 2 || line[len - 1] != '\n') {
        if (len + 1 == size || scripted_read(peer, line + len, 1) != 1)
            scripted_fail("the client has closed, but should say", want);
        len++;
    }
    line[len - 2] = '\0';
}

static inline void scripted_say(struct scripted_peer *peer, const char *text)
{
    char line[8192];
    size_t len = 0;
    for (; *text; text++) {
        const char *part = *text == '$' ? peer->tag : *text == '~' ? "\r\n" : text;
        len += (size_t)snprintf(line + len, sizeof line - len, "%.*s", part == text ? 1 : 64, part);
    }
    memcpy(line + len, "\r\n", 2);
    if (!scripted_write(peer, line, len + 2))
        scripted_fail("could not be sent", text);
}

static inline void scripted_hear(struct scripted_peer *peer, const char *want, bool is_command)
{
    char line[8192];
    scripted_read_line(peer, line, sizeof line, want);
    char *text = is_command ? strchr(line, ' ') : line;
    if (!text || (is_command ? strncmp(text + 1, want, strlen(want)) : strcmp(text, want)) != 0)
        scripted_fail(want, line);
    if (is_command)
        snprintf(peer->tag, sizeof peer->tag, "%.*s", (int)(text - line), line);
}

static inline void scripted_handshake(struct scripted_peer *peer)
{
    peer->ssl = SSL_new(peer->context);
    SSL_set_fd(peer->ssl, peer->fd);
    if (SSL_accept(peer->ssl) != 1)
        _exit(2); /* a test that means it says so */
}

static inline void scripted_close(struct scripted_peer *peer)
{
    if (peer->ssl)
        SSL_shutdown(peer->ssl);
    SSL_free(peer->ssl);
    peer->ssl = NULL;
    if (peer->fd >= 0)
        close(peer->fd);
    peer->fd = -1;
}

static inline void scripted_take(struct scripted_peer *peer)
{
    peer->fd = accept(peer->listener, NULL, NULL);
    if (peer->fd < 0)
        scripted_fail("accept", strerror(errno));
    setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
}

static inline void scripted_step(struct scripted_peer *peer, const char *line)
{
    char octets[4096] = { 0 };
    const char *text = strlen(line) > 2 ? line + 2 : "";
    if (peer->fd < 0)
        scripted_take(peer);
    switch (*line) {
    case '<':
        scripted_say(peer, text);
        break;
    case '.':
        for (; *text; text++)
            scripted_write(peer, text, 1);
        break;
    case '>':
    case '=':
        scripted_hear(peer, text, *line == '>');
        break;
    case 'T':
        scripted_handshake(peer);
        break;
    case 'Z':
        while (scripted_read(peer, octets, sizeof octets) > 0)
            ;
        break;
    case 'E':
        if (scripted_read(peer, octets, 1) > 0)
            scripted_fail("the client should say no more, but says", octets);
        break;
    case 'F':
        while (scripted_write(peer, octets, sizeof octets))
            ;
        break;
    case '-':
        scripted_close(peer);
        break;
    default:
        scripted_fail("no step", line);
    }
}

static inline void scripted_run(struct scripted_peer *peer, const char *script)
{
    char *copy = strdup(script), *rest = copy, *line;
    signal(SIGPIPE, SIG_IGN);
    alarm(120);
    while ((line = strsep(&rest, "\n")))
        if (*line)
            scripted_step(peer, line);
    if (peer->fd >= 0)
        scripted_close(peer);
    _exit(0);
}

static inline SSL_CTX *scripted_context(const struct certificate *certificate)
{
    SSL_CTX *context = certificate ? SSL_CTX_new(TLS_server_method()) : NULL;
    if (context) {
        assert_int_equal(SSL_CTX_use_certificate_chain_file(context, certificate->cert_file), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey_file(context, certificate->key_file, SSL_FILETYPE_PEM), 1);
    }
    return context;
}

/* certificate may be NULL: there is no T in the script then. */
static inline void scripted_begin(struct scripted *server, const char *script, const struct certificate *certificate)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t len = sizeof address;
    struct scripted_peer peer = { .fd = -1, .context = scripted_context(certificate) };
    peer.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(peer.listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(peer.listener, 8), 0);
    assert_int_equal(getsockname(peer.listener, (struct sockaddr *)&address, &len), 0);
    snprintf(server->port, sizeof server->port, "%u", ntohs(address.sin_port));
    server->pid = fork();
    assert_true(server->pid >= 0);
    if (server->pid == 0)
        scripted_run(&peer, script);
    close(peer.listener);
    SSL_CTX_free(peer.context);
}

/* Gives the exit status: 0, or 2 if a handshake failed. 1 fails the test. */
static inline int scripted_end(struct scripted *server, const char *name)
{
    int status;
    assert_int_equal(waitpid(server->pid, &status, 0), server->pid);
    CHECK_ROW(name, WIFEXITED(status) && WEXITSTATUS(status) != 1);
    return WEXITSTATUS(status);
}

#endif
