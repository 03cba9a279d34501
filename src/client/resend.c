#include "resend.h"

void resend_init(struct resend *resend)
{
    *resend = (struct resend){ 0 };
    imapstate_buf_init(&resend->sent, RESEND_MAX);
}

void resend_done(struct resend *resend)
{
    imapstate_buf_done(&resend->sent);
    resend_init(resend);
}

void resend_begin(struct resend *resend)
{
    if (!resend->is_due)
        resend->may = RESEND_FREELY;
}

static void resend_restrict(struct resend *resend, enum resend_may may)
{
    if (resend->may < may)
        resend->may = (uint8_t)may;
}

void resend_add(struct resend *resend, struct imapstate_span octets, bool is_repeatable)
{
    if (!is_repeatable)
        resend_restrict(resend, RESEND_UNSEEN);
    if (resend->may != RESEND_NEVER && !imapstate_buf_put(&resend->sent, octets))
        resend_spoil(resend);
}

void resend_spoil(struct resend *resend)
{
    resend_restrict(resend, RESEND_NEVER);
}

bool resend_is_allowed(const struct resend *resend, bool was_written)
{
    return resend->may == RESEND_FREELY || (resend->may == RESEND_UNSEEN && !was_written);
}

void resend_forget(struct resend *resend)
{
    if (!resend->is_due)
        imapstate_buf_done(&resend->sent);
}
