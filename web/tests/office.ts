/**
 * Relay and office PC in one process, for tests of the page: it speaks the real protocol, and misbehaves when it is told to.
 * Usage: node office.mjs DIST   Prints {"ready": {"url", "terminal_id"}}, then one line of JSON for each thing that comes in.
 * Each line of standard input is a JSON object with the behaviour of the sessions from then on.
 */
import { type DescMessage, type MessageInitShape, create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type IncomingMessage, type ServerResponse, createServer } from "node:http";
import { readFileSync } from "node:fs";
import { extname, join, normalize } from "node:path";
import { createInterface } from "node:readline";
import { type WebSocket, WebSocketServer } from "ws";
import {
	CursorSchema, EndSchema, FrameSchema, InnerPongSchema, InnerType, KeySchema, LayoutSchema, NoticeSchema, PointerSchema,
	PromptSchema, RefusedSchema, ReplySchema, StartSchema, TextSchema, AckSchema, FactsSchema, WantLayoutSchema,
} from "../gen/inner_pb.ts";
import { ByeSchema, HelloSchema, JoinSchema, JoinedSchema, OuterType, Role } from "../gen/outer_pb.ts";
import { SignedSchema, StatementBodySchema, TicketBodySchema } from "../gen/signed_pb.ts";
import { type Bytes, ByteQueue, concat, equal, fromBase64, sha256, text, toBase64, u16 } from "../shared/bytes.ts";
import { encodeFrame } from "../shared/frame.ts";
import { type CipherState, HandshakeState, type Secrets, generateKeyPair } from "../shared/noise.ts";
import { Padding, openRecord, sealRecord } from "../shared/record.ts";
import { deriveTerminalId } from "../shared/terminal.ts";
import { Encoder, plainPicture } from "./help.ts";
import { makeAnchor, sign } from "./signer.ts";

/** What the tests choose; all optional. */
interface Behaviour {
	/** Answer of /v1/connect instead of a ticket. */
	connectCode?: number;
	connectStatus?: number;
	/** Bye instead of Joined. */
	bye?: number;
	helloVersion?: number;
	/** A statement that is wrong in this way. */
	statement?: "signature" | "anchor" | "key" | "expired" | "garbage";
	/** Instead of the first prompt. */
	refused?: { code: number; support?: string; retryS?: number };
	/** The n-th answer is refused n times, then anything is right. */
	wrongCodes?: number;
	wrongPasswords?: number;
	/** Of the first prompt. */
	promptKind?: number;
	/** More of its fields. */
	prompt?: object;
	/** The office PC has several persons. */
	person?: boolean;
	/** Sent twice, the second before an answer. */
	promptTwice?: boolean;
	/** Milliseconds that each step takes. */
	delayMs?: number;
	/** /v1/connect is answered when the next behaviour comes; both are told. */
	hold?: boolean;
	width?: number;
	height?: number;
	/** Its monitors: x, y, width, height. */
	monitors?: [number, number, number, number][];
	/** They become those that the client wants. */
	ownDisplay?: boolean;
	message?: string;
	notice?: { code: number; seconds: number };
	/** Said beside the first prompt. */
	news?: number;
	end?: number;
	/** What comes instead of, or after, the second picture. */
	then?: "silence" | "garbage" | "seq" | "prompt" | "unknown" | "cursor" | "layout" | "close";
}

let behaviour: Behaviour = {};
let release: () => void = () => {};
const CODE = "12345678";
const CSP =
	"default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; connect-src 'self'; " +
	"img-src 'self' data: blob:; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; " +
	"frame-ancestors 'none'";
const TYPES: Record<string, string> = {
	".html": "text/html; charset=utf-8",
	".js": "text/javascript",
	".css": "text/css",
	".wasm": "application/wasm",
	".svg": "image/svg+xml",
};

const dist = process.argv[2]!;
const root = new URL("../", `file://${normalize(dist)}/`);
const module = (name: string) => new WebAssembly.Module(readFileSync(new URL(`wasm/out/${name}.wasm`, root)));
const anchor = await makeAnchor();
const agent = await generateKeyPair();
const salt = crypto.getRandomValues(new Uint8Array(16));
const terminalId = await deriveTerminalId(module("terminal"), anchor.point, salt);
const encoderModule = module("encoder");

function say(event: object): void {
	process.stdout.write(JSON.stringify(event, (_, value) => (typeof value === "bigint" ? Number(value) : value)) + "\n");
}

function message<S extends DescMessage>(schema: S, init: MessageInitShape<S>): Bytes {
	return toBinary(schema, create(schema, init)).slice();
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function signed(purpose: string, body: Bytes): Promise<Bytes> {
	const keyId = (await sha256(anchor.point)).slice(0, 8);
	return message(SignedSchema, { body, keyId, signature: await sign(anchor, purpose, body) });
}

async function ticket(deviceHash: Bytes): Promise<Bytes> {
	const now = BigInt(Math.floor(Date.now() / 1000));
	const body = message(TicketBodySchema, {
		sessionId: crypto.getRandomValues(new Uint8Array(16)),
		agentId: new Uint8Array(16),
		agentKey: agent.publicKey,
		deviceHash,
		gates: ["test"],
		issuedS: now,
		notAfterS: now + 60n,
	});
	return signed("engawa ticket v1", body);
}

async function statement(): Promise<Bytes> {
	const bad = behaviour.statement;
	if (bad === "garbage") {
		return text("this is no statement");
	}
	const other = bad === "anchor" ? (await makeAnchor()).point : anchor.point;
	const body = message(StatementBodySchema, {
		anchorKey: other,
		salt,
		agentKey: bad === "key" ? new Uint8Array(32).fill(1) : agent.publicKey,
		agentId: new Uint8Array(16),
		notAfterS: BigInt(Math.floor(Date.now() / 1000) + (bad === "expired" ? -3600 : 3600)),
	});
	return signed(bad === "signature" ? "engawa ticket v1" : "engawa statement v1", body);
}

/** The byte stream of a WebSocket, with reads. */
class Wire {
	private readonly queue = new ByteQueue(1 << 20);
	private wake: () => void = () => {};
	private closed = false;

	constructor(private readonly socket: WebSocket) {
		socket.on("message", (data: Buffer) => {
			this.queue.push(new Uint8Array(data));
			this.wake();
		});
		socket.on("close", () => {
			this.closed = true;
			this.wake();
		});
	}

	async read(n: number): Promise<Bytes> {
		for (;;) {
			const ready = this.queue.take(n);
			if (ready) {
				return ready;
			}
			if (this.closed) {
				throw new Error("closed");
			}
			await new Promise<void>((resolve) => (this.wake = resolve));
		}
	}

	/** In two messages: their boundaries mean nothing. */
	write(data: Bytes): void {
		const middle = data.length >> 1;
		this.socket.send(data.subarray(0, middle));
		this.socket.send(data.subarray(middle));
	}

	close(): void {
		this.socket.close();
	}
}

class Office {
	private secrets!: Secrets;
	private rx!: CipherState;
	private tx!: CipherState;
	private padding = Padding.Login;
	private sending: Promise<void> = Promise.resolve();
	private encoder = new Encoder(encoderModule, 23);
	private seq = 0;
	private unacknowledged = 0;
	private width = behaviour.width ?? 1280;
	private height = behaviour.height ?? 800;
	private presses = 0;

	constructor(private readonly wire: Wire) {}

	async run(): Promise<void> {
		const hello = await this.frame(OuterType.OUTER_HELLO);
		say({ hello: fromBinary(HelloSchema, hello) });
		const version = behaviour.helloVersion ?? 1;
		this.wire.write(encodeFrame(OuterType.OUTER_HELLO, message(HelloSchema, { version, role: Role.GATE })));
		const carried = fromBinary(JoinSchema, await this.frame(OuterType.OUTER_JOIN)).ticket.slice();
		if (behaviour.bye) {
			this.wire.write(encodeFrame(OuterType.OUTER_BYE, message(ByeSchema, { code: behaviour.bye })));
			return this.wire.close();
		}
		const { sessionId, deviceHash } = fromBinary(TicketBodySchema, fromBinary(SignedSchema, carried).body);
		this.wire.write(encodeFrame(OuterType.OUTER_JOINED, message(JoinedSchema, { sessionId })));
		await wait(behaviour.delayMs ?? 0);
		await this.handshake(carried, sessionId, deviceHash);
		await this.login();
		await this.work();
	}

	private async frame(type: OuterType): Promise<Bytes> {
		const head = new DataView((await this.wire.read(4)).buffer).getUint32(0);
		if (head >>> 24 !== type) {
			throw new Error(`frame ${head >>> 24}`);
		}
		return this.wire.read(head & 0xffffff);
	}

	private async handshake(carried: Bytes, sessionId: Uint8Array, deviceHash: Uint8Array): Promise<void> {
		const preamble = await this.wire.read(5);
		const noise = await HandshakeState.initialize({
			initiator: false,
			s: agent,
			prologue: concat(preamble, await sha256(carried), sessionId, text(terminalId)),
		});
		const length = new DataView((await this.wire.read(2)).buffer).getUint16(0);
		await noise.readMessage(await this.wire.read(length));
		if (!equal(await sha256(noise.remoteStatic!), deviceHash)) {
			throw new Error("device hash");
		}
		const message2 = await noise.writeMessage(await statement());
		this.wire.write(concat(u16(message2.length), message2));
		this.secrets = await noise.split();
		this.rx = this.secrets.loginClient;
		this.tx = this.secrets.loginAgent;
	}

	private send<S extends DescMessage>(type: InnerType, schema: S, init: MessageInitShape<S>): Promise<void> {
		const { tx, padding } = this;
		this.sending = this.sending.then(async () =>
			this.wire.write(await sealRecord(tx, padding, type, message(schema, init))),
		);
		return this.sending;
	}

	private async receive() {
		const length = new DataView((await this.wire.read(2)).buffer).getUint16(0);
		return openRecord(this.rx, await this.wire.read(length));
	}

	private async login(): Promise<void> {
		const facts = await this.receive();
		say({ facts: fromBinary(FactsSchema, facts.payload) });
		await wait(behaviour.delayMs ?? 0);
		if (behaviour.refused) {
			await this.send(InnerType.INNER_REFUSED, RefusedSchema, behaviour.refused);
			return this.wire.close();
		}
		await this.ask(1, behaviour.wrongCodes ?? 0, 324, CODE);
		await this.ask(2, behaviour.wrongPasswords ?? 0, 1013, null);
	}

	private async ask(kind: number, refusals: number, code: number, right: string | null): Promise<void> {
		for (let wrong = 0; ; wrong = code) {
			const prompt =
				kind === 1
					? { digits: 8, expiresS: 300, maskedAddress: "t***@city.example.lg.jp", ...behaviour.prompt }
					: { person: behaviour.person ?? false };
			const asked = { kind: kind === 1 ? (behaviour.promptKind ?? kind) : kind, wrong, ...prompt };
			await this.send(InnerType.INNER_PROMPT, PromptSchema, asked);
			if (behaviour.news && kind === 1) {
				await this.send(InnerType.INNER_NOTICE, NoticeSchema, { code: behaviour.news, seconds: 0 });
			}
			if (behaviour.promptTwice) {
				await this.send(InnerType.INNER_PROMPT, PromptSchema, asked);
			}
			const reply = fromBinary(ReplySchema, (await this.receive()).payload);
			const { user, assertion, key } = reply;
			say({
				reply: { kind: reply.kind, text: reply.text, ...(user && { user }), ...(assertion && { assertion: true }), ...(key && { key: true }) },
			});
			await wait(behaviour.delayMs ?? 0);
			if (refusals-- <= 0 && (right === null || reply.text === right || assertion || key)) {
				return;
			}
		}
	}

	private async work(): Promise<void> {
		const monitors = (behaviour.monitors ?? [[0, 0, this.width, this.height]]).map(([xPx, yPx, widthPx, heightPx]) => ({
			xPx, yPx, widthPx, heightPx,
		}));
		await this.send(InnerType.INNER_START, StartSchema, {
			layout: { widthPx: this.width, heightPx: this.height, monitors },
			ownDisplay: behaviour.ownDisplay ?? false,
			windowMib: 8,
			sessionCode: "K7Q-2MD",
			message: behaviour.message ?? "",
		});
		this.rx = this.secrets.workClient;
		this.tx = this.secrets.workAgent;
		this.padding = Padding.Agent;
		await this.send(InnerType.INNER_CURSOR, CursorSchema, arrow());
		await this.picture(0, 0, this.width, this.height, desktopPixel);
		for (;;) {
			const { type, payload } = await this.receive();
			await this.onRecord(type, payload);
		}
	}

	private async onRecord(type: number, payload: Bytes): Promise<void> {
		switch (type) {
			case InnerType.INNER_ACK: {
				const { seq } = fromBinary(AckSchema, payload);
				this.unacknowledged--;
				say({ ack: seq });
				return seq === 1 ? this.afterFirst() : undefined;
			}
			case InnerType.INNER_KEY: {
				const { usage, keysym, down } = fromBinary(KeySchema, payload);
				say({ key: { usage, keysym, down } });
				return down ? this.drawPress() : undefined;
			}
			case InnerType.INNER_POINTER: {
				const { xPx, yPx, buttons } = fromBinary(PointerSchema, payload);
				return say({ pointer: { x: xPx, y: yPx, buttons } });
			}
			case InnerType.INNER_TEXT:
				return say({ text: fromBinary(TextSchema, payload).text });
			case InnerType.INNER_WANT_LAYOUT:
				return this.arrange(fromBinary(WantLayoutSchema, payload).monitors);
			case InnerType.INNER_PING:
				return behaviour.then === "silence" ? undefined : this.send(InnerType.INNER_PONG, InnerPongSchema, {});
			case InnerType.INNER_CONTINUE:
				return say({ continue: true });
			case InnerType.INNER_END:
				say({ end: fromBinary(EndSchema, payload).code });
				return this.wire.close();
			default:
				say({ unexpected: type });
		}
	}

	private async afterFirst(): Promise<void> {
		const { notice, end, then } = behaviour;
		if (notice) {
			await this.send(InnerType.INNER_NOTICE, NoticeSchema, notice);
		}
		if (end) {
			await this.send(InnerType.INNER_END, EndSchema, { code: end });
			return this.wire.close();
		}
		switch (then) {
			case "garbage":
				return this.send(InnerType.INNER_FRAME, FrameSchema, { seq: 2, last: true, data: text("no zstd") });
			case "seq":
				return this.send(InnerType.INNER_FRAME, FrameSchema, { seq: 9, last: true, data: this.encoder.flush(new Uint8Array(1)) });
			case "prompt":
				return this.send(InnerType.INNER_PROMPT, PromptSchema, { kind: 2 });
			case "unknown":
				return this.send(99 as InnerType, EndSchema, {});
			case "cursor":
				return this.send(InnerType.INNER_CURSOR, CursorSchema, { widthPx: 9, heightPx: 9, bgra: new Uint8Array(3) });
			case "close":
				return this.wire.close();
			case "layout":
				this.width = 800;
				this.height = 600;
				await this.send(InnerType.INNER_LAYOUT, LayoutSchema, { widthPx: 800, heightPx: 600 });
				return this.picture(0, 0, 800, 600, desktopPixel);
		}
	}

	/** As a virtual display does it. */
	private async arrange(wanted: { xPx: number; yPx: number; widthPx: number; heightPx: number; scalePercent: number }[]): Promise<void> {
		say({ want: wanted.map((m) => [m.xPx, m.yPx, m.widthPx, m.heightPx, m.scalePercent]) });
		if (!behaviour.ownDisplay) {
			return;
		}
		this.width = Math.max(...wanted.map((m) => m.xPx + m.widthPx));
		this.height = Math.max(...wanted.map((m) => m.yPx + m.heightPx));
		const monitors = wanted.map(({ xPx, yPx, widthPx, heightPx }) => ({ xPx, yPx, widthPx, heightPx }));
		await this.send(InnerType.INNER_LAYOUT, LayoutSchema, { widthPx: this.width, heightPx: this.height, monitors });
		return this.picture(0, 0, this.width, this.height, desktopPixel);
	}

	/** One square for each press. */
	private drawPress(): Promise<void> {
		const x = 40 + 24 * (this.presses++ % 40);
		return this.picture(x, 40, 16, 16, () => [0, 0x11, 0xec]);
	}

	private async picture(x: number, y: number, w: number, h: number, pixel: Pixel): Promise<void> {
		const bgr = new Uint8Array(3 * w * h);
		for (let i = 0; i < w * h; i++) {
			bgr.set(pixel(x + (i % w), y + Math.floor(i / w)), 3 * i);
		}
		if (++this.unacknowledged > 2) {
			say({ warning: "more than two pictures unacknowledged" });
		}
		const seq = ++this.seq;
		const data = this.encoder.flush(plainPicture(seq, this.width, this.height, [{ x, y, w, h, bgr }]));
		for (let at = 0; at < data.length; at += 60_000) {
			const last = at + 60_000 >= data.length;
			await this.send(InnerType.INNER_FRAME, FrameSchema, { seq, last, data: data.slice(at, at + 60_000) });
		}
	}
}

type Pixel = (x: number, y: number) => [number, number, number];

/** B G R of a picture that tests can compute, too: see tests/browser. */
function desktopPixel(x: number, y: number): [number, number, number] {
	if (y < 28) {
		return [0x2e, 0x2a, 0x26];
	}
	if ((x >> 6) % 4 === 1 && (y >> 5) % 3 === 1) {
		return [0xfd, 0xf1, 0xe8];
	}
	return [(x * 3) & 255, (y * 5) & 255, (x ^ y) & 255];
}

function arrow() {
	const [widthPx, heightPx] = [16, 16];
	const bgra = new Uint8Array(4 * widthPx * heightPx);
	for (let y = 0; y < heightPx; y++) {
		for (let x = 0; x <= Math.min(y, 10); x++) {
			const edge = x === 0 || x === y || x === 10;
			bgra.set(edge ? [0, 0, 0, 255] : [255, 255, 255, 255], 4 * (y * widthPx + x));
		}
	}
	return { widthPx, heightPx, hotXPx: 0, hotYPx: 0, bgra };
}

async function onConnect(request: IncomingMessage, response: ServerResponse): Promise<void> {
	const parts: Buffer[] = [];
	for await (const part of request) {
		parts.push(part as Buffer);
	}
	const asked = JSON.parse(Buffer.concat(parts).toString()) as { terminal_id: string; device_hash: string };
	await wait(behaviour.delayMs ?? 0);
	const { hold } = behaviour;
	if (hold) {
		say({ held: true });
		await new Promise<void>((resolve) => (release = resolve));
	}
	const known = asked.terminal_id === terminalId;
	const code = behaviour.connectCode ?? (known ? 0 : 202);
	const answer = code ? { code } : { ticket: toBase64(await ticket(fromBase64(asked.device_hash))) };
	response.writeHead(behaviour.connectStatus ?? 200, { "Content-Type": "application/json" });
	response.end(behaviour.connectStatus ? "<html>" : JSON.stringify(answer));
	if (hold) {
		say({ answered: true });
	}
}

function onGet(path: string, response: ServerResponse): void {
	const name = path === "/" ? "index.html" : path.slice(1);
	try {
		if (name.includes("..")) {
			throw new Error("outside");
		}
		const body = readFileSync(join(dist, name));
		response.writeHead(200, {
			"Content-Type": TYPES[extname(name)] ?? "application/octet-stream",
			"Content-Security-Policy": CSP,
			"X-Content-Type-Options": "nosniff",
		});
		response.end(body);
	} catch {
		response.writeHead(404).end();
	}
}

const server = createServer((request, response) => {
	const path = new URL(request.url ?? "/", "http://localhost").pathname;
	if (request.method === "POST" && path === "/v1/connect") {
		void onConnect(request, response);
	} else {
		onGet(path, response);
	}
});
const sockets = new WebSocketServer({ server, path: "/v1/ws", handleProtocols: (offered) => offered.has("engawa.1") && "engawa.1" });
sockets.on("connection", (socket) => {
	const wire = new Wire(socket);
	new Office(wire).run().catch((thrown: unknown) => {
		say({ closed: String(thrown instanceof Error ? thrown.message : thrown) });
		wire.close();
	});
});
server.listen(0, "localhost", () => {
	const { port } = server.address() as { port: number };
	say({ ready: { url: `http://localhost:${port}/`, terminal_id: terminalId } });
});
createInterface({ input: process.stdin })
	.on("line", (line) => {
		behaviour = JSON.parse(line) as Behaviour;
		say({ behaviour });
		release();
	})
	.on("close", () => process.exit(0));
