#include "room.h"

#include <pthread.h>

#include "clients.h"
#include "loop.h"
#include "peers.h"

/* Who may be asked. */
static pthread_mutex_t rooms_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list rooms = { &rooms, &rooms };

/* How many more than max_clients there can be for a moment. */
#define ROOM_OWED_MAX 64u
static unsigned owed_in_all; /* atomic: the sum of what all owe */

unsigned room_owed_in_all(void)
{
    return __atomic_load_n(&owed_in_all, __ATOMIC_RELAXED);
}

static unsigned room_to_spare(const struct room *room)
{
    unsigned silent = __atomic_load_n(&room->clients->silent, __ATOMIC_RELAXED);
    unsigned owed = __atomic_load_n(&room->owed, __ATOMIC_RELAXED);
    return silent > owed ? silent - owed : 0;
}

bool room_ask(struct room *room)
{
    struct room *richest = room;
    unsigned own = room_to_spare(room), most = own;
    pthread_mutex_lock(&rooms_lock);
    for (struct list *link = rooms.next; link != &rooms; link = link->next) {
        struct room *other = list_entry(link, struct room, link);
        if (room_to_spare(other) > most) {
            richest = other;
            most = room_to_spare(other);
        }
    }
    /* Not for a small difference: its own clients give way at once. */
    bool is_asked = richest != room && most / 2 >= own && room_owed_in_all() < ROOM_OWED_MAX;
    if (is_asked) {
        __atomic_add_fetch(&owed_in_all, 1, __ATOMIC_RELAXED);
        __atomic_add_fetch(&richest->owed, 1, __ATOMIC_RELAXED);
        loop_poke(richest->clients->loop);
    }
    pthread_mutex_unlock(&rooms_lock);
    return is_asked;
}

void room_pay(struct room *room)
{
    while (__atomic_load_n(&room->owed, __ATOMIC_RELAXED) > 0) {
        /* One that has left by itself has made room. */
        if (peers_count() > room->clients->service->config->max_clients)
            clients_make_room(room->clients);
        __atomic_sub_fetch(&room->owed, 1, __ATOMIC_RELAXED);
        __atomic_sub_fetch(&owed_in_all, 1, __ATOMIC_RELAXED);
    }
}

void room_init(struct room *room, struct clients *clients)
{
    *room = (struct room){ .clients = clients };
    list_init(&room->link);
}

void room_open(struct room *room)
{
    pthread_mutex_lock(&rooms_lock);
    list_move(&room->link, &rooms);
    pthread_mutex_unlock(&rooms_lock);
}

void room_done(struct room *room)
{
    pthread_mutex_lock(&rooms_lock);
    list_remove(&room->link);
    pthread_mutex_unlock(&rooms_lock);
}
