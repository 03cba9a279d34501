#include "request.h"

#include <imapstate/token.h>
#include <string.h>

#include "catalogue.h"

static void request_enter(struct request *request, enum request_phase next)
{
    request->phase = (uint8_t)next;
}

void request_init(struct request *request)
{
    *request = (struct request){ 0 };
    imapstate_buf_init(&request->octets, REQUEST_MAX);
}

void request_done(struct request *request)
{
    imapstate_buf_done(&request->octets);
    request_init(request);
}

static void request_complain(struct request *request, const char *complaint)
{
    if (!request->complaint)
        request->complaint = complaint;
}

const char *request_to_refused(enum imapstate_error refused)
{
    return refused == IMAPSTATE_LINE_TOO_LONG ? "BAD " N_("The line is longer than 64 KiB.")
                                              : "BAD " N_("Literal is too large.");
}

/* Where does a line leave the request? */
static void request_heed_line(struct request *request, const struct imapstate_piece *line)
{
    const struct imapstate_literal *literal = &line->literal;
    bool is_state = request->command->id == IMAPSTATE_COMMAND_STATE;
    if (literal->announced && literal->octets > (is_state ? IMAPSTATE_TOKEN_MAX : REQUEST_LITERAL_MAX))
        request_complain(request, "BAD " N_("Literal is too large."));
    if (!literal->announced)
        request_enter(request, REQUEST_COMPLETE);
    else if (!literal->synchronizing)
        request_enter(request, REQUEST_COLLECTING);
    else
        /* Without our "+" the literal does not come, and the command ends here. */
        request_enter(request, request->complaint ? REQUEST_COMPLETE : REQUEST_OWES_GO);
}

static bool request_is_line_end(const struct imapstate_piece *piece)
{
    return piece->literal.announced || piece->ends;
}

/* Positions rather than spans: the octets move as more are added. */
static void request_parse(struct request *request)
{
    struct imapstate_command_line line;
    imapstate_command_parse(imapstate_buf_span(&request->octets), &line);
    request->tag_len = (uint32_t)line.tag.len;
    request->arguments_at = line.has_arguments_sp ? (uint32_t)(line.arguments.at - request->octets.at) : 0;
}

void request_begin(struct request *request, const struct imapstate_command *command, const struct imapstate_piece *line,
                   const char *complaint)
{
    struct imapstate_span kept = line->octets;
    request->command = command;
    request->complaint = complaint;
    /* Of a line that comes in parts the tag, if it is there as a whole. */
    if (line->refused == IMAPSTATE_LINE_TOO_LONG) {
        const uint8_t *sp = memchr(kept.at, ' ', kept.len);
        kept.len = sp ? (size_t)(sp - kept.at) + 1 : 0;
    }
    if (!imapstate_buf_put(&request->octets, kept))
        request_complain(request, "BAD " N_("Command is too large."));
    request_parse(request);
    if (request_is_line_end(line))
        request_heed_line(request, line);
    else
        request_enter(request, REQUEST_COLLECTING);
}

void request_add(struct request *request, const struct imapstate_piece *piece)
{
    request_enter(request, REQUEST_COLLECTING);
    if (piece->refused != IMAPSTATE_OK)
        request_complain(request, request_to_refused(piece->refused));
    if (!request->complaint && !imapstate_buf_put(&request->octets, piece->octets))
        request_complain(request, "BAD " N_("Command is too large."));
    if (request_is_line_end(piece))
        request_heed_line(request, piece);
}

bool request_has_arguments(const struct request *request)
{
    return request->arguments_at > 0;
}

struct imapstate_span request_tag(const struct request *request)
{
    struct imapstate_span tag = { request->octets.at, request->tag_len };
    return tag.len > 0 ? tag : IMAPSTATE_SPAN("*");
}

struct imapstate_span request_arguments(const struct request *request)
{
    struct imapstate_span all = imapstate_buf_span(&request->octets);
    if (!request_has_arguments(request))
        return (struct imapstate_span){ all.at + all.len, 0 };
    const uint8_t *at = all.at + request->arguments_at, *end = all.at + all.len;
    if (end > at && end[-1] == '\n')
        end--;
    if (end > at && end[-1] == '\r')
        end--;
    return (struct imapstate_span){ at, (size_t)(end - at) };
}

void request_said_go(struct request *request)
{
    request_enter(request, REQUEST_COLLECTING);
}

void request_asks(struct request *request)
{
    request_enter(request, REQUEST_ASKING);
}
