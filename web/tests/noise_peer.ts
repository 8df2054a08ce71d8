/**
 * The inner channel of this page against the one in C: runs noise_driver as the other end.
 * Usage: node noise_peer.mjs NOISE_DRIVER client|agent IK|IKpsk2   (the role is ours). Status 0 when all agrees.
 */
import { spawn } from "node:child_process";
import { type Bytes, ByteQueue, concat, equal, text, toHex, u16 } from "../shared/bytes.ts";
import { type CipherState, HandshakeState } from "../shared/noise.ts";
import { Padding, openRecord, sealRecord } from "../shared/record.ts";
import { keyPair } from "./help.ts";

const ROUNDS = 20;
const LENGTHS = [0, 1, 59, 60, 61, 251, 252, 253, 1019, 1020, 1021, 4000, 60000];
const NONE = new Uint8Array(0);
const [driver, role, pattern] = process.argv.slice(2) as [string, "client" | "agent", "IK" | "IKpsk2"];
const client = role === "client";

const secret = () => crypto.getRandomValues(new Uint8Array(32));
const [ours, theirs, psk, prologue] = [secret(), secret(), secret(), text("prologue of both")];
const s = await keyPair(ours);
const remote = await keyPair(theirs);
const child = spawn(
	driver,
	[
		client ? "agent" : "client",
		toHex(theirs),
		client ? "-" : toHex(s.publicKey),
		pattern === "IKpsk2" ? toHex(psk) : "-",
		toHex(prologue),
	],
	{ stdio: ["pipe", "pipe", "inherit"] },
);
const queue = new ByteQueue(1 << 20);
let wake = () => {};
let status: number | null = null;
const ended = new Promise<void>((resolve) =>
	child.on("close", (code) => {
		status = code ?? -1;
		resolve();
		wake();
	}),
);
child.stdout.on("data", (data: Buffer) => {
	queue.push(new Uint8Array(data));
	wake();
});

async function read(n: number): Promise<Bytes> {
	for (;;) {
		const ready = queue.take(n);
		if (ready) {
			return ready;
		}
		check(status === null, `the other end left with status ${status}`);
		await new Promise<void>((resolve) => (wake = resolve));
	}
}

const readMessage = async () => read(new DataView((await read(2)).buffer).getUint16(0));

function check(good: boolean, what: string): void {
	if (!good) {
		console.error(`noise_peer: ${what}`);
		process.exit(1);
	}
}

async function rounds(padding: Padding, tx: CipherState, rx: CipherState): Promise<void> {
	for (let round = 0; round < ROUNDS; round++) {
		const payload = new Uint8Array(LENGTHS[round % LENGTHS.length]!).fill(round + 1);
		if (client) {
			child.stdin.write(await sealRecord(tx, padding, round + 1, payload));
		}
		const record = await openRecord(rx, await readMessage());
		check(record.type === round + 1 && equal(record.payload, payload), `record ${round} is another one`);
		if (!client) {
			child.stdin.write(await sealRecord(tx, padding, record.type, record.payload));
		}
	}
}

const noise = await HandshakeState.initialize({
	initiator: client,
	prologue,
	s,
	...(client ? { rs: remote.publicKey } : {}),
	...(pattern === "IKpsk2" ? { psk } : {}),
});
const write = (message: Bytes) => child.stdin.write(concat(u16(message.length), message));
if (client) {
	write(await noise.writeMessage(NONE));
	check(equal(await noise.readMessage(await readMessage()), text("statement")), "another payload");
} else {
	check((await noise.readMessage(await readMessage())).length === 0, "another payload");
	check(equal(noise.remoteStatic!, remote.publicKey), "another static key");
	write(await noise.writeMessage(text("statement")));
}
const secrets = await noise.split();
check(equal(await readMessage(), concat(secrets.hash, secrets.pskNext)), "another hash or psk'");
const { loginClient, loginAgent, workClient, workAgent } = secrets;
await (client ? rounds(Padding.Login, loginClient, loginAgent) : rounds(Padding.Login, loginAgent, loginClient));
await (client ? rounds(Padding.Client, workClient, workAgent) : rounds(Padding.Agent, workAgent, workClient));
await ended;
check(status === 0, "the other end is not content");
