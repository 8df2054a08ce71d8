import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { isSwitch, keysymOf, usageOf } from "../viewer/keys.ts";
import { type Item, Outbox, splitText } from "../viewer/outbox.ts";

describe("keys", () => {
	test.each([
		["KeyA", 0x04], ["KeyZ", 0x1d], ["Digit1", 0x1e], ["Digit9", 0x26], ["Digit0", 0x27], ["Enter", 0x28],
		["F1", 0x3a], ["F12", 0x45], ["F13", 0x68], ["F24", 0x73], ["Numpad1", 0x59], ["Numpad9", 0x61], ["Numpad0", 0x62],
		["IntlRo", 0x87], ["KanaMode", 0x88], ["IntlYen", 0x89], ["Convert", 0x8a], ["NonConvert", 0x8b], ["Backquote", 0x35],
		["IntlBackslash", 0x64], ["ControlLeft", 0xe0], ["MetaRight", 0xe7], ["", 0], ["Nothing", 0],
	])("%s is usage %i", (code, usage) => {
		expect(usageOf(code)).toBe(usage);
	});

	test.each([
		["a", "KeyA", 0x61], ["A", "KeyA", 0x41], ["¥", "IntlYen", 0xa5], ["é", "KeyE", 0xe9], ["ろ", "IntlRo", 0x0100308d],
		["😀", "", 0x0101f600], [" ", "Space", 0x20], ["Shift", "ShiftRight", 0xffe2], ["Control", "CapsLock", 0xffe3],
		["AltGraph", "AltRight", 0xfe03], ["ZenkakuHankaku", "Backquote", 0xff2a], ["Convert", "Convert", 0xff23],
		["F5", "F5", 0xffc2], ["5", "Numpad5", 0xffb5], ["ArrowLeft", "Numpad4", 0xff96], ["Enter", "NumpadEnter", 0xff8d],
		["Dead", "Quote", 0], ["Unidentified", "", 0], ["Process", "KeyA", 0],
	])("%s on %s is keysym %i", (key, code, keysym) => {
		expect(keysymOf(key, code)).toBe(keysym);
	});

	test("keys whose release may never come", () => {
		expect(isSwitch("ZenkakuHankaku")).toBe(true);
		expect(isSwitch("a")).toBe(false);
	});
});

describe("text", () => {
	test.each(["", "a", "a".repeat(100), "日本語".repeat(20), "😀".repeat(13), "é".repeat(49)])("%s in pieces", (text) => {
		const pieces = splitText(text);
		expect(pieces.join("")).toBe(text);
		expect(pieces.every((piece) => piece.length > 0 && new TextEncoder().encode(piece).length <= 48)).toBe(true);
	});
});

describe("the grid", () => {
	let sent: { at: number; item: Item }[];
	let outbox: Outbox;
	const key = (usage: number, down: boolean): Item => ({ kind: "key", usage, keysym: 0, down });
	const pointer = (xPx: number, buttons = 0): Item => ({ kind: "pointer", xPx, yPx: 0, buttons });

	beforeEach(() => {
		vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
		sent = [];
		outbox = new Outbox((item) => sent.push({ at: performance.now(), item }));
	});
	afterEach(() => vi.useRealTimers());

	test("everything leaves on a multiple of 20 ms, in order", () => {
		for (let i = 0; i < 50; i++) {
			outbox.push(key(i, true));
			vi.advanceTimersByTime(7);
		}
		vi.advanceTimersByTime(20);
		expect(sent.map(({ item }) => item)).toEqual(Array.from({ length: 50 }, (_, i) => key(i, true)));
		expect(sent.every(({ at }) => Math.round(at) % 20 === 0)).toBe(true);
	});

	test("moves become one, presses never do", () => {
		const items = [pointer(1), pointer(2), pointer(3), pointer(3, 1), pointer(4, 1), pointer(5, 1), pointer(5), key(4, true), pointer(6)];
		items.forEach((item) => outbox.push(item));
		vi.advanceTimersByTime(20);
		expect(sent.map(({ item }) => item)).toEqual([pointer(3), pointer(5, 1), pointer(5), key(4, true), pointer(6)]);
	});

	test("flush leaves nothing for later", () => {
		outbox.push(key(4, false));
		outbox.flush();
		expect(sent).toHaveLength(1);
		vi.advanceTimersByTime(100);
		expect(sent).toHaveLength(1);
	});
});
