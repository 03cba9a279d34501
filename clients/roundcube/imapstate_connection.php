<?php

/**
 * Roundcube's IMAP connection with the STATE extension. P1 to P18 are its rules.
 *
 * With the login goes either STATE with the kept token, or, if there is none, STATE and SAVESTATE; in the same write, where
 * the login is a single one. After a restore enable() knows what is on. An ENABLE that is new takes a SAVESTATE along. So no
 * request ever waits for the extension, and a token is there before Roundcube writes its session, which it does before it
 * closes its connections.
 *
 * What is kept is an array:
 *   token      the token
 *   for        a hash of whose session it is; for another it is not used
 *   enabled    what need not be enabled again
 */
class imapstate_connection extends rcube_imap_generic
{
    private const LINE_OCTETS = 4096; // as execute() has it; a token has 2048 at most

    /** What was kept of an earlier connection, or null; and what is called with what is to be kept from now on, or null. */
    private $kept;
    private $keep;
    private $whose;

    /** The next command that begins with $ahead takes $behind along; $sent are those that have gone, by their tags. */
    private $ahead = '';
    private $behind = [];
    private $sent = [];

    /** Does the server tell what it stores? Has it done so of the last ENABLE? What is on by commands that it has stored? */
    private $tracking = false;
    private $announced = false;
    private $stored = [];

    public function __construct($kept, callable $keep)
    {
        $this->kept = $kept;
        $this->keep = $keep;
    }

    // Login and set-up

    protected function authenticate($user, $pass, $type = 'PLAIN')
    {
        $this->begin();
        // All others need, or may need, a second write.
        if ($type == 'PLAIN' && $this->getCapability('SASL-IR')) {
            $this->take_along('AUTHENTICATE PLAIN', $this->opening());
        }

        return $this->opened(parent::authenticate($user, $pass, $type));
    }

    protected function login($user, $password)
    {
        $this->begin();
        if ($this->getCapability('STATE')) { // parent::login() would ask for the list, too
            $this->take_along('LOGIN', $this->opening());
        }

        return $this->opened(parent::login($user, $password));
    }

    public function enable($extension)
    {
        $before = (array) $this->extensions_enabled;
        $this->announced = false;
        $this->take_along('ENABLE', $this->tracking ? ['SAVESTATE'] : []);
        $enabled = parent::enable($extension);

        if ($this->announced) {
            // False, if the server has stored it and yet named nothing: then it is sent again the next time.
            $this->stored = array_unique(array_merge($this->stored, array_diff($enabled ?: [], $before)));
        }
        $this->read_answers();

        return $enabled;
    }

    private function begin()
    {
        $this->tracking = false;
        $this->stored = [];
        // The base class keeps it from an earlier connection of this object. It is an array, as that class declares it.
        $this->extensions_enabled = [];
        $this->take_along('', []);

        $whose = [$this->host, $this->prefs['port'] ?? '', $this->user, $this->prefs['auth_cid'] ?? ''];
        $this->whose = hash('sha256', serialize($whose));
        if ($this->kept && ($this->kept['for'] !== $this->whose || !is_array($this->kept['enabled'] ?? null))) {
            $this->kept = null;
        }
    }

    /** What goes with the login, or right behind it. */
    private function opening()
    {
        if (!$this->hasCapability('STATE')) {
            return [];
        }

        return $this->kept ? ['STATE ' . $this->kept['token']] : ['STATE', 'SAVESTATE'];
    }

    /** $result: as authenticate() and login() give it. */
    private function opened($result)
    {
        if (!is_resource($result)) {
            return $result;
        }
        if (!$this->sent && ($commands = $this->opening())) {
            $this->putLine($this->tagged($commands));
        }

        return $this->read_answers() ? $result : $this->errornum;
    }

    // Commands

    private function take_along($ahead, array $behind)
    {
        $this->ahead = $ahead;
        $this->behind = $behind;
        $this->sent = [];
    }

    private function tagged(array $commands)
    {
        $lines = [];
        foreach ($commands as $command) {
            $this->sent[$this->nextTag()] = $command;
            $lines[] = $this->cmd_tag . ' ' . $command;
        }

        return implode("\r\n", $lines);
    }

    protected function putLineC($string, $endln = true, $anonymized = false)
    {
        $has_company = $this->behind && preg_match("/^\S+ $this->ahead /", $string);
        if ($has_company) {
            $company = $this->tagged($this->behind);
            $this->behind = [];
            $string .= "\r\n" . $company;
        }

        $octets = parent::putLineC($string, $endln, $anonymized);
        if ($has_company && $anonymized && $this->debug) {
            $this->debug("C: $company"); // left out with the password
        }

        return $octets;
    }

    // Answers

    /** Of all that has been sent. False: the session is of no use, and there is an error to tell. */
    private function read_answers()
    {
        foreach ($this->sent as $tag => $command) {
            list($status, $code, $token) = $this->read_answer($tag);
            if ($command === 'SAVESTATE') {
                $this->saved($token);
            }
            else if ($status === 'OK') {
                $this->tracking = true;
                $this->restored($token);
            }
            else if ($status === 'BYE' || $code === 'AUTHENTICATIONFAILED') { // P6
                $this->setError($status === 'BYE' ? self::ERROR_BYE : self::ERROR_NO, "STATE: $status $code");
                return false;
            }
            else if ($code !== 'UNAVAILABLE') {
                $this->remember(null); // there is no STATE here any more
            }
        }
        $this->sent = [];

        return true;
    }

    /** [status, response code, token of the untagged response]; BYE if the connection has ended. */
    private function read_answer($tag)
    {
        $token = null;
        while (($line = $this->readFullLine(self::LINE_OCTETS)) !== '') {
            if (preg_match('/^\* (?:SAVE)?STATE (\S+)/i', $line, $match)) {
                $token = $match[1];
            }
            else if (preg_match("/^$tag (OK|NO|BAD)(?: \[([^\] ]+))?/i", $line, $match)) {
                return [strtoupper($match[1]), strtoupper($match[2] ?? ''), $token];
            }
        }

        return ['BYE', '', null];
    }

    /** STATE was answered OK, with or without (P5) its token. */
    private function restored($token)
    {
        if ($this->kept && $token === $this->kept['token']) {
            $this->extensions_enabled = $this->stored = $this->kept['enabled'];
        }
        else if ($this->kept) {
            $this->remember(null);
        }
    }

    private function saved($token)
    {
        if ($token !== null) {
            $this->remember(['token' => $token, 'for' => $this->whose, 'enabled' => $this->stored]);
        }
    }

    private function remember($kept)
    {
        $this->kept = $kept;
        call_user_func($this->keep, $kept);
    }

    protected function readLine($size = 1024)
    {
        $line = parent::readLine($size);
        $this->announced = $this->announced || strncmp($line, '* OK [STATECMD ', 15) === 0;

        return $line;
    }

    /** A token is a secret. */
    protected function debug($message)
    {
        parent::debug(preg_replace('/^([CS]: \S+ (?:SAVE)?STATE )\S+/', '$1******', $message));
    }
}
