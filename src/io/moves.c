#include "moves.h"

#include "log.h"

bool moves_allow(const struct moves *moves, unsigned from, unsigned to)
{
    if (moves->may_enter[from] & MOVES_BIT(to))
        return true;
    log_error("%s: %s -> %s is not foreseen; the connection ends. Please report this.", moves->noun, moves->names[from],
              moves->names[to]);
    return false;
}
