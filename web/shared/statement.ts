/** The agent statement: proves that a Noise key belongs to the terminal ID the person typed (docs/protocol.md 2 and 5). */
import { fromBinary } from "@bufbuild/protobuf";
import { SignedSchema, StatementBodySchema } from "../gen/signed_pb.ts";
import { type Bytes, concat, equal, sha256, text } from "./bytes.ts";
import { Failure } from "./failure.ts";

const INTEGER_BYTES = 32;
const PURPOSE = "engawa statement v1";

/** One DER INTEGER of a signature as 32 bytes; only the one encoding that DER allows. */
function integer(der: Uint8Array, at: number): { value: Bytes; end: number } {
	const length = der[at + 1];
	if (der[at] !== 0x02 || length === undefined || length === 0 || at + 2 + length > der.length) {
		throw new Failure("SIGNATURE");
	}
	const end = at + 2 + length;
	let digits = der.subarray(at + 2, end);
	if (digits[0]! & 0x80 || (digits[0] === 0 && (length === 1 || !(digits[1]! & 0x80)))) {
		throw new Failure("SIGNATURE"); // negative, zero, or longer than needed
	}
	if (digits[0] === 0) {
		digits = digits.subarray(1);
	}
	if (digits.length > INTEGER_BYTES) {
		throw new Failure("SIGNATURE");
	}
	const value = new Uint8Array(INTEGER_BYTES);
	value.set(digits, INTEGER_BYTES - digits.length);
	return { value, end };
}

/** ECDSA-Sig-Value in strict DER to the r ‖ s that WebCrypto takes. */
export function signatureFromDer(der: Uint8Array): Bytes {
	if (der[0] !== 0x30 || der[1] !== der.length - 2 || der.length > 72) {
		throw new Failure("SIGNATURE");
	}
	const r = integer(der, 2);
	const s = integer(der, r.end);
	if (s.end !== der.length) {
		throw new Failure("SIGNATURE");
	}
	return concat(r.value, s.value);
}

/** ECDSA P-256 with SHA-256 over purpose ‖ 0x00 ‖ body. Throws SIGNATURE. */
export async function checkSignature(
	point: Bytes,
	purpose: string,
	body: Uint8Array,
	der: Uint8Array,
): Promise<void> {
	const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
	const signature = signatureFromDer(der);
	let good = false;
	try {
		const key = await crypto.subtle.importKey("raw", point, algorithm, false, ["verify"]);
		good = await crypto.subtle.verify(algorithm, key, signature, concat(text(purpose), new Uint8Array(1), body));
	} catch {
		// not a point of the curve
	}
	if (!good) {
		throw new Failure("SIGNATURE");
	}
}

/**
 * All checks of section 5 against the ID that was typed and the key of the handshake. derive is the slow part (Argon2id).
 * Throws TERMINAL_FORGED, or PROTOCOL when it is no statement at all.
 */
export async function verifyStatement(
	statement: Bytes,
	id: string,
	agentKey: Bytes,
	nowSeconds: number,
	derive: (anchor: Bytes, salt: Bytes) => Promise<string>,
): Promise<void> {
	let signed, body;
	try {
		signed = fromBinary(SignedSchema, statement);
		body = fromBinary(StatementBodySchema, signed.body);
	} catch {
		throw new Failure("PROTOCOL");
	}
	const anchor = body.anchorKey.slice();
	const salt = body.salt.slice();
	if (anchor.length !== 65 || anchor[0] !== 4 || salt.length !== 16 || body.agentKey.length !== 32) {
		throw new Failure("PROTOCOL");
	}
	try {
		await checkSignature(anchor, PURPOSE, signed.body, signed.signature);
	} catch {
		throw new Failure("TERMINAL_FORGED");
	}
	const keyId = (await sha256(anchor)).subarray(0, 8);
	if (
		!equal(signed.keyId, keyId) ||
		!equal(body.agentKey, agentKey) ||
		body.notAfterS < BigInt(Math.floor(nowSeconds)) ||
		(await derive(anchor, salt)) !== id
	) {
		throw new Failure("TERMINAL_FORGED");
	}
}
