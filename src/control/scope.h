/* scope: what commands look at and act on. Borrowed, all of it. */
#ifndef CONTROL_SCOPE_H
#define CONTROL_SCOPE_H

struct control_actions;
struct inquiries;
struct loop;

struct scope {
    struct loop *loop; /* the main thread's */
    struct inquiries *inquiries;
    const struct control_actions *actions;
};

#endif
