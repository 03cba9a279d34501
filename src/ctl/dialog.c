#include "dialog.h"

#include "clock.h"

#include <stdio.h>
#include <string.h>

static bool dialog_fail(struct dialog *dialog, const char *what)
{
    dialog->exchange.error = what;
    return false;
}

const char *dialog_error(const struct dialog *dialog)
{
    return dialog->exchange.error ? dialog->exchange.error : dialog->connection.error;
}

/* Says in the error what was waited for. */
static bool dialog_read(struct dialog *dialog)
{
    const struct exchange_command *pending = exchange_pending(&dialog->exchange);
    char error[sizeof dialog->connection.error];

    if (connection_read(&dialog->connection, &dialog->exchange.in))
        return true;
    memcpy(error, dialog->connection.error, sizeof error);
    snprintf(dialog->connection.error, sizeof dialog->connection.error, "%.200s (waiting for %s%s)", error,
             pending ? "the answer to " : "the greeting", pending ? pending->name : "");
    return false;
}

static bool dialog_await(struct dialog *dialog)
{
    while (exchange_hear(&dialog->exchange)) {
        if (exchange_is_over(&dialog->exchange))
            return true;
        if (!dialog_read(dialog))
            return false;
    }
    return false;
}

bool dialog_fly(struct dialog *dialog)
{
    struct exchange *exchange = &dialog->exchange;
    dialog->flights++;
    connection_set_deadline(&dialog->connection);
    bool is_written = connection_write(&dialog->connection, imapstate_buf_span(&exchange->out));
    exchange_begin_flight(exchange);
    if (!is_written || !dialog_await(dialog))
        return false;
    dialog->answered_us = clock_us();
    return true;
}

bool dialog_begin(struct dialog *dialog, const struct connection_target *target, struct transcript *transcript)
{
    *dialog = (struct dialog){ .connection = { .fd = -1 }, .began_us = clock_us() };
    if (!exchange_init(&dialog->exchange, transcript) || !connection_open(&dialog->connection, target))
        return false;
    connection_set_deadline(&dialog->connection);
    if (!dialog_await(dialog))
        return false;
    dialog->greeted_us = dialog->answered_us = clock_us();
    return true;
}

void dialog_done(struct dialog *dialog)
{
    connection_close(&dialog->connection);
    exchange_done(&dialog->exchange);
}

bool dialog_start_tls(struct dialog *dialog)
{
    struct exchange *exchange = &dialog->exchange;
    if (!exchange_put(exchange, IMAPSTATE_SPAN("STARTTLS")) || !dialog_fly(dialog))
        return false;
    if (exchange_status(exchange, 0) != EXCHANGE_OK)
        return dialog_fail(dialog, "the server refuses STARTTLS");
    /* Somebody in between may have put them there (RFC 9051 section 11.3). */
    if (exchange->in.len > 0)
        return dialog_fail(dialog, "unencrypted octets came after the answer to STARTTLS");
    imapstate_buf_clear(&exchange->names);
    return connection_secure(&dialog->connection);
}
