<?php

namespace Imapstate\Horde;

/** Horde's debug log without the tokens that a server sends: they are secrets. (Those that are sent to it are left out by
 *  their command, as passwords are.) */
class Debug extends \Horde_Imap_Client_Base_Debug
{
    public function server($msg)
    {
        parent::server(preg_replace('/^(\* (?:SAVE)?STATE ).*/i', '$1[TOKEN]', $msg));
    }
}
