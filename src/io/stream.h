/* stream: a socket, plain or TLS, compressed or not, with an input buffer, an output buffer and watermarks.
 *
 * Input: stream_input() is what has arrived and was not consumed; the owner consumes it from the front. The buffer is
 * borrowed from the loop's pool and given back when it is empty, so an idle stream has none. Output: stream_put()
 * copies, stream_forward() borrows; both only queue. stream_flush() writes everything at once. What was forwarded must
 * stay where it is until the next stream_put(), stream_flush() or stream_done(). On a compressed stream both compress
 * at once, and the octets that are queued, bounded and counted are compressed ones. The owner is told by its callback,
 * and may only end the stream there by way of a grave (loop_bury()): the stream touches itself after the callback
 * returns. */
#ifndef IO_STREAM_H
#define IO_STREAM_H

#include <imapstate/span.h>
#include <openssl/ssl.h>
#include <stdbool.h>

#include "compression.h"
#include "loop.h"
#include "watch.h"

/* Output held: above HIGH the other side is no longer read, below LOW it is again. With one buffer of input each way
 * and what one pass over it adds, a session stays well below 1 MiB. */
#define STREAM_OUT_HIGH (128u * 1024)
#define STREAM_OUT_LOW  (64u * 1024)
#define STREAM_OUT_MAX  (384u * 1024)

#define STREAM_SILENCE_MS 120000

enum stream_event {
    STREAM_CONNECTED, /* stream_connect() has succeeded */
    STREAM_SECURE,    /* the TLS handshake is done */
    STREAM_INPUT,     /* octets have arrived */
    STREAM_DRAINED,   /* output has fallen below STREAM_OUT_LOW again; only told after it was above STREAM_OUT_HIGH. Or
                       * the last octet has left, if the owner waits for that (wants_drained) */
    STREAM_EOF,       /* the peer sends no more; it may still read */
    STREAM_GARBLED,   /* what follows the input is not compressed data, or is a bomb: see stream_failure(). Told once;
                       * what arrives from here on is dropped; output may still be written. */
    STREAM_CLOSED,    /* an error: see stream_failure(). Told once; nothing follows, nothing can be written. */
};

typedef void stream_callback(void *owner, enum stream_event event);

struct stream {
    struct loop *loop;               /* borrowed */
    SSL *ssl;                        /* owned; NULL without TLS */
    struct compression *compression; /* owned; NULL: octets are as they are */
    stream_callback *callback;
    void *owner;
    uint8_t *in; /* from the pool; NULL while nothing has arrived */
    struct imapstate_buf out;
    struct imapstate_span forwarded; /* borrowed until the next flush */
    uint64_t in_octets, out_octets;  /* as they pass, without TLS, since stream_init() or ..._count_anew() */
    uint32_t in_from, in_to;         /* the input is in[in_from .. in_to) */
    uint32_t read_max;               /* set by the owner: at most this many octets at a time, without TLS; 0: no
                                      * limit */
    int fd;                          /* owned; -1 when there is none */
    int error;                       /* errno of the failure, 0 for an orderly end */
    bool is_connecting : 1, is_securing : 1, is_at_eof : 1, is_closed : 1;
    bool is_made : 1;                                /* we have made the connection, rather than accepted it */
    bool owes_eof : 1;                               /* STREAM_EOF is yet to be told */
    bool is_garbled : 1, owes_garbled : 1;           /* STREAM_GARBLED is yet to be told */
    bool is_paused : 1;                              /* by the owner: do not read */
    bool is_over_high : 1;                           /* output went above HIGH and not yet below LOW */
    bool wants_drained : 1;                          /* the owner waits for the last octet to leave */
    bool write_wants_read : 1, read_wants_write : 1; /* TLS */
    const char *fault;                               /* static words, or NULL: errno has none for it */
    struct watch read_watch, write_watch;
};

/* Takes fd (or -1, for stream_connect()). */
void stream_init(struct stream *stream, struct loop *loop, int fd, stream_callback *callback, void *owner);

/* Closes at once, wipes and frees what it holds. */
void stream_done(struct stream *stream);

/* Begins to connect; CONNECTED or CLOSED follows. False: it could not even begin; see stream->error. */
bool stream_connect(struct stream *stream, const struct sockaddr *address, socklen_t len);

/* Takes a connection that is open already and that we have made; ssl, which may be NULL, is bound to fd. */
void stream_adopt(struct stream *stream, int fd, SSL *ssl);

/* Reads once what has arrived, without telling the owner. False: the peer has closed, or an error. */
bool stream_read_now(struct stream *stream);

/* Gives the connection away, the reverse of stream_adopt(). False if octets are held in either direction, or the
 * connection has ended. */
bool stream_give_away(struct stream *stream, int *ret_fd, SSL **ret_ssl);

/* For a TCP connection, or a listening socket, whose connections inherit it: a peer that has vanished, or that a
 * firewall or a NAT has forgotten, is noticed within two minutes, and everything in between is reminded of the
 * connection once a minute. */
void stream_watch_peer(int fd);

/* It ends when the peer's TCP has not acknowledged octets for this long: STREAM_SILENCE_MS if nothing else was said. */
void stream_bound_silence(int fd, uint64_t after_ms);

/* Acknowledges at once what has arrived, as the peer may hold back the rest until then (Nagle's algorithm, RFC 9293
 * section 3.7.4). Not needed before an answer, which carries the acknowledgement. */
void stream_acknowledge(struct stream *stream);

/* Begins to read. */
void stream_start(struct stream *stream);

/* Begins a TLS handshake; unencrypted input that has arrived and output that was not written are discarded. ssl is
 * taken; it already knows whether it is the client or the server. SECURE or CLOSED follows. */
void stream_secure(struct stream *stream, SSL *ssl);

/* Compression begins, in both directions: input that has arrived and was not consumed is already compressed, output
 * that was queued leaves as it is. compression is taken. */
void stream_compress(struct stream *stream, struct compression *compression);

/* Compression ends, if there is any: output that was queued leaves compressed, input that is there has been
 * decompressed. False if the peer is in the middle of a block: what arrives next may be the rest of it, or may no
 * longer be compressed. */
bool stream_end_compression(struct stream *stream);

struct imapstate_span stream_input(const struct stream *stream);
bool stream_is_full(const struct stream *stream);                 /* no room for more input */
void stream_consume(struct stream *stream, size_t octets);        /* they stay in place until more is read */
void stream_consume_wiping(struct stream *stream, size_t octets); /* for secrets; not for what was forwarded */
void stream_consume_message(struct stream *stream,
                            size_t octets); /* message data may be compressed as well as can be */

/* False: memory is out or STREAM_OUT_MAX is exceeded; the stream is then unusable and CLOSED follows. */
bool stream_put(struct stream *stream, struct imapstate_span octets);
bool stream_printf(struct stream *stream, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool stream_forward(struct stream *stream, struct imapstate_span octets);
void stream_flush(struct stream *stream);

/* Octets queued and not written. */
size_t stream_pending(const struct stream *stream);
bool stream_is_drained(const struct stream *stream);

/* May more be queued? If not, DRAINED follows after the next stream_flush(). */
bool stream_has_room(struct stream *stream);

/* From here on, octets that are read and written count for somebody else. */
void stream_count_anew(struct stream *stream);

void stream_pause(struct stream *stream);  /* stop reading */
void stream_resume(struct stream *stream); /* read again; input that is already there is told by INPUT, later */

/* Gives up the connection, as if it had broken: CLOSED follows, from the event loop. why is static, for the log. */
void stream_break(struct stream *stream, const char *why);

/* Says goodbye: TLS close_notify, then no more writing. The peer's end is still read. */
void stream_shutdown(struct stream *stream);

/* Words for the log; static or valid until the next call in this thread. */
const char *stream_failure(const struct stream *stream);

#endif
