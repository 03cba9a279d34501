<?php
/* php horde-visit.php CLASS KEPT PARAMETERS [STEP...]: one page request of a webmail with Horde's IMAP library. PARAMETERS: JSON for
 * the constructor. The object is kept in the file KEPT, as a webmail keeps it in its session. A STEP is a method and its
 * arguments as JSON: '["status", "INBOX", 1]'; '["types"]' gives types_of_written(). Prints the results of the steps as JSON, or {"error": ..., "code": ...}. */

require __DIR__ . '/written.php'; // the command line only
const SOURCES = __DIR__ . '/../../../clients/php-horde/src';

error_reporting(E_ALL & ~E_DEPRECATED);
ini_set('display_errors', 'stderr');
// Horde's own warnings are not of interest here: setLanguage() has one each time.
set_error_handler(function ($level, $message, $file) {
    return strncmp($file, realpath(SOURCES), strlen(realpath(SOURCES))) !== 0;
});
spl_autoload_register(function ($name) {
    $own = 'Imapstate\\Horde\\';
    $file = strncmp($name, $own, strlen($own)) === 0
        ? SOURCES . '/' . substr($name, strlen($own)) . '.php'
        : stream_resolve_include_path(strtr($name, '_\\', '//') . '.php');
    if ($file && is_file($file)) {
        require_once $file;
    }
});

list(, $class, $kept, $parameters) = $argv;
$parameters = json_decode($parameters, true, 10, JSON_THROW_ON_ERROR);
if (!empty($parameters['cache'])) {
    $parameters['cache'] = array('backend' => new Horde_Imap_Client_Cache_Backend_Null());
}

if (is_file($kept)) {
    $client = unserialize(file_get_contents($kept));
    foreach ($parameters as $key => $value) {
        if ($key !== 'cache') {
            $client->setParam($key, $value);
        }
    }
} else {
    $client = new $class($parameters);
}
$client->changed = false;

try {
    $client->login();
    $results = array();
    foreach (array_slice($argv, 4) as $step) {
        $arguments = json_decode($step, true, 10, JSON_THROW_ON_ERROR);
        if ($arguments === array('types')) {
            $results[] = types_of_written($client, SOURCES . '/Socket.php', Horde_Imap_Client_Socket::class);
            continue;
        }
        $result = call_user_func_array(array($client, array_shift($arguments)), $arguments);
        $results[] = is_object($result) ? null : $result;
    }
    echo json_encode(array('results' => $results)), "\n";
    // Before logout: what comes later need not be there for the next page.
    if ($client->changed) {
        file_put_contents($kept, serialize($client));
    }
} catch (Horde_Imap_Client_Exception $e) {
    echo json_encode(array('error' => $e->getMessage(), 'code' => $e->getCode())), "\n";
}
$client->logout();
