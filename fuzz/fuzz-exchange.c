/* Property: whatever a server says, and however that is cut, the exchange comes to the same: the same commands answered
 * alike, the same list, the same error, the same octets left, the same shown, without the secret. When a flight is
 * over, nothing is pending, unless the server has asked. */
#include "fuzz.h"

#include <string.h>

#include "exchange.h"

#define SECRET     "GHIJK" /* nothing of ours has these letters together */
#define FLIGHT_MAX 3u

/* What a client says, each line once the one before is answered; the last one again and again. STATE and SAVESTATE are
 * put by functions of their own. */
static const char *const flights[][FLIGHT_MAX] = {
    { "CAPABILITY" }, { "AUTHENTICATE PLAIN" },
    { "STATE" },      { "ENABLE CONDSTORE QRESYNC" },
    { "SAVESTATE" },  { "NOOP", "EXAMINE INBOX", "FETCH 1 BODY[]" },
};
#define FLIGHTS (sizeof flights / sizeof flights[0])

#define GREETED       "* OK hi\r\n"
#define LISTED        GREETED "* CAPABILITY IMAP4rev1 ENABLE QRESYNC STATE\r\nA1 OK x\r\n"
#define LOGGED_IN     LISTED "+ \r\nA2 OK [CAPABILITY STATE] x\r\n"
#define TRACKING      LOGGED_IN "A3 OK x\r\n"
#define ENABLED       TRACKING "* ENABLED QRESYNC\r\n* OK [STATECMD A4] x\r\nA4 OK x\r\n"
#define SAVED         ENABLED "* SAVESTATE " SECRET "\r\nA5 OK x\r\n"
#define SAVED_NOTHING ENABLED "A5 NO [LIMIT] x\r\n"

static const struct imapstate_span begins[] = {
    IMAPSTATE_SPAN(""),       IMAPSTATE_SPAN(GREETED), IMAPSTATE_SPAN(LISTED), IMAPSTATE_SPAN(LOGGED_IN),
    IMAPSTATE_SPAN(TRACKING), IMAPSTATE_SPAN(ENABLED), IMAPSTATE_SPAN(SAVED),  IMAPSTATE_SPAN(SAVED_NOTHING),
};

struct outcome {
    struct exchange exchange;
    struct transcript transcript;
    char *text;
    size_t text_len, flight;
};

static bool put(struct exchange *exchange, const char *command)
{
    if (strcmp(command, "STATE") == 0)
        return exchange_put_state(exchange);
    if (strcmp(command, "SAVESTATE") == 0)
        return exchange_put_savestate(exchange, 1);
    return exchange_put(exchange, imapstate_span_of(command));
}

/* False if the client gives up. */
static bool go_on(struct outcome *outcome)
{
    struct exchange *exchange = &outcome->exchange;
    CHECK(exchange->is_asked || !exchange_pending(exchange));
    bool is_put = true;
    if (exchange->is_asked)
        is_put = exchange_put_continuation(exchange, imapstate_span_of(SECRET));
    const char *const *commands = flights[outcome->flight < FLIGHTS ? outcome->flight : FLIGHTS - 1];
    if (!exchange->is_asked || !exchange_pending(exchange)) {
        for (size_t i = 0; is_put && i < FLIGHT_MAX && commands[i]; i++)
            is_put = put(exchange, commands[i]);
        outcome->flight++;
    }
    CHECK(is_put == !exchange->error);
    CHECK(!is_put || exchange->out.len > 0);
    exchange_begin_flight(exchange);
    return is_put;
}

/* False once there is nothing more to be heard. */
static bool hear(struct outcome *outcome, struct imapstate_span octets)
{
    struct exchange *exchange = &outcome->exchange;
    CHECK(imapstate_buf_put(&exchange->in, octets));
    for (;;) {
        bool is_heard = exchange_hear(exchange);
        CHECK(is_heard == !exchange->error);
        if (!is_heard)
            return false;
        if (!exchange_is_over(exchange))
            return true;
        if (!go_on(outcome))
            return false;
    }
}

static void run(struct outcome *outcome, struct imapstate_span in, size_t cut)
{
    *outcome = (struct outcome){ 0 };
    FILE *to = open_memstream(&outcome->text, &outcome->text_len);
    CHECK(to);
    transcript_init(&outcome->transcript, to);
    CHECK(transcript_hide(&outcome->transcript, imapstate_span_of(SECRET)));
    CHECK(exchange_init(&outcome->exchange, &outcome->transcript));
    if (hear(outcome, (struct imapstate_span){ in.at, cut }))
        hear(outcome, (struct imapstate_span){ in.at + cut, in.len - cut });
    fclose(to);
}

static void outcome_done(struct outcome *outcome)
{
    exchange_done(&outcome->exchange);
    transcript_done(&outcome->transcript);
    free(outcome->text);
}

static bool same_text(const char *one, const char *other)
{
    return one && other ? strcmp(one, other) == 0 : one == other;
}

static void check_same(const struct outcome *one, const struct outcome *other)
{
    const struct exchange *a = &one->exchange, *b = &other->exchange;
    CHECK(same_text(a->error, b->error));
    CHECK(same_text(one->text, other->text));
    CHECK(a->number == b->number && a->command_count == b->command_count && a->has_greeting == b->has_greeting);
    for (size_t i = 0; i < a->command_count; i++)
        CHECK(exchange_status(a, i) == exchange_status(b, i));
    CHECK(imapstate_span_equal(imapstate_buf_span(&a->names), imapstate_buf_span(&b->names)));
    CHECK(exchange_offers(a, "STATE") == exchange_offers(b, "STATE"));
    CHECK(imapstate_span_equal(imapstate_buf_span(&a->refusal), imapstate_buf_span(&b->refusal)));
    CHECK(imapstate_span_equal(imapstate_buf_span(&a->question), imapstate_buf_span(&b->question)));
    /* After a failure nothing more is read, so what is left depends on the cut. */
    CHECK(a->error || imapstate_span_equal(imapstate_buf_span(&a->in), imapstate_buf_span(&b->in)));
}

static void check_shown(const struct outcome *outcome)
{
    for (size_t i = 0; i < outcome->text_len; i++)
        CHECK(outcome->text[i] == '\n' || (outcome->text[i] >= ' ' && outcome->text[i] < 0x7f));
    CHECK(!strstr(outcome->text, SECRET));
    CHECK(!memchr(outcome->exchange.refusal.at ? (const void *)outcome->exchange.refusal.at : "", '\n',
                  outcome->exchange.refusal.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct outcome whole, cut;
    if (len < 3)
        return 0;
    struct imapstate_buf in = FUZZ_BEGIN(begins, at + 1, len - 1);
    run(&whole, imapstate_buf_span(&in), in.len);
    run(&cut, imapstate_buf_span(&in), at[0] * in.len / 256);
    check_same(&whole, &cut);
    check_shown(&whole);
    outcome_done(&whole);
    outcome_done(&cut);
    imapstate_buf_done(&in);
    return 0;
}
