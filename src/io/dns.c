#include "dns.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "address.h"
#include "endpoint.h"
#include "list.h"
#include "log.h"
#include "loop.h"
#include "resolver.h"

/* A name server has so long at first, and twice as long each time that all have been tried. */
#define DNS_TIMEOUT_MS 2000
#define DNS_TRIES      3

/* Once there are addresses of one family. RFC 8305 section 3 has 50 ms; but who is missed here is so for a whole TTL.
 */
#define DNS_OTHER_FAMILY_MS 300

/* Of one answer. More than are kept, as some may be there twice. */
#define DNS_PARSED_MAX 256

struct dns {
    struct loop *loop;
    dns_callback *moved;
    ares_channel channel;        /* NULL: it could not be made */
    uint32_t era;                /* of the resolver, that the channel is of */
    struct ares_options options; /* the channel's: domains to complete a name by, and when */
    struct list sockets, questions;
    struct event timer;
    struct event woken;
    int woken_fd; /* eventfd */
};

/* A socket of c-ares. */
struct dns_socket {
    struct list link;
    struct event event;
    int fd;
};

/* A name that is being asked for. It outlives its answer until c-ares has given all that it was asked back. */
struct question {
    struct list link;
    struct dns *dns;
    char name[RESOLVER_NAME_MAX];
    uint32_t era;
    int next;         /* 0: the hosts file, then all ways to complete the name */
    unsigned pending; /* callbacks of c-ares that are to come */
    bool is_answered; /* nobody waits for the rest */
    bool is_in_doubt; /* a way to complete the name has failed, rather than led nowhere */
    bool is_silent;   /* a name server has not answered */
    struct event hurry;
    struct resolver_answer answer;
    struct resolver_targets targets; /* of a service */
};

static void question_ask(struct question *question);

/* --- questions --- */

/* Not from within a callback of c-ares, which may be called from within a call to it. */
static void dns_free_questions(struct dns *dns)
{
    list_each_safe(link, &dns->questions)
    {
        struct question *question = list_entry(link, struct question, link);
        if (!question->is_answered || question->pending > 0)
            continue;
        evtimer_del(&question->hurry);
        list_remove(&question->link);
        free(question);
    }
}

static bool question_has_found(const struct question *question)
{
    return question->answer.families[RESOLVER_IPV6].finding == RESOLVER_FOUND ||
           question->answer.families[RESOLVER_IPV4].finding == RESOLVER_FOUND;
}

/* Those who wait are told, and whoever follows the name. */
static void question_answer(struct question *question)
{
    evtimer_del(&question->hurry);
    question->is_answered = true;
    const struct dns *dns = question->dns;
    if (resolver_learn(question->name, question->era, &question->answer, loop_now_ms(dns->loop)))
        dns->moved(question->name);
    loop_poke_all();
}

static void question_on_hurry(evutil_socket_t fd, short what, void *arg)
{
    question_answer(arg);
}

/* No way to complete the name has led to an address. */
static void question_give_up(struct question *question)
{
    for (size_t i = 0; i < RESOLVER_FAMILIES; i++)
        question->answer.families[i].finding = question->is_in_doubt ? RESOLVER_FAILED : RESOLVER_NONE;
    question_answer(question);
}

/* All that was asked for one way to complete the name is there. Where nobody answers, nobody will for another. */
static void question_go_on(struct question *question)
{
    if (question_has_found(question)) {
        question_answer(question);
        return;
    }
    for (size_t i = 0; i < RESOLVER_FAMILIES; i++)
        question->is_in_doubt |= question->next > 1 && question->answer.families[i].finding == RESOLVER_FAILED;
    if (question->is_silent)
        question_give_up(question);
    else
        question_ask(question);
}

static void question_hear(struct question *question)
{
    question->pending--;
    if (question->is_answered)
        return;
    if (question->pending == 0)
        question_go_on(question);
    else if (question_has_found(question))
        evtimer_add(&question->hurry, &(struct timeval){ .tv_usec = DNS_OTHER_FAMILY_MS * 1000 });
}

/* --- the hosts file --- */

static void question_take_host(struct question *question, const struct sockaddr *sockaddr)
{
    struct address address;
    address_set(&address, sockaddr);
    struct resolver_family *family =
        &question->answer.families[address.family == AF_INET6 ? RESOLVER_IPV6 : RESOLVER_IPV4];
    family->finding = RESOLVER_FOUND;
    family->ttl_s = RESOLVER_TTL_FOREVER;
    address.port = 0;
    resolver_add(family, &address);
}

static void question_on_hosts(void *arg, int status, int timeouts, struct ares_addrinfo *found)
{
    struct question *question = arg;
    if (status == ARES_SUCCESS && found) {
        for (size_t i = 0; i < RESOLVER_FAMILIES; i++)
            question->answer.families[i].finding = RESOLVER_NONE;
        for (const struct ares_addrinfo_node *node = found->nodes; node; node = node->ai_next)
            question_take_host(question, node->ai_addr);
    }
    if (found)
        ares_freeaddrinfo(found);
    question_hear(question);
}

static void question_ask_hosts(struct question *question)
{
    static const struct ares_addrinfo_hints hints = { .ai_family = AF_UNSPEC, .ai_flags = ARES_AI_NOSORT };
    question->pending = 1;
    ares_getaddrinfo(question->dns->channel, question->name, NULL, &hints, question_on_hosts, question);
}

/* --- name servers --- */

/* Over 2^31 it is an error (RFC 2181 section 8). */
static void family_take(struct resolver_family *family, int address_family, const uint8_t *octets, int ttl_s)
{
    struct address address;
    uint32_t ttl = ttl_s > 0 ? (uint32_t)ttl_s : 0;
    if (family->finding != RESOLVER_FOUND || ttl < family->ttl_s)
        family->ttl_s = ttl;
    family->finding = RESOLVER_FOUND;
    address_set_raw(&address, address_family, octets, 0);
    resolver_add(family, &address);
}

static bool family_parse_ipv4(struct resolver_family *family, const uint8_t *at, int len)
{
    struct ares_addrttl found[DNS_PARSED_MAX];
    int count = DNS_PARSED_MAX;
    int status = ares_parse_a_reply(at, len, NULL, found, &count);
    if (status != ARES_SUCCESS && status != ARES_ENODATA)
        return false;
    for (int i = 0; i < count; i++)
        family_take(family, AF_INET, (const uint8_t *)&found[i].ipaddr, found[i].ttl);
    family->has_more |= count == DNS_PARSED_MAX;
    return true;
}

static bool family_parse_ipv6(struct resolver_family *family, const uint8_t *at, int len)
{
    struct ares_addr6ttl found[DNS_PARSED_MAX];
    int count = DNS_PARSED_MAX;
    int status = ares_parse_aaaa_reply(at, len, NULL, found, &count);
    if (status != ARES_SUCCESS && status != ARES_ENODATA)
        return false;
    for (int i = 0; i < count; i++)
        family_take(family, AF_INET6, (const uint8_t *)&found[i].ip6addr, found[i].ttl);
    family->has_more |= count == DNS_PARSED_MAX;
    return true;
}

/* c-ares gives an answer whose code it does not know as a success. */
static bool dns_is_success(int status, const uint8_t *at, int len)
{
    return status == ARES_SUCCESS && len >= NS_HFIXEDSZ && (at[3] & 15) == ns_r_noerror;
}

static bool dns_is_denial(int status)
{
    return status == ARES_ENODATA || status == ARES_ENOTFOUND || status == ARES_EBADNAME;
}

static void question_hear_family(struct question *question, size_t index, int status, const uint8_t *at, int len)
{
    struct resolver_family *family = &question->answer.families[index];
    if (dns_is_success(status, at, len) &&
        (index == RESOLVER_IPV6 ? family_parse_ipv6(family, at, len) : family_parse_ipv4(family, at, len)))
        family->finding = family->count > 0 ? RESOLVER_FOUND : RESOLVER_NONE;
    else if (dns_is_denial(status))
        family->finding = RESOLVER_NONE;
    question->is_silent |= status == ARES_ETIMEOUT;
    if (family->finding == RESOLVER_FAILED)
        question->answer.why = status == ARES_SUCCESS ? ares_strerror(ARES_EBADRESP) : ares_strerror(status);
    question_hear(question);
}

static void question_on_ipv6(void *arg, int status, int timeouts, unsigned char *at, int len)
{
    question_hear_family(arg, RESOLVER_IPV6, status, at, len);
}

static void question_on_ipv4(void *arg, int status, int timeouts, unsigned char *at, int len)
{
    question_hear_family(arg, RESOLVER_IPV4, status, at, len);
}

static void question_ask_servers(struct question *question, const char *name)
{
    ares_channel channel = question->dns->channel;
    for (size_t i = 0; i < RESOLVER_FAMILIES; i++)
        question->answer.families[i] = (struct resolver_family){ .finding = RESOLVER_FAILED };
    question->pending = 2;
    ares_query(channel, name, ns_c_in, ns_t_aaaa, question_on_ipv6, question);
    ares_query(channel, name, ns_c_in, ns_t_a, question_on_ipv4, question);
}

/* The ways to complete a name, by number. False: there are no more. */
static bool question_complete(const struct question *question, int number, char ret_name[2 * RESOLVER_NAME_MAX])
{
    const struct dns *dns = question->dns;
    const char *name = question->name;
    int dots = 0;
    for (const char *at = name; *at; at++)
        dots += *at == '.';
    bool is_whole = *name && name[strlen(name) - 1] == '.', is_first = is_whole || dots >= dns->options.ndots;
    int count = is_whole ? 0 : dns->options.ndomains;
    if (number > count)
        return false;
    int domain = is_first ? number - 1 : number;
    bool is_itself = is_first ? number == 0 : number == count;
    /* What is cut is still too long for any name to be asked for. */
    snprintf(ret_name, 2 * RESOLVER_NAME_MAX, "%s%s%s", name, is_itself ? "" : ".",
             is_itself ? "" : dns->options.domains[domain]);
    return true;
}

/* --- services --- */

static uint16_t dns_read_16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

/* RFC 2782: a target of "." says that the service is not offered. */
static bool targets_take(struct resolver_targets *targets, const ns_msg *message, const ns_rr *record)
{
    enum { PRIORITY = 0, WEIGHT = 2, PORT = 4, TARGET = 6 };
    struct resolver_target target = { 0 };
    const uint8_t *data = ns_rr_rdata(*record);
    uint32_t ttl_s = ns_rr_ttl(*record) > INT32_MAX ? 0 : ns_rr_ttl(*record); /* RFC 2181 section 8 */
    if (ns_rr_rdlen(*record) <= TARGET ||
        dn_expand(ns_msg_base(*message), ns_msg_end(*message), data + TARGET, target.host, sizeof target.host) < 0)
        return false;
    target.priority = dns_read_16(data + PRIORITY);
    target.weight = dns_read_16(data + WEIGHT);
    target.port = dns_read_16(data + PORT);
    if (targets->finding != RESOLVER_FOUND || ttl_s < targets->ttl_s)
        targets->ttl_s = ttl_s;
    targets->finding = RESOLVER_FOUND;
    if (target.host[0] != '\0' && target.port != 0 && endpoint_is_host_name(target.host))
        resolver_add_target(targets, &target);
    return true;
}

static bool targets_parse(struct resolver_targets *targets, const uint8_t *at, int len)
{
    ns_msg message;
    ns_rr record;
    if (ns_initparse(at, len, &message) < 0)
        return false;
    for (int i = 0; i < ns_msg_count(message, ns_s_an); i++) {
        if (ns_parserr(&message, ns_s_an, i, &record) < 0)
            return false;
        if (ns_rr_type(record) == ns_t_srv && !targets_take(targets, &message, &record))
            return false;
    }
    return true;
}

static void question_on_service(void *arg, int status, int timeouts, unsigned char *at, int len)
{
    struct question *question = arg;
    struct resolver_targets *targets = &question->targets;
    question->pending--;
    if (question->is_answered)
        return;
    bool is_read = dns_is_success(status, at, len) && targets_parse(targets, at, len);
    if (is_read && targets->count > 0) {
        targets->finding = RESOLVER_FOUND;
    } else if (is_read || dns_is_denial(status)) {
        targets->finding = RESOLVER_NONE;
        question->answer.why = is_read ? "the service is not offered there" : "the service does not exist";
    } else {
        *targets = (struct resolver_targets){ .finding = RESOLVER_FAILED };
        question->answer.why = ares_strerror(status == ARES_SUCCESS ? ARES_EBADRESP : status);
    }
    question_answer(question);
}

static void question_ask_service(struct question *question)
{
    for (size_t i = 0; i < RESOLVER_FAMILIES; i++)
        question->answer.families[i].finding = RESOLVER_NONE;
    question->answer.targets = &question->targets;
    question->pending = 1;
    ares_query(question->dns->channel, question->name + strlen(RESOLVER_SERVICE), ns_c_in, ns_t_srv,
               question_on_service, question);
}

static void question_ask(struct question *question)
{
    char name[2 * RESOLVER_NAME_MAX];
    int number = question->next++;
    if (strncmp(question->name, RESOLVER_SERVICE, strlen(RESOLVER_SERVICE)) == 0)
        question_ask_service(question);
    else if (number == 0)
        question_ask_hosts(question);
    else if (strcmp(question->name, "localhost") != 0 && question_complete(question, number - 1, name))
        question_ask_servers(question, name);
    else
        question_give_up(question);
}

static struct question *question_new(struct dns *dns, const char *name, uint32_t era)
{
    struct question *question = calloc(1, sizeof *question);
    if (!question)
        return NULL;
    question->dns = dns;
    question->era = era;
    question->answer.why = "the name has no address";
    memcpy(question->name, name, strlen(name) + 1);
    evtimer_assign(&question->hurry, dns->loop->base, question_on_hurry, question);
    list_init(&question->link);
    list_move(&question->link, &dns->questions);
    return question;
}

/* --- c-ares on the loop --- */

/* c-ares counts its time down to whole milliseconds: one more, lest it be asked for nothing. */
static void dns_arm(struct dns *dns)
{
    struct timeval after;
    if (!dns->channel || !ares_timeout(dns->channel, NULL, &after)) {
        evtimer_del(&dns->timer);
        return;
    }
    evutil_timeradd(&after, (&(struct timeval){ .tv_usec = 1000 }), &after);
    evtimer_add(&dns->timer, &after);
}

static void dns_on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct dns *dns = arg;
    ares_process_fd(dns->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    dns_free_questions(dns);
    dns_arm(dns);
}

static void dns_on_socket(evutil_socket_t fd, short what, void *arg)
{
    struct dns *dns = arg; /* not the socket, which may end on the way */
    ares_process_fd(dns->channel, what & EV_READ ? fd : ARES_SOCKET_BAD, what & EV_WRITE ? fd : ARES_SOCKET_BAD);
    dns_free_questions(dns);
    dns_arm(dns);
}

static struct dns_socket *dns_find_socket(struct dns *dns, int fd)
{
    list_each_safe(link, &dns->sockets)
    {
        struct dns_socket *socket = list_entry(link, struct dns_socket, link);
        if (socket->fd == fd)
            return socket;
    }
    return NULL;
}

static void dns_end_socket(struct dns_socket *socket)
{
    event_del(&socket->event);
    list_remove(&socket->link);
    free(socket);
}

/* What c-ares wants of a socket of its own; nothing: it is about to be closed. Without memory to watch it the question
 * times out. */
static void dns_on_wish(void *arg, int fd, int wants_read, int wants_write)
{
    struct dns *dns = arg;
    struct dns_socket *socket = dns_find_socket(dns, fd);
    short events = (short)((wants_read ? EV_READ : 0) | (wants_write ? EV_WRITE : 0) | EV_PERSIST);
    if (socket)
        dns_end_socket(socket);
    if (!wants_read && !wants_write)
        return;
    socket = calloc(1, sizeof *socket);
    if (!socket)
        return;
    socket->fd = fd;
    list_init(&socket->link);
    list_move(&socket->link, &dns->sockets);
    event_assign(&socket->event, dns->loop->base, fd, events, dns_on_socket, dns);
    event_add(&socket->event, NULL);
}

/* Questions that are under way hear of it as of a failure, which the resolver does not heed: they are of an older era.
 */
static void dns_close(struct dns *dns)
{
    list_each_safe(link, &dns->questions) list_entry(link, struct question, link)->is_answered = true;
    if (dns->channel)
        ares_destroy(dns->channel);
    dns->channel = NULL;
    dns_free_questions(dns);
    ares_destroy_options(&dns->options);
    memset(&dns->options, 0, sizeof dns->options);
}

/* With the name servers as they are now. */
static void dns_open(struct dns *dns)
{
    struct ares_options options = {
        .timeout = DNS_TIMEOUT_MS,
        .tries = DNS_TRIES,
        .lookups = (char[]){ "f" }, /* ares_query() asks name servers all the same */
        .sock_state_cb = dns_on_wish,
        .sock_state_cb_data = dns,
    };
    int mask;
    int status = ares_init_options(&dns->channel, &options,
                                   ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB);
    if (status != ARES_SUCCESS) {
        log_error("resolver: %s", ares_strerror(status));
        dns->channel = NULL;
        return;
    }
    /* c-ares does not give what it finds odd, such as ndots below 0: names are asked for as they are then. */
    if (ares_save_options(dns->channel, &dns->options, &mask) != ARES_SUCCESS) {
        ares_destroy_options(&dns->options);
        memset(&dns->options, 0, sizeof dns->options);
    }
}

static void dns_ask(struct dns *dns, const char *name, uint32_t era)
{
    static const struct resolver_answer failure = { .why = "out of memory" };
    struct question *question = dns->channel ? question_new(dns, name, era) : NULL;
    if (question) {
        question_ask(question);
        return;
    }
    resolver_learn(name, era, &failure, loop_now_ms(dns->loop));
    loop_poke_all();
}

static void dns_look(struct dns *dns)
{
    char name[RESOLVER_NAME_MAX];
    /* Before the files are read: what changes from here on is noticed. */
    resolver_watch(loop_now_ms(dns->loop));
    uint32_t era = resolver_era();
    if (era != dns->era || !dns->channel) {
        dns_close(dns);
        dns_open(dns);
        dns->era = era;
    }
    while (resolver_take_wanted(era, name))
        dns_ask(dns, name, era);
    dns_free_questions(dns);
    dns_arm(dns);
}

static void dns_on_woken(evutil_socket_t fd, short what, void *arg)
{
    struct dns *dns = arg;
    uint64_t count;
    while (read(dns->woken_fd, &count, sizeof count) > 0)
        ;
    dns_look(dns);
}

static void dns_wake(void *arg)
{
    const struct dns *dns = arg;
    uint64_t one = 1;
    if (write(dns->woken_fd, &one, sizeof one) < 0)
        log_error("eventfd: %s", strerror(errno));
}

/* --- life --- */

struct dns *dns_new(struct loop *loop, dns_callback *moved)
{
    struct dns *dns = calloc(1, sizeof *dns);
    if (!dns)
        return NULL;
    ares_library_init(ARES_LIB_INIT_ALL);
    dns->loop = loop;
    dns->moved = moved;
    list_init(&dns->sockets);
    list_init(&dns->questions);
    dns->woken_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    evtimer_assign(&dns->timer, loop->base, dns_on_timer, dns);
    event_assign(&dns->woken, loop->base, dns->woken_fd, EV_READ | EV_PERSIST, dns_on_woken, dns);
    if (dns->woken_fd < 0 || event_add(&dns->woken, NULL) < 0) {
        dns_free(dns);
        return NULL;
    }
    resolver_set_asker(dns_wake, dns);
    dns_wake(dns); /* for what is wanted already */
    return dns;
}

void dns_free(struct dns *dns)
{
    if (!dns)
        return;
    resolver_set_asker(NULL, NULL);
    dns_close(dns);
    evtimer_del(&dns->timer);
    if (dns->woken_fd >= 0) {
        event_del(&dns->woken);
        close(dns->woken_fd);
    }
    ares_library_cleanup();
    free(dns);
}
