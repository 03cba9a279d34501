/* fitness: what the first lines on a connection that was parked show about it. Until then another one may take its
 * place (choice.h). */
#ifndef CLIENT_FITNESS_H
#define CLIENT_FITNESS_H

struct client;
struct upstream;

enum fitness {
    FITNESS_MORE,    /* what has come so far may become any of the others */
    FITNESS_OWN,     /* a line about what was said ahead: it says nothing about the session's commands */
    FITNESS_FIT,     /* the connection works for the session */
    FITNESS_EXPIRED, /* BYE, and another connection may take its place */
    FITNESS_UNFIT,   /* an answer that no working connection gives, and another one is to take its place */
};

/* Looks at the line that begins the upstream's input, which is not empty. */
enum fitness fitness_read(struct client *client, const struct upstream *upstream);

#endif
