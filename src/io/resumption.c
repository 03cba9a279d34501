#include "resumption.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "list.h"

struct kept_session {
    struct list link; /* the oldest first */
    SSL_SESSION *session;
    char peer[];
};

struct resumption {
    pthread_mutex_t mutex;
    struct list sessions;
    size_t count;
};

static int resumption_index, peer_index; /* of a context's sessions, and of a connection's peer */
static pthread_once_t resumption_once = PTHREAD_ONCE_INIT;

/* --- kept --- */

static void resumption_drop(struct resumption *resumption, struct kept_session *kept)
{
    list_remove(&kept->link);
    resumption->count--;
    SSL_SESSION_free(kept->session);
    free(kept);
}

static void resumption_free(struct resumption *resumption)
{
    list_each_safe(at, &resumption->sessions) resumption_drop(resumption, list_entry(at, struct kept_session, link));
    pthread_mutex_destroy(&resumption->mutex);
    free(resumption);
}

/* The oldest one of a peer that has as many as it may have, else the oldest of all. */
static void resumption_make_room(struct resumption *resumption, const char *peer)
{
    struct kept_session *oldest = NULL;
    unsigned of_peer = 0;
    list_each_safe(at, &resumption->sessions)
    {
        struct kept_session *kept = list_entry(at, struct kept_session, link);
        bool is_of_peer = strcmp(kept->peer, peer) == 0;
        if (is_of_peer && of_peer++ == 0)
            oldest = kept;
    }
    if (of_peer >= RESUMPTION_PEER_MAX)
        resumption_drop(resumption, oldest);
    else if (resumption->count >= RESUMPTION_MAX)
        resumption_drop(resumption, list_entry(resumption->sessions.next, struct kept_session, link));
}

/* A copy, as OpenSSL never resumes a session again whose connection has ended without close_notify: that is common, and
 * says nothing about the session (RFC 5246 section 7.2.1). Without memory there is none. */
static void resumption_keep(struct resumption *resumption, SSL_SESSION *session, const char *peer)
{
    size_t size = strlen(peer) + 1;
    struct kept_session *kept = malloc(sizeof *kept + size);
    SSL_SESSION *copy = kept ? SSL_SESSION_dup(session) : NULL;
    if (!copy) {
        free(kept);
        return;
    }
    kept->session = copy;
    memcpy(kept->peer, peer, size);
    list_init(&kept->link);
    pthread_mutex_lock(&resumption->mutex);
    resumption_make_room(resumption, peer);
    list_move(&kept->link, &resumption->sessions);
    resumption->count++;
    pthread_mutex_unlock(&resumption->mutex);
}

static bool session_is_old(const SSL_SESSION *session, time_t now)
{
    time_t made = (time_t)SSL_SESSION_get_time(session);
    return now < made || now - made > (time_t)RESUMPTION_AGE_MAX_S || now - made > SSL_SESSION_get_timeout(session);
}

/* The newest, as a server may have forgotten the key of an older one; the caller's. NULL: none. */
static SSL_SESSION *resumption_take(struct resumption *resumption, const char *peer, time_t now)
{
    SSL_SESSION *session = NULL;
    pthread_mutex_lock(&resumption->mutex);
    list_each_safe(at, &resumption->sessions)
    {
        struct kept_session *kept = list_entry(at, struct kept_session, link);
        if (session_is_old(kept->session, now)) {
            resumption_drop(resumption, kept);
        } else if (strcmp(kept->peer, peer) == 0) {
            SSL_SESSION_free(session);
            session = kept->session;
            SSL_SESSION_up_ref(session);
        }
    }
    list_each_safe(at, &resumption->sessions)
    {
        struct kept_session *kept = list_entry(at, struct kept_session, link);
        if (kept->session == session)
            resumption_drop(resumption, kept);
    }
    pthread_mutex_unlock(&resumption->mutex);
    return session;
}

/* --- OpenSSL --- */

static void resumption_on_free(void *parent, void *ptr, CRYPTO_EX_DATA *data, int index, long argl, void *argp)
{
    if (ptr)
        resumption_free(ptr);
}

static void peer_on_free(void *parent, void *ptr, CRYPTO_EX_DATA *data, int index, long argl, void *argp)
{
    free(ptr);
}

static void resumption_make_indices(void)
{
    resumption_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, resumption_on_free);
    peer_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, peer_on_free);
}

static struct resumption *resumption_of(const SSL *ssl)
{
    return SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), resumption_index);
}

static void resumption_learn(SSL *ssl, SSL_SESSION *session)
{
    const char *peer = SSL_get_ex_data(ssl, peer_index);
    if (peer && SSL_SESSION_is_resumable(session))
        resumption_keep(resumption_of(ssl), session, peer);
}

static int resumption_on_session(SSL *ssl, SSL_SESSION *session)
{
    resumption_learn(ssl, session);
    return 0; /* the session itself was not taken */
}

bool resumption_begin(SSL_CTX *context)
{
    pthread_once(&resumption_once, resumption_make_indices);
    struct resumption *resumption = calloc(1, sizeof *resumption);
    if (!resumption)
        return false;
    pthread_mutex_init(&resumption->mutex, NULL);
    list_init(&resumption->sessions);
    if (SSL_CTX_set_ex_data(context, resumption_index, resumption) != 1) {
        resumption_free(resumption);
        return false;
    }
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, resumption_on_session);
    return true;
}

bool resumption_offer(SSL *ssl, const char *peer)
{
    char *copy = strdup(peer);
    if (!copy || SSL_set_ex_data(ssl, peer_index, copy) != 1) {
        free(copy);
        return false;
    }
    SSL_SESSION *session = resumption_take(resumption_of(ssl), peer, time(NULL));
    bool is_set = !session || SSL_set_session(ssl, session) == 1;
    SSL_SESSION_free(session);
    return is_set;
}

void resumption_settle(SSL *ssl)
{
    if (SSL_session_reused(ssl) && SSL_version(ssl) < TLS1_3_VERSION)
        resumption_learn(ssl, SSL_get_session(ssl));
}
