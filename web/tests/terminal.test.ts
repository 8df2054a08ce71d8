import { describe, expect, test } from "vitest";
import { fromHex } from "../shared/bytes.ts";
import { deriveTerminalId, formatTerminalId, parseTerminalId } from "../shared/terminal.ts";
import { failure, readJson, wasm } from "./help.ts";

const { vectors } = readJson<{ vectors: { anchor: string; salt: string; id: string }[] }>(
	"tests/corpus/terminal/vectors.json",
);
const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const id = vectors[0]!.id;

test.each(vectors)("Argon2id gives $id", async ({ anchor, salt, id }) => {
	expect(await deriveTerminalId(wasm("terminal"), fromHex(anchor), fromHex(salt))).toBe(id);
});

test("another key, another salt, wrong lengths", async () => {
	const { anchor, salt } = vectors[0]!;
	const module = wasm("terminal");
	expect(await deriveTerminalId(module, fromHex(anchor), fromHex(vectors[1]!.salt))).not.toBe(id);
	await expect(deriveTerminalId(module, fromHex(anchor).slice(1), fromHex(salt))).rejects.toEqual(failure("PROTOCOL"));
	await expect(deriveTerminalId(module, fromHex(anchor), fromHex(salt + "00"))).rejects.toEqual(failure("PROTOCOL"));
});

describe("what people type", () => {
	const fullWidth = Array.from(id, (char) => String.fromCharCode(char.charCodeAt(0) + 0xfee0)).join("");
	test.each([
		formatTerminalId(id),
		formatTerminalId(id).toLowerCase(),
		` ${id.replace(/(.{4})/g, "$1 ")}\n`,
		formatTerminalId(id).replaceAll("-", "−"),
		formatTerminalId(id).replaceAll("-", "ー"),
		formatTerminalId(id).replaceAll("-", "—"),
		formatTerminalId(id).replaceAll("-", "-"),
		formatTerminalId(id).replaceAll("-", "\u3000"),
		formatTerminalId(id).replaceAll("-", "‐"),
		fullWidth,
		fullWidth.toLowerCase(),
	])("%j is the ID", (typed) => {
		expect(parseTerminalId(typed)).toBe(id);
	});

	test("I, L and O are digits", () => {
		const withDigits = vectors.map((v) => v.id).find((v) => /[01]/.test(v)) ?? "";
		for (const typed of [withDigits.replaceAll("0", "o").replaceAll("1", "l"), withDigits.replaceAll("1", "I")]) {
			if (typed) {
				expect(parseTerminalId(typed)).toBe(withDigits);
			}
		}
		expect(parseTerminalId("OOOO-oooo-IiLl-IiL" + last("00000000111111" + "1"))).toMatch(/^0{8}1{7}/);
	});

	test.each(["", "あ", id.slice(1), id + "0", id.replace(/.$/, "U"), "😀".repeat(8)])("%j is none", (typed) => {
		expect(() => parseTerminalId(typed)).toThrow(failure("TERMINAL_ID_BAD"));
	});
});

/** The one check digit that fits. */
function last(fifteen: string): string {
	const fits = Array.from(ALPHABET).filter((digit) => {
		try {
			return parseTerminalId(fifteen + digit) !== "";
		} catch {
			return false;
		}
	});
	expect(fits).toHaveLength(1);
	return fits[0]!;
}

test("every single wrong character and every swap of two is found", () => {
	for (let i = 0; i < 16; i++) {
		for (const char of ALPHABET) {
			if (char !== id[i]) {
				expect(() => parseTerminalId(id.slice(0, i) + char + id.slice(i + 1))).toThrow();
			}
		}
		for (let j = i + 1; j < 16; j++) {
			if (id[i] !== id[j]) {
				const swapped = Array.from(id);
				[swapped[i], swapped[j]] = [swapped[j]!, swapped[i]!];
				expect(() => parseTerminalId(swapped.join(""))).toThrow();
			}
		}
	}
});
