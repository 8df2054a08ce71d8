/** The agent's side of statements, for tests. */
import { type Bytes, concat, text } from "../shared/bytes.ts";

const ECDSA = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

export interface Anchor {
	key: CryptoKey;
	point: Bytes;
}

export async function makeAnchor(): Promise<Anchor> {
	const pair = await crypto.subtle.generateKey(ECDSA, false, ["sign", "verify"]);
	return { key: pair.privateKey, point: new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey)) };
}

/** r ‖ s to DER. */
export function signatureToDer(raw: Bytes): Bytes {
	const integer = (value: Bytes): Bytes => {
		let from = 0;
		while (from < value.length - 1 && value[from] === 0) {
			from++;
		}
		const digits = value.slice(from);
		const lead = digits[0]! & 0x80 ? [0] : [];
		return concat(new Uint8Array([2, digits.length + lead.length, ...lead]), digits);
	};
	const body = concat(integer(raw.slice(0, 32)), integer(raw.slice(32)));
	return concat(new Uint8Array([0x30, body.length]), body);
}

export async function sign(anchor: Anchor, purpose: string, body: Bytes): Promise<Bytes> {
	const data = concat(text(purpose), new Uint8Array(1), body);
	return signatureToDer(new Uint8Array(await crypto.subtle.sign(ECDSA, anchor.key, data)));
}
