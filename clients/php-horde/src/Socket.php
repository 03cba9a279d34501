<?php

namespace Imapstate\Horde;

use Horde_Imap_Client_Data_Format_Astring as Astring;
use Horde_Imap_Client_Exception_NoSupportExtension as NoSupportExtension;
use Horde_Imap_Client_Interaction_Command as Command;
use Horde_Imap_Client_Interaction_Pipeline as Pipeline;
use Horde_Imap_Client_Interaction_Server as Server;

/**
 * Horde's IMAP client with the STATE extension. It takes the place of Horde_Imap_Client_Socket: same parameters, same
 * methods, same use of serialize(). P1 to P18 are the rules of the extension.
 *
 * The first visit tells the server to keep track of the login tasks (ENABLE, LANGUAGE, COMPARATOR), and saves them when they
 * are done; all of this travels in the same write as the first command of the application. The token stays with Horde's
 * other cached session data ("changed" is true then, as for these). On later visits it goes out in the same write as the
 * login, and of the login tasks only those are run that it does not cover. Where the server has no STATE, or
 * capability_ignore names it, this is Horde_Imap_Client_Socket.
 *
 * What is cached, as _init['imapstate']:
 *   token     the token
 *   for       whose session it is, and which login tasks were wanted then; with others it is not used
 *   covered   what need not be sent again: the arguments by command; for ENABLE a list of them
 */
class Socket extends \Horde_Imap_Client_Socket
{
    private const CACHE = 'imapstate';

    /**
     * What STATE is about on this connection:
     *   connecting   true while the connection is made with a token at hand
     *   command      the STATE command that went with the login
     *   restored     true once the token's state is in effect
     *   covered      as in the cache, of this session
     *   save         true from when the server was asked to keep track until SAVESTATE has been queued
     */
    private $_state = array();

    protected function _initOb()
    {
        $debug = $this->_params['debug'] ?? null;
        unset($this->_params['debug']);
        parent::_initOb();
        if ($debug) {
            $this->_params['debug'] = $debug;
            $this->_debug = new Debug($debug);
        }
    }

    public function getParam($key)
    {
        $value = parent::getParam($key);
        if ($key === 'context') {
            /* What is pipelined is one write() per command in Horde. By Nagle's algorithm all but the first would wait until
             * that one is acknowledged: a round trip. */
            $value['socket'] = ($value['socket'] ?? array()) + array('tcp_nodelay' => true);
        }

        return $value;
    }

    /* Connection and login. */

    public function login()
    {
        $is_new = !$this->_isAuthenticated;
        parent::login();
        if ($is_new && !empty($this->_state['save'])) {
            unset($this->_state['save']);
            $this->_cmdQueue[] = $this->_stateCommand('SAVESTATE');
        }
    }

    protected function _connect()
    {
        if (!is_null($this->_connection)) {
            return;
        }

        $this->_state = array('connecting' => $this->_usableToken() !== null);
        try {
            parent::_connect();
        } finally {
            unset($this->_state['connecting']);
        }
    }

    public function setLanguage($langs = null)
    {
        /* Horde also sets the language before login. The token's takes its place at once, so that would be a round trip for
         * nothing. */
        return empty($this->_state['connecting']) ? parent::setLanguage($langs) : null;
    }

    protected function _sendCmd($cmd)
    {
        if ($cmd instanceof Pipeline && $this->_isLogin($cmd)) {
            unset($this->_state['command']);
            if (($token = $this->_usableToken()) !== null) {
                /* P11: it waits for the login by itself. Where that needs more than one write, Horde sends what follows only
                 * when it has succeeded. */
                $this->_state['command'] = $this->_stateCommand('STATE', $token);
                $cmd->add($this->_state['command']);
            }
        }

        return parent::_sendCmd($cmd);
    }

    protected function _loginTasks($firstlogin = true, array $resp = array())
    {
        unset($this->_state['connecting']); // PREAUTH logs in while connecting
        /* login() says so only when it is done, but setComparator(), which it calls, would log in again until then. */
        $this->_isAuthenticated = true;

        $is_tried = !empty($this->_state['command']);
        if ($is_tried && !empty($this->_state['restored'])) {
            return $this->_remainingTasks($resp);
        }

        if ($is_tried && !$this->_isUnavailable($this->_state['command']->response)) {
            $this->_forget();
        }
        if (!$is_tried && $this->_offersState()) {
            $this->_cmdQueue[] = $this->_stateCommand('STATE');
            $this->_state['save'] = true;
        }

        return parent::_loginTasks($firstlogin, $resp);
    }

    /**
     * The login tasks after a restore: those that are new since the token was made.
     *
     * @return boolean  False: there is nothing left to do for login().
     */
    private function _remainingTasks(array $resp)
    {
        $this->_state['covered'] = $this->_init[self::CACHE]['covered'];
        foreach ($this->_state['covered']['ENABLE'] ?? array() as $extension) {
            $this->_capability()->enable($extension);
        }
        parent::_loginTasks(false, $resp);

        try {
            // login() would wait for its answer. No state holds an ID, but the next command can take it along.
            if ($this->getParam('id')) {
                $this->sendID();
            }
            if ($this->getParam('comparator')) {
                $this->setComparator();
            }
        } catch (NoSupportExtension $e) {
            // As in login().
        }

        return false;
    }

    /**
     * P5: the token is of no use any more, and perhaps because the server has changed. So nothing that was cached with it
     * can be relied on (P12). BAD, or an unknown command's NO, means that there is no STATE here any more.
     */
    private function _forget()
    {
        $this->_state['save'] = $this->_state['command']->response->status === Server::OK;
        foreach (array(self::CACHE, 'capability', 'namespace') as $key) {
            $this->_setInit($key);
        }
        unset($this->_temp['no_cap']);
    }

    /* Commands. */

    protected function _setLanguage($langs)
    {
        if ($this->_isCovered('LANGUAGE', $langs)) {
            return $this->_init['lang'] ?? null;
        }

        return parent::_setLanguage($langs);
    }

    protected function _setComparator($comparator)
    {
        if (!$this->_isCovered('COMPARATOR', $comparator)) {
            parent::_setComparator($comparator);
        }
    }

    /**
     * Is just this in effect by the token? If not, it will not be any more once the command has been sent.
     */
    private function _isCovered($name, $arguments)
    {
        if (($this->_state['covered'][$name] ?? null) === implode(' ', (array)$arguments)) {
            return true;
        }

        unset($this->_state['covered'][$name]);
        return false;
    }

    /**
     * STATE or SAVESTATE. What goes wrong with them is no matter of the command that they happen to travel with, but for a
     * password that the server has come to refuse (P6).
     */
    private function _stateCommand($name, $token = null)
    {
        $cmd = $this->_command($name);
        if ($token !== null) {
            $cmd->add(new Astring($token));
            $cmd->debug = array($name . ' [TOKEN]');
        }
        $cmd->on_error = function () use ($cmd) {
            return $this->_codeOf($cmd->response) !== 'AUTHENTICATIONFAILED';
        };

        return $cmd;
    }

    private function _nameOf(Command $cmd)
    {
        return strval($cmd->getCommand());
    }

    private function _isStateCommand(Command $cmd)
    {
        return in_array($this->_nameOf($cmd), array('STATE', 'SAVESTATE'));
    }

    private function _isLogin(Pipeline $pipeline)
    {
        foreach ($pipeline as $cmd) {
            return in_array($this->_nameOf($cmd), array('LOGIN', 'AUTHENTICATE'));
        }

        return false;
    }

    /* Answers. */

    protected function _serverResponse(Pipeline $pipeline, Server $ob)
    {
        switch (strtoupper($ob->token->current())) {
        case 'SAVESTATE':
            $this->_setInit(self::CACHE, array(
                'token' => $ob->token->next(),
                'for' => $this->_purpose(),
                'covered' => $this->_state['covered'] ?? array()
            ));
            return;

        case 'STATE':
            $this->_state['restored'] = $ob->token->next() === $this->_usableToken();
            return;
        }

        parent::_serverResponse($pipeline, $ob);
    }

    protected function _responseCode(Pipeline $pipeline, Server $ob)
    {
        $code = $this->_codeOf($ob);
        if ($code === 'STATECMD' && ($cmd = $pipeline->getCmd($ob->responseCode->data[0]))) {
            $this->_cover($cmd);
        }

        /* Horde throws an exception for some codes, NO [LIMIT] for one (P8), before the command's on_error is asked. */
        $cmd = $ob instanceof \Horde_Imap_Client_Interaction_Server_Tagged ? $pipeline->getCmd($ob->tag) : null;
        if (!$cmd || !$this->_isStateCommand($cmd) || in_array($code, array('ALERT', 'AUTHENTICATIONFAILED'))) {
            parent::_responseCode($pipeline, $ob);
        }
    }

    /**
     * P9: the server has stored this command.
     */
    private function _cover(Command $cmd)
    {
        $arguments = array_map('strval', array_slice(iterator_to_array($cmd), 2)); // behind tag and name
        $name = $this->_nameOf($cmd);
        $covered = &$this->_state['covered'][$name];
        $covered = $name === 'ENABLE'
            ? array_unique(array_merge($covered ?? array(), $arguments))
            : implode(' ', $arguments);
    }

    private function _codeOf(Server $ob)
    {
        return $ob->responseCode->code ?? null;
    }

    /**
     * P6: the token may still be good.
     */
    private function _isUnavailable(Server $answer)
    {
        return $answer->status === Server::NO && $this->_codeOf($answer) === 'UNAVAILABLE';
    }

    /* The cache. */

    private function _offersState()
    {
        return isset($this->_init['capability']) && $this->_init['capability']->query('STATE');
    }

    /**
     * The token, if there is one that was made for what this object wants now.
     */
    private function _usableToken()
    {
        $cached = $this->_init[self::CACHE] ?? null;

        return $cached && $cached['for'] === $this->_purpose() && $this->_offersState()
            ? $cached['token']
            : null;
    }

    private function _purpose()
    {
        $wanted = array((bool)$this->_initCache());
        foreach (array('hostspec', 'port', 'username', 'authusername', 'lang', 'comparator', 'capability_ignore') as $key) {
            $wanted[] = $this->getParam($key);
        }

        return hash('sha256', serialize($wanted));
    }
}
