import "fake-indexeddb/auto";
import { expect, test } from "vitest";
import { deviceKey, deviceNumber, deviceProof } from "../shared/device.ts";

test("one key per browser, and its secret cannot be read", async () => {
	const [a, b] = await Promise.all([deviceKey(), deviceKey()]);
	const again = await deviceKey();
	expect(a.publicKey).toEqual(b.publicKey);
	expect(again.publicKey).toEqual(a.publicKey);
	expect(again.privateKey.extractable).toBe(false);
	await expect(crypto.subtle.exportKey("pkcs8", again.privateKey)).rejects.toThrow();
});

test("without a store there is a key for this page", async () => {
	const kept = await deviceKey();
	const { open } = indexedDB;
	indexedDB.open = () => {
		throw new DOMException("denied", "SecurityError");
	};
	try {
		expect((await deviceKey()).publicKey).not.toEqual(kept.publicKey);
	} finally {
		indexedDB.open = open;
	}
});

test("a proof of the handshake, by a key that stays", async () => {
	const hash = new Uint8Array(32).fill(7);
	const [a, b] = [await deviceProof(hash), await deviceProof(hash)];
	expect(b.deviceKey).toEqual(a.deviceKey);
	expect([a.deviceKey.length, a.deviceKey[0], a.deviceProof.length]).toEqual([65, 4, 64]);
	const key = await crypto.subtle.importKey("raw", a.deviceKey, { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"]);
	const signed = (h: Uint8Array) => new Uint8Array([...new TextEncoder().encode("engawa device v1"), 0, ...h]);
	const check = (h: Uint8Array) => crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, a.deviceProof, signed(h));
	expect(await check(hash)).toBe(true);
	expect(await check(new Uint8Array(32).fill(8))).toBe(false);
});

test("the number is the first eight bytes of the key's hash", async () => {
	expect(await deviceNumber()).toMatch(/^([0-9A-F]{4}-){3}[0-9A-F]{4}$/);
	expect(await deviceNumber()).toBe(await deviceNumber());
});
