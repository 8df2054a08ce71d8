import { expect, test } from "vitest";
import { ByteQueue, fromBase64, fromHex, toBase64, toHex } from "../shared/bytes.ts";

test("a queue gives the bytes in order, whatever the parts", () => {
	const queue = new ByteQueue(100);
	expect(queue.take(0)).toEqual(new Uint8Array(0));
	for (let i = 0; i < 10; i++) {
		expect(queue.push(Uint8Array.from({ length: i }, (_, n) => (i * (i - 1)) / 2 + n))).toBe(true);
	}
	expect(queue.length).toBe(45);
	expect(queue.take(46)).toBeNull();
	let at = 0;
	for (const n of [1, 2, 0, 7, 20, 15]) {
		expect(queue.take(n)).toEqual(Uint8Array.from({ length: n }, () => at++));
	}
	expect(queue.length).toBe(0);
});

test("a queue has a maximum", () => {
	const queue = new ByteQueue(10);
	expect(queue.push(new Uint8Array(10))).toBe(true);
	expect(queue.push(new Uint8Array(1))).toBe(false);
	queue.take(1);
	expect(queue.push(new Uint8Array(1))).toBe(true);
});

test("texts of bytes", () => {
	expect(toHex(fromHex("00ff7f"))).toBe("00ff7f");
	expect(() => fromHex("0")).toThrow();
	expect(() => fromHex("0g")).toThrow();
	expect(fromBase64(toBase64(new Uint8Array([0, 255, 3])))).toEqual(new Uint8Array([0, 255, 3]));
	expect(() => fromBase64("*")).toThrow();
});
