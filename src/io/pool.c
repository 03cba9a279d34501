#include "pool.h"

#include <stdlib.h>

uint8_t *pool_take(struct pool *pool)
{
    if (pool->kept_count > 0)
        return pool->kept[--pool->kept_count];
    return malloc(POOL_BUFFER_OCTETS);
}

void pool_give(struct pool *pool, uint8_t *buffer)
{
    if (buffer && pool->kept_count < POOL_KEPT_MAX)
        pool->kept[pool->kept_count++] = buffer;
    else
        free(buffer);
}

void pool_done(struct pool *pool)
{
    while (pool->kept_count > 0)
        free(pool->kept[--pool->kept_count]);
}
