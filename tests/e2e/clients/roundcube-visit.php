<?php
/* php roundcube-visit.php INSTALLATION SESSION USER PASSWORD [STEP...]: a request to Roundcube's framework. INSTALLATION: the folder with
 * config/ and plugins/. SESSION: the file in which $_SESSION is kept between requests; in the first one the user logs in. A STEP
 * is a method of the storage object (its connection, if it begins with "conn.") and its arguments, as JSON: '["count", "INBOX"]'.
 * The step '["types"]' gives types_of_written() of the connection.
 * Prints {"results": [...]}, or {"error": ...} if there is no connection. ROUNDCUBE: where the package is unpacked.
 * BASE_CLASS: a file with another rcube_imap_generic than the one in there. */

require __DIR__ . '/written.php'; // the command line only

list(, $installation, $session, $user, $password) = $argv;
define('RCUBE_INSTALL_PATH', getenv('ROUNDCUBE') . '/usr/share/roundcube/');
define('RCUBE_CONFIG_DIR', "$installation/config/");
define('RCUBE_PLUGINS_DIR', "$installation/plugins/");
require RCUBE_INSTALL_PATH . 'program/lib/Roundcube/bootstrap.php';
require getenv('BASE_CLASS') ?: RCUBE_LIB_DIR . 'rcube_imap_generic.php';
error_reporting(E_ALL);
ini_set('display_errors', 'stderr');
ini_set('log_errors', false);
set_error_handler(function ($level, $message, $file, $line) { // Roundcube's own are not of interest here
    return strpos($file, 'imapstate') === false;
});

$_SERVER['REQUEST_URI'] = '/';
$_SESSION = is_file($session) ? unserialize(file_get_contents($session)) : [];
$rcube = rcube::get_instance(rcube::INIT_WITH_PLUGINS);
$rcube->plugins->load_plugins((array) $rcube->config->get('plugins', []));
$rcube->output = null;
$rcube->plugins->init($rcube, 'mail');
$storage = $rcube->get_storage();
list($host, $scheme, $port) = rcube_utils::parse_host_uri($rcube->config->get('imap_host'), 143, 993);
$ssl = in_array($scheme, ['ssl', 'imaps', 'tls']) ? $scheme : null;

if (empty($_SESSION['storage_host']) && $storage->connect($host, $user, $password, $port, $ssl)) { // as rcmail::login() has it
    $_SESSION = [
        'username' => $user, 'password' => $rcube->encrypt($password), 'language' => 'en_US',
        'storage_host' => $host, 'storage_port' => $port, 'storage_ssl' => $ssl,
    ] + $_SESSION;
}

if ($rcube->config->get('messages_cache')) { // it is a user's
    $rcube->set_user(rcube_user::query($user, $host) ?: rcube_user::create($user, $host));
}

if ($storage->check_connection()) {
    $results = [];
    foreach (array_slice($argv, 5) as $step) {
        $arguments = json_decode($step, true, 10, JSON_THROW_ON_ERROR);
        if ($arguments === ['types']) {
            $file = RCUBE_PLUGINS_DIR . 'imapstate/imapstate_connection.php';
            $results[] = types_of_written($storage->conn, $file, 'rcube_imap_generic');
            continue;
        }
        $method = explode('.', array_shift($arguments));
        $object = count($method) == 2 ? $storage->{$method[0]} : $storage;
        // save_message() wants a reference.
        $references = [];
        foreach (array_keys($arguments) as $at) {
            $references[] = &$arguments[$at];
        }
        $results[] = call_user_func_array([$object, end($method)], $references);
    }
    echo json_encode(['results' => $results]), "\n";
}
else {
    echo json_encode(['error' => $storage->get_error_str(), 'code' => $storage->get_error_code()]), "\n";
}

// Roundcube writes its session first, and then closes its connections.
file_put_contents($session, serialize($_SESSION));
$storage->close();
