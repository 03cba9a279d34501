/* keys: key files on disk (imapstate/keyring.h has the format).
 *
 * Each function that fails has written why to errors, a line each: "FILE:LINE: what is wrong" or "FILE: ...". */
#ifndef CTL_KEYS_H
#define CTL_KEYS_H

#include <imapstate/keyring.h>

#include <stdio.h>
#include <sys/stat.h>

struct keys_file {
    struct imapstate_buf text; /* as it is in the file, comments too; secret */
    struct imapstate_keyring *keyring;
    struct stat stat;
};

/* Reads a key file. keys_done() ends what was read; it may be called after a failure too. */
bool keys_read(const char *path, struct keys_file *ret_file, FILE *errors);
void keys_done(struct keys_file *file);

/* Makes a file with one new key. A file that exists is never touched. ret_id is the key's. */
bool keys_create(const char *path, uint64_t seals_from_s, uint32_t *ret_id, FILE *errors);

/* Adds a new key. Whoever opens the file meanwhile finds the old or the new one, whole. Fails if another rotation of it
 * is under way. */
bool keys_rotate(const char *path, uint64_t seals_from_s, uint32_t *ret_id, FILE *errors);

#endif
