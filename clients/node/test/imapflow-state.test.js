'use strict';

/*
 * Run by tests/e2e/test_client_node.py, which starts imapstated in front of a private Dovecot and says where they are:
 * IMAPFLOW_STATE_TEST is JSON with the ports `direct` (Dovecot), `gateway`, `gatewayStarttls`, `gatewayTls` and
 * `gatewayCompressing`, the path `ca`, `users` nobody else uses, their `password`, and a `bearer` with his `accessToken`.
 * IMAPFLOW names the package to test with.
 */

const assert = require('node:assert/strict');
const { test, after } = require('node:test');
const fs = require('node:fs');
const path = require('node:path');
const { withState, Restored } = require('..');
const { startRecorder, startScripted, names, flightsUntil } = require('./servers.js');

assert.ok(process.env.IMAPFLOW_STATE_TEST, 'run me by: pytest tests/e2e/test_client_node.py');
const at = JSON.parse(process.env.IMAPFLOW_STATE_TEST);
const library = process.env.IMAPFLOW || 'imapflow';
const { ImapFlow } = require(library);
const { version } = require(`${library}/package.json`);
const StateFlow = withState(ImapFlow);
const README = fs.readFileSync(path.join(__dirname, '..', 'README.md'), 'utf8');

const NOTIFY = ['NOTIFY', 'SET (SELECTED (MessageNew MessageExpunge FlagChange))'];
const trust = { ca: fs.readFileSync(at.ca) };
const servers = [];
const clients = [];

after(() => {
    clients.forEach(client => client.close());
    servers.forEach(server => server.close());
});

async function start(starting) {
    const server = await starting;
    servers.push(server);
    return server;
}

/** A client of the class in clear, as most tests want to see what it says; more options by name. */
function open(Flow, user, port, options = {}) {
    const { auth, ...more } = options;
    const client = new Flow({
        host: 'localhost',
        port,
        secure: false,
        doSTARTTLS: false,
        auth: { user, pass: at.password, ...auth },
        logger: false,
        qresync: true,
        disableCompression: true,
        disableAutoIdle: true,
        ...more
    });
    client.on('error', () => {});
    clients.push(client);
    return client;
}

/** A session that connects, saves, and leaves; gives the client as it was. */
async function visit(user, state, { port = at.gateway, more = async () => {}, ...options } = {}) {
    const client = open(StateFlow, user, port, { state, ...options });
    await client.connect();
    await more(client);
    await client.saveState();
    await client.logout();
    return client;
}

/** QRESYNC is on: an expunged message is told of by VANISHED (RFC 7162 section 3.2.10), which ImapFlow tells by its UID. */
async function assertHasQresync(client) {
    await client.append('INBOX', 'Subject: gone soon\r\n\r\nBody\r\n');
    await client.mailboxOpen('INBOX');
    const expunged = new Promise(resolve => client.once('expunge', resolve));
    await client.messageDelete('1:*');
    assert.equal((await expunged).vanished, true);
}

test('a first visit says what is in the state, a second one is restored', async () => {
    const user = at.users.pop();
    const first = await visit(user);
    assert.equal(first.restored, Restored.NOT_ASKED);
    assert.deepEqual(first.covered, ['ENABLE CONDSTORE QRESYNC']);
    const again = await visit(user, first.saved, { more: assertHasQresync });
    assert.equal(again.restored, Restored.DONE);
    assert.deepEqual([again.covered, again.saved], [first.covered, first.saved]);
});

test('a restored client knows all that it would have asked for', async () => {
    const user = at.users.pop();
    const plain = open(ImapFlow, user, at.gateway);
    await plain.connect();
    await plain.logout();
    const first = await visit(user);
    const again = await visit(user, first.saved);
    assert.equal(again.restored, Restored.DONE);
    for (const client of [first, again]) {
        for (const name of ['capabilities', 'enabled', 'namespace', 'namespaces', 'serverInfo', 'authenticated']) {
            assert.deepEqual(client[name], plain[name], name);
        }
    }
});

test('what it writes into a client of ImapFlow keeps its type', async () => {
    const source = fs.readFileSync(require.resolve('..'), 'utf8');
    const user = at.users.pop();
    const mailbox = 'INBOX';
    const plain = open(ImapFlow, user, at.gateway);
    await plain.connect();
    const written = [...source.matchAll(/\b(?:this|client)\.(\w+) = /g)].map(match => match[1]).filter(name => name in plain);
    assert.ok(['enabled', 'namespaces', 'mailbox', 'state'].every(name => written.includes(name)));
    const types = client => written.map(name => [name, Object.prototype.toString.call(client[name])]);
    const state = await openedOnce(user);
    for (const [saved, named, restored] of [
        [null, mailbox, Restored.NOT_ASKED],
        [state, undefined, Restored.DONE],
        [JSON.stringify({ ...JSON.parse(state), token: 'AQAAAAAA' }), mailbox, Restored.REFUSED] // leaves the mailbox
    ]) {
        const client = open(StateFlow, user, at.gateway, { state: saved, mailbox: named, ...LOGIN });
        await client.connect();
        assert.equal(client.restored, restored);
        assert.deepEqual(types(client), types(plain));
    }
});

test('the README shows code that runs', async () => {
    const code = /```js\n([^]*?)```/
        .exec(README)[1]
        .replace(/^import (.*) from (.*);$/gm, 'const $1 = require($2);')
        .replace("'mail.example.org'", "'localhost', tls: { ca }")
        .replace('993', `${at.gatewayTls}, secure: true, logger: false`)
        .replace("'ann'", `'${at.users.pop()}'`);
    const AsyncFunction = (async () => {}).constructor;
    const run = new AsyncFunction('require', 'ca', 'password', 'load', 'store', `${code}; return client;`);
    const kept = [];
    for (const outcome of [Restored.NOT_ASKED, Restored.DONE]) {
        const packages = name => require(name === 'imapflow' ? library : name);
        const client = await run(
            packages,
            trust.ca,
            at.password,
            () => kept[0],
            saved => kept.push(saved)
        );
        assert.equal(client.restored, outcome);
    }
    assert.ok(kept[0]);
    assert.equal(kept[1], kept[0]);
});

test('round trips are those in the README', async t => {
    const user = at.users.pop();
    const rows = [];
    const row = async (what, target, Flow, options) => {
        const recorder = await start(startRecorder(target));
        const client = open(Flow, user, recorder.port, options);
        await client.connect();
        await client.mailboxOpen('INBOX');
        const saved = client.saveState && (await client.saveState());
        await client.logout();
        const count = flightsUntil(recorder.recordings[0], 'SELECT');
        const sent = names(recorder.recordings[0]).slice(0, count);
        rows.push(`| ${what} | ${count} | ${sent.map(flight => flight.join(' ')).join(' → ')} |`);
        return saved;
    };
    const auth = { loginMethod: 'LOGIN' };
    const mailbox = 'INBOX';
    await row('ImapFlow, directly', at.direct, ImapFlow);
    await row('ImapFlow, through imapstated', at.gateway, ImapFlow);
    const state = await row('with STATE, the first visit', at.gateway, StateFlow, { mailbox });
    await row('with STATE, restored, `mailbox` not named', at.gateway, StateFlow, { state });
    await row('with STATE, restored', at.gateway, StateFlow, { state, mailbox });
    await row("with STATE, restored, `loginMethod: 'LOGIN'`", at.gateway, StateFlow, { state, mailbox, auth });
    const table = [`| | round trips to the answer to SELECT | sent in each |`, '| --- | --- | --- |', ...rows].join('\n');
    t.diagnostic(`imapflow ${version}\n${table}`);
    assert.ok(README.includes(table), `README.md has another table than the one that was measured:\n${table}`);
});

async function assertRestored(options, user = at.users.pop()) {
    const first = await visit(user, null, options);
    const again = await visit(user, first.saved, { ...options, more: assertHasQresync });
    assert.equal(again.restored, Restored.DONE);
}

test('it is restored over TLS', () => assertRestored({ port: at.gatewayTls, secure: true, tls: trust }));
test('it is restored over STARTTLS', () => assertRestored({ port: at.gatewayStarttls, doSTARTTLS: true, tls: trust }));
test('it is restored, and then compressed', async () => {
    const recorder = await start(startRecorder(at.gatewayCompressing));
    await assertRestored({ port: recorder.port, disableCompression: false });
    assert.deepEqual(names(recorder.recordings[1]).slice(0, 3), [['AUTHENTICATE'], ['...', 'STATE', 'ID'], ['COMPRESS']]);
});
test('it is restored after a login by SASL PLAIN', () => assertRestored({ auth: { loginMethod: 'AUTH=PLAIN' } }));
test('it is restored after a login by SASL LOGIN', () => assertRestored({ auth: { loginMethod: 'AUTH=LOGIN' } }));
test('it is restored after a login by LOGIN', () => assertRestored({ auth: { loginMethod: 'LOGIN' } }));
test('it is restored after a login by an access token', () =>
    assertRestored({ auth: { accessToken: at.bearer.accessToken } }, at.bearer.user));

const opens =
    (mailbox = 'INBOX', options = {}) =>
    client =>
        client.mailboxOpen(mailbox, options);
const LOGIN = { auth: { loginMethod: 'LOGIN' } };

/** What is saved by a visit that opens the mailbox. */
async function openedOnce(user, mailbox = 'INBOX', options = {}) {
    const path = mailbox.path || mailbox;
    const client = await visit(user, null, { mailbox, more: opens(path, { readOnly: mailbox.readOnly }), ...options });
    return client.saved;
}

async function deliver(user, mailbox = 'INBOX') {
    const client = open(ImapFlow, user, at.direct);
    await client.connect();
    await client.append(mailbox, 'Subject: arrived\r\n\r\nBody\r\n');
    await client.logout();
}

async function assertOpenedAhead(readOnly) {
    const user = at.users.pop();
    await deliver(user);
    const mailbox = { path: 'INBOX', readOnly };
    const state = await openedOnce(user, mailbox);
    const plain = open(ImapFlow, user, at.direct);
    await plain.connect();
    await plain.mailboxOpen('INBOX', { readOnly });
    const recorder = await start(startRecorder(at.gateway));
    const client = open(StateFlow, user, recorder.port, { state, mailbox, ...LOGIN });
    await client.connect();
    assert.deepEqual([client.restored, client.mailbox], [Restored.DONE, plain.mailbox]);
    const lock = await client.getMailboxLock('INBOX', { readOnly });
    lock.release();
    assert.equal(await client.mailboxOpen('INBOX', { readOnly }), client.mailbox);
    assert.deepEqual(names(recorder.recordings[0]), [['LOGIN', 'STATE', 'ID', readOnly ? 'EXAMINE' : 'SELECT']]);
    await deliver(user);
    await client.noop();
    assert.equal(client.mailbox.exists, 2);
    await client.mailboxOpen('INBOX', { readOnly }); // to have it looked at again
    assert.deepEqual(names(recorder.recordings[0]).slice(2), [['LIST'], ['LSUB'], [readOnly ? 'EXAMINE' : 'SELECT']]);
    assert.equal(await client.saveState(), state);
}

test('P11: a mailbox that is named is opened in the write of the login', () => assertOpenedAhead(false));
test('P11: it is opened read-only in the write of the login', () => assertOpenedAhead(true));

test('what comes right behind the mailbox is not overlooked', async () => {
    const server = await start(
        startScripted('* OK [CAPABILITY IMAP4rev1 STATE] hello', {
            STATE: tag => `* OK [ALERT] disk is full\r\n* STATE c3RhdGUgdG9rZW4=\r\n${tag} OK restored\r\n`,
            SELECT: tag => `* 3 EXISTS\r\n* OK [ALERT] really\r\n${tag} OK [READ-WRITE] selected\r\n* 4 EXISTS\r\n* 1 EXPUNGE\r\n`
        })
    );
    const told = [];
    const take = entry => told.push(entry.msg);
    const logger = { trace: take, debug: take, info: take, warn: take, error: take };
    const client = open(StateFlow, 'ann', server.port, { state: keptWithMailbox, mailbox: 'INBOX', logger });
    await client.connect();
    await client.noop();
    assert.deepEqual([client.restored, client.mailbox.exists], [Restored.DONE, 3]);
    assert.ok(['disk is full', 'really'].every(alert => told.some(msg => String(msg).includes(alert))));
    assert.deepEqual(
        server.commands.map(line => line.split(' ')[0]),
        ['LOGIN', 'STATE', 'SELECT', 'NOOP']
    );
});

async function assertOpenedWithState(loginMethod) {
    const user = at.users.pop();
    const recorder = await start(startRecorder(at.gateway));
    const state = await openedOnce(user);
    const client = await visit(user, state, {
        port: recorder.port,
        mailbox: 'INBOX',
        auth: { loginMethod },
        more: assertHasQresync
    });
    assert.equal(client.restored, Restored.DONE);
    const flights = names(recorder.recordings[0]);
    const flight = flights.findIndex(each => each.includes('STATE'));
    assert.deepEqual(flights[flight].slice(-3), ['STATE', 'ID', 'SELECT']);
    assert.equal(flights[flight + 1][0], 'APPEND');
}

test('the mailbox is opened with STATE after SASL PLAIN', () => assertOpenedWithState('AUTH=PLAIN'));
test('the mailbox is opened with STATE after SASL LOGIN', () => assertOpenedWithState('AUTH=LOGIN'));
test('the mailbox is opened with STATE after LOGIN', () => assertOpenedWithState('LOGIN'));

test('the mailbox is opened, and then compressed', async () => {
    const user = at.users.pop();
    const recorder = await start(startRecorder(at.gatewayCompressing));
    const options = { port: recorder.port, disableCompression: false, mailbox: 'INBOX' };
    const state = await openedOnce(user, 'INBOX', options);
    const client = await visit(user, state, { ...options, ...LOGIN, more: assertHasQresync });
    assert.equal(client.restored, Restored.DONE);
    assert.deepEqual(names(recorder.recordings[1]).slice(0, 2), [['LOGIN', 'STATE', 'ID', 'SELECT'], ['COMPRESS']]);
});

async function assertLeftForTheSetUp(owner, user, change) {
    const saved = await openedOnce(owner);
    const recorder = await start(startRecorder(at.gateway));
    const state = JSON.stringify(change(JSON.parse(saved)));
    const client = open(StateFlow, user, recorder.port, { state, mailbox: 'INBOX', ...LOGIN });
    await client.connect();
    assert.deepEqual([client.restored, client.mailbox], [Restored.REFUSED, false]);
    await client.mailboxOpen('INBOX');
    assert.deepEqual(names(recorder.recordings[0]), [
        ['LOGIN', 'STATE', 'ID', 'SELECT'],
        ...[['UNSELECT'], ['NAMESPACE'], ['ENABLE'], ['LIST'], ['LSUB'], ['SELECT']]
    ]);
    await assertHasQresync(client);
    const isOpen = async again => assert.equal(again.mailbox.path, 'INBOX');
    const again = await visit(user, await client.saveState(), { mailbox: 'INBOX', more: isOpen });
    assert.equal(again.restored, Restored.DONE);
}

test('P5: with the token of another user the mailbox is left for the set-up, and opened again', () =>
    assertLeftForTheSetUp(at.users.pop(), at.users.pop(), content => content));
test('P5: with the token of another server the mailbox is left for the set-up, and opened again', () => {
    const user = at.users.pop();
    return assertLeftForTheSetUp(user, user, content => ({ ...content, token: 'AQAAAAAA' }));
});

test('a mailbox that is gone is told by mailboxOpen()', async () => {
    const user = at.users.pop();
    const state = await openedOnce(user, 'Work', { more: client => client.mailboxCreate('Work').then(opens('Work').bind(null, client)) });
    const plain = open(ImapFlow, user, at.direct);
    await plain.connect();
    await plain.mailboxDelete('Work');
    const recorder = await start(startRecorder(at.gateway));
    const client = open(StateFlow, user, recorder.port, { state, mailbox: 'Work', ...LOGIN });
    await client.connect();
    assert.deepEqual([client.restored, client.mailbox], [Restored.DONE, false]);
    assert.deepEqual(names(recorder.recordings[0]), [['LOGIN', 'STATE', 'ID', 'SELECT']]);
    await assert.rejects(client.mailboxOpen('Work'), { responseStatus: 'NO' });
    await plain.mailboxCreate('Work');
    assert.equal((await client.mailboxOpen('Work')).exists, 0);
    await assertHasQresync(client);
});

test('a server without STATE is not asked for the mailbox ahead', async () => {
    const user = at.users.pop();
    const state = await openedOnce(user);
    const recorder = await start(startRecorder(at.direct));
    const client = await visit(user, state, { port: recorder.port, mailbox: 'INBOX', more: opens(), ...LOGIN });
    assert.deepEqual([client.restored, client.saved], [Restored.NOT_ASKED, state]);
    assert.deepEqual(names(recorder.recordings[0]).slice(0, 2), [['ID'], ['LOGIN']]);
});

test('the mailbox is opened anew with other options, or if another one is named', async () => {
    const user = at.users.pop();
    const state = await openedOnce(user);
    const { port, recordings } = await start(startRecorder(at.gateway));
    const more = async client => {
        const { uidValidity, highestModseq } = client.mailbox;
        await client.mailboxOpen('INBOX', { changedSince: highestModseq, uidValidity });
        assert.equal(client.mailbox.qresync, true);
    };
    await visit(user, state, { port, mailbox: 'INBOX', more, ...LOGIN });
    assert.match(recordings[0].flights.at(-2), /SELECT INBOX \(QRESYNC /);
    for (const mailbox of ['Work', { path: 'INBOX', readOnly: true }, undefined]) {
        const client = await visit(user, state, { port, mailbox, ...LOGIN });
        assert.deepEqual([client.restored, names(recordings.at(-1))[0]], [Restored.DONE, ['LOGIN', 'STATE', 'ID']]);
    }
});

test('P11: only a name that is the same in any state is selected ahead', async () => {
    for (const [mailbox, name] of [
        ['Sent Items', '"Sent Items"'],
        ['A&B', null],
        ['Entwürfe', null]
    ]) {
        const user = at.users.pop();
        const { port, recordings } = await start(startRecorder(at.gateway));
        const create = async client => {
            await client.mailboxCreate(mailbox);
            await client.mailboxOpen(mailbox);
        };
        const state = await openedOnce(user, mailbox, { more: create });
        const client = await visit(user, state, { port, mailbox, more: opens(mailbox), ...LOGIN });
        assert.equal(client.restored, Restored.DONE);
        assert.equal(recordings[0].flights[0].includes(`SELECT ${name}\r\n`), !!name);
    }
});

test('an ENABLE that is new leaves a mailbox that the program has not opened', async () => {
    const user = at.users.pop();
    const options = { disableAutoEnable: true, mailbox: 'INBOX' };
    const state = await openedOnce(user, 'INBOX', options);
    const { port, recordings } = await start(startRecorder(at.gateway));
    const more = async client => {
        const closed = new Promise(resolve => client.once('mailboxClose', resolve));
        assert.equal(await client.setUp('ENABLE', 'QRESYNC'), true);
        assert.equal((await closed).path, 'INBOX');
        await assertHasQresync(client);
    };
    await visit(user, state, { port, more, ...options, ...LOGIN });
    assert.deepEqual(names(recordings[0]).slice(0, 3), [['LOGIN', 'STATE', 'ID', 'SELECT'], ['UNSELECT'], ['ENABLE']]);
});

test('without UNSELECT the mailbox is left without expunging', async () => {
    for (const [readOnly, leaves] of [
        [false, ['SELECT', 'EXAMINE', 'CLOSE']],
        [true, ['EXAMINE', 'CLOSE']]
    ]) {
        const server = await start(
            startScripted('* OK [CAPABILITY IMAP4rev1 STATE] hello', {
                LOGIN: tag => `${tag} OK [CAPABILITY IMAP4rev1 ENABLE CONDSTORE QRESYNC NAMESPACE STATE] welcome\r\n`
            })
        );
        const mailbox = { name: 'INBOX', readOnly, path: 'INBOX', folder: { delimiter: '/' } };
        const client = open(StateFlow, 'ann', server.port, { state: kept({ mailbox }), mailbox: { path: 'INBOX', readOnly } });
        await client.connect();
        assert.deepEqual([client.restored, client.mailbox], [Restored.REFUSED, false]);
        assert.deepEqual(
            server.commands.map(line => line.split(' ')[0]),
            ['LOGIN', 'STATE', ...leaves, 'NAMESPACE', 'ENABLE']
        );
    }
});

test('the language comes back too', async () => {
    const user = at.users.pop();
    const german = client => client.setUp('LANGUAGE', 'DE');
    const texts = {};
    const noop = what => async client => {
        const { response, next } = await client.exec('NOOP');
        texts[what] = response.attributes.at(-1).value;
        next();
    };
    const { saved } = await visit(user, null, { more: german });
    await visit(user, null, { more: noop('English') });
    await visit(user, null, { more: async client => (await german(client)) && noop('German')(client) });
    const again = await visit(user, saved, { more: noop('restored') });
    assert.deepEqual([again.restored, again.covered], [Restored.DONE, ['ENABLE CONDSTORE QRESYNC', 'LANGUAGE DE']]);
    assert.equal(texts.restored, texts.German);
    assert.notEqual(texts.restored, texts.English);
});

test('a refused access token does not make STATE a part of the SASL exchange', async () => {
    const recorder = await start(startRecorder(at.gateway));
    const { saved } = await visit(at.users.pop());
    const client = open(StateFlow, at.bearer.user, recorder.port, { state: saved, auth: { accessToken: 'wrong' } });
    await assert.rejects(client.connect(), { authenticationFailed: true });
    assert.deepEqual(names(recorder.recordings[0]), [['AUTHENTICATE'], ['...']]);
    assert.equal(client.saved, saved);
});

test('a wrong password is told as ever, and what was saved is kept', async () => {
    const user = at.users.pop();
    const { saved } = await visit(user);
    for (const loginMethod of ['AUTH=PLAIN', 'LOGIN']) {
        const client = open(StateFlow, user, at.gateway, { state: saved, auth: { pass: 'wrong', loginMethod } });
        await assert.rejects(client.connect(), { authenticationFailed: true, serverResponseCode: 'AUTHENTICATIONFAILED' });
        assert.equal(client.saved, saved);
    }
    assert.equal((await visit(user, saved)).restored, Restored.DONE);
});

test('a server without STATE is set up each time', async () => {
    const user = at.users.pop();
    const { saved } = await visit(at.users.pop());
    const client = await visit(user, saved, { port: at.direct, more: assertHasQresync });
    assert.equal(client.restored, Restored.NOT_ASKED);
    assert.equal(client.saved, saved); // the other server may be back the next time
    assert.equal((await visit(user, null, { port: at.direct })).saved, null);
});

test('only a changed state is saved again', async () => {
    const user = at.users.pop();
    const recorder = await start(startRecorder(at.gateway));
    const notify = client => client.setUp(...NOTIFY);
    let state = null;
    for (const [more, sends] of [
        [undefined, true],
        [undefined, false],
        [notify, true],
        [notify, false]
    ]) {
        const client = await visit(user, state, { port: recorder.port, more });
        assert.equal(flightsUntil(recorder.recordings.at(-1), 'SAVESTATE') > 0, sends);
        assert.equal(client.saved !== state, sends);
        state = client.saved;
    }
    assert.deepEqual(JSON.parse(state).commands, [['ENABLE', 'CONDSTORE QRESYNC'], NOTIFY]);
    assert.equal(flightsUntil(recorder.recordings.at(-1), 'NOTIFY'), 0);
});

test('a state can be saved while a mailbox is idling', async () => {
    const user = at.users.pop();
    const client = open(StateFlow, user, at.gateway);
    await client.connect();
    await client.mailboxOpen('INBOX');
    const idling = client.idle();
    while (!client.idling) {
        await new Promise(resolve => setImmediate(resolve));
    }
    await client.saveState();
    await idling;
    await client.logout();
    assert.equal((await visit(user, client.saved)).restored, Restored.DONE);
});

test('another set-up does not restore what was saved for this one', async () => {
    const user = at.users.pop();
    const { saved } = await visit(user);
    const client = await visit(user, saved, { qresync: false });
    assert.equal(client.restored, Restored.NOT_ASKED);
    assert.ok(!client.enabled.has('QRESYNC'));
    assert.deepEqual(client.covered, ['ENABLE CONDSTORE']);
});

test('P5: what cannot be read is as good as nothing', async () => {
    const user = at.users.pop();
    const { saved } = await visit(user);
    const content = JSON.parse(saved);
    const changed = [
        { version: 2 },
        { token: 'A\r\nx LOGOUT' },
        { commands: [['ENABLE']] },
        { capabilities: [1] },
        { enabled: null },
        { namespaces: {} }
    ];
    for (const state of [
        '',
        'token',
        'null',
        '[]',
        '{}',
        ...changed.map(change => JSON.stringify({ ...content, ...change }))
    ]) {
        const client = open(StateFlow, user, at.gateway, { state });
        assert.equal(client.saved, null, state);
    }
    assert.equal((await visit(user, '{}')).restored, Restored.NOT_ASKED);
});

test('P5: a refused token is forgotten, everything is set up, and another saved', async () => {
    const user = at.users.pop();
    const { saved } = await visit(at.users.pop());
    const recorder = await start(startRecorder(at.gateway));
    const client = await visit(user, saved, { port: recorder.port, more: assertHasQresync });
    assert.equal(client.restored, Restored.REFUSED);
    assert.deepEqual(names(recorder.recordings[0]).slice(0, 4), [
        ['AUTHENTICATE'],
        ['...', 'STATE', 'ID'],
        ['NAMESPACE'],
        ['ENABLE']
    ]);
    assert.ok(client.saved && client.saved !== saved);
    assert.equal((await visit(user, client.saved)).restored, Restored.DONE);
});

/** What a state looks like that a server gave which has no more to say. */
const kept = changes =>
    JSON.stringify({
        version: 1,
        purpose: 'true,false,false',
        token: 'c3RhdGUgdG9rZW4=',
        commands: [['ENABLE', 'CONDSTORE QRESYNC']],
        capabilities: ['IMAP4rev1', 'ENABLE', 'CONDSTORE', 'QRESYNC', 'STATE'],
        enabled: ['CONDSTORE', 'QRESYNC'],
        namespaces: { personal: [{ prefix: '', delimiter: '/' }], other: false, shared: false },
        ...changes
    });
const keptWithMailbox = kept({ mailbox: { name: 'INBOX', readOnly: false, path: 'INBOX', folder: { delimiter: '/' } } });

/** A server that opens no mailbox before it has been told, on this connection and behind the login, who the client is. It
 * answers ID so, or by a list with one pair. */
async function startSuspicious({ before = true, ID = tag => `* ID ("name" "strict")\r\n${tag} OK told\r\n`, ...answers } = {}) {
    const sent = () => server.commands.map(line => line.split(' ')[0]);
    const isTold = () => sent().lastIndexOf('ID') > sent().lastIndexOf('LOGIN');
    const server = await start(
        startScripted(`* OK [CAPABILITY IMAP4rev1 ${before ? 'ID ' : ''}STATE] hello`, {
            LOGIN: tag => `${tag} OK [CAPABILITY IMAP4rev1 ENABLE CONDSTORE QRESYNC NAMESPACE ID STATE] welcome\r\n`,
            STATE: tag => `* STATE c3RhdGUgdG9rZW4=\r\n${tag} OK restored\r\n`,
            SELECT: tag => (isTold() ? `* 3 EXISTS\r\n${tag} OK selected\r\n` : `${tag} NO Unsafe login\r\n`),
            ID,
            ...answers
        })
    );
    return { ...server, sent };
}

test('ID is told on each connection, between STATE and SELECT, and its answer is serverInfo', async () => {
    const server = await startSuspicious();
    for (const name of ['one', 'two']) {
        const options = { state: keptWithMailbox, mailbox: 'INBOX', clientInfo: { name, vendor: undefined } };
        const client = open(StateFlow, 'ann', server.port, options);
        await client.connect();
        assert.deepEqual(server.sent(), ['LOGIN', 'STATE', 'ID', 'SELECT']);
        assert.ok(server.commands[2].startsWith(`ID ("name" "${name}" `));
        assert.deepEqual([client.restored, client.serverInfo], [Restored.DONE, { name: 'strict' }]);
        assert.equal((await client.mailboxOpen('INBOX')).exists, 3);
        server.commands.length = 0;
    }
});

test('ID is told once where nothing is restored, too', async () => {
    for (const [answer, restored] of [
        ['OK', Restored.REFUSED],
        ['NO [UNAVAILABLE]', Restored.UNAVAILABLE]
    ]) {
        const server = await startSuspicious({ STATE: tag => `${tag} ${answer} nothing\r\n` });
        const client = open(StateFlow, 'ann', server.port, { state: kept() });
        await client.connect();
        assert.deepEqual([client.restored, client.serverInfo], [restored, { name: 'strict' }]);
        assert.deepEqual(server.sent().slice(0, 3), ['LOGIN', 'STATE', 'ID']);
        assert.deepEqual(server.sent().slice(-2), ['NAMESPACE', 'ENABLE']);
        assert.equal(server.sent().lastIndexOf('ID'), 2);
    }
});

test('an ID that only the list after the login offers is told then', async () => {
    class Upgraded extends StateFlow {
        async upgradeToSTARTTLS() {
            this.capabilities.delete('ID'); // the list under TLS is another one
        }
    }
    for (const [Flow, before] of [
        [StateFlow, false],
        [Upgraded, true]
    ]) {
        const server = await startSuspicious({ before });
        const client = open(Flow, 'ann', server.port, { state: keptWithMailbox, mailbox: 'INBOX' });
        await client.connect();
        assert.deepEqual([client.restored, client.serverInfo], [Restored.DONE, { name: 'strict' }]);
        assert.equal((await client.mailboxOpen('INBOX')).exists, 3);
        assert.equal(server.sent().filter(name => name === 'ID').length, 1);
    }
});

test('an ID that is refused, or cannot be sent, disturbs nothing', async () => {
    for (const [ID, clientInfo, sent] of [
        [tag => `${tag} NO not now\r\n`, {}, ['ID']],
        [tag => `${tag} BAD what?\r\n`, {}, ['ID']],
        [undefined, { name: 'a\0b' }, []]
    ]) {
        const server = await startSuspicious({ ID, SELECT: tag => `* 3 EXISTS\r\n${tag} OK selected\r\n` });
        const client = open(StateFlow, 'ann', server.port, { state: keptWithMailbox, mailbox: 'INBOX', clientInfo });
        await client.connect();
        assert.deepEqual([client.restored, client.serverInfo, client.mailbox.exists], [Restored.DONE, null, 3]);
        assert.deepEqual(server.sent(), ['LOGIN', 'STATE', ...sent, 'SELECT']);
    }
});

test('P6: a token that cannot be tried now is kept, and everything is set up', async () => {
    const server = await start(
        startScripted('* OK [CAPABILITY IMAP4rev1 STATE] hello', {
            LOGIN: tag => `${tag} OK [CAPABILITY IMAP4rev1 ENABLE CONDSTORE QRESYNC NAMESPACE STATE] welcome\r\n`,
            STATE: tag => `${tag} NO [UNAVAILABLE] not now\r\n`
        })
    );
    for (const [state, ...ahead] of [[kept()], [keptWithMailbox, 'SELECT', 'EXAMINE', 'CLOSE']]) {
        const client = open(StateFlow, 'ann', server.port, { state, mailbox: 'INBOX' });
        await client.connect();
        assert.equal(client.restored, Restored.UNAVAILABLE);
        assert.equal(await client.saveState(), state);
        assert.deepEqual(
            server.commands.splice(0).map(line => line.split(' ')[0]),
            ['LOGIN', 'STATE', ...ahead, 'NOOP', 'NAMESPACE', 'ENABLE']
        );
    }
});

test('P6: a session that ends then fails to connect, and the token is kept', async () => {
    const server = await start(
        startScripted('* OK [CAPABILITY IMAP4rev1 STATE] hello', {
            LOGIN: tag => `${tag} OK [CAPABILITY IMAP4rev1 NAMESPACE STATE] welcome\r\n`,
            STATE: tag => `${tag} NO [UNAVAILABLE] not now\r\n* BYE try again\r\n`
        })
    );
    for (const state of [kept(), keptWithMailbox]) {
        const client = open(StateFlow, 'ann', server.port, { state, mailbox: 'INBOX' });
        await assert.rejects(client.connect());
        assert.equal(client.saved, state);
    }
});

test('P9: what is refused is not in the state', async () => {
    let notified = 'NO';
    const server = await start(
        startScripted('* OK [CAPABILITY IMAP4rev1 STATE] hello', {
            LOGIN: tag => `${tag} OK [CAPABILITY IMAP4rev1 NAMESPACE NOTIFY STATE] welcome\r\n`,
            NOTIFY: tag => (notified === 'OK' ? `* OK [STATECMD ${tag}] saved\r\n` : '') + `${tag} ${notified} so it is\r\n`,
            LANGUAGE: (tag, args) => `* LANGUAGE (${args})\r\n* OK [STATECMD ${tag}] saved\r\n${tag} OK done\r\n`,
            COMPARATOR: tag => `${tag} OK but too large for the state\r\n`
        })
    );
    const client = open(StateFlow, 'ann', server.port);
    await client.connect();
    assert.equal(await client.setUp(...NOTIFY), false);
    assert.deepEqual(client.covered, []);
    notified = 'OK';
    assert.equal(await client.setUp(...NOTIFY), true);
    assert.equal(await client.setUp('LANGUAGE', 'de'), true);
    assert.equal(await client.setUp('COMPARATOR', 'i;octet'), true);
    assert.deepEqual(client.covered, [NOTIFY.join(' '), 'LANGUAGE DE']);
    await client.setUp('LANGUAGE', 'FR');
    await client.setUp('NOTIFY', 'NONE');
    assert.deepEqual(client.covered, ['LANGUAGE FR', 'NOTIFY NONE']);
    const sent = server.commands.length;
    assert.equal(await client.setUp('language', 'fr'), true);
    assert.equal(server.commands.length, sent);
    await assert.rejects(client.setUp('SELECT', 'INBOX'), { message: /SELECT is not among/ });
});

test('P1: STATE that only the list after the login offers is asked for then', async () => {
    const server = await start(
        startScripted('* OK [CAPABILITY IMAP4rev1] hello', {
            LOGIN: tag => `${tag} OK [CAPABILITY IMAP4rev1 ENABLE CONDSTORE QRESYNC NAMESPACE STATE] welcome\r\n`,
            STATE: tag => `* STATE c3RhdGUgdG9rZW4=\r\n${tag} OK restored\r\n`
        })
    );
    const client = open(StateFlow, 'ann', server.port, { state: kept() });
    await client.connect();
    assert.equal(client.restored, Restored.DONE);
    assert.deepEqual(
        server.commands.map(line => line.split(' ')[0]),
        ['LOGIN', 'STATE']
    );
});

test('P12: a list that no login brings is taken from what was saved', async () => {
    const server = await start(
        startScripted('* OK [CAPABILITY IMAP4rev1 STATE] hello', {
            STATE: tag => `* STATE c3RhdGUgdG9rZW4=\r\n${tag} OK restored\r\n`
        })
    );
    const client = open(StateFlow, 'ann', server.port, { state: kept() });
    await client.connect();
    assert.equal(client.restored, Restored.DONE);
    assert.deepEqual([...client.capabilities.keys()], ['IMAP4rev1', 'ENABLE', 'CONDSTORE', 'QRESYNC', 'STATE']);
    assert.deepEqual(
        server.commands.map(line => line.split(' ')[0]),
        ['LOGIN', 'STATE']
    );
});

test('no log shows a token', async () => {
    const user = at.users.pop();
    const entries = [];
    const take = entry => entries.push(entry);
    const logger = { trace: take, debug: take, info: take, warn: take, error: take };
    const { saved } = await visit(user, null, { logger });
    await visit(user, saved, { logger });
    await visit(at.users.pop(), saved, { logger, auth: { loginMethod: 'LOGIN' } });
    const log = JSON.stringify(entries);
    assert.match(log, /\* SAVESTATE \(\* value hidden/);
    assert.match(log, /\* STATE \(\* value hidden/);
    assert.ok(!log.includes(JSON.parse(saved).token));
});

test('it can be imported as an ES module', async () => {
    const module = await import('imapflow-state');
    assert.equal(module.withState, withState);
    assert.equal(module.Restored, Restored);
});
