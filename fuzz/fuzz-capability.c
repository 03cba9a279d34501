/* A list that was rewritten is one that can stand anywhere a list can, has nothing that cannot pass, nothing twice,
 * nothing that the upstream did not say or that is not ours, and stays the same when it is rewritten again. */
#include "fuzz.h"

#include "capability.h"
#include "sasl.h"

#include <string.h>

#define LIST_MAX 8192u

static bool begins(struct imapstate_span word, struct imapstate_span with)
{
    return word.len >= with.len && imapstate_span_equal_nocase((struct imapstate_span){ word.at, with.len }, with);
}

static bool is(struct imapstate_span word, const char *name)
{
    return imapstate_span_equal_nocase(word, imapstate_span_of(name));
}

static void check_word(struct imapstate_span word, struct imapstate_span names, const struct capability_view *view)
{
    const struct imapstate_span auth = IMAPSTATE_SPAN("AUTH=");

    CHECK(word.len > 0 && !begins(word, IMAPSTATE_SPAN("COMPRESS=")) && !is(word, "LOGIN-REFERRALS"));
    for (size_t i = 0; i < word.len; i++)
        CHECK(word.at[i] > ' ' && word.at[i] < 0x7f && !strchr("(){%*\"\\]", word.at[i]));
    if (begins(word, auth)) {
        const struct sasl_mechanism *mechanism =
            sasl_find((struct imapstate_span){ word.at + auth.len, word.len - auth.len });
        CHECK(mechanism && (view->mechanisms & SASL_BIT(mechanism->id)));
        CHECK(!view->is_before_login || view->may_login);
    }
    if (is(word, "STARTTLS"))
        CHECK(view->is_before_login && view->offers_starttls);
    else if (is(word, "LOGINDISABLED"))
        CHECK(view->is_before_login && !capability_may_use_login(view));
    else if (is(word, "STATE"))
        CHECK(view->has_state);
    else if (is(word, "XIMAPPROXY"))
        CHECK(view->has_ximapproxy);
    else if (is(word, "LANGUAGE"))
        CHECK(view->has_language || !view->is_before_login);
    else
        CHECK(is(word, "LITERAL+") || imapstate_span_contains_nocase(names, word));
}

static void check_list(struct imapstate_span list, struct imapstate_span names, const struct capability_view *view)
{
    size_t state_count = 0, ximapproxy_count = 0;

    for (size_t begin = 0, end; begin < list.len; begin = end + 1) {
        for (end = begin; end < list.len && list.at[end] != ' '; end++)
            ;
        struct imapstate_span word = { list.at + begin, end - begin };
        check_word(word, names, view);
        CHECK(end + 1 != list.len); /* no space at the end */
        state_count += is(word, "STATE");
        ximapproxy_count += is(word, "XIMAPPROXY");
    }
    CHECK(state_count == view->has_state && ximapproxy_count == view->has_ximapproxy);
}

/* The list is found again in every place where the gateway puts it. */
static void check_place(struct imapstate_span list, const char *before, const char *behind)
{
    struct imapstate_buf line;
    struct imapstate_span found;

    imapstate_buf_init(&line, LIST_MAX + 64);
    CHECK(imapstate_buf_put(&line, imapstate_span_of(before)) && imapstate_buf_put(&line, list) &&
          imapstate_buf_put(&line, imapstate_span_of(behind)));
    CHECK(capability_find(imapstate_buf_span(&line), &found) == (list.len > 0));
    CHECK(list.len == 0 || imapstate_span_equal(found, list));
    imapstate_buf_done(&line);
}

static void check_rewrite(struct imapstate_span names, const struct capability_view *view)
{
    struct imapstate_buf list, again;
    struct capabilities said, seen;

    imapstate_buf_init(&list, LIST_MAX);
    imapstate_buf_init(&again, LIST_MAX);
    CHECK(capability_rewrite(names, view, &list));
    check_list(imapstate_buf_span(&list), names, view);
    CHECK(capability_rewrite(imapstate_buf_span(&list), view, &again));
    /* Before login a LANGUAGE that is there counts for the upstream's, which goes. */
    CHECK((view->is_before_login && view->has_language) ||
          imapstate_span_equal(imapstate_buf_span(&list), imapstate_buf_span(&again)));
    check_place(imapstate_buf_span(&list), "* CAPABILITY ", "\r\n");
    check_place(imapstate_buf_span(&list), "a1 OK [CAPABILITY ", "] Logged in\r\n");
    capability_parse(names, &said);
    capability_parse(imapstate_buf_span(&list), &seen);
    CHECK(seen.language ==
          (view->has_language ? !(view->is_before_login && said.language) : !view->is_before_login && said.language));
    CHECK((seen.mechanisms & ~said.mechanisms) == 0 && seen.id == said.id && seen.binary == said.binary &&
          seen.literal_plus && seen.unselect == said.unselect);
    imapstate_buf_done(&list);
    imapstate_buf_done(&again);
}

static void check_find(struct imapstate_span line)
{
    struct imapstate_span names;

    if (!capability_find(line, &names))
        return;
    CHECK(names.len > 0 && names.at >= line.at && names.at + names.len <= line.at + line.len);
    CHECK(names.at[0] != ' ' && names.at[names.len - 1] != ' ');
    CHECK(imapstate_span_contains_nocase((struct imapstate_span){ line.at, (size_t)(names.at - line.at) },
                                         IMAPSTATE_SPAN("CAPABILITY")));
}

/* The first octet is the view; the second are the mechanisms that it offers. */
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    if (len < 2)
        return 0;
    struct capability_view view = {
        .is_before_login = at[0] & 1,
        .offers_starttls = at[0] & 2,
        .may_login = at[0] & 4,
        .has_state = at[0] & 8,
        .has_ximapproxy = at[0] & 16,
        .has_language = at[0] & 32,
        .mechanisms = at[1],
    };
    struct imapstate_span rest = { at + 2, len - 2 };
    check_rewrite(rest, &view);
    check_find(rest);
    return 0;
}
