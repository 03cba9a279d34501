/* Property: what decodes encodes to the same octets; and whatever commands a session records, its state decodes from
 * its encoding and is the same. */
#include "fuzz.h"

#include <imapstate/state.h>

#define MAX 2000u

static void check_round_trip(const struct imapstate_state *state, struct imapstate_span *want)
{
    struct imapstate_buf octets, again;
    struct imapstate_state *decoded = imapstate_state_new(MAX);
    imapstate_buf_init(&octets, MAX);
    imapstate_buf_init(&again, MAX);
    CHECK(decoded && imapstate_state_encode(state, &octets));
    CHECK(!want || imapstate_span_equal(imapstate_buf_span(&octets), *want));
    CHECK(imapstate_state_decode(decoded, imapstate_buf_span(&octets)) == IMAPSTATE_OK);
    CHECK(imapstate_state_count(decoded) == imapstate_state_count(state));
    CHECK(imapstate_state_encode(decoded, &again));
    CHECK(imapstate_span_equal(imapstate_buf_span(&octets), imapstate_buf_span(&again)));
    imapstate_buf_done(&octets);
    imapstate_buf_done(&again);
    imapstate_state_free(decoded);
}

static void record(struct imapstate_state *state, uint8_t what, struct imapstate_span value)
{
    switch (what % 6) {
    case 0:
    case 1:
        imapstate_state_record(state, IMAPSTATE_ENTRY_ENABLE, value);
        break;
    case 2:
        imapstate_state_record(state, IMAPSTATE_ENTRY_LANGUAGE, value);
        break;
    case 3:
        imapstate_state_record(state, IMAPSTATE_ENTRY_COMPARATOR, value);
        break;
    case 4:
        imapstate_state_record(state, IMAPSTATE_ENTRY_NOTIFY, value);
        break;
    default:
        imapstate_state_remove(state, (enum imapstate_entry_kind)(what / 6 % 6));
    }
}

/* Commands: what (1 octet), length (1), value. */
static void record_all(struct imapstate_span in)
{
    struct imapstate_state *state = imapstate_state_new(MAX);
    CHECK(state);
    while (in.len >= 2) {
        size_t len = in.at[1] < in.len - 2 ? in.at[1] : in.len - 2;
        record(state, in.at[0], (struct imapstate_span){ in.at + 2, len });
        in = (struct imapstate_span){ in.at + 2 + len, in.len - 2 - len };
        check_round_trip(state, NULL);
    }
    imapstate_state_free(state);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    if (len == 0)
        return 0;
    struct imapstate_span in = { at + 1, len - 1 };
    if (at[0] % 2) {
        record_all(in);
        return 0;
    }
    struct imapstate_state *state = imapstate_state_new(MAX);
    CHECK(state);
    if (imapstate_state_decode(state, in) == IMAPSTATE_OK)
        check_round_trip(state, &in);
    else
        CHECK(imapstate_state_count(state) == 0);
    imapstate_state_free(state);
    return 0;
}
