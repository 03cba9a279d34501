/* capture: what a test writes to standard error, such as the log. Behind check.h. */
#ifndef TEST_CAPTURE_H
#define TEST_CAPTURE_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int captured_stderr = -1;
static FILE *capture_file;

static inline void capture_begin(void)
{
    capture_file = tmpfile();
    assert_non_null(capture_file);
    captured_stderr = dup(STDERR_FILENO);
    /* O_APPEND, as several threads write. */
    assert_int_equal(fcntl(fileno(capture_file), F_SETFL, O_APPEND), 0);
    assert_true(dup2(fileno(capture_file), STDERR_FILENO) >= 0);
}

/* What was written to standard error since capture_begin(); for the caller to free. */
static inline char *capture_end(void)
{
    assert_true(dup2(captured_stderr, STDERR_FILENO) >= 0);
    close(captured_stderr);
    long len = lseek(fileno(capture_file), 0, SEEK_END);
    assert_true(len >= 0);
    char *text = calloc(1, (size_t)len + 1);
    assert_int_equal(pread(fileno(capture_file), text, (size_t)len, 0), len);
    fclose(capture_file);
    return text;
}

#endif
