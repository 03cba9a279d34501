<?php

/**
 * Roundcube with the STATE extension: the session's IMAP connection is an imapstate_connection, and its token is kept in the
 * session, encrypted as the password is.
 */
class imapstate extends rcube_plugin
{
    private const KEPT = 'imapstate';

    public function init()
    {
        $this->add_hook('storage_init', [$this, 'storage_init']);
    }

    /**
     * rcube_imap makes its connection object in its constructor, of a class that no option changes. At this hook nothing has
     * been done with it yet.
     */
    public function storage_init($options)
    {
        $storage = rcube::get_instance()->storage;
        if ($storage instanceof rcube_imap) {
            require_once __DIR__ . '/imapstate_connection.php';
            $storage->conn = new imapstate_connection($this->kept(), [$this, 'keep']);
        }

        return $options;
    }

    /** As imapstate_connection has it: null, or its array, in which only the token is secret. */
    private function kept()
    {
        $kept = $_SESSION[self::KEPT] ?? null;
        $token = $kept ? rcube::get_instance()->decrypt($kept['token']) : '';

        return $token ? ['token' => $token] + $kept : null;
    }

    public function keep($kept)
    {
        if ($kept) {
            $kept['token'] = rcube::get_instance()->encrypt($kept['token']);
        }
        // Not unset(): Roundcube merges the stored session with this one, and would bring it back.
        $_SESSION[self::KEPT] = $kept;
    }
}
