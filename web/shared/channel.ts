/** The way to the office PC: ticket, relay, Noise handshake, statement; then records (docs/protocol.md 1, 4 and 5). */
import { type DescMessage, type MessageInitShape, create, toBinary } from "@bufbuild/protobuf";
import type { InnerType, Start } from "../gen/inner_pb.ts";
import { HelloSchema, JoinSchema, JoinedSchema, OuterType, ResumeSchema, Role } from "../gen/outer_pb.ts";
import { type Bytes, concat, equal, sha256, text, u16, u32 } from "./bytes.ts";
import { deviceKey } from "./device.ts";
import { Failure } from "./failure.ts";
import { FRAME_FIRST_MAX_BYTES, FRAME_MAX_BYTES, readMessage, writeMessage } from "./frame.ts";
import { HandshakeState, type KeyPair, MESSAGE_MAX_BYTES, type Secrets, Suite } from "./noise.ts";
import { type InnerRecord, Padding, openRecord, sealRecord } from "./record.ts";
import { verifyStatement } from "./statement.ts";
import { Stream } from "./stream.ts";
import { type Ticket, askTicket } from "./ticket.ts";

const VERSION = 1;
export const BUILD = 1;
const STEP_TIMEOUT_MS = 20_000;
/** Coming back: a person waits in the middle of his work. */
const AGAIN_TIMEOUT_MS = 8_000;
const ID_BYTES = 16;

/** What is going on, for the person who waits. */
export type Stage = "ticket" | "relay" | "office" | "proof";

export interface ConnectOptions {
	terminalId: string;
	locale: string;
	onStage(stage: Stage): void;
	/** Argon2id: part of a second, in a worker. */
	derive(anchor: Bytes, salt: Bytes): Promise<string>;
	signal: AbortSignal;
}

/** What it takes to go on over another connection (docs/protocol.md 9). In memory only: a page that is loaded anew logs in. */
export interface Resumption {
	terminalId: string;
	device: KeyPair;
	agentKey: Bytes;
	ticket: Bytes;
	psk: Bytes;
	/** Of the handshake that comes. */
	generation: number;
	seconds: number;
}

/** Statement and everything else that has to be right before the first fact is sent. */
async function handshake(stream: Stream, ticket: Ticket, device: KeyPair, options: ConnectOptions): Promise<Secrets> {
	const preamble = concat(new Uint8Array([Suite.IK]), u32(0));
	const agentKey = ticket.body.agentKey.slice();
	const noise = await HandshakeState.initialize({
		initiator: true,
		s: device,
		rs: agentKey,
		prologue: concat(preamble, await sha256(ticket.bytes), ticket.body.sessionId, text(options.terminalId)),
	});
	const message1 = await noise.writeMessage(new Uint8Array(0));
	stream.write(concat(preamble, u16(message1.length), message1));
	const message2 = await readMessageBytes(stream, STEP_TIMEOUT_MS);
	const statement = await noise.readMessage(message2);
	options.onStage("proof");
	await verifyStatement(statement, options.terminalId, agentKey, Date.now() / 1000, options.derive);
	return noise.split();
}

/** The office PC proves itself by the key that only it and we have. */
async function handshakeAgain(stream: Stream, id: Bytes, from: Resumption): Promise<Secrets> {
	const preamble = concat(new Uint8Array([Suite.IKpsk2]), u32(from.generation));
	const noise = await HandshakeState.initialize({
		initiator: true,
		s: from.device,
		rs: from.agentKey,
		psk: from.psk.slice(), // used up
		prologue: concat(preamble, await sha256(from.ticket), id, text(from.terminalId)),
	});
	const message1 = await noise.writeMessage(new Uint8Array(0));
	stream.write(concat(preamble, u16(message1.length), message1));
	const rest = await noise.readMessage(await readMessageBytes(stream, AGAIN_TIMEOUT_MS));
	if (rest.length > 0) {
		throw new Failure("PROTOCOL");
	}
	return noise.split();
}

async function readMessageBytes(stream: Stream, timeoutMs = 0): Promise<Bytes> {
	const length = new DataView((await stream.read(2, timeoutMs)).buffer).getUint16(0);
	if (length > MESSAGE_MAX_BYTES) {
		throw new Failure("PROTOCOL");
	}
	return stream.read(length, timeoutMs);
}

async function greet(stream: Stream, locale: string): Promise<void> {
	const hello = create(HelloSchema, { version: VERSION, role: Role.CLIENT, build: BUILD, locale });
	writeMessage(stream, OuterType.OUTER_HELLO, HelloSchema, hello);
	const theirs = await readMessage(stream, OuterType.OUTER_HELLO, HelloSchema, FRAME_FIRST_MAX_BYTES, STEP_TIMEOUT_MS);
	if (theirs.version !== VERSION) {
		throw new Failure("VERSION");
	}
}

async function joined(stream: Stream, sessionId: Bytes): Promise<void> {
	const theirs = await readMessage(stream, OuterType.OUTER_JOINED, JoinedSchema, FRAME_MAX_BYTES, STEP_TIMEOUT_MS);
	if (!equal(theirs.sessionId, sessionId)) {
		throw new Failure("PROTOCOL");
	}
}

function open(timeoutMs: number): Promise<Stream> {
	const url = new URL("/v1/ws", location.href);
	url.protocol = url.protocol.replace("http", "ws");
	return Stream.open(url.href, "engawa.1", timeoutMs);
}

/** Runs use; when it fails, or the person leaves, the connection ends. */
async function guarded<T>(stream: Stream, signal: AbortSignal, use: () => Promise<T>): Promise<T> {
	const stop = () => stream.fail(new Failure("ENDED"));
	signal.addEventListener("abort", stop);
	try {
		signal.throwIfAborted();
		return await use();
	} catch (thrown) {
		stream.fail(Failure.of(thrown));
		throw thrown;
	} finally {
		signal.removeEventListener("abort", stop);
	}
}

export class Channel {
	private padding = Padding.Login;
	private sending: Promise<void> = Promise.resolve();

	private constructor(
		private readonly stream: Stream,
		private readonly secrets: Secrets,
		private readonly from: Pick<Resumption, "terminalId" | "device" | "agentKey" | "generation">,
	) {}

	static async connect(options: ConnectOptions): Promise<Channel> {
		options.onStage("ticket");
		const device = await deviceKey();
		const ticket = await askTicket(options.terminalId, await sha256(device.publicKey), STEP_TIMEOUT_MS);
		options.signal.throwIfAborted();
		options.onStage("relay");
		const stream = await open(STEP_TIMEOUT_MS);
		return guarded(stream, options.signal, async () => {
			await greet(stream, options.locale);
			writeMessage(stream, OuterType.OUTER_JOIN, JoinSchema, create(JoinSchema, { ticket: ticket.bytes }));
			await joined(stream, ticket.body.sessionId.slice());
			options.onStage("office");
			const secrets = await handshake(stream, ticket, device, options);
			const { terminalId } = options;
			return new Channel(stream, secrets, { terminalId, device, agentKey: ticket.body.agentKey.slice(), generation: 0 });
		});
	}

	/** No controller is asked, and no person: the agent knows whose session it is. */
	static async resume(from: Resumption, locale: string, signal: AbortSignal): Promise<Channel> {
		const stream = await open(AGAIN_TIMEOUT_MS);
		return guarded(stream, signal, async () => {
			const attempt = crypto.getRandomValues(new Uint8Array(ID_BYTES));
			const hash = await sha256(concat(text("engawa resume\0"), from.ticket, attempt));
			const id = hash.slice(0, ID_BYTES);
			await greet(stream, locale);
			writeMessage(stream, OuterType.OUTER_RESUME, ResumeSchema, create(ResumeSchema, { ticket: from.ticket, attempt }));
			await joined(stream, id);
			return new Channel(stream, await handshakeAgain(stream, id, from), from);
		});
	}

	/** For the next time; null when the office PC does not wait. */
	resumption({ resumeTicket, resumeS }: Start): Resumption | null {
		const { terminalId, device, agentKey, generation } = this.from;
		return resumeS === 0 || resumeTicket.length === 0
			? null
			: {
					terminalId,
					device,
					agentKey,
					ticket: resumeTicket.slice(),
					psk: this.secrets.pskNext,
					generation: generation + 1,
					seconds: resumeS,
				};
	}

	/** h of the handshake. */
	get hash(): Bytes {
		return this.secrets.hash;
	}

	/** When the last byte came, on the clock of performance.now(). */
	get heardAt(): number {
		return this.stream.heardAt;
	}

	/** After Start: both directions change to the work keys. */
	startWork(): void {
		this.padding = Padding.Client;
	}

	/** Records leave in the order of the calls. */
	send<S extends DescMessage>(type: InnerType, schema: S, init: MessageInitShape<S>): Promise<void> {
		const payload = toBinary(schema, create(schema, init));
		const { secrets, padding } = this;
		const cipher = padding === Padding.Login ? secrets.loginClient : secrets.workClient;
		this.sending = this.sending.then(async () => {
			try {
				this.stream.write(await sealRecord(cipher, padding, type, payload));
			} catch (thrown) {
				this.close(Failure.of(thrown));
			}
		});
		return this.sending;
	}

	/** The next record. One call at a time. */
	async receive(): Promise<InnerRecord> {
		const message = await readMessageBytes(this.stream);
		const { secrets, padding } = this;
		return openRecord(padding === Padding.Login ? secrets.loginAgent : secrets.workAgent, message);
	}

	/** Who waits in receive gets the failure. */
	close(failure: Failure): void {
		this.stream.fail(failure);
	}
}
