/* Property: whatever a server says, what a visit gives to be kept can be recalled and is the same again; and what is
 * sent is one command line with our tag. What can be recalled at all is given again, octet for octet. */
#include "fuzz.h"

#include <imapstate/visit.h>

#include <string.h>

/* Recalls kept, and wants commands as well, if there are any. NULL if it cannot be recalled. */
static struct imapstate_visit *begin(struct imapstate_span kept)
{
    struct imapstate_buf again;
    struct imapstate_visit *visit = imapstate_visit_new();
    CHECK(visit);
    if (imapstate_visit_recall(visit, kept) != IMAPSTATE_OK) {
        imapstate_visit_free(visit);
        return NULL;
    }
    imapstate_buf_init(&again, IMAPSTATE_VISIT_KEPT_MAX);
    CHECK(imapstate_visit_keep(visit, &again));
    CHECK(imapstate_span_equal(imapstate_buf_span(&again), kept));
    imapstate_buf_done(&again);
    return visit;
}

static void check_line(bool is_put, struct imapstate_buf *out, const char *begins)
{
    size_t len = strlen(begins);
    CHECK(is_put == (out->len > 0));
    if (is_put) {
        CHECK(out->len >= len + 2 && memcmp(out->at, begins, len) == 0);
        CHECK(memchr(out->at, '\n', out->len) == out->at + out->len - 1 && out->at[out->len - 2] == '\r');
    }
    imapstate_buf_clear(out);
}

static void act(struct imapstate_visit *visit, uint8_t what, struct imapstate_span value)
{
    struct imapstate_buf out;
    struct imapstate_span command;
    imapstate_buf_init(&out, 2 * IMAPSTATE_VISIT_TOKEN_MAX);
    switch (what % 6) {
    case 0:
        imapstate_visit_want(visit, value);
        break;
    case 1:
        imapstate_visit_sent(visit, IMAPSTATE_SPAN("a"), value);
        break;
    case 2:
        check_line(imapstate_visit_put_state(visit, IMAPSTATE_SPAN("s"), &out), &out, "s STATE");
        break;
    case 3:
        check_line(imapstate_visit_put_savestate(visit, IMAPSTATE_SPAN("v"), value.len, &out), &out, "v SAVESTATE");
        break;
    default:
        imapstate_visit_response(visit, value);
    }
    for (size_t at = 0; imapstate_visit_next(visit, &at, &command);)
        CHECK(command.len > 0);
    if (imapstate_visit_is_due(visit, value.len, 100))
        CHECK(imapstate_visit_status(visit) == IMAPSTATE_VISIT_RESTORED ||
              imapstate_visit_status(visit) == IMAPSTATE_VISIT_TRACKING);
    imapstate_buf_done(&out);
}

static void check_kept(const struct imapstate_visit *visit)
{
    struct imapstate_buf kept;
    imapstate_buf_init(&kept, IMAPSTATE_VISIT_KEPT_MAX);
    CHECK(imapstate_visit_keep(visit, &kept));
    struct imapstate_visit *next = begin(imapstate_buf_span(&kept));
    CHECK(next);
    imapstate_visit_free(next);
    imapstate_buf_done(&kept);
}

/* Steps: what (1 octet), length (1), value. */
static void act_all(struct imapstate_span in)
{
    struct imapstate_visit *visit = begin((struct imapstate_span){ 0 });
    while (in.len >= 2) {
        size_t len = in.at[1] < in.len - 2 ? in.at[1] : in.len - 2;
        act(visit, in.at[0], (struct imapstate_span){ in.at + 2, len });
        in = (struct imapstate_span){ in.at + 2 + len, in.len - 2 - len };
    }
    check_kept(visit);
    imapstate_visit_free(visit);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    if (len == 0)
        return 0;
    struct imapstate_span in = { at + 1, len - 1 };
    if (at[0] % 8)
        act_all(in);
    else
        imapstate_visit_free(begin(in));
    return 0;
}
