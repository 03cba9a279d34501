#include "views.h"

static void view_forget(struct view *view)
{
    offers_unref(view->of);
    offers_unref(view->shown);
    *view = (struct view){ 0 };
}

void views_done(struct views *views)
{
    for (size_t i = 0; i < VIEWS_MAX; i++)
        view_forget(&views->entries[i]);
}

struct offers *views_take(struct views *views, struct imapstate_span names)
{
    for (size_t i = 0; names.len > 0 && i < VIEWS_MAX; i++)
        if (imapstate_span_equal(offers_names(views->entries[i].of), names))
            return offers_ref(views->entries[i].of);
    return offers_new(names);
}

/* Not memcmp(): there are octets between the members. */
static bool options_are_equal(const struct capability_view *one, const struct capability_view *other)
{
    return one->is_before_login == other->is_before_login && one->offers_starttls == other->offers_starttls &&
           one->may_login == other->may_login && one->has_state == other->has_state &&
           one->has_language == other->has_language && one->has_ximapproxy == other->has_ximapproxy &&
           one->has_compress == other->has_compress && one->hides_proofs == other->hides_proofs &&
           one->mechanisms == other->mechanisms;
}

static struct offers *offers_rewrite(const struct offers *of, const struct capability_view *options)
{
    struct imapstate_buf shown;
    imapstate_buf_init(&shown, CAPABILITY_LIST_MAX);
    struct offers *offers =
        capability_rewrite(offers_names(of), options, &shown) ? offers_new(imapstate_buf_span(&shown)) : NULL;
    imapstate_buf_done(&shown);
    return offers;
}

struct offers *views_show(struct views *views, struct offers *of, const struct capability_view *options)
{
    for (size_t i = 0; of && i < VIEWS_MAX; i++) {
        const struct view *view = &views->entries[i];
        if (options_are_equal(&view->options, options) &&
            (view->of == of || imapstate_span_equal(offers_names(view->of), offers_names(of))))
            return offers_ref(view->shown);
    }
    struct offers *shown = offers_rewrite(of, options);
    if (of && shown) {
        struct view *view = &views->entries[views->next++ % VIEWS_MAX];
        view_forget(view);
        *view = (struct view){ offers_ref(of), offers_ref(shown), *options };
    }
    return shown;
}
