import "fake-indexeddb/auto";
import { expect, test } from "vitest";
import { deviceKey } from "../shared/device.ts";

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
