/** Records of the inner channel, one per Noise transport message (docs/protocol.md 5). */
import { type Bytes, u16, concat } from "./bytes.ts";
import { Failure } from "./failure.ts";
import { type CipherState, MESSAGE_MAX_BYTES, TAG_BYTES } from "./noise.ts";

export enum Padding {
	Login,
	Client,
	Agent,
}

const HEADER_BYTES = 4;
const PLAIN_MAX_BYTES = MESSAGE_MAX_BYTES - TAG_BYTES;
const NO_AD = new Uint8Array(0);

export interface InnerRecord {
	type: number;
	payload: Bytes;
}

function padded(length: number, padding: Padding): number {
	if (padding === Padding.Client && length <= 64) {
		return 64;
	}
	const bucket = padding === Padding.Login ? 1024 : 256;
	return Math.ceil(length / bucket) * bucket;
}

/** The whole wire message: length, then the sealed record. */
export async function sealRecord(
	cipher: CipherState,
	padding: Padding,
	type: number,
	payload: Uint8Array,
): Promise<Bytes> {
	const length = padded(HEADER_BYTES + payload.length, padding);
	if (length > PLAIN_MAX_BYTES) {
		throw new Failure("TOO_LONG");
	}
	const plain = new Uint8Array(length);
	new DataView(plain.buffer).setUint32(0, ((type << 24) | payload.length) >>> 0);
	plain.set(payload, HEADER_BYTES);
	const sealed = await cipher.encryptWithAd(NO_AD, plain);
	return concat(u16(sealed.length), sealed);
}

/** Opens one transport message (without its length). */
export async function openRecord(cipher: CipherState, message: Bytes): Promise<InnerRecord> {
	const plain = await cipher.decryptWithAd(NO_AD, message);
	if (plain.length < HEADER_BYTES) {
		throw new Failure("PROTOCOL");
	}
	const head = new DataView(plain.buffer).getUint32(0);
	const end = HEADER_BYTES + (head & 0xffffff);
	if (end > plain.length || plain.subarray(end).some((byte) => byte !== 0)) {
		throw new Failure("PROTOCOL");
	}
	return { type: head >>> 24, payload: plain.subarray(HEADER_BYTES, end) };
}
