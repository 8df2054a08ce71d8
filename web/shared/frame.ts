/** Frames of the outer connection: type:u8 len:u24 payload (docs/protocol.md 1). */
import { type DescMessage, type MessageShape, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ByeSchema, OuterType } from "../gen/outer_pb.ts";
import { type Bytes, concat } from "./bytes.ts";
import { Failure } from "./failure.ts";
import type { Stream } from "./stream.ts";

/** Before and after the peer's Hello. */
export const FRAME_FIRST_MAX_BYTES = 16384;
export const FRAME_MAX_BYTES = 65536;

export interface Frame {
	type: number;
	payload: Bytes;
}

export function encodeFrame(type: number, payload: Uint8Array): Bytes {
	if (payload.length > FRAME_MAX_BYTES) {
		throw new Failure("TOO_LONG");
	}
	const head = new Uint8Array(4);
	new DataView(head.buffer).setUint32(0, ((type << 24) | payload.length) >>> 0);
	return concat(head, payload);
}

export async function readFrame(stream: Stream, maxBytes: number, timeoutMs: number): Promise<Frame> {
	const head = new DataView((await stream.read(4, timeoutMs)).buffer).getUint32(0);
	const length = head & 0xffffff;
	if (length > maxBytes) {
		throw new Failure("TOO_LONG");
	}
	return { type: head >>> 24, payload: await stream.read(length, timeoutMs) };
}

export function writeMessage<S extends DescMessage>(
	stream: Stream,
	type: OuterType,
	schema: S,
	message: MessageShape<S>,
): void {
	stream.write(encodeFrame(type, toBinary(schema, message)));
}

/** The next message, which must be of this type; a Bye is thrown as the failure that it names. */
export async function readMessage<S extends DescMessage>(
	stream: Stream,
	type: OuterType,
	schema: S,
	maxBytes: number,
	timeoutMs: number,
): Promise<MessageShape<S>> {
	const frame = await readFrame(stream, maxBytes, timeoutMs);
	if (frame.type === OuterType.OUTER_BYE) {
		throw new Failure(decode(ByeSchema, frame.payload).code || "CLOSED");
	}
	if (frame.type !== type) {
		throw new Failure("PROTOCOL");
	}
	return decode(schema, frame.payload);
}

/** Throws PROTOCOL when the bytes are no such message. */
export function decode<S extends DescMessage>(schema: S, payload: Uint8Array): MessageShape<S> {
	try {
		return fromBinary(schema, payload);
	} catch {
		throw new Failure("PROTOCOL");
	}
}
