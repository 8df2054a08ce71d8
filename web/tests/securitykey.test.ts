import { expect, test } from "vitest";
import { type Bytes, concat, fromBase64, sha256, text, toHex } from "../shared/bytes.ts";
import { bareKey, keyChallenge, keyUser } from "../shared/securitykey.ts";

const unpadded = (value: string): Bytes => fromBase64(value.replace(/-/g, "+").replace(/_/g, "/"));

test("the bare key is what stands in SubjectPublicKeyInfo", async () => {
	const { publicKey: ec } = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
	const point = new Uint8Array(await crypto.subtle.exportKey("raw", ec));
	expect(bareKey(-7, new Uint8Array(await crypto.subtle.exportKey("spki", ec)))).toEqual(point.slice(1));
	const rsa = { name: "RSASSA-PKCS1-v1_5", modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: "SHA-256" };
	const { publicKey } = await crypto.subtle.generateKey(rsa, true, ["sign", "verify"]);
	const { n } = await crypto.subtle.exportKey("jwk", publicKey);
	const info = new Uint8Array(await crypto.subtle.exportKey("spki", publicKey));
	expect(bareKey(-257, info)).toEqual(concat(unpadded(n!), new Uint8Array([1, 0, 1])));
	const edwards = concat(new Uint8Array(12), new Uint8Array(32).fill(7));
	expect(bareKey(-8, edwards)).toEqual(new Uint8Array(32).fill(7));
});

test("challenge and user handle are those of the programs", async () => {
	const hash = new Uint8Array(32).fill(7);
	expect(await keyChallenge(hash)).toEqual(await sha256(concat(text("engawa webauthn v1"), new Uint8Array(1), hash)));
	const user = await keyUser("7K3MABCDEFGH1234", "tanaka");
	expect(user.length).toBe(32);
	expect(toHex(user.slice(0, 16))).toBe(toHex((await keyUser("7K3MABCDEFGH1234", "suzuki")).slice(0, 16)));
	expect(toHex(user)).not.toBe(toHex(await keyUser("7K3MABCDEFGH1234", "suzuki")));
});
