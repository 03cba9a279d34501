<?php
// One visit of Horde's library (scripts.py).
$task = json_decode(fgets(STDIN), true);
$place = $task['place'];
spl_autoload_register(function ($class) use ($task) {
    $name = strtr($class, '_\\', '//');
    $file = stream_resolve_include_path(str_replace('Imapstate/Horde', $task['module'], $name) . '.php');
    if ($file) {
        require_once $file;
    }
});

/* With STATE a webmail's way: a cache, so that there is a set-up, and the object kept for the next request. */
function client_make($task, $parameters)
{
    $cache = ['cache' => ['backend' => new Horde_Imap_Client_Cache_Backend_Null()]];
    if (!$task['module']) {
        return new Horde_Imap_Client_Socket($parameters + ($task['has_cache'] ? $cache : []));
    }
    if (is_file($task['kept'])) {
        $client = unserialize(file_get_contents($task['kept']));
        $client->setParam('password', $parameters['password']);
        return $client;
    }
    return new Imapstate\Horde\Socket($parameters + $cache);
}

$client = client_make($task, [
    'hostspec' => $place['host'],
    'port' => $place['port'],
    'username' => $place['user'],
    'password' => $place['password'],
    'secure' => $place['starttls'] ? 'tls' : 'ssl',
    'context' => ['ssl' => ['cafile' => $place['ca_file'], 'verify_peer' => true]],
]);

function find($client, $subject)
{
    $query = new Horde_Imap_Client_Search_Query();
    $query->headerText('subject', $subject);
    return $client->search('INBOX', $query)['match'];
}

$client->login();
$mailboxes = array_map('strval', array_values($client->listMailboxes('*', Horde_Imap_Client::MBOX_ALL, ['flat' => true])));
$query = new Horde_Imap_Client_Fetch_Query();
$query->fullText();
$body = $client->fetch('INBOX', $query, ['ids' => find($client, "read-{$task['number']}")])->first()->getFullMsg();
$client->store('INBOX', ['add' => ['\\Flagged'], 'ids' => find($client, "flag-{$task['number']}")]);
$doomed = find($client, "delete-{$task['number']}");
$client->store('INBOX', ['add' => ['\\Deleted'], 'ids' => $doomed]);
$client->expunge('INBOX', ['ids' => $doomed]);
$client->append('Drafts', [['data' => base64_decode($task['message']), 'flags' => ['\\Draft']]]);
if ($task['module']) {
    file_put_contents($task['kept'], serialize($client));
}
$client->logout();
echo json_encode(['mailboxes' => $mailboxes, 'body' => base64_encode($body), 'arrived' => []]), "\n";
