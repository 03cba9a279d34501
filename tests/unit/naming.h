/* naming: the test is the name server. Behind check.h. */
#ifndef TEST_NAMING_H
#define TEST_NAMING_H

#include <stdlib.h>

#include "resolver.h"

/* The name that is wanted has so many addresses, 192.0.2.1 and on; or none. */
static inline void naming_answer(unsigned addresses, uint64_t now_ms)
{
    char name[RESOLVER_NAME_MAX];
    uint32_t era = resolver_era();
    struct resolver_answer *answer = calloc(1, sizeof *answer);
    struct resolver_family *family = &answer->families[RESOLVER_IPV4];
    assert_true(resolver_take_wanted(era, name));
    assert_string_equal(name, "mail.example");
    answer->why = "no such name";
    answer->families[RESOLVER_IPV6].finding = RESOLVER_NONE;
    family->finding = addresses > 0 ? RESOLVER_FOUND : RESOLVER_NONE;
    family->ttl_s = 60;
    for (unsigned i = 0; i < addresses; i++)
        resolver_add(family, &(struct address){ .family = AF_INET, .octets = { 192, 0, 2, (uint8_t)(i + 1) } });
    resolver_learn(name, era, answer, now_ms);
    free(answer);
}

#endif
