#include "stream.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "pool.h"
#include "tls.h"

/* Below this a forwarded span is copied behind the octets before it rather than written by itself: one TLS record, one
 * segment. */
#define STREAM_JOIN_MAX 16384u

#define STREAM_IDLE_S     60
#define STREAM_INTERVAL_S 20
#define STREAM_PROBES     3
_Static_assert(STREAM_SILENCE_MS == (STREAM_IDLE_S + STREAM_PROBES * STREAM_INTERVAL_S) * 1000,
               "it counts for both (tcp(7))");

static void stream_on_read(evutil_socket_t fd, short what, void *arg);
static void stream_on_write(evutil_socket_t fd, short what, void *arg);

static void stream_init_watches(struct stream *stream)
{
    struct watches *watches = &stream->loop->watches;
    watch_init(&stream->read_watch, watches, stream->fd, EV_READ | EV_PERSIST, stream_on_read, stream);
    watch_init(&stream->write_watch, watches, stream->fd, EV_WRITE, stream_on_write, stream);
}

void stream_init(struct stream *stream, struct loop *loop, int fd, stream_callback *callback, void *owner)
{
    *stream = (struct stream){ .loop = loop, .fd = fd, .callback = callback, .owner = owner };
    imapstate_buf_init(&stream->out, STREAM_OUT_MAX);
    stream_init_watches(stream);
}

/* --- what is counted --- */

static struct loop_octets *stream_octets(struct stream *stream)
{
    return &stream->loop->counters.octets[stream->is_made];
}

static void stream_count_handshake(struct stream *stream)
{
    bool is_resumed = SSL_session_reused(stream->ssl);
    stream->loop->counters.handshakes[stream->is_made][tls_agreed_version(stream->ssl)][is_resumed]++;
}

/* However it has come to nothing: the peer's doing, or its owner's, who had no more time for it. */
static void stream_count_unfinished(struct stream *stream)
{
    stream->loop->counters.handshakes_failed[stream->is_made] += stream->is_securing;
    stream->is_securing = false;
}

/* --- life --- */

static void stream_release_input(struct stream *stream)
{
    if (stream->in)
        sodium_memzero(stream->in + stream->in_from, stream->in_to - stream->in_from);
    pool_give(&stream->loop->pool, stream->in);
    stream->in = NULL;
    stream->in_from = stream->in_to = 0;
}

void stream_done(struct stream *stream)
{
    stream_count_unfinished(stream);
    watch_stop(&stream->read_watch);
    watch_stop(&stream->write_watch);
    SSL_free(stream->ssl);
    stream->ssl = NULL;
    compression_free(stream->compression);
    stream->compression = NULL;
    if (stream->fd >= 0)
        close(stream->fd);
    stream->fd = -1;
    stream_release_input(stream);
    stream->forwarded = (struct imapstate_span){ 0 };
    imapstate_buf_done(&stream->out);
}

/* The end of the stream is told from the event loop, never from within a call of the owner's. */
static void stream_fail(struct stream *stream, int error)
{
    if (stream->is_closed)
        return;
    stream->is_closed = true;
    stream->error = error;
    watch_stop(&stream->write_watch);
    watch_call(&stream->read_watch);
}

static void stream_tell_closed(struct stream *stream)
{
    watch_stop(&stream->read_watch);
    watch_stop(&stream->write_watch);
    stream->callback(stream->owner, STREAM_CLOSED);
}

static void stream_on_again(struct stream *stream)
{
    /* A turn of the loop later: the owner is in the middle of something. */
    watch_call(&stream->read_watch);
}

/* Told a turn of the loop later, when the owner has seen the input before it. */
static void stream_reach_eof(struct stream *stream)
{
    if (stream->is_closed || stream->is_at_eof)
        return;
    stream->is_at_eof = stream->owes_eof = true;
    watch_stop(&stream->read_watch);
    stream_on_again(stream);
}

/* Likewise. */
static void stream_garble(struct stream *stream)
{
    stream->is_garbled = stream->owes_garbled = true;
    compression_drop(stream->compression);
    stream_on_again(stream);
}

/* Left to itself the kernel asks after two hours, and goes on sending what is not acknowledged for a quarter of one. */
void stream_watch_peer(int fd)
{
    const int idle_s = STREAM_IDLE_S, interval_s = STREAM_INTERVAL_S, count = STREAM_PROBES;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){ 1 }, sizeof(int));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
    stream_bound_silence(fd, STREAM_SILENCE_MS);
}

void stream_bound_silence(int fd, uint64_t after_ms)
{
    int unacknowledged_ms = (int)after_ms;
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms, sizeof unacknowledged_ms);
}

void stream_acknowledge(struct stream *stream)
{
    if (stream->fd >= 0)
        setsockopt(stream->fd, IPPROTO_TCP, TCP_QUICKACK, &(int){ 1 }, sizeof(int));
}

bool stream_connect(struct stream *stream, const struct sockaddr *address, socklen_t len)
{
    stream->is_made = true;
    stream->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (stream->fd < 0) {
        stream->error = errno;
        return false;
    }
    /* What is written belongs together and leaves at once: Nagle's algorithm would hold the second of two small writes
     * until the peer's delayed acknowledgement, 40 ms. */
    if (address->sa_family != AF_UNIX) {
        setsockopt(stream->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
        stream_watch_peer(stream->fd);
    }
    if (connect(stream->fd, address, len) < 0 && errno != EINPROGRESS) {
        stream->error = errno;
        close(stream->fd);
        stream->fd = -1;
        return false;
    }
    stream->is_connecting = true;
    stream_init_watches(stream);
    watch_begin(&stream->write_watch);
    return true;
}

void stream_adopt(struct stream *stream, int fd, SSL *ssl)
{
    stream->is_made = true;
    stream->fd = fd;
    stream->ssl = ssl;
    stream_init_watches(stream);
}

bool stream_give_away(struct stream *stream, int *ret_fd, SSL **ret_ssl)
{
    if (stream->is_closed || stream->is_at_eof || stream->fd < 0 || stream->compression || stream_pending(stream) > 0 ||
        stream->in_from != stream->in_to || (stream->ssl && SSL_pending(stream->ssl) > 0))
        return false;
    watch_stop(&stream->read_watch);
    watch_stop(&stream->write_watch);
    *ret_fd = stream->fd;
    *ret_ssl = stream->ssl;
    stream->fd = -1;
    stream->ssl = NULL;
    stream_release_input(stream);
    return true;
}

void stream_start(struct stream *stream)
{
    if (!stream->is_paused && !stream->is_closed)
        watch_begin(&stream->read_watch);
}

/* --- input --- */

struct imapstate_span stream_input(const struct stream *stream)
{
    if (!stream->in)
        return (struct imapstate_span){ 0 }; /* nothing may be added to NULL */
    return (struct imapstate_span){ stream->in + stream->in_from, stream->in_to - stream->in_from };
}

bool stream_is_full(const struct stream *stream)
{
    return stream->in && stream->in_to - stream->in_from == POOL_BUFFER_OCTETS;
}

static void stream_consume_kind(struct stream *stream, enum compression_kind kind, size_t octets)
{
    if (octets == 0)
        return; /* there may be no buffer */
    stream->in_from += (uint32_t)octets;
    if (!stream->compression || stream->is_garbled || compression_charge(stream->compression, kind, octets))
        return;
    /* Nothing more of it is for the owner. */
    sodium_memzero(stream->in + stream->in_from, stream->in_to - stream->in_from);
    stream->in_from = stream->in_to;
    stream_garble(stream);
}

void stream_consume(struct stream *stream, size_t octets)
{
    stream_consume_kind(stream, COMPRESSION_COMMANDS, octets);
}

void stream_consume_message(struct stream *stream, size_t octets)
{
    stream_consume_kind(stream, COMPRESSION_MESSAGES, octets);
}

void stream_consume_wiping(struct stream *stream, size_t octets)
{
    if (octets > 0)
        sodium_memzero(stream->in + stream->in_from, octets);
    stream_consume_kind(stream, COMPRESSION_COMMANDS, octets);
}

/* Makes room behind what is there. False if there is none. */
static bool stream_make_room(struct stream *stream)
{
    if (!stream->in) {
        stream->in = pool_take(&stream->loop->pool);
        if (!stream->in) {
            stream_fail(stream, ENOMEM);
            return false;
        }
    }
    if (stream->in_from > 0) {
        size_t len = stream->in_to - stream->in_from;
        memmove(stream->in, stream->in + stream->in_from, len);
        /* The octets that moved may be the beginning of a secret; no second copy of it stays behind. */
        sodium_memzero(stream->in + len, stream->in_to - len);
        stream->in_from = 0;
        stream->in_to = (uint32_t)len;
    }
    return stream->in_to < POOL_BUFFER_OCTETS;
}

/* What a TLS call that did not succeed means: true if it wants to wait. */
static bool stream_tls_waits(struct stream *stream, int result, bool is_writing)
{
    switch (SSL_get_error(stream->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        if (is_writing)
            stream->write_wants_read = true;
        return true;
    case SSL_ERROR_WANT_WRITE:
        if (!is_writing)
            stream->read_wants_write = true;
        watch_begin(&stream->write_watch);
        return true;
    case SSL_ERROR_ZERO_RETURN:
        stream_reach_eof(stream);
        return false;
    case SSL_ERROR_SYSCALL:
        stream_fail(stream, errno ? errno : ECONNRESET);
        return false;
    default: {
        unsigned long code = ERR_peek_error();
        stream->fault = tls_error_words(code, stream->is_made);
        /* A peer that closes without close_notify is common and harmless here: IMAP frames its own data. */
        bool is_eof = ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING && !stream->is_securing;
        ERR_clear_error();
        if (is_eof) {
            stream->fault = NULL;
            stream_reach_eof(stream);
        } else {
            stream_fail(stream, EPROTO);
        }
        return false;
    }
    }
}

static size_t stream_read_tls(struct stream *stream, uint8_t *at, size_t room)
{
    size_t total = 0;
    while (total < room) {
        ERR_clear_error();
        int got = SSL_read(stream->ssl, at + total, (int)(room - total));
        if (got <= 0) {
            stream_tls_waits(stream, got, false);
            break;
        }
        total += (size_t)got;
    }
    return total;
}

static size_t stream_read_plain(struct stream *stream, uint8_t *at, size_t room)
{
    ssize_t got = recv(stream->fd, at, room, 0);
    if (got > 0)
        return (size_t)got;
    if (got == 0)
        stream_reach_eof(stream);
    else if (errno != EAGAIN && errno != EINTR)
        stream_fail(stream, errno);
    return 0;
}

/* Octets read into at[0 .. room); 0: none just now, or none any more. */
static size_t stream_read_wire(struct stream *stream, uint8_t *at, size_t room)
{
    size_t got = stream->ssl ? stream_read_tls(stream, at, room) : stream_read_plain(stream, at, room);
    stream->in_octets += got;
    stream_octets(stream)->in += got;
    return got;
}

static size_t stream_read_packed(struct stream *stream, uint8_t *at, size_t room)
{
    struct compression *compression = stream->compression;
    if (!compression_has_more(compression)) {
        uint8_t *packed = compression_room(compression);
        if (!packed) {
            stream_fail(stream, ENOMEM);
            return 0;
        }
        compression_arrived(compression, stream_read_wire(stream, packed, COMPRESSION_READ_MAX));
    }
    if (stream->is_garbled)
        compression_drop(compression);
    size_t got = 0;
    if (compression_has_more(compression) && !compression_unpack(compression, at, room, &got))
        stream_garble(stream);
    return got;
}

/* Reads behind what is there, where stream_make_room() has made room. */
static void stream_read(struct stream *stream)
{
    uint8_t *at = stream->in + stream->in_to;
    size_t room = POOL_BUFFER_OCTETS - stream->in_to;
    if (stream->read_max > 0 && stream->read_max < room)
        room = stream->read_max;
    stream->in_to +=
        (uint32_t)(stream->compression ? stream_read_packed(stream, at, room) : stream_read_wire(stream, at, room));
}

/* Is there input that wakes no poll: held back by zlib, or decrypted by OpenSSL? */
static bool stream_has_more(const struct stream *stream)
{
    if (stream->compression && compression_has_more(stream->compression))
        return true;
    return stream->ssl && !stream->is_securing && !stream->is_at_eof && SSL_pending(stream->ssl) > 0;
}

static void stream_rearm(struct stream *stream)
{
    if (stream->is_closed || stream->is_paused)
        return;
    if (stream->owes_eof || stream->owes_garbled || stream_has_more(stream))
        stream_on_again(stream);
}

static bool stream_handshake(struct stream *stream)
{
    ERR_clear_error();
    int result = SSL_do_handshake(stream->ssl);
    if (result != 1) {
        stream_tls_waits(stream, result, false);
        return false;
    }
    stream->is_securing = false;
    stream_count_handshake(stream);
    stream->callback(stream->owner, STREAM_SECURE);
    return true;
}

/* What is owed to the owner; it has seen the input before. False: nothing more will be read. */
static bool stream_tell_owed(struct stream *stream)
{
    bool has_more = stream_has_more(stream);
    if (stream->owes_garbled && !stream->is_paused) {
        stream->owes_garbled = false;
        stream->callback(stream->owner, STREAM_GARBLED);
    }
    if (stream->owes_eof && !stream->is_paused && !has_more) {
        stream->owes_eof = false;
        stream->callback(stream->owner, STREAM_EOF);
    }
    return !stream->is_at_eof || has_more;
}

static void stream_on_read(evutil_socket_t fd, short what, void *arg)
{
    struct stream *stream = arg;
    if (stream->is_closed) {
        stream_tell_closed(stream);
        return;
    }
    if (!stream_tell_owed(stream))
        return;
    if (stream->is_securing) {
        if (!stream_handshake(stream) || stream->is_closed || stream->is_paused)
            return;
    }
    if (stream->write_wants_read) {
        stream->write_wants_read = false;
        stream_flush(stream);
    }
    if (stream->is_paused)
        return;
    if (!stream_make_room(stream)) {
        stream_pause(stream);
        return;
    }
    size_t before = stream->in_to;
    stream_read(stream);
    if (stream->in_to > before)
        stream->callback(stream->owner, STREAM_INPUT);
    if (stream->in && stream->in_from == stream->in_to)
        stream_release_input(stream);
    if (stream_is_full(stream))
        stream_pause(stream);
    stream_rearm(stream);
}

void stream_pause(struct stream *stream)
{
    /* The end can have been read together with the last input, which the owner has no room for: it waits, too. */
    if (stream->is_paused || stream->is_closed || (stream->is_at_eof && !stream->owes_eof))
        return;
    stream->is_paused = true;
    watch_stop(&stream->read_watch);
}

bool stream_read_now(struct stream *stream)
{
    if (stream_make_room(stream))
        stream_read(stream);
    if (stream->in && stream->in_from == stream->in_to)
        stream_release_input(stream);
    return !stream->is_at_eof && !stream->is_closed;
}

void stream_resume(struct stream *stream)
{
    if (!stream->is_paused || stream->is_closed || stream_is_full(stream))
        return;
    stream->is_paused = false;
    if (!stream->is_at_eof)
        watch_begin(&stream->read_watch);
    stream_rearm(stream);
}

/* --- output --- */

size_t stream_pending(const struct stream *stream)
{
    size_t held_back = stream->compression && compression_owes_flush(stream->compression);
    return stream->out.len + stream->forwarded.len + held_back;
}

bool stream_is_drained(const struct stream *stream)
{
    return stream_pending(stream) == 0;
}

bool stream_has_room(struct stream *stream)
{
    if (stream_pending(stream) > STREAM_OUT_HIGH)
        stream->is_over_high = true;
    return !stream->is_over_high;
}

static bool stream_append(struct stream *stream, struct imapstate_span octets)
{
    if (stream->compression ? compression_pack(stream->compression, octets, &stream->out)
                            : imapstate_buf_put(&stream->out, octets))
        return true;
    stream_fail(stream, ENOBUFS);
    return false;
}

/* What was forwarded becomes the stream's own. */
static bool stream_own_forwarded(struct stream *stream)
{
    struct imapstate_span octets = stream->forwarded;
    stream->forwarded = (struct imapstate_span){ 0 };
    return octets.len == 0 || stream_append(stream, octets);
}

bool stream_put(struct stream *stream, struct imapstate_span octets)
{
    if (stream->is_closed)
        return false;
    return stream_own_forwarded(stream) && stream_append(stream, octets);
}

bool stream_printf(struct stream *stream, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (len < 0 || (size_t)len >= sizeof text) {
        stream_fail(stream, EMSGSIZE);
        return false;
    }
    bool is_put = stream_put(stream, (struct imapstate_span){ (const uint8_t *)text, (size_t)len });
    sodium_memzero(text, (size_t)len);
    return is_put;
}

bool stream_forward(struct stream *stream, struct imapstate_span octets)
{
    if (stream->is_closed)
        return false;
    if (stream->compression)
        return stream_append(stream, octets);
    if (stream->forwarded.len > 0 && stream->forwarded.at + stream->forwarded.len == octets.at) {
        stream->forwarded.len += octets.len;
        return true;
    }
    if (!stream_own_forwarded(stream))
        return false;
    stream->forwarded = octets;
    return true;
}

/* Writes out and forwarded once. Octets written, or -1. */
static ssize_t stream_write_plain(struct stream *stream)
{
    struct imapstate_span out = imapstate_buf_span(&stream->out), forwarded = stream->forwarded;
    ssize_t sent;
    if (out.len > 0 && forwarded.len > 0) {
        struct iovec parts[2] = { { (void *)(uintptr_t)out.at, out.len },
                                  { (void *)(uintptr_t)forwarded.at, forwarded.len } };
        struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
        sent = sendmsg(stream->fd, &message, MSG_NOSIGNAL);
    } else {
        struct imapstate_span octets = out.len > 0 ? out : forwarded;
        sent = send(stream->fd, octets.at, octets.len, MSG_NOSIGNAL);
    }
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
        stream_fail(stream, errno);
    return sent;
}

static ssize_t stream_write_tls(struct stream *stream)
{
    if (stream->out.len > 0 && stream->forwarded.len > 0 &&
        stream->out.len + stream->forwarded.len <= STREAM_JOIN_MAX && !stream_own_forwarded(stream))
        return -1;
    struct imapstate_span octets = stream->out.len > 0 ? imapstate_buf_span(&stream->out) : stream->forwarded;
    ERR_clear_error();
    size_t sent;
    int result = SSL_write_ex(stream->ssl, octets.at, octets.len, &sent);
    if (result != 1) {
        stream_tls_waits(stream, result, true);
        return -1;
    }
    return (ssize_t)sent;
}

static void stream_wrote(struct stream *stream, size_t octets)
{
    stream->out_octets += octets;
    stream_octets(stream)->out += octets;
    size_t from_out = octets < stream->out.len ? octets : stream->out.len;
    if (from_out > 0)
        imapstate_buf_drop(&stream->out, from_out);
    if (octets == from_out)
        return;
    stream->forwarded.at += octets - from_out;
    stream->forwarded.len -= octets - from_out;
}

void stream_count_anew(struct stream *stream)
{
    stream->in_octets = stream->out_octets = 0;
}

/* Whoever ends the stream waits for the last octet. */
static void stream_tell_drained(struct stream *stream)
{
    size_t low = stream->wants_drained ? 0 : STREAM_OUT_LOW;
    if ((!stream->is_over_high && !stream->wants_drained) || stream->out.len > low)
        return;
    stream->is_over_high = stream->wants_drained = false;
    stream->callback(stream->owner, STREAM_DRAINED);
}

void stream_flush(struct stream *stream)
{
    if (stream->is_connecting || stream->is_securing) {
        stream_own_forwarded(stream);
        return;
    }
    if (stream->compression && !stream->is_closed && !compression_flush(stream->compression, &stream->out))
        stream_fail(stream, ENOBUFS);
    while (!stream->is_closed && stream_pending(stream) > 0) {
        ssize_t sent = stream->ssl ? stream_write_tls(stream) : stream_write_plain(stream);
        if (sent < 0)
            break;
        stream_wrote(stream, (size_t)sent);
    }
    stream_own_forwarded(stream);
    if (stream->is_closed)
        return;
    if (stream->out.len == 0)
        imapstate_buf_done(&stream->out);
    if (stream->out.len > STREAM_OUT_HIGH)
        stream->is_over_high = true;
    /* DRAINED is owed even if all has been written at once: it was said that there is no room. */
    if ((stream->out.len > 0 || stream->is_over_high) && !stream->write_wants_read)
        watch_begin(&stream->write_watch);
}

static void stream_on_connected(struct stream *stream)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        error = errno;
    stream->is_connecting = false;
    if (error) {
        stream_fail(stream, error);
        return;
    }
    stream->callback(stream->owner, STREAM_CONNECTED);
}

static void stream_on_write(evutil_socket_t fd, short what, void *arg)
{
    struct stream *stream = arg;
    if (stream->is_closed)
        return;
    if (stream->is_connecting) {
        stream_on_connected(stream);
        return;
    }
    if (stream->is_securing) {
        stream_handshake(stream);
        return;
    }
    if (stream->read_wants_write) {
        stream->read_wants_write = false;
        stream_on_again(stream);
    }
    stream_flush(stream);
    if (!stream->is_closed)
        stream_tell_drained(stream);
}

/* --- compression --- */

void stream_compress(struct stream *stream, struct compression *compression)
{
    stream_own_forwarded(stream);
    stream->compression = compression;
    if (stream->in_from == stream->in_to) {
        stream_release_input(stream);
        return;
    }
    /* RFC 4978 section 3: whatever follows the command is compressed, be it here already. */
    compression_take(compression, stream->in, stream->in_from, stream->in_to);
    stream->in = NULL;
    stream->in_from = stream->in_to = 0;
    stream_rearm(stream);
}

bool stream_end_compression(struct stream *stream)
{
    if (!stream->compression)
        return true;
    bool is_certain = compression_is_between_blocks(stream->compression);
    if (!stream->is_closed && !compression_flush(stream->compression, &stream->out))
        stream_fail(stream, ENOBUFS);
    compression_free(stream->compression);
    stream->compression = NULL;
    return is_certain;
}

/* --- TLS, end --- */

void stream_secure(struct stream *stream, SSL *ssl)
{
    /* RFC 9051 section 6.2.1: nothing that came in clear may be taken for something said under TLS. */
    stream_release_input(stream);
    imapstate_buf_clear(&stream->out);
    stream->forwarded = (struct imapstate_span){ 0 };
    stream->ssl = ssl;
    stream->is_securing = true;
    if (SSL_set_fd(ssl, stream->fd) != 1) {
        stream_fail(stream, ENOMEM);
        return;
    }
    stream->is_paused = false;
    watch_begin(&stream->read_watch);
    stream_on_again(stream);
}

void stream_break(struct stream *stream, const char *why)
{
    if (stream->is_closed)
        return;
    stream->fault = why;
    stream_fail(stream, EPROTO);
}

void stream_shutdown(struct stream *stream)
{
    if (stream->is_closed || stream->fd < 0)
        return;
    if (stream->ssl && !stream->is_securing) {
        ERR_clear_error();
        SSL_shutdown(stream->ssl);
        ERR_clear_error();
    }
    shutdown(stream->fd, SHUT_WR);
}

const char *stream_failure(const struct stream *stream)
{
    static __thread char words[128];
    if (stream->fault)
        return stream->fault;
    if (stream->compression && compression_failure(stream->compression))
        return compression_failure(stream->compression);
    if (stream->error == 0)
        return "connection closed";
    return strerror_r(stream->error, words, sizeof words);
}
