import { expect, test } from "vitest";
import catalogue from "../gen/errors.json";
import { Failure, codeOf, explain } from "../shared/failure.ts";
import { texts } from "../shared/texts.ts";

function shape(value: unknown): unknown {
	if (Array.isArray(value)) {
		return value.map(shape);
	}
	return value && typeof value === "object"
		? Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shape(inner)]))
		: typeof value;
}

function strings(value: unknown): string[] {
	if (typeof value === "function") {
		return [String((value as (...args: unknown[]) => string)(1, 2))];
	}
	return typeof value === "string" ? [value] : Object.values(value as object).flatMap(strings);
}

const JAPANESE = /[\u3040-\u30ff\u4e00-\u9fff]/;

test("both languages have every text, each in its language", () => {
	expect(shape(texts.en)).toEqual(shape(texts.ja));
	expect(strings(texts.en).filter((text) => JAPANESE.test(text) || text === "")).toEqual([]);
	expect(strings(texts.ja).filter((text) => !JAPANESE.test(text))).toEqual([]);
});

test("every failure says what happened, in both languages", () => {
	for (const code of Object.keys(catalogue).map(Number)) {
		expect(explain(code, "ja").what).toMatch(JAPANESE);
		expect(explain(code, "en").what).toMatch(/^[A-Z]/);
		expect(explain(code, "en").what).not.toMatch(JAPANESE);
	}
});

test("unknown numbers and unknown throws", () => {
	expect(explain(999999, "ja")).toEqual(explain(codeOf("PROTOCOL"), "ja"));
	expect(() => codeOf("NO_SUCH")).toThrow(RangeError);
	expect(Failure.of(new Error("x")).code).toBe(codeOf("INTERNAL"));
	expect(Failure.of(new Failure("CLOSED")).code).toBe(codeOf("CLOSED"));
});

/** Relative luminance, WCAG 2.2. */
function luminance(hex: string): number {
	const full = hex.length === 4 ? hex.replace(/[0-9a-f]/g, "$&$&") : hex;
	const [r, g, b] = [1, 3, 5].map((at) => {
		const value = parseInt(full.slice(at, at + 2), 16) / 255;
		return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
	}) as [number, number, number];
	return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

test.each([
	["#0017c1", "#fff", 4.5], ["#fff", "#00118f", 4.5], ["#0017c1", "#e8f1fe", 4.5], ["#333", "#fff", 4.5], ["#666", "#fff", 4.5],
	["#ce0000", "#fff", 4.5], ["#ce0000", "#fdeeee", 4.5], ["#1a1a1a", "#fff8e5", 4.5], ["#197a4b", "#fff", 3], ["#949494", "#fff", 3],
	["#ec0000", "#fff", 3], ["#ffd43d", "#262626", 3],
])("contrast of %s on %s", (a, b, least) => {
	const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y) as [number, number];
	expect((light + 0.05) / (dark + 0.05)).toBeGreaterThanOrEqual(least);
});
