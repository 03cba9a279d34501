/* revoke: "forget USER|--all": ends what is parked, and voids the proofs, so that whoever comes back logs in at the
 * server. "revoke USER|--all": the same, and the tokens that were saved until now restore nothing. */
#ifndef CONTROL_REVOKE_H
#define CONTROL_REVOKE_H

struct reply;
struct controlline;
struct scope;

void forget_command(const struct scope *scope, const struct controlline *line, struct reply *reply);
void revoke_command(const struct scope *scope, const struct controlline *line, struct reply *reply);

#endif
