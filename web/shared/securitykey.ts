/**
 * Security keys and passkeys (WebAuthn level 2). What is signed is bound to this channel: the challenge is made of the
 * handshake's hash and never sent, so nothing that was signed for another office PC or session helps here.
 *
 * Keys are found by the authenticator itself (discoverable credentials): nobody is told which keys an office PC knows.
 */
import type { Webauthn } from "../gen/inner_pb.ts";
import { type Bytes, concat, sha256, text } from "./bytes.ts";
import { Failure } from "./failure.ts";

const TIMEOUT_MS = 120_000;
const ES256 = -7;
const EDDSA = -8;
const RS256 = -257;

export interface Assertion {
	credential: Bytes;
	authenticatorData: Bytes;
	clientData: Bytes;
	signature: Bytes;
}

export interface NewKey {
	credential: Bytes;
	algorithm: number;
	publicKey: Bytes;
}

export function keysWork(): boolean {
	return isSecureContext && typeof PublicKeyCredential === "function";
}

export function keyChallenge(hash: Bytes): Promise<Bytes> {
	return sha256(concat(text("engawa webauthn v1\0"), hash));
}

/** One per office PC and person: a key that is registered again takes the place of the one before. */
export async function keyUser(terminalId: string, person: string): Promise<Bytes> {
	return concat((await sha256(text(terminalId))).slice(0, 16), (await sha256(text(person))).slice(0, 16));
}

/** The part of SubjectPublicKeyInfo that is the key; the office PC refuses what is none. */
export function bareKey(algorithm: number, info: Bytes): Bytes {
	switch (algorithm) {
		case ES256:
			return info.slice(-64);
		case EDDSA:
			return info.slice(-32);
		default:
			return concat(info.slice(-261, -5), info.slice(-3)); // modulus, tag and length, exponent 65537
	}
}

const bytes = (buffer: ArrayBuffer): Bytes => new Uint8Array(buffer);
const verification = (asked: Webauthn) => (asked.userVerification ? "required" : "discouraged");

/** Whatever the browser says (cancelled, late, none plugged in), it is the person who can try again. */
async function credential(asking: Promise<Credential | null>): Promise<PublicKeyCredential> {
	const got = await asking.catch(() => null);
	if (!(got instanceof PublicKeyCredential)) {
		throw new Failure("WEBAUTHN_DEVICE");
	}
	return got;
}

export async function signWithKey(asked: Webauthn, hash: Bytes): Promise<Assertion> {
	const got = await credential(
		navigator.credentials.get({
			publicKey: {
				challenge: await keyChallenge(hash),
				rpId: asked.rpId,
				userVerification: verification(asked),
				timeout: TIMEOUT_MS,
			},
		}),
	);
	const { authenticatorData, clientDataJSON, signature } = got.response as AuthenticatorAssertionResponse;
	return {
		credential: bytes(got.rawId),
		authenticatorData: bytes(authenticatorData),
		clientData: bytes(clientDataJSON),
		signature: bytes(signature),
	};
}

export async function makeKey(asked: Webauthn, hash: Bytes, terminalId: string): Promise<NewKey> {
	const name = `${asked.person} PC …${terminalId.slice(-4)}`.trim();
	const got = await credential(
		navigator.credentials.create({
			publicKey: {
				challenge: await keyChallenge(hash),
				rp: { id: asked.rpId, name: "Engawa" },
				user: { id: await keyUser(terminalId, asked.person), name, displayName: name },
				pubKeyCredParams: [ES256, EDDSA, RS256].map((alg) => ({ type: "public-key" as const, alg })),
				authenticatorSelection: {
					residentKey: "required",
					requireResidentKey: true,
					userVerification: verification(asked),
				},
				attestation: "none",
				timeout: TIMEOUT_MS,
			},
		}),
	);
	const response = got.response as AuthenticatorAttestationResponse;
	const algorithm = response.getPublicKeyAlgorithm();
	const info = response.getPublicKey();
	if (!info) {
		throw new Failure("WEBAUTHN_DEVICE");
	}
	return { credential: bytes(got.rawId), algorithm, publicKey: bareKey(algorithm, bytes(info)) };
}
