#include "metrics.h"

#include <event2/buffer.h>
#include <event2/http.h>

#include "answer.h"
#include "exposition.h"
#include "figures.h"
#include "negotiation.h"

static void metrics_on_figures(void *asker, const struct figures *figures)
{
    struct http_request *request = asker;
    enum exposition_form form = negotiation_form(http_request_header(request, "Accept"));
    struct evbuffer *text = evbuffer_new();
    if (figures && text && exposition_write(figures, http_request_inheritance(request), form, text))
        http_reply(request, HTTP_OK, exposition_type(form), text);
    else
        http_reply_text(request, HTTP_SERVUNAVAIL, "out of memory");
    if (text)
        evbuffer_free(text);
}

void metrics_page(struct http_request *request)
{
    http_request_all_figures(request, metrics_on_figures);
}
