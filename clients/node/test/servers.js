'use strict';

const net = require('node:net');

/**
 * A relay on loopback that writes down, in flights, what a client says. A flight is what it sends without having heard
 * anything in between: as many round trips have passed when a flight is answered as there are flights until then.
 *
 * @param {number} target - The port that is relayed to.
 * @returns {Promise<{port: number, recordings: {flights: string[]}[], close: () => void}>}
 */
async function startRecorder(target) {
    const recordings = [];
    const sockets = new Set();
    const server = net.createServer(client => {
        const recording = { flights: [], speaks: false };
        recordings.push(recording);
        const upstream = net.connect(target, '127.0.0.1');
        for (const [source, sink, note] of [
            [client, upstream, octets => says(recording, octets)],
            [upstream, client, () => (recording.speaks = false)]
        ]) {
            sockets.add(source);
            source.setNoDelay(true);
            source.on('data', octets => {
                note(octets);
                sink.write(octets);
            });
            source.on('close', () => sink.end());
            source.on('error', () => sink.destroy());
        }
    });
    const port = await listen(server);
    return { port, recordings, close: () => end(server, sockets) };
}

function says(recording, octets) {
    if (!recording.speaks) {
        recording.flights.push('');
    }
    recording.speaks = true;
    recording.flights[recording.flights.length - 1] += octets.toString('latin1');
}

/** The commands' names, a list for each flight. What is no command, such as a SASL response, is `...`. */
function names(recording) {
    const name = line => (/^[^\s+*]+ ([A-Za-z]+)/.exec(line) || [])[1] || '...';
    return recording.flights.map(flight => flight.trimEnd().split('\r\n').map(name));
}

/** The number of the flight, from 1, with the first command of this name. */
const flightsUntil = (recording, wanted) => names(recording).findIndex(flight => flight.includes(wanted)) + 1;

/**
 * A server that answers each command by a function of its tag and arguments, in lines.
 *
 * @param {string} greeting
 * @param {Object<string, (tag: string, args: string) => string>} answers - By the command's name; others get OK, as does
 *     NAMESPACE with the data that ImapFlow cannot do without.
 */
async function startScripted(greeting, answers) {
    const commands = [];
    const sockets = new Set();
    const ok = tag => `${tag} OK done\r\n`;
    const all = { NAMESPACE: tag => `* NAMESPACE (("" "/")) NIL NIL\r\n${ok(tag)}`, ...answers };
    const server = net.createServer(socket => {
        let received = '';
        sockets.add(socket);
        socket.on('error', () => socket.destroy());
        socket.write(`${greeting}\r\n`);
        socket.on('data', octets => {
            const lines = (received + octets.toString('latin1')).split('\r\n');
            received = lines.pop();
            for (const line of lines) {
                const [tag, name, ...args] = line.split(' ');
                commands.push([name, ...args].join(' '));
                const answer = (all[name] || ok)(tag, args.join(' '));
                socket.write(answer);
                if (answer.includes('* BYE')) {
                    socket.end();
                }
            }
        });
    });
    const port = await listen(server);
    return { port, commands, close: () => end(server, sockets) };
}

const listen = server => new Promise(resolve => server.listen(0, '127.0.0.1', () => resolve(server.address().port)));

function end(server, sockets) {
    server.close();
    sockets.forEach(socket => socket.destroy());
}

module.exports = { startRecorder, startScripted, names, flightsUntil };
