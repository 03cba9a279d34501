/* steer: "imapstatectl [--socket PATH] [--json] COMMAND...": a command for the running daemon, and its answer for
 * people or for programs. */
#ifndef CTL_STEER_H
#define CTL_STEER_H

/* Exit statuses beside EXIT_SUCCESS and EXIT_FAILURE (the daemon says that it was not done). */
enum { STEER_USAGE = 2, STEER_UNREACHABLE = 3 };

/* The command line, with argv[0]. Returns the exit status. */
int steer_command(int argc, char **argv);

extern const char steer_help[];

#endif
