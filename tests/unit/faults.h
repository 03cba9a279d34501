/* faults: what goes wrong in the threads of a test. They are counted, not asserted: cmocka's jump belongs to the main
 * thread. Behind check.h. */
#ifndef TEST_FAULTS_H
#define TEST_FAULTS_H

#include <stdatomic.h>
#include <stdio.h>

static atomic_uint faults;

#define EXPECT(condition)                                                                                              \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                            \
            faults++;                                                                                                  \
        }                                                                                                              \
    } while (0)

#endif
