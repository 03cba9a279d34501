/* top: a screen of what goes on in the daemon, which refreshes until q or Ctrl-C is pressed. It needs no more than a
 * terminal that knows the usual escape sequences. */
#ifndef CTL_TOP_H
#define CTL_TOP_H

/* path: of the control socket. Returns the exit status. */
int top_command(const char *path);

#endif
