// One visit of imapflow's (scripts.py).
import { createRequire } from "node:module";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { buffer } from "node:stream/consumers";

// The packages are where NODE_MODULES says, not beside this file.
const require = createRequire(`${process.env.NODE_MODULES}/`);
const { ImapFlow } = require("imapflow");

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const task = JSON.parse((await lines.next()).value);
const { place, number } = task;

// With STATE: what the last visit has saved.
const Flow = task.module ? require(task.module).withState(ImapFlow) : ImapFlow;
const saved = task.module && existsSync(task.kept) ? { state: readFileSync(task.kept, "utf8") } : {};

const client = new Flow({
    ...saved,
    host: place.host,
    port: place.port,
    secure: !place.starttls,
    tls: { ca: readFileSync(place.ca_file) },
    auth: { user: place.user, pass: place.password },
    logger: false,
});

async function idle() {
    const arrived = new Promise((resolve) => client.once("exists", resolve));
    const idling = client.idle();
    console.log("idling");
    await arrived;
    const [newest] = await client.search({ subject: `idle-${number}` }, { uid: true });
    const { envelope } = await client.fetchOne(newest, { envelope: true }, { uid: true });
    await idling;
    return envelope.subject;
}

await client.connect();
const mailboxes = (await client.list()).map((each) => each.path);
const lock = await client.getMailboxLock("INBOX");
const find = async (subject) => (await client.search({ subject }, { uid: true })).join();
const { content } = await client.download(await find(`read-${number}`), undefined, { uid: true });
const body = await buffer(content);
await client.messageFlagsAdd(await find(`flag-${number}`), ["\\Flagged"], { uid: true });
await client.messageDelete(await find(`delete-${number}`), { uid: true });
await client.append("Drafts", Buffer.from(task.message, "base64"), ["\\Draft"]);
const arrived = task.idle ? [await idle()] : [];
lock.release();
if (task.module) writeFileSync(task.kept, (await client.saveState()) ?? "");
await client.logout();
console.log(JSON.stringify({ mailboxes, body: body.toString("base64"), arrived }));
process.stdin.destroy();
