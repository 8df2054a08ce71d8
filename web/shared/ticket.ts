/** Asks the relay for a ticket: POST /v1/connect (docs/protocol.md 9). */
import { fromBinary } from "@bufbuild/protobuf";
import { SignedSchema, type TicketBody, TicketBodySchema } from "../gen/signed_pb.ts";
import { type Bytes, equal, fromBase64, toBase64 } from "./bytes.ts";
import { Failure } from "./failure.ts";

const TICKET_MAX_BYTES = 2048;

export interface Ticket {
	/** As carried: the hash of these bytes binds the handshake. */
	bytes: Bytes;
	body: TicketBody;
}

/** Shape only: gate and agent check the signature, the agent statement proves the key. */
export function parseTicket(bytes: Bytes, deviceHash: Bytes): Ticket {
	let body: TicketBody;
	try {
		body = fromBinary(TicketBodySchema, fromBinary(SignedSchema, bytes).body);
	} catch {
		throw new Failure("PROTOCOL");
	}
	if (bytes.length > TICKET_MAX_BYTES || body.sessionId.length !== 16 || body.agentKey.length !== 32) {
		throw new Failure("PROTOCOL");
	}
	if (!equal(body.deviceHash, deviceHash)) {
		throw new Failure("TICKET_BAD");
	}
	return { bytes, body };
}

/** Throws NO_GATE, NO_CONTROLLER, or the failure that the relay names. */
export async function askTicket(terminalId: string, deviceHash: Bytes, timeoutMs: number): Promise<Ticket> {
	let response: Response;
	try {
		response = await fetch("/v1/connect", {
			method: "POST",
			headers: { "Content-Type": "application/json" },
			body: JSON.stringify({ terminal_id: terminalId, device_hash: toBase64(deviceHash) }),
			cache: "no-store",
			credentials: "omit",
			redirect: "error",
			signal: AbortSignal.timeout(timeoutMs),
		});
	} catch {
		throw new Failure("NO_GATE");
	}
	let answer: { ticket?: unknown; code?: unknown };
	try {
		answer = (await response.json()) as typeof answer;
	} catch {
		throw new Failure("NO_CONTROLLER");
	}
	if (typeof answer?.code === "number" && Number.isSafeInteger(answer.code) && answer.code > 0) {
		throw new Failure(answer.code);
	}
	let bytes: Bytes;
	try {
		bytes = fromBase64(String(answer.ticket ?? ""));
	} catch {
		throw new Failure("PROTOCOL");
	}
	if (bytes.length === 0) {
		throw new Failure(response.ok ? "PROTOCOL" : "NO_CONTROLLER");
	}
	return parseTicket(bytes, deviceHash);
}
