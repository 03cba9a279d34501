#include "rewrite.h"

#include "capability.h"
#include "client.h"
#include "namespace.h"
#include "offers.h"
#include "session.h"
#include "status.h"
#include "stream.h"
#include "views.h"
#include "wording.h"
#include "words.h"

/* False: the client ends. */
static bool rewrite_put_names(struct client *client, struct imapstate_span line, struct imapstate_span names)
{
    struct offers *offers = views_take(&client->clients->views, names);
    struct offers *shown = offers ? client_show(client, offers) : NULL;
    bool fits = shown;
    if (fits) {
        stream_put(&client->stream, (struct imapstate_span){ line.at, (size_t)(names.at - line.at) });
        stream_put(&client->stream, offers_names(shown));
        const uint8_t *rest = names.at + names.len;
        stream_put(&client->stream, (struct imapstate_span){ rest, (size_t)(line.at + line.len - rest) });
    } else {
        client_distrust_upstream(client, "capability list that is too long");
    }
    offers_unref(shown);
    offers_unref(offers);
    return fits;
}

/* RFC 5255 section 3.4 */
static bool rewrite_translate_namespace(struct client *client, struct imapstate_span line)
{
    struct imapstate_buf translated;
    imapstate_buf_init(&translated, NAMESPACE_LINE_MAX);
    bool is_translated = namespace_translate(line, client->language, session_has_utf8(&client->session), &translated);
    if (is_translated)
        stream_put(&client->stream, imapstate_buf_span(&translated));
    imapstate_buf_done(&translated);
    return is_translated;
}

void rewrite_put_namespace(struct client *client, struct imapstate_span line)
{
    if (!client_is_translated(client) || !rewrite_translate_namespace(client, line))
        stream_put(&client->stream, line);
}

/* The text for a status response in the client's language, NULL if it keeps its own; ret_head is the line up to it. */
static const char *rewrite_find_wording(const struct client *client, struct imapstate_span line,
                                        const struct imapstate_command *command, struct imapstate_span *ret_head)
{
    struct status status;
    /* Behind the front of a line that is too long the rest of its text follows. */
    if (!words_have_end(line) || !status_parse(line, &status) || status.text.len == 0)
        return NULL;
    *ret_head = (struct imapstate_span){ line.at, (size_t)(status.text.at - line.at) };
    return wording_find(client->language, command, status.word, status.code);
}

bool rewrite_put_line(struct client *client, struct imapstate_span line, const struct imapstate_command *command)
{
    struct imapstate_span head = line, names;
    const char *wording = NULL;
    if (client_is_translated(client)) {
        if (rewrite_translate_namespace(client, line))
            return true;
        wording = rewrite_find_wording(client, line, command, &head);
    }
    if (!wording)
        head = line;
    if (!capability_find(head, &names))
        stream_forward(&client->stream, head);
    else if (!rewrite_put_names(client, head, names))
        return false;
    if (wording)
        stream_printf(&client->stream, "%s\r\n", wording);
    return true;
}
