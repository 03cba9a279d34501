<?php
// One visit of Horde's library (scripts.py).
spl_autoload_register(function ($class) {
    @include_once str_replace(['_', '\\'], '/', $class) . '.php';
});

$task = json_decode(fgets(STDIN), true);
$place = $task['place'];
$client = new Horde_Imap_Client_Socket([
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
$client->logout();
echo json_encode(['mailboxes' => $mailboxes, 'body' => base64_encode($body), 'arrived' => []]), "\n";
