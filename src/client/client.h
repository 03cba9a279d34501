/* client: a client's connection, from accept to close: its states, what it may be told, and its end. dispatch.h decides
 * what happens when.
 *
 *   PROXYING -> SECURING -> GREETING -> NOT_AUTHENTICATED -> LOGGING_IN -> AUTHENTICATED -> CLOSING -> DEAD
 *                  ^                       |  ^                 |               |
 *                  '------(STARTTLS)-------'  '----(refused)----'               |
 *                                             '-------------(UNAUTHENTICATE)----'
 *   PROXYING: only where accept_proxy is set. SECURING: only where there is TLS. GREETING waits for the end of a round
 * of the prelude. Any of these -> CLOSING (the last octets leave), -> DEAD (at once). */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include <imapstate/frame.h>

#include "address.h"
#include "choice.h"
#include "clientcounters.h"
#include "down.h"
#include "list.h"
#include "logline.h"
#include "logmark.h"
#include "loop.h"
#include "peers.h"
#include "pipeline.h"
#include "request.h"
#include "routehttp.h"
#include "routing.h"
#include "service.h"
#include "serving.h"
#include "session.h"
#include "stream.h"
#include "timer.h"
#include "upstream.h"
#include "views.h"

enum client_state {
    CLIENT_PROXYING,
    CLIENT_SECURING,
    CLIENT_GREETING,
    CLIENT_NOT_AUTHENTICATED,
    CLIENT_LOGGING_IN,
    CLIENT_AUTHENTICATED,
    CLIENT_CLOSING,
    CLIENT_DEAD,
    CLIENT_STATE_MAX,
};

/* All clients of one loop. */
struct clients {
    struct loop *loop;                      /* borrowed */
    struct upstreams *upstreams;            /* borrowed: those of the same loop */
    struct service *service;                /* counted; what new clients begin with */
    struct revocations *revocations;        /* counted; they are of service, and concern all clients */
    struct list by_state[CLIENT_STATE_MAX]; /* each in the order in which the state was entered */
    struct views views;                     /* what they were shown of capability lists */
    upstream_callback *on_upstream;         /* told of everything that happens to their upstreams */
    struct routehttp routehttp;
    /* Told where a login is to go, if somebody had to be asked. */
    void (*on_routed)(struct client *client, enum routing_result result);
    uint64_t refusal_ms; /* how long a routed login took that an upstream has refused, the last time */
    uint64_t asking_ms;  /* how long it took route_http to answer, the last time */
    unsigned silent;     /* atomic: how many have not begun to log in */
    struct client_counters counters;
};

struct client {
    struct list link; /* in clients->by_state[state] */
    struct grave grave;
    struct clients *clients;                /* borrowed */
    struct service *service;                /* counted: the one that the connection began with */
    const struct config_listener *listener; /* of service */
    const struct config_upstream *home;     /* of service: where its user's mail is. NULL: nobody knows yet */
    struct listener_counters *row;          /* of clients->counters: the listener's */
    struct stream stream;
    struct imapstate_frame frame;
    struct request request;
    struct pipeline pipeline;
    struct flight *sending; /* borrowed from pipeline: the command that is on its way down; NULL BETWEEN commands */
    struct session session;
    struct login *login;             /* owned: while LOGGING_IN */
    struct credentials *credentials; /* owned: from the login until they are no longer needed; else NULL */
    struct admission *admission;     /* owned: while the upstream is being asked to accept the credentials */
    struct imapstate_buf told;       /* alerts that the client has been told since the credentials came */
    struct restore *restore;         /* owned: while a STATE is under way */
    struct upstream *upstream;       /* owned; NULL before it is chosen, or while another one is being made */
    struct upstream *resting;        /* borrowed: it is being made ready to be parked, and LOGOUT waits for that */
    struct choice choice;
    struct serving serving;
    struct id *id; /* owned: its last ID, for the upstream; NULL: it has sent none */
    struct timer timer;
    struct address peer, local; /* as given by the PROXY header, or by the ID of a trusted client */
    struct peers_place place;   /* as peers_add() knows it */
    uint32_t unauthenticated_octets;
    uint32_t round; /* GREETING: the round of the prelude whose end it waits for */
    struct logmark mark;
    uint64_t began_at_ms, active_at_ms;
    uint16_t login_failures;
    uint8_t state;    /* enum client_state; client_enter() alone writes it */
    uint8_t down;     /* enum down; down_enter() alone writes it */
    bool is_in_turn;  /* dispatch.c: an event is being handled */
    bool is_unlogged; /* one of too many refusals: no line is logged when it ends */
    uint8_t language; /* the number (catalogue.h) of the language of all human text that the client gets from us */
    uint8_t ending;   /* enum client_ending: why it ends, once that is known */
    char *detail;     /* owned: more of the reason, for the log; or NULL */
};

/* Does a connection from there count as a newcomer before it begins to log in? Not if the listener trusts the host,
 * which speaks for many. */
bool client_may_be_newcomer(const struct config_listener *listener, const struct address *peer);

bool client_is_newcomer(const struct client *client, const struct address *peer);

/* May the gateway send the client a line of its own now? Not within a response of the upstream's that has passed in
 * part. */
bool client_may_speak(const struct client *client);

/* Human text in the client's language; msgid is marked N_(). Static, or msgid. */
const char *client_text(const struct client *client, const char *msgid) __attribute__((format_arg(2)));

/* A status response: "TAG answer" or, with tag NULL, "* answer". answer is status, SP, a response code and SP if there
 * is one, and text, which is translated: "NO [LIMIT] " N_("State is too large to be saved."). The caller has checked
 * client_may_speak(). */
void client_say(struct client *client, const struct imapstate_span *tag, const char *answer);

/* "* CAPABILITY" with the names that this client sees. */
void client_say_offers(struct client *client, const struct offers *shown);

/* Is nothing under way: no command in flight or on its way, no response passing, no login and no restore? */
bool client_is_at_rest(const struct client *client);

/* The same, except that an IDLE may be under way that has had its "+" and has not been sent DONE. */
bool client_is_idling(const struct client *client);

/* Untagged BYE, if it can be sent, and the end. bye is an answer as above. The first reason counts. */
void client_end(struct client *client, enum client_ending reason, const char *bye);

/* The end, after everything that was written has left. It is carried out when this turn is over (dispatch.h), so that
 * nobody up the stack holds anything that it frees. */
void client_close(struct client *client, enum client_ending reason);

/* Is it ending? Then nothing more is done for it or read from it. */
bool client_is_ending(const struct client *client);

/* What the upstream says makes no sense: the session ends, and the connection is never parked. */
void client_distrust_upstream(struct client *client, const char *detail);

/* More of the reason, for the log line at the end; cut to what fits. Never a secret. */
void client_set_detail(struct client *client, const char *detail);

/* A log line about this client begins with who it is. False: at this level none is wanted. */
bool client_begin_line(const struct client *client, enum log_level level, struct logline *line);

/* One that is only words. */
void client_log(const struct client *client, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Enters PROXYING; all zero before. It was accepted on listener, of clients->service, and counted by peers_add().
 * dispatch.c starts its stream and its timer. */
void client_init(struct client *client, struct clients *clients, const struct config_listener *listener,
                 const struct peers_place *place, const struct address *local);

/* What its home is called; "-" before that is known. It lives as long as the client's service. */
const char *client_home_name(const struct client *client);

/* Milliseconds on its loop's clock. */
static inline uint64_t client_now_ms(const struct client *client)
{
    return loop_now_ms(client->clients->loop);
}

/* The one mover of the state. */
void client_enter(struct client *client, enum client_state next);

/* Credentials of a mechanism, or of LOGIN (NULL), are coming. False if out of memory. */
bool client_take_credentials(struct client *client, const struct sasl_mechanism *mechanism);
void client_forget_credentials(struct client *client); /* wipes; does nothing if there are none */

/* Tells the client those alerts that it has not been told since its login began: each reaches a session once, wherever
 * it is known from. */
void client_tell_alerts(struct client *client, struct imapstate_span alerts);

/* The same for a line of the upstream's that may be one, tagged or not. */
void client_hear_alert(struct client *client, struct imapstate_span line);

/* May credentials and tokens pass on this connection, as far as the listener is concerned? (P1) */
bool client_may_carry_secrets(const struct client *client);

/* The mechanisms that the listener offers and that can lead to an upstream of its; a set of SASL_BIT(). */
uint32_t client_mechanisms(const struct client *client);

/* What this client sees of an upstream's list. */
struct capability_view client_view(const struct client *client, bool is_before_login);

/* What the upstream offers, as far as is known: before login, according to its list before login. */
struct capabilities client_offers(const struct client *client);

/* Does the gateway answer LANGUAGE? If the upstream has it, the upstream does. */
bool client_has_language(const struct client *client);

/* After login it has turned out what the upstream offers: if it has LANGUAGE, both begin in the default. */
void client_heed_offers(struct client *client);

/* Is the upstream's text to be put into the client's language? */
bool client_is_translated(const struct client *client);

/* What this client sees of a list of the upstream's after login; and of its list before login, as far as that is known.
 * Counted. NULL if out of memory, or if it is too long. */
struct offers *client_show(const struct client *client, struct offers *offers);
struct offers *client_show_before_login(const struct client *client);

/* Whose session it is, or is to be, has become known, or other users' debug lines are wanted now: are this one's? */
void client_mark_user(struct client *client);

/* The owner of an upstream that is opened or woken for this client. */
struct upstream_owner client_as_owner(struct client *client);

#endif
