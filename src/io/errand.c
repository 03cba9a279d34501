#include "errand.h"

void errands_init(struct errands *errands)
{
    pthread_mutex_init(&errands->lock, NULL);
    list_init(&errands->waiting);
    errands->is_over = false;
}

void errands_done(struct errands *errands)
{
    pthread_mutex_destroy(&errands->lock);
}

bool errands_add(struct errands *errands, struct errand *errand)
{
    list_init(&errand->link);
    pthread_mutex_lock(&errands->lock);
    bool is_over = errands->is_over;
    if (!is_over)
        list_move(&errand->link, &errands->waiting);
    pthread_mutex_unlock(&errands->lock);
    return !is_over;
}

/* They are run without the lock, as they may send others. */
static void errands_take(struct errands *errands, bool is_over, struct list *ret_taken)
{
    list_init(ret_taken);
    pthread_mutex_lock(&errands->lock);
    list_move_before(ret_taken, &errands->waiting);
    list_remove(&errands->waiting);
    errands->is_over = errands->is_over || is_over;
    pthread_mutex_unlock(&errands->lock);
}

static void errands_run_taken(struct list *taken, struct loop *loop)
{
    while (!list_is_empty(taken)) {
        struct errand *errand = list_entry(taken->next, struct errand, link);
        list_remove(&errand->link);
        errand->run(errand, loop);
    }
}

void errands_run(struct errands *errands, struct loop *loop)
{
    struct list taken;
    errands_take(errands, false, &taken);
    errands_run_taken(&taken, loop);
}

void errands_close(struct errands *errands)
{
    struct list taken;
    errands_take(errands, true, &taken);
    errands_run_taken(&taken, NULL);
}
