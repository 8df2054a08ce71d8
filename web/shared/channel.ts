/** The way to the office PC: ticket, relay, Noise handshake, statement; then records (docs/protocol.md 1, 4 and 5). */
import { type DescMessage, type MessageInitShape, create, toBinary } from "@bufbuild/protobuf";
import type { InnerType } from "../gen/inner_pb.ts";
import { HelloSchema, JoinSchema, JoinedSchema, OuterType, Role } from "../gen/outer_pb.ts";
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

async function readMessageBytes(stream: Stream, timeoutMs = 0): Promise<Bytes> {
	const length = new DataView((await stream.read(2, timeoutMs)).buffer).getUint16(0);
	if (length > MESSAGE_MAX_BYTES) {
		throw new Failure("PROTOCOL");
	}
	return stream.read(length, timeoutMs);
}

async function join(stream: Stream, ticket: Ticket, locale: string): Promise<void> {
	const hello = create(HelloSchema, { version: VERSION, role: Role.CLIENT, build: BUILD, locale });
	writeMessage(stream, OuterType.OUTER_HELLO, HelloSchema, hello);
	const theirs = await readMessage(stream, OuterType.OUTER_HELLO, HelloSchema, FRAME_FIRST_MAX_BYTES, STEP_TIMEOUT_MS);
	if (theirs.version !== VERSION) {
		throw new Failure("VERSION");
	}
	const { sessionId } = ticket.body;
	writeMessage(stream, OuterType.OUTER_JOIN, JoinSchema, create(JoinSchema, { ticket: ticket.bytes }));
	const joined = await readMessage(stream, OuterType.OUTER_JOINED, JoinedSchema, FRAME_MAX_BYTES, STEP_TIMEOUT_MS);
	if (!equal(joined.sessionId, sessionId)) {
		throw new Failure("PROTOCOL");
	}
}

export class Channel {
	private padding = Padding.Login;
	private sending: Promise<void> = Promise.resolve();

	private constructor(
		private readonly stream: Stream,
		private readonly secrets: Secrets,
	) {}

	static async connect(options: ConnectOptions): Promise<Channel> {
		options.onStage("ticket");
		const device = await deviceKey();
		const ticket = await askTicket(options.terminalId, await sha256(device.publicKey), STEP_TIMEOUT_MS);
		options.signal.throwIfAborted();
		options.onStage("relay");
		const url = new URL("/v1/ws", location.href);
		url.protocol = url.protocol.replace("http", "ws");
		const stream = await Stream.open(url.href, "engawa.1", STEP_TIMEOUT_MS);
		const stop = () => stream.fail(new Failure("ENDED"));
		options.signal.addEventListener("abort", stop);
		try {
			options.signal.throwIfAborted();
			await join(stream, ticket, options.locale);
			options.onStage("office");
			return new Channel(stream, await handshake(stream, ticket, device, options));
		} catch (thrown) {
			stream.fail(Failure.of(thrown));
			throw thrown;
		} finally {
			options.signal.removeEventListener("abort", stop);
		}
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
