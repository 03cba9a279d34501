/* One visit of Camel's (scripts.py), the IMAP library of Evolution. Its cache is in the home folder. */
#include <camel/camel.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static GError *error; /* of whatever is under way; check() ends the visit if there is one */
static json_t *task;

static void check(const char *what)
{
    if (!error)
        return;
    fprintf(stderr, "%s: %s\n", what, error->message);
    exit(1);
}

static const char *place(const char *name)
{
    return json_string_value(json_object_get(json_object_get(task, "place"), name));
}

/* The part's message in this visit: "read-1". Owned by the caller. */
static char *subject_of(const char *part)
{
    return g_strdup_printf("%s-%" JSON_INTEGER_FORMAT, part, json_integer_value(json_object_get(task, "number")));
}

/* A session as Evolution's own: it knows the password, and asks its user about the certificate, which its user trusts.
 */
typedef CamelSession Session;
typedef CamelSessionClass SessionClass;
G_DEFINE_TYPE(Session, session, CAMEL_TYPE_SESSION)

static CamelCertTrust session_trust_prompt(CamelSession *session, CamelService *service, GTlsCertificate *certificate,
                                           GTlsCertificateFlags faults)
{
    (void)session, (void)service, (void)certificate, (void)faults;
    return CAMEL_CERT_TRUST_TEMPORARY;
}

static gboolean session_authenticate(CamelSession *session, CamelService *service, const char *mechanism,
                                     GCancellable *cancellable, GError **ret_error)
{
    (void)session;
    camel_service_set_password(service, place("password"));
    return camel_service_authenticate_sync(service, mechanism, cancellable, ret_error) == CAMEL_AUTHENTICATION_ACCEPTED;
}

static void session_class_init(SessionClass *class)
{
    class->trust_prompt = session_trust_prompt;
    class->authenticate_sync = session_authenticate;
}

static void session_init(Session *session)
{
    (void)session;
}

static CamelStore *store_new(CamelSession *session)
{
    bool starttls = json_is_true(json_object_get(json_object_get(task, "place"), "starttls"));
    CamelService *service = camel_session_add_service(session, "there", "imapx", CAMEL_PROVIDER_STORE, &error);
    CamelSettings *settings;

    check("no provider");
    settings = camel_service_ref_settings(service);
    g_object_set(settings, "host", place("host"), "user", place("user"), "auth-mechanism", "PLAIN", "port",
                 (guint)json_integer_value(json_object_get(json_object_get(task, "place"), "port")), "security-method",
                 starttls ? CAMEL_NETWORK_SECURITY_METHOD_STARTTLS_ON_STANDARD_PORT
                          : CAMEL_NETWORK_SECURITY_METHOD_SSL_ON_ALTERNATE_PORT,
                 "use-qresync", json_is_true(json_object_get(task, "has_cache")), NULL);
    g_object_unref(settings);
    return CAMEL_STORE(service);
}

static void add_mailboxes(json_t *mailboxes, const CamelFolderInfo *info)
{
    for (; info; info = info->next) {
        if (!(info->flags & CAMEL_FOLDER_VIRTUAL))
            json_array_append_new(mailboxes, json_string(info->full_name));
        add_mailboxes(mailboxes, info->child);
    }
}

static json_t *list(CamelStore *store)
{
    json_t *mailboxes = json_array();
    CamelFolderInfo *info =
        camel_store_get_folder_info_sync(store, NULL, CAMEL_STORE_FOLDER_INFO_RECURSIVE, NULL, &error);

    check("no list of mailboxes");
    add_mailboxes(mailboxes, info);
    camel_folder_info_free(info);
    return mailboxes;
}

/* Its UID, or NULL. Owned by the caller. */
static char *find(CamelFolder *folder, const char *part)
{
    GPtrArray *uids = camel_folder_get_uids(folder);
    char *subject = subject_of(part);
    char *found = NULL;

    for (guint i = 0; i < uids->len; i++) {
        CamelMessageInfo *info = camel_folder_get_message_info(folder, uids->pdata[i]);
        if (info && g_strcmp0(camel_message_info_get_subject(info), subject) == 0)
            found = g_strdup(uids->pdata[i]);
        g_clear_object(&info);
    }
    camel_folder_free_uids(folder, uids);
    g_free(subject);
    return found;
}

static char *read_message(CamelFolder *folder)
{
    char *uid = find(folder, "read");
    CamelMimeMessage *message = camel_folder_get_message_sync(folder, uid, NULL, &error);
    GByteArray *octets = g_byte_array_new();
    CamelStream *stream = camel_stream_mem_new_with_byte_array(octets); /* takes octets */
    char *encoded;

    check("no message");
    camel_data_wrapper_write_to_stream_sync(CAMEL_DATA_WRAPPER(message), stream, NULL, &error);
    check("no octets");
    encoded = g_base64_encode(octets->data, octets->len);
    g_object_unref(stream);
    g_object_unref(message);
    g_free(uid);
    return encoded;
}

static void change(CamelFolder *folder, const char *part, CamelMessageFlags flags, bool expunges)
{
    char *uid = find(folder, part);

    camel_folder_set_message_flags(folder, uid, flags, flags);
    camel_folder_synchronize_sync(folder, expunges, NULL, &error);
    check(part);
    g_free(uid);
}

static void append(CamelStore *store)
{
    CamelFolder *folder = camel_store_get_folder_sync(store, "Drafts", 0, NULL, &error);
    CamelMimeMessage *message = camel_mime_message_new();
    CamelMessageInfo *info = camel_message_info_new(NULL);
    CamelStream *stream;
    gsize len;
    guchar *octets = g_base64_decode(json_string_value(json_object_get(task, "message")), &len);

    check("no Drafts");
    stream = camel_stream_mem_new_with_buffer((const char *)octets, len);
    camel_data_wrapper_construct_from_stream_sync(CAMEL_DATA_WRAPPER(message), stream, NULL, &error);
    check("no message to append");
    camel_message_info_set_flags(info, CAMEL_MESSAGE_DRAFT, ~0);
    camel_folder_append_message_sync(folder, message, info, NULL, NULL, &error);
    check("not appended");
    g_object_unref(stream);
    g_object_unref(info);
    g_object_unref(message);
    g_object_unref(folder);
    g_free(octets);
}

/* Camel begins to IDLE by itself once it has nothing else to do, and never polls: whenever the message arrives, it is
 * IDLE that tells. */
static json_t *idle(CamelFolder *folder)
{
    char *uid;
    char *subject = subject_of("idle");
    json_t *arrived = json_array();

    camel_folder_refresh_info_sync(folder, NULL, &error); /* opens it again: Drafts has been open */
    check("no INBOX any more");
    puts("idling");
    fflush(stdout);
    while (!(uid = find(folder, "idle")))
        g_main_context_iteration(NULL, TRUE);
    json_array_append_new(arrived, json_string(subject));
    g_free(uid);
    g_free(subject);
    return arrived;
}

int main(void)
{
    const char *home = g_get_home_dir();
    CamelSession *session;
    CamelStore *store;
    CamelFolder *inbox;
    json_t *mailboxes, *arrived;
    char *body;

    task = json_loadf(stdin, JSON_DISABLE_EOF_CHECK, NULL);
    if (!task || camel_init(home, FALSE) != 0)
        return 2;
    camel_provider_init();
    session = g_object_new(session_get_type(), "user-data-dir", home, "user-cache-dir", home, NULL);
    camel_session_set_online(session, TRUE);
    store = store_new(session);
    camel_offline_store_set_online_sync(CAMEL_OFFLINE_STORE(store), TRUE, NULL, &error);
    check("no connection");

    mailboxes = list(store);
    inbox = camel_store_get_folder_sync(store, "INBOX", 0, NULL, &error);
    check("no INBOX");
    camel_folder_refresh_info_sync(inbox, NULL, &error);
    check("no messages");
    body = read_message(inbox);
    change(inbox, "flag", CAMEL_MESSAGE_FLAGGED, false);
    change(inbox, "delete", CAMEL_MESSAGE_DELETED, true);
    append(store);
    arrived = json_is_true(json_object_get(task, "idle")) ? idle(inbox) : json_array();
    g_object_unref(inbox);
    camel_service_disconnect_sync(CAMEL_SERVICE(store), TRUE, NULL, &error);
    check("not disconnected");
    json_dumpf(json_pack("{s:o, s:s, s:o}", "mailboxes", mailboxes, "body", body, "arrived", arrived), stdout, 0);
    putchar('\n');
    g_free(body);
    g_object_unref(store);
    g_object_unref(session);
    return 0;
}
