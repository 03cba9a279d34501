/* keys: key files on disk (imapstate/keyring.h has the format).
 *
 * A function that fails has written the reasons to errors, one per line: "FILE:LINE: what is wrong" or "FILE: ...". */
#ifndef CTL_KEYS_H
#define CTL_KEYS_H

#include <imapstate/keyring.h>

#include <stdio.h>
#include <sys/stat.h>

struct keys_file {
    struct imapstate_buf text; /* as it is in the file, including comments; secret */
    struct imapstate_keyring *keyring;
    struct stat stat;
};

/* Reads a key file. keys_done() frees what was read; it may be called even after a failure. */
bool keys_read(const char *path, struct keys_file *ret_file, FILE *errors);
void keys_done(struct keys_file *file);

/* Makes a file with one new key. An existing file is never touched. ret_id is the key's id. */
bool keys_create(const char *path, uint64_t seals_from_s, uint32_t *ret_id, FILE *errors);

/* Adds a new key. Anything that opens the file in the meantime finds either the old or the new one, complete. Fails if
 * another rotation of it is under way. */
bool keys_rotate(const char *path, uint64_t seals_from_s, uint32_t *ret_id, FILE *errors);

#endif
