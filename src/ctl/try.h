/* try: the command "imapstatectl try HOST". */
#ifndef CTL_TRY_H
#define CTL_TRY_H

/* Exit statuses besides 0 (restored), 1 (failed) and 2 (wrong usage). */
enum { TRY_NO_STATE = 3, TRY_NOT_RESTORED = 4 };

/* argv[0] is the word "try". Returns the exit status. */
int try_command(int argc, char **argv);

#endif
