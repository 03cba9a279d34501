'use strict';

const POLL_MS = 5000;
const PATIENCE_MS = 10000;
const HOUR_S = 3600;
const WIDTHS_S = [600, 1800, HOUR_S];
const BAR_S = 60;
const CERTIFICATE_WARN_DAYS = 14;
const NEARLY_FULL = 0.9;
const SLOW_LOOP_MS = 100;
const HEIGHT = 64;
const SVG = 'http://www.w3.org/2000/svg';

const LOGINS = [
    ['parked', 'accepted, by a parked connection'],
    ['accepted', 'accepted, by the upstream'],
    ['refused', 'refused by the upstream'],
    ['unavailable', 'upstream not available'],
    ['cannot', 'not possible at the upstream'],
    ['acting', 'for another user, not allowed'],
    ['cleartext', 'without TLS'],
    ['malformed', 'malformed'],
    ['cancelled', 'cancelled by the client'],
    ['abandoned', 'client gone before the answer'],
];
const TAKES = [
    ['warm', 'parked, in the state of its token'],
    ['pristine', 'parked, in no state'],
    ['any', 'parked, in any state (imapproxy_compat)'],
    ['miss', 'new login at the upstream'],
];

const $ = (id) => document.getElementById(id);
const sum = (numbers) => numbers.reduce((all, each) => all + each, 0);
const known = (value) => value !== null && value !== undefined;

/* --- words and numbers --- */

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const minutes = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });

/* Few digits where they say nothing: 0.4, 3.2, 12, 1,234. */
const number = (value) => (value < 10 ? tenths : whole).format(value);
const counted = (value, one, many) => `${whole.format(value)} ${value === 1 ? one : many}`;

/* What stands in front of a unit, and the unit. */
function milliseconds(ms) {
    if (!known(ms))
        return ['–', ''];
    return ms < 1000 ? [number(ms), 'ms'] : [number(ms / 1000), 's'];
}

function octets(count) {
    const units = ['B', 'kB', 'MB', 'GB', 'TB'];
    let at = 0;
    for (; count >= 999.5 && at < units.length - 1; at++)
        count /= 1000;
    return [number(count), units[at]];
}

function percent(share) {
    if (!known(share))
        return ['–', ''];
    /* Neither 100 % nor 0 % unless it is just that. */
    const shown = share > 0 && share < 1 ? Math.min(Math.max(share * 100, 0.1), 99.9) : share * 100;
    return [shown > 99 && shown < 100 ? tenths.format(shown) : number(shown), '%'];
}

const joined = ([value, unit]) => unit ? `${value}\u00a0${unit}` : value;

function duration(seconds) {
    const parts = [['d', 86400], ['h', 3600], ['min', 60], ['s', 1]];
    const first = Math.max(parts.findIndex(([, size]) => seconds >= size), 0);
    const [[unit, size], next] = seconds < 1 ? [parts[3]] : [parts[first], parts[first + 1]];
    const head = `${Math.floor(seconds / size)}\u00a0${unit}`;
    const rest = next && unit !== 'min' ? Math.floor(seconds % size / next[1]) : 0;
    return rest ? `${head}\u00a0${rest}\u00a0${next[0]}` : head;
}

const at = (seconds) => new Date(seconds * 1000);

function dayAndTime(seconds) {
    return `${day.format(at(seconds))}, ${minutes.format(at(seconds))}`;
}

/* --- elements --- */

/* An attribute that is undefined is left out. */
function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    return dressed(made, attributes, children);
}

function drawn(name, attributes = {}, ...children) {
    return dressed(document.createElementNS(SVG, name), attributes, children);
}

function dressed(made, attributes, children) {
    for (const [key, value] of Object.entries(attributes))
        if (known(value))
            made.setAttribute(key, value);
    made.append(...children);
    return made;
}

/* Only if it has changed: who has marked some of it to copy it keeps that. */
function put(place, ...children) {
    const fresh = element('div', {}, ...children);
    if (fresh.innerHTML !== place.innerHTML)
        place.replaceChildren(...fresh.childNodes);
}

const beside = (text) => element('span', { class: 'beside' }, text);
const mark = (kind, text) => element('span', { class: `mark ${kind}` }, text);
const key = (kind, text) => element('span', { class: `key ${kind}` }, text);

/* columns: [heading, a row's cell, is it a number]. Roles, as a table that is laid out as cards is none to some readers. */
function table(columns, rows, { wide, name }) {
    const heads = columns.map(([heading, , isNumber]) =>
        element('th', { scope: 'col', role: 'columnheader', class: isNumber ? 'number' : undefined }, heading));
    const cell = (row) => ([heading, content, isNumber], index) => {
        const parts = [content(row)].flat();
        return index === 0
            ? element('th', { scope: 'row', role: 'rowheader' }, ...parts)
            : element('td', { role: 'cell', class: isNumber ? 'number' : undefined, 'data-column': heading }, ...parts);
    };
    return element('table', { role: 'table', class: wide ? 'wide' : undefined, 'aria-labelledby': `${name}-heading` },
        element('thead', { role: 'rowgroup' }, element('tr', { role: 'row' }, ...heads)),
        element('tbody', { role: 'rowgroup' }, ...rows.map((row) => element('tr', { role: 'row' }, ...columns.map(cell(row))))));
}

function putTable(name, columns, rows, empty, wide = false) {
    put($(name), rows.length ? table(columns, rows, { wide, name }) : element('p', { class: 'empty' }, empty));
}

/* --- charts --- */

/* points: the newest last; null where nothing is known. x: 0 to 1, over the last hour, or less while there is less. */
class Span {
    constructor(history) {
        this.every = history.every_s;
        this.end = history.end_s;
        this.count = history.count;
        this.width = WIDTHS_S.find((width) => width >= history.count * history.every_s) || HOUR_S;
    }

    x(index) {
        return 1 - (this.count - index) * this.every / this.width;
    }

    time(index) {
        return this.end - (this.count - index) * this.every;
    }

    /* The means of each minute, which begin and end with the clock's. */
    bars(points) {
        const means = new Map();
        points.forEach((point, index) => {
            const bar = Math.floor(this.time(index) / BAR_S);
            if (point !== null)
                means.set(bar, [...means.get(bar) || [], point]);
        });
        return new Map([...means].map(([bar, all]) => [bar, sum(all) / all.length]));
    }

    barX(bar) {
        return 1 - (this.end - bar * BAR_S) / this.width;
    }
}

/* The least number of those that read well at the top of a chart, and is not exceeded. */
function ceiling(most, atLeast) {
    const value = Math.max(most, atLeast);
    const decade = 10 ** Math.floor(Math.log10(value));
    return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((step) => step * decade).find((step) => step >= value * 0.9999);
}

const W = 1000;
const px = (x) => (x * W).toFixed(1);
/* scale: the values at the bottom and at the top. A bottom that is not 0 makes it logarithmic. */
function py(value, { bottom, top }) {
    const share = bottom ? Math.log(Math.max(value, bottom) / bottom) / Math.log(top / bottom) : value / top;
    return (HEIGHT - share * (HEIGHT - 2)).toFixed(1);
}

/* Steps, as each point is true of some seconds. A gap stays one. */
function stepPath(points, span, scale, isArea) {
    const parts = [];
    let isOn = false;
    points.forEach((point, index) => {
        if (point !== null) {
            const begin = isArea ? `M${px(span.x(index))} ${HEIGHT}V` : `M${px(span.x(index))} `;
            parts.push(`${isOn ? 'V' : begin}${py(point, scale)}H${px(span.x(index + 1))}`);
        }
        const ends = isOn && point === null || point !== null && (index === points.length - 1 || points[index + 1] === null);
        if (ends && isArea && point !== null)
            parts.push(`V${HEIGHT}Z`);
        isOn = point !== null;
    });
    return parts.join('');
}

function barPath(heights, floors, span, scale) {
    return [...heights].filter(([, height]) => height > 0).map(([bar, height]) => {
        const left = Math.max(span.barX(bar), 0), right = Math.min(span.barX(bar + 1), 1), gap = 0.12 * BAR_S / span.width;
        const floor = floors.get(bar) || 0;
        return `M${px(left)} ${py(floor, scale)}V${py(floor + height, scale)}H${px(right - gap)}V${py(floor, scale)}Z`;
    }).join('');
}

const grid = () => [0, 0.25, 0.5, 0.75].map((x) =>
    drawn('line', { class: 'grid', x1: px(x), x2: px(x), y1: 0, y2: HEIGHT }));

/* Each gives what is drawn, and the value at its top. least: what the scale spans in any case. */
function curves(series, span, least) {
    const most = Math.max(...series.flatMap(({ points }) => points.filter(known)), 0);
    const scale = { bottom: least.bottom, top: ceiling(most, least.top) };
    const shapes = series.flatMap(({ points, kind, isArea }) => [
        ...isArea ? [drawn('path', { class: 'area', d: stepPath(points, span, scale, true) })] : [],
        drawn('path', { class: `${kind} curve`, d: stepPath(points, span, scale, false) }),
    ]);
    return [shapes, scale.top];
}

function stackedBars(series, span, least) {
    const all = series.map(({ points }) => span.bars(points));
    const totals = new Map();
    const floors = all.map((heights) => {
        const floor = new Map(totals);
        heights.forEach((height, bar) => totals.set(bar, (totals.get(bar) || 0) + height));
        return floor;
    });
    const scale = { bottom: 0, top: ceiling(Math.max(...totals.values(), 0), least.top) };
    return [series.map(({ kind }, index) =>
        drawn('path', { class: `${kind} bars`, d: barPath(all[index], floors[index], span, scale) })), scale.top];
}

/* A figure, words, and a chart. show(value): with its unit. */
class Card {
    constructor(title, { draw, show, least, bottom = 0, id }) {
        Object.assign(this, { title, draw, show, least: { bottom, top: least } });
        this.figure = element('p', { class: 'figure', id: `figure-${id}` });
        this.words = element('p', { class: 'words' });
        this.top = element('span');
        this.reading = element('span', { 'aria-hidden': 'true' });
        this.svg = drawn('svg', { class: 'chart', viewBox: `0 0 ${W} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img' });
        this.begin = element('span');
        this.cursor = drawn('line', { class: 'cursor', y1: 0, y2: HEIGHT, visibility: 'hidden' });
        this.svg.addEventListener('pointermove', (event) => this.point(event));
        this.svg.addEventListener('pointerleave', () => this.pointAway());
        $('cards').append(element('article', { class: 'card' }, element('h3', {}, title), this.figure, this.words,
            element('div', { class: 'scale' }, this.top, this.reading), this.svg,
            element('div', { class: 'hours' }, this.begin, element('span', {}, 'now'))));
    }

    update(value, words, series, span) {
        put(this.figure, value[0], ...value[1] ? [element('span', { class: 'unit' }, value[1])] : []);
        put(this.words, ...words);
        this.series = series;
        this.span = span;
        const [shapes, top] = this.draw(series, span, this.least);
        this.svg.replaceChildren(...grid(), ...shapes, this.cursor);
        this.begin.textContent = `${duration(span.width)} ago`;
        const isEmpty = !series.some(({ points }) => points.some(known));
        this.top.textContent = isEmpty ? 'nothing yet' : joined(this.show(top)) + this.bottomWords();
        this.svg.setAttribute('aria-label', `${this.title}, last hour: ${series.map((each) => this.told(each)).join('; ')}`);
    }

    bottomWords() {
        return this.least.bottom ? `, from ${joined(this.show(this.least.bottom))}, logarithmic` : '';
    }

    told({ name, points }) {
        const values = points.filter(known);
        return values.length
            ? `${name} from ${joined(this.show(Math.min(...values)))} to ${joined(this.show(Math.max(...values)))}`
            : `${name}: nothing yet`;
    }

    point(event) {
        const box = this.svg.getBoundingClientRect();
        const x = (event.clientX - box.left) / box.width;
        const index = Math.floor(this.span.count - (1 - x) * this.span.width / this.span.every);
        const values = index < 0 || index >= this.span.count ? []
            : this.series.filter(({ points }) => known(points[index])).map(({ name, points }) => `${name} ${joined(this.show(points[index]))}`);
        if (!values.length)
            return this.pointAway();
        dressed(this.cursor, { x1: px(x), x2: px(x), visibility: 'visible' }, []);
        this.reading.textContent = `${clock.format(at(this.span.time(index)))}  ${values.join(', ')}`;
    }

    pointAway() {
        this.cursor.setAttribute('visibility', 'hidden');
        this.reading.textContent = '';
    }
}

const plain = (value) => [number(value), ''];
const cards = {
    sessions: new Card('Sessions', { id: 'sessions', draw: curves, show: plain, least: 4 }),
    logins: new Card('Logins', { id: 'logins', draw: stackedBars, show: (value) => [number(value), 'a minute'], least: 4 }),
    time: new Card('Time for a login', { id: 'time', draw: curves, show: milliseconds, least: 100, bottom: 0.1 }),
    parked: new Card('Parked connections', { id: 'parked', draw: curves, show: plain, least: 4 }),
    warm: new Card('Warm share', { id: 'warm', draw: curves, show: percent, least: 1 }),
    traffic: new Card('Traffic with clients', { id: 'traffic', draw: stackedBars, show: (value) => [octets(value)[0], `${octets(value)[1]}/s`], least: 1000 }),
};

/* --- what is shown --- */

const loginsGood = (logins) => logins.parked + logins.accepted;
const loginsAll = (logins) => sum(Object.values(logins));
const failuresAll = (failures) => sum(Object.values(failures));

function warmShare(takes) {
    const all = sum(Object.values(takes));
    return all ? (all - takes.miss) / all : null;
}

/* How far back the last hour reaches. */
function sinceWords({ started_s: started, now_s: now }, span) {
    if (!span.count)
        return 'just started: the first point comes in some seconds';
    return now - started < HOUR_S ? `so far since ${clock.format(at(span.time(0)))}` : '';
}

function showCards(status) {
    const { history, recent, hour } = status;
    const span = new Span(history), series = history.series;
    const show = (card, value, words, ...drawnSeries) => card.update(value, words, drawnSeries, span);
    const perMinute = recent.seconds ? (loginsAll(recent.logins) / recent.seconds) * 60 : null;
    const ms = recent.login_ms, time = (name) => joined(milliseconds(ms[name]));
    const rate = (name) => recent.seconds ? joined(octets(recent[name] / recent.seconds)) + '/s' : '–';
    $('since').textContent = sinceWords(status, span);
    const failed = loginsAll(hour.logins) - loginsGood(hour.logins);

    show(cards.sessions, plain(status.clients.sessions),
        [`and ${whole.format(status.clients.now - status.clients.sessions)} not logged in, of at most ${whole.format(status.clients.max)} clients`],
        { name: 'sessions', points: series.sessions, kind: '', isArea: true });
    show(cards.logins, known(perMinute) ? [number(perMinute), 'a minute'] : ['–', ''],
        ['last hour: ', key('', `${whole.format(hour.logins.parked)} by parked connections`), ' ',
            key('weak', `${whole.format(hour.logins.accepted)} by the upstream`), ' ', key('failed', `${whole.format(failed)} failed`)],
        { name: 'by parked connections', points: series.logins_parked_per_min, kind: '' },
        { name: 'by the upstream', points: series.logins_accepted_per_min, kind: 'weak' },
        { name: 'failed', points: series.logins_failed_per_min, kind: 'failed' });
    show(cards.time, milliseconds(ms.median),
        known(ms.median) ? [key('', `median of the last ${duration(recent.seconds)}`), '; ', key('weak', `95\u00a0% within ${time('p95')}`),
            `; parked ${time('parked_median')}, upstream ${time('accepted_median')}`]
            : [recent.seconds ? `nobody has logged in during the last ${duration(recent.seconds)}` : 'nobody has logged in yet'],
        { name: '95 %', points: series.login_ms_p95, kind: 'weak' },
        { name: 'half', points: series.login_ms_median, kind: '' });
    show(cards.parked, plain(status.parked.now), [status.parked.max ? `of at most ${whole.format(status.parked.max)}` : 'parking is off'],
        { name: 'parked', points: series.parked, kind: '', isArea: true });
    show(cards.warm, percent(warmShare(hour.takes)), [known(warmShare(hour.takes))
        ? `of ${counted(sum(Object.values(hour.takes)), 'session', 'sessions')} in the last hour took a parked connection; ${whole.format(hour.takes.warm)} in exactly their state`
        : 'no session has needed a connection in the last hour'],
    { name: 'share', points: series.warm_share, kind: '', isArea: true });
    show(cards.traffic, [...octets(recent.seconds ? recent.octets_out / recent.seconds : 0)].map((part, index) => index ? `${part}/s` : part),
        [key('', 'to clients'), ', and ', key('weak', `${rate('octets_in')} from clients`)],
        { name: 'to clients', points: series.octets_out_per_s, kind: '' },
        { name: 'from clients', points: series.octets_in_per_s, kind: 'weak' });
}

function upstreamState({ good_s: good, bad_s: bad }) {
    if (!known(good) && !known(bad))
        return ['none', 'not used yet', ''];
    if (known(bad) && (!known(good) || bad < good))
        return ['bad', 'failing', `${duration(bad)} ago${known(good) ? `; good ${duration(good)} ago` : ''}`];
    return ['good', 'up', `${duration(good)} ago`];
}

function showUpstreams({ upstreams }) {
    putTable('upstreams', [
        ['Address', ({ name, address }) => [address || name, ...address ? [beside(name)] : []]],
        ['State', (row) => { const [kind, word, when] = upstreamState(row); return [mark(kind, word), ...when ? [beside(when)] : []]; }],
        ['Connections', ({ connections, waiting }) =>
            whole.format(connections) + (waiting > 0 ? `, ${whole.format(waiting)} wait` : ''), true],
        ['Sessions: new login', ({ sessions }) => whole.format(sessions), true],
        ['Sessions: parked', ({ woken_sessions: woken }) => whole.format(woken), true],
        ['Time to connect', ({ connect_ms: ms }) => joined(milliseconds(ms)), true],
        ['Failures', ({ failures }) => [whole.format(failuresAll(failures)), ...failureWords(failures)], true],
    ], upstreams, 'No upstream has been used yet. Addresses appear with the first connection.', true);
}

function failureWords(failures) {
    const shown = Object.entries(failures).filter(([, count]) => count).sort((one, other) => other[1] - one[1]).slice(0, 3);
    return shown.length ? [beside(shown.map(([name, count]) => `${name.replaceAll('_', ' ')} ${whole.format(count)}`).join(', '))] : [];
}

function showListeners({ listeners }) {
    putTable('listeners', [
        ['Name', ({ name }) => name],
        ['Clients', ({ clients }) => whole.format(clients), true],
        ['Accepted', ({ accepted }) => whole.format(accepted), true],
        ['Turned away', ({ refused }) => whole.format(refused), true],
    ], listeners, 'No listener has had a client yet.');
}

function certificateState(days) {
    if (days < 0)
        return mark('bad', 'expired');
    const text = counted(Math.floor(days), 'day', 'days');
    return mark(days < CERTIFICATE_WARN_DAYS ? 'warn' : 'good', text);
}

const daysLeft = (certificate, status) => (certificate.not_after_s - status.now_s) / 86400;

function showCertificates(status) {
    putTable('certificates', [
        ['Listener', ({ name }) => name],
        ['Ends', ({ not_after_s: end }) => day.format(at(end))],
        ['Left', (row) => certificateState(daysLeft(row, status)), true],
    ], status.certificates, 'No listener has a certificate.');
}

/* Rows that never happened are left out, but for the first two. */
function showCounts(name, what, rows, hour, since) {
    putTable(name, [
        [what, ([, words]) => words],
        ['Last hour', ([id]) => whole.format(hour[id]), true],
        ['Since the start', ([id]) => whole.format(since[id]), true],
    ], rows.filter(([id], index) => index < 2 || since[id]));
}

function fact(name, value, more) {
    return element('div', {}, element('dt', {}, name), element('dd', {}, value, ...more ? [beside(more)] : []));
}

function showProcess(status) {
    const { descriptors, reload, recent } = status;
    put($('process'),
        fact('Started', dayAndTime(status.started_s), `${duration(status.now_s - status.started_s)} ago`),
        fact('Configuration', dayAndTime(reload.at_s), reload.is_good ? 'as it was last read' : 'the last reload failed'),
        fact('Threads', whole.format(status.threads),
            known(recent.lag_ms_p95) ? `delay below ${joined(milliseconds(recent.lag_ms_p95))} (95\u00a0%)` : undefined),
        fact('Memory', joined(octets(status.memory_octets)),
            `${whole.format(descriptors.now)} of at most ${whole.format(descriptors.max)} file descriptors`),
        fact('Version', status.version, `OpenSSL ${status.openssl}`),
        fact('Sealing key', status.sealing_key, `epoch ${status.epoch}`),
        fact('Accounts suspended', whole.format(status.suspended_accounts), 'until their upstream accepts them again'),
        fact('Log lines lost', whole.format(status.log_lines_lost)),
        ...status.predecessors.draining.map(({ process, clients }) =>
            fact(`Process ${process.replace('old-', '')}`, `drains: ${counted(clients, 'client', 'clients')}`, 'it was replaced by this one')));
}

/* [is it bad, words] */
function complaints(status) {
    const found = [];
    const complain = (isBad, words) => found.push([isBad, words]);
    if (status.not_ready)
        complain(true, `Not ready: ${status.not_ready}.`);
    if (status.threads_silent)
        complain(true, `${counted(status.threads_silent, 'thread does', 'threads do')} not answer. The numbers are not complete.`);
    for (const row of status.upstreams)
        if (upstreamState(row)[0] === 'bad')
            complain(true, `Upstream ${row.name}: ${row.address || 'its name'} fails. ${lastGood(row)}`);
    for (const row of status.certificates) {
        const days = daysLeft(row, status);
        if (days < 0)
            complain(true, `The certificate of listener ${row.name} has expired.`);
        else if (days < CERTIFICATE_WARN_DAYS)
            complain(false, `The certificate of listener ${row.name} ends in ${counted(Math.floor(days), 'day', 'days')}.`);
    }
    if (!status.reload.is_good)
        complain(false, 'The last reload failed: what was read before stays in effect. The log says why.');
    if (status.clients.now > status.clients.max * NEARLY_FULL)
        complain(false, `${whole.format(status.clients.now)} of at most ${counted(status.clients.max, 'client', 'clients')} are connected.`);
    if (status.descriptors.now > status.descriptors.max * NEARLY_FULL)
        complain(false, `${whole.format(status.descriptors.now)} of at most ${whole.format(status.descriptors.max)} file descriptors are in use.`);
    if (known(status.recent.lag_ms_p95) && status.recent.lag_ms_p95 > SLOW_LOOP_MS)
        complain(false, `Threads are late by up to ${joined(milliseconds(status.recent.lag_ms_p95))}: the machine is busy.`);
    return found.sort(([one], [other]) => other - one);
}

function lastGood({ good_s: good }) {
    return known(good) ? `It was last good ${duration(good)} ago.` : 'It has not been good since the start.';
}

function showState(kind, word) {
    const state = $('state');
    if (state.textContent !== word)
        state.textContent = word;
    state.className = `state ${kind}`;
    document.title = kind === 'good' ? `imapstated${$('host').textContent}` : `${word}: imapstated${$('host').textContent}`;
}

function showHead(status) {
    const found = complaints(status);
    $('host').textContent = status.host ? ` on ${status.host}` : '';
    $('about').textContent = `Up for ${duration(status.now_s - status.started_s)}. Version ${status.version}. As of ${clock.format(at(status.now_s))}.`;
    put($('attention-list'), ...found.map(([isBad, words]) => element('li', { class: isBad ? 'is-bad' : undefined }, element('span', {}, words))));
    $('attention').hidden = !found.length;
    if (status.draining)
        showState('warn', 'Draining');
    else if (status.not_ready)
        showState('bad', 'Not ready');
    else
        showState('good', 'Up');
}

function show(status) {
    showHead(status);
    showCards(status);
    showUpstreams(status);
    showListeners(status);
    showCertificates(status);
    showCounts('logins', 'Result', LOGINS, status.hour.logins, status.logins);
    showCounts('takes', 'Connection', TAKES, status.hour.takes, status.takes);
    showProcess(status);
    $('main').hidden = false;
}

/* --- asking --- */

let heardAt = null;
let timer = null;
let isAsking = false;

function showSilence(error) {
    const since = heardAt ? `since ${clock.format(heardAt)}` : 'yet';
    const text = `No answer from imapstated ${since} (${error.message}). ${heardAt ? 'What stands here is what it said then.' : ''} The page goes on asking.`;
    if ($('silence').textContent !== text)
        $('silence').textContent = text;
    $('silence').hidden = false;
    document.body.classList.add('is-stale');
    showState('bad', 'No answer');
}

function showHeard(status) {
    heardAt = new Date();
    $('silence').hidden = true;
    document.body.classList.remove('is-stale');
    show(status);
}

async function ask() {
    const answer = await fetch('status.json', { cache: 'no-store', credentials: 'omit', signal: AbortSignal.timeout(PATIENCE_MS) });
    if (!answer.ok)
        throw new Error(`status ${answer.status}`);
    return answer.json();
}

async function poll() {
    clearTimeout(timer);
    if (isAsking || document.hidden)
        return;
    isAsking = true;
    const status = await ask().catch(showSilence);
    isAsking = false;
    timer = setTimeout(poll, POLL_MS);
    if (status)
        showHeard(status);
}

document.addEventListener('visibilitychange', poll);
poll();
