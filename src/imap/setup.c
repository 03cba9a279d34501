#include "setup.h"

#include "condstore.h"
#include "evidence.h"

/* Where there were ways, this and one of the others stand before the state; no encoded state begins so. */
#define CONDSTORE_MARK 0xffu

/* A set and one more way are the same to whoever switches CONDSTORE on for certain. A STATUS by itself is not: whoever
 * has sent nothing else may have it on, or not. */
static uint8_t way_of(unsigned ways)
{
    return ways & CONDSTORE_BY_OTHERS ? CONDSTORE_BY_OTHERS : CONDSTORE_BY_STATUS;
}

/* What is replaced by a later one of its kind may depend on CONDSTORE, or not: NOTIFY does (RFC 5465 section 5). */
static bool has_only_enabled(const struct imapstate_state *state)
{
    struct imapstate_entry entry;
    for (size_t i = 0; state && imapstate_state_at(state, i, &entry); i++)
        if (entry.kind != IMAPSTATE_ENTRY_ENABLE)
            return false;
    return true;
}

bool setup_put(const struct imapstate_state *state, unsigned ways, struct imapstate_buf *ret_key)
{
    if (ways != 0 && (!has_only_enabled(state) || !imapstate_buf_put_byte(ret_key, CONDSTORE_MARK) ||
                      !imapstate_buf_put_byte(ret_key, way_of(ways))))
        return false;
    return !state || imapstate_state_count(state) == 0 || imapstate_state_encode(state, ret_key);
}

bool setup_accounts_for(struct imapstate_span key, unsigned evidence)
{
    bool has_condstore = key.len > 1 && *key.at == CONDSTORE_MARK;
    struct imapstate_span encoded = has_condstore ? (struct imapstate_span){ key.at + 2, key.len - 2 } : key;
    if (has_condstore)
        evidence &= ~(unsigned)EVIDENCE_MODSEQ;
    struct imapstate_state *state = encoded.len > 0 ? imapstate_state_new(IMAPSTATE_STATE_MAX) : NULL;
    bool is_known = encoded.len == 0 || (state && imapstate_state_decode(state, encoded) == IMAPSTATE_OK);
    bool is_accounted = is_known && evidence_is_accounted(evidence, state);
    imapstate_state_free(state);
    return is_accounted;
}
