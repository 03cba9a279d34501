'use strict';

/**
 * ImapFlow with the IMAP STATE extension. P1 to P18 in the comments are the rules of its specification, docs/protocol.md of
 * imapstate.
 *
 * ImapFlow has one command in flight at a time and sets itself up in startSession(). Here the answers to what it asks there
 * are kept with the token, and given to it instead of being asked for once the token has brought the state back. So are the
 * answers to an ID and a SELECT that went out with the login. No state holds an ID, and there are servers that want one on
 * each connection before a mailbox is opened. These of its methods are overridden: run, exec, send, authenticate, getLogger.
 */

const VERSION = 1; // of what saveState() makes; another one is not read
const TOKEN = /^[!#$&'+-[\]-z|}~]{1,2048}$/; // RFC 9051 section 9, ASTRING-CHAR: its form is the server's affair
const ONE_OF_A_KIND = ['LANGUAGE', 'COMPARATOR', 'NOTIFY']; // a later one takes the place of an earlier one
const STORABLE = ['ENABLE', ...ONE_OF_A_KIND];
// A mailbox that can be selected before it is known what is enabled: "&" and letters beyond ASCII are other octets with
// UTF8=ACCEPT and IMAP4rev2 (RFC 6855 section 3, RFC 9051 section 5.1).
const SAME_IN_ANY_STATE = /^[\x20-\x25\x27-\x7e]+$/;
const OF_SELECT = ['OK', 'FLAGS', 'EXISTS']; // the untagged responses that ImapFlow looks at
const TOGETHER = Symbol('goes into the write of the command before it'); // an option of exec()

/** What has become of the saved state. */
const Restored = Object.freeze({
    DONE: 'done', // the session is in exactly the saved state
    NOT_ASKED: 'not asked', // nothing was saved, or the server does not offer STATE
    REFUSED: 'refused', // the token will never do again (P5)
    UNAVAILABLE: 'unavailable' // it cannot be tried just now (P6)
});

/**
 * Makes a subclass of ImapFlow that uses STATE.
 *
 *     const StateFlow = withState(ImapFlow);
 *     const client = new StateFlow({ host, auth, state: saved });
 *     await client.connect();
 *     store(await client.saveState());
 *
 * @param {Function} ImapFlow - The class of imapflow 1.7 or 2, or a subclass of it.
 * @returns {Function} The types are in imapflow-state.d.ts, which also says what is added.
 */
function withState(ImapFlow) {
    return class extends ImapFlow {
        #content; // of what was given as options.state, as long as it may do
        #covered = []; // commands in the state, [name, arguments] in their order
        #coveredSaved = null; // as JSON
        #tracking = false;
        #asked = null; // the answer to STATE, once it was asked
        #judged = null; // what it means has been found out
        #early = new Set(); // tags of what has gone out together with the command before it
        #owed = false; // ImapFlow wanted to send ID before the login
        #identifying = false; // an ID that is sent now goes with STATE
        #identified = null; // the answer to that, until ImapFlow wants it
        #selected = null; // the answer to the SELECT behind STATE, once it was sent
        #given = null; // the same, while ImapFlow opens the mailbox by it
        #ahead = null; // the mailbox that is open so, until the program opens it
        #mailbox; // what is to be known for that the next time
        #announced = null; // the tag of the last STATECMD

        constructor(options) {
            super(options);
            this.#content = read(this.options.state, this.options);
            this.#mailbox = this.#content?.mailbox;
            this.saved = this.#content ? this.options.state : null;
            this.restored = Restored.NOT_ASKED;
            this.sectionHandlers.STATECMD = async ([tag]) => {
                this.#announced = tag.value;
            };
            this.commands = new Map([
                ...this.commands,
                ...ONE_OF_A_KIND.map(name => [name, setUpCommand(name)]),
                ['SAVESTATE', saveStateCommand]
            ]);
        }

        /** The commands that are in the state, so that a later session which restores it need not send them. */
        get covered() {
            return this.#covered.map(command => command.join(' '));
        }

        covers(name, args) {
            const [command, text] = oneSpelling(name, args);
            if (command !== 'ENABLE') {
                return this.#covered.some(each => each[0] === command && each[1] === text);
            }
            const enabled = this.#covered.filter(each => each[0] === 'ENABLE').flatMap(each => each[1].split(' '));
            return text.split(' ').every(each => enabled.includes(each));
        }

        async setUp(name, args) {
            name = name.toUpperCase();
            if (!STORABLE.includes(name)) {
                throw new TypeError(`${name} is not among the commands that STATE stores: ${STORABLE.join(', ')}`);
            }
            if (this.covers(name, args)) {
                return true;
            }
            return !!(await this.run(name, name === 'ENABLE' ? args.split(' ') : args));
        }

        async saveState() {
            if (!this.#tracking || JSON.stringify(this.#covered) === this.#coveredSaved) {
                return this.saved;
            }
            const token = await this.run('SAVESTATE');
            if (token) {
                this.#content = {
                    version: VERSION,
                    purpose: purpose(this.options),
                    token,
                    commands: [...this.#covered],
                    capabilities: this.rawCapabilities.map(each => each.value),
                    enabled: [...this.enabled],
                    namespaces: this.namespaces || null
                };
                this.#coveredSaved = JSON.stringify(this.#covered);
            }
            if (this.#tracking && this.#content) {
                this.#content.mailbox = this.#mailbox;
                this.saved = JSON.stringify(this.#content);
            }
            return this.saved;
        }

        async run(command, ...args) {
            const name = command.toUpperCase();
            if (this.authenticated) {
                await this.#takeState();
            }
            const remembered = this.usable ? this.#opened(name, ...args) : this.#remembered(name, ...args);
            if (remembered !== undefined) {
                return remembered;
            }
            // It is not allowed while a mailbox is selected (RFC 5161 section 3.1), and without this class none would be.
            if (name === 'ENABLE' && this.#isAhead() && offered(this, args[0]).length) {
                await this.#leave(this.#ahead);
            }
            const result = await super.run(command, ...args);
            if (name === 'SELECT') {
                this.#learn(...args);
            }
            return result;
        }

        exec(command, attributes, options) {
            if (this.#given && command === this.#given.command && attributes[0].value === this.#given.path) {
                return this.#give(options.untagged);
            }
            if (command === 'ID' && this.#identifying) {
                return super.exec(command, attributes, { ...options, [TOGETHER]: true });
            }
            if (this.#canShareWrite(command, attributes)) {
                return this.#execLogin(command, attributes, options);
            }
            const sent = super.exec(command, attributes, options);
            if (STORABLE.includes(command.toUpperCase())) {
                const args = (attributes || []).map(text).join(' ');
                sent.then(({ response }) => this.#cover(oneSpelling(command, args), response.tag)).catch(() => {});
            }
            return sent;
        }

        async send(request) {
            if (this.#early.delete(request.tag)) {
                this.currentRequest.sent = true; // as it would be now by super.send()
            } else if (request.command === 'LOGIN' || request.command === 'STATE') {
                await this.#inOneWrite(() => super.send(request));
            } else {
                await super.send(request);
            }
        }

        async authenticate() {
            const done = await super.authenticate();
            if (!this.#asked && this.capabilities.has('STATE')) {
                this.#askAll();
            }
            await this.#takeState();
            await this.#open(await this.#selected);
            if (this.restored === Restored.UNAVAILABLE) {
                // BYE may follow (P6), which ImapFlow's set-up would not notice: connect() must fail then.
                (await super.exec('NOOP')).next();
            }
            return done;
        }

        getLogger() {
            const log = super.getLogger();
            const { debug } = log;
            log.debug = (entry, ...more) => debug(withoutToken(entry), ...more);
            return log;
        }

        /** Is this a login behind which STATE can be in the same write (P11)? Not if the server may still ask something. */
        #canShareWrite(command, attributes) {
            const asksNothing = command === 'LOGIN' || (command === 'AUTHENTICATE' && attributes[0].value === 'PLAIN');
            return asksNothing && this.capabilities.has('STATE') && !this.#asked;
        }

        #execLogin(command, attributes, options) {
            const answer = options && options.onPlusTag;
            const sent = super.exec(
                command,
                attributes,
                answer ? { ...options, onPlusTag: plus => this.#inOneWrite(() => answer(plus)) } : options
            );
            this.#askAll(); // queued behind the login
            return sent;
        }

        /** The write that makes a command complete, and what is to go together with it, as one. */
        async #inOneWrite(write) {
            const socket = this.writeSocket;
            let isWritten = false;
            socket.cork();
            try {
                await write();
                isWritten = true;
                for (const request of [...this.requestQueue]) {
                    if (!request.options[TOGETHER] || this.commandParts.length) {
                        break;
                    }
                    await super.send(request);
                    this.#early.add(request.tag);
                }
            } catch (err) {
                // Of what is behind: it cannot be sent, which is found out again, and told, when it is its turn.
                if (!isWritten) {
                    throw err;
                }
            } finally {
                socket.uncork();
            }
        }

        /** STATE, ID, SELECT: each is queued before the next. */
        #askAll() {
            this.#asked = this.#ask();
            this.#identified = this.#identify();
            this.#selected = this.#select();
        }

        /** The ID that was not sent before the login. Never fails: gives what the command of ImapFlow's gives, or null. */
        #identify() {
            if (!this.#owed || !this.capabilities.has('ID')) {
                return null;
            }
            this.#identifying = true;
            const sent = this.commands.get('ID')(this, this.clientInfo);
            this.#identifying = false;
            return sent;
        }

        /** STATE with the token, if there is one. Never fails: what it gives is judged once the login is known to be good. */
        async #ask() {
            const attributes = this.#content ? [{ type: 'ATOM', value: this.#content.token, sensitive: true }] : [];
            let restored = false;
            const untagged = {
                STATE: async () => {
                    restored = true;
                }
            };
            try {
                const sent = await super.exec('STATE', attributes, { untagged, [TOGETHER]: true });
                sent.next();
                return { status: 'OK', restored };
            } catch (err) {
                return { status: err.responseStatus, restored: false, err };
            }
        }

        #takeState() {
            this.#judged ??= this.#asked && this.#judge();
            return this.#judged;
        }

        async #judge() {
            const { status, restored, err } = await this.#asked;
            this.#tracking = status === 'OK'; // also if nothing could be restored (P3, P5)
            if (err) {
                this.log.warn({ msg: 'STATE failed', err, cid: this.id });
            }
            if (!this.#content) {
                return;
            }
            if (restored) {
                this.restored = Restored.DONE;
                this.#covered = [...this.#content.commands];
                this.#coveredSaved = JSON.stringify(this.#covered);
            } else if (status === 'OK' || status === 'BAD') {
                this.restored = Restored.REFUSED;
                this.#content = this.saved = null;
            } else {
                this.restored = Restored.UNAVAILABLE;
            }
        }

        /**
         * SELECT behind a STATE with a token, where it is known what ImapFlow would send, and that is right whatever becomes of
         * the token (P11). Never fails: gives the answer, or null.
         */
        async #select() {
            if (!this.#mailbox) {
                return null;
            }
            const { path, readOnly } = this.#mailbox;
            const command = readOnly ? 'EXAMINE' : 'SELECT';
            const responses = [];
            const keep = name => [name, async response => responses.push([name, response])];
            const untagged = Object.fromEntries(OF_SELECT.map(keep));
            try {
                const sent = await super.exec(command, [{ type: 'ATOM', value: path }], { untagged, [TOGETHER]: true });
                await this.#takeState();
                if (this.restored !== Restored.DONE) {
                    sent.next();
                }
                // Otherwise nothing more is read until ImapFlow knows that the mailbox is open, and so what it reads is about.
                return { command, path, responses, sent };
            } catch {
                return null; // the program will find out why, when it opens the mailbox
            }
        }

        /** The mailbox has been selected. In the restored state it is opened; else the set-up has to come first. */
        async #open(selected) {
            if (!selected) {
                return;
            }
            if (this.restored !== Restored.DONE) {
                await this.#leave(selected);
                return;
            }
            const { path, readOnly, folder } = this.#mailbox;
            this.#given = selected;
            this.folders.set(path, folder); // or ImapFlow would ask for it
            try {
                this.#ahead = await super.run('SELECT', path, { readOnly });
            } finally {
                this.#given = null;
                this.folders.delete(path);
                selected.sent.next();
            }
        }

        /** The answer to SELECT that ImapFlow waits for: it has come already. */
        async #give(handlers) {
            const { responses, sent } = this.#given;
            for (const [name, response] of responses) {
                await handlers[name](response);
            }
            return sent;
        }

        #isAhead() {
            return this.#ahead && this.mailbox === this.#ahead && !this.currentLock;
        }

        /** What mailboxOpen() gives, if the mailbox was opened ahead of it. */
        #opened(name, path, options) {
            if (name !== 'SELECT') {
                return undefined;
            }
            const isIt = this.#isAhead() && isWanted(this.options, path, options) && !options?.changedSince;
            this.#ahead = null;
            return isIt ? this.mailbox : undefined;
        }

        /** Leaves the mailbox, but not by CLOSE while it is writable, as that expunges (RFC 3501 section 6.4.2). */
        async #leave({ command = 'SELECT', path }) {
            const examine = command === 'EXAMINE' ? [] : [['EXAMINE', [{ type: 'ATOM', value: path }]]];
            const commands = this.capabilities.has('UNSELECT') ? [['UNSELECT']] : [...examine, ['CLOSE']];
            try {
                for (const [name, attributes] of commands) {
                    (await super.exec(name, attributes)).next();
                }
            } catch (err) {
                this.log.warn({ err, cid: this.id });
            }
            const { mailbox } = this;
            this.mailbox = this.currentSelectCommand = false;
            this.state = this.states.AUTHENTICATED;
            if (mailbox) {
                this.emit('mailboxClose', mailbox);
            }
        }

        /** The mailbox was opened: what has to be known to select it ahead the next time. */
        #learn(path, options) {
            const folder = this.mailbox && this.folders.get(this.mailbox.path);
            if (folder && isWanted(this.options, path, options) && SAME_IN_ANY_STATE.test(folder.path)) {
                const { delimiter, specialUse, subscribed, listed } = folder;
                this.#mailbox = {
                    name: path,
                    readOnly: !!options?.readOnly,
                    path: folder.path,
                    folder: { delimiter, specialUse, subscribed, listed }
                };
            }
        }

        /** A storable command has completed. One that is not announced is in effect, but not in the state (P9, P10); one that
         * replaces a stored command has removed that in any case. */
        #cover(command, tag) {
            if (ONE_OF_A_KIND.includes(command[0]) && command[1]) {
                this.#covered = this.#covered.filter(each => each[0] !== command[0]);
            }
            if (tag === this.#announced) {
                this.#covered.push(command);
            }
        }

        /** The answer to a command of ImapFlow's set-up, if it is known from the saved state. */
        #remembered(command, ...args) {
            if (command === 'ID') {
                return this.#heldBack();
            }
            const answer = this.restored === Restored.DONE && REMEMBERED[command];
            return answer ? answer(this, this.#content, ...args) : undefined;
        }

        /** ImapFlow sends ID before the login, and behind it if that has told it too little. With a token one is enough, and
         * needs no round trip of its own. */
        #heldBack() {
            if (!this.authenticated && this.#content && this.capabilities.has('STATE')) {
                this.#owed = true;
                return false;
            }
            const answer = this.#identified;
            this.#identified = null;
            return answer || undefined;
        }
    };
}

/** By command: puts what the command would have told into the client and gives the command's result, or undefined. */
const REMEMBERED = {
    // The saved list is still true, or the token would have been refused (P12).
    CAPABILITY(client, content) {
        if (client.expectCapabilityUpdate) {
            client.updateCapabilitiesFromRaw(content.capabilities.map(value => ({ type: 'ATOM', value })));
        }
        return client.capabilities;
    },

    NAMESPACE(client, content) {
        if (content.namespaces) {
            client.namespaces = content.namespaces;
            client.namespace = content.namespaces.personal[0];
        }
        return client.namespace;
    },

    ENABLE(client, content, names) {
        const wanted = offered(client, names);
        if (!wanted.length || !client.covers('ENABLE', wanted.join(' '))) {
            return undefined;
        }
        client.enabled = new Set([...client.enabled, ...content.enabled]);
        return client.enabled;
    }
};

/** Those of the names that ImapFlow would enable. */
function offered(client, names) {
    const all = [...client.capabilities.keys()].map(name => name.toUpperCase());
    return names.map(name => name.toUpperCase()).filter(name => all.includes(name));
}

const setUpCommand = name => async (client, args) => {
    try {
        const sent = await client.exec(name, args ? [{ type: 'TEXT', value: args }] : []);
        sent.next();
        return true;
    } catch (err) {
        client.log.warn({ err, cid: client.id });
        return false;
    }
};

async function saveStateCommand(client) {
    let token = false;
    const untagged = {
        SAVESTATE: async ({ attributes }) => {
            token = attributes[0].value;
        }
    };
    try {
        const sent = await client.exec('SAVESTATE', [], { untagged });
        sent.next();
        return token;
    } catch (err) {
        client.log.warn({ err, cid: client.id });
        return false;
    }
}

/** What ImapFlow's options make of its set-up. A state is not restored for another one: what is enabled stays so. */
function purpose(options) {
    return [options.qresync, options.disableAutoEnable, options.disableIMAP4rev2].map(Boolean).join();
}

/** What saveState() has made, for a client with these options; null if it is something else. */
function read(saved, options) {
    try {
        const content = JSON.parse(saved);
        const { version, token, commands, capabilities, enabled, namespaces } = content;
        const good =
            version === VERSION &&
            content.purpose === purpose(options) &&
            TOKEN.test(token) &&
            commands.every(command => command.length === 2 && command.every(isText)) &&
            [...capabilities, ...enabled].every(isText) &&
            (namespaces === null || isText(namespaces.personal[0].prefix));
        if (good && !isMailbox(content.mailbox, options)) {
            delete content.mailbox;
        }
        return good ? content : null;
    } catch {
        return null;
    }
}

/** Is this what #learn() has made of the mailbox that the program opens first? */
function isMailbox(mailbox, options) {
    return (
        !!mailbox &&
        isWanted(options, mailbox.name, mailbox) &&
        isText(mailbox.path) &&
        SAME_IN_ANY_STATE.test(mailbox.path) &&
        typeof mailbox.folder === 'object'
    );
}

/** Is it the mailbox that the option `mailbox` names, and opened as it says? */
function isWanted({ mailbox, verifyOnly }, path, options) {
    const wanted = isText(mailbox) ? { path: mailbox } : mailbox;
    return !verifyOnly && !!wanted && wanted.path === path && !!wanted.readOnly === !!options?.readOnly;
}

const isText = value => typeof value === 'string';

/** A command in one spelling. Mailbox names in NOTIFY are the only arguments in which case matters. */
function oneSpelling(name, args) {
    name = name.toUpperCase();
    return [name, name === 'NOTIFY' ? args : args.toUpperCase()];
}

/** An argument as ImapFlow has it, as text. */
function text(argument) {
    return Array.isArray(argument) ? `(${argument.map(text).join(' ')})` : String(argument?.value ?? argument);
}

function withoutToken(entry) {
    if (!entry || !isText(entry.msg) || !/^\* (SAVE)?STATE /i.test(entry.msg)) {
        return entry;
    }
    return { ...entry, msg: entry.msg.replace(/STATE .*/i, 'STATE (* value hidden *)') };
}

module.exports = { withState, Restored };
