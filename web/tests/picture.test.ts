import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type Bytes, concat, fromHex } from "../shared/bytes.ts";
import { Failure } from "../shared/failure.ts";
import { Picture } from "../shared/picture.ts";
import { Encoder, type PlainRectangle, failure, plainPicture, random, wasm } from "./help.ts";

const decoderModule = wasm("picture");
const encoderModule = wasm("encoder");
const W = 64;
const H = 48;
const PIECE_BYTES = 60_000;

function rectangle(x: number, y: number, w: number, h: number, next: () => number): PlainRectangle {
	return { x, y, w, h, bgr: Uint8Array.from({ length: 3 * w * h }, () => Math.floor(next() * 256)) };
}

function pieces(data: Bytes, size = PIECE_BYTES): Bytes[] {
	const out: Bytes[] = [];
	for (let at = 0; at < data.length || out.length === 0; at += size) {
		out.push(data.slice(at, at + size));
	}
	return out;
}

/** True when the last piece completes the picture. */
function feed(picture: Picture, seq: number, data: Bytes, size?: number): boolean {
	const all = pieces(data, size);
	return all.map((piece, i) => picture.frame(seq, i === all.length - 1, piece)).at(-1)!;
}

async function decoder(width = W, height = H, windowMib = 8): Promise<Picture> {
	const picture = await Picture.create(decoderModule, windowMib);
	picture.layout(width, height);
	return picture;
}

function draw(screen: Uint8ClampedArray, width: number, rectangles: PlainRectangle[]): void {
	for (const { x, y, w, h, bgr } of rectangles) {
		for (let i = 0; i < w * h; i++) {
			const to = 4 * ((y + Math.floor(i / w)) * width + x + (i % w));
			screen.set([bgr[3 * i + 2]!, bgr[3 * i + 1]!, bgr[3 * i]!, 255], to);
		}
	}
}

function same(a: Uint8ClampedArray, b: Uint8ClampedArray): boolean {
	return Buffer.from(a).equals(Buffer.from(b));
}

describe("pictures", () => {
	test.each([1, 7, 4096, PIECE_BYTES])("50 pictures in pieces of %i bytes, exact", async (size) => {
		const next = random(size);
		const encoder = new Encoder(encoderModule);
		const picture = await decoder();
		const screen = new Uint8ClampedArray(4 * W * H);
		for (let seq = 1; seq <= (size < 10 ? 4 : 50); seq++) {
			const changed =
				seq === 1
					? [rectangle(0, 0, W, H, next)]
					: Array.from({ length: Math.floor(next() * 5) }, () => {
							const x = Math.floor(next() * (W - 10));
							const y = Math.floor(next() * (H - 10));
							return rectangle(x, y, 1 + Math.floor(next() * 9), 1 + Math.floor(next() * 9), next);
						});
			draw(screen, W, changed);
			expect(feed(picture, seq, encoder.flush(plainPicture(seq, W, H, changed)), size)).toBe(true);
			expect(picture.rectangles()).toEqual(changed.map(({ x, y, w, h }) => ({ x, y, w, h })));
			expect(same(picture.pixels(), screen)).toBe(true);
		}
	});

	test("full HD with a window of 32 MiB, then another size", async () => {
		const next = random(1);
		const encoder = new Encoder(encoderModule, 25);
		const picture = await decoder(1920, 1080, 32);
		const first = [rectangle(0, 0, 1920, 1080, next)];
		expect(feed(picture, 1, encoder.flush(plainPicture(1, 1920, 1080, first)))).toBe(true);
		const screen = new Uint8ClampedArray(4 * 1920 * 1080);
		draw(screen, 1920, first);
		expect(same(picture.pixels(), screen)).toBe(true);
		picture.layout(800, 600);
		const second = [rectangle(0, 0, 800, 600, next)];
		expect(feed(picture, 2, encoder.flush(plainPicture(2, 800, 600, second)))).toBe(true);
		expect(picture.pixels().length).toBe(4 * 800 * 600);
	});
});

describe("violations end the session", () => {
	const whole = () => rectangle(0, 0, W, H, random(2));
	const cases: [string, (encoder: Encoder) => Bytes][] = [
		["another seq inside", (e) => e.flush(plainPicture(2, W, H, [whole()]))],
		["another size", (e) => e.flush(plainPicture(1, W, H - 1, [rectangle(0, 0, W, H - 1, random(2))]))],
		["too many rectangles", (e) => e.flush(plainPicture(1, W, H, Array(4097).fill(rectangle(0, 0, 1, 1, random(2)))))],
		["not the whole screen", (e) => e.flush(plainPicture(1, W, H, [rectangle(0, 0, W, H - 1, random(2))]))],
		["nothing at first", (e) => e.flush(plainPicture(1, W, H, []))],
		["the same place twice", (e) => e.flush(plainPicture(1, W, H, [whole(), rectangle(0, 0, 1, 1, random(2))]))],
		["outside", (e) => e.flush(plainPicture(1, W, H, [rectangle(1, 0, W, H, random(2))]))],
		["an unknown kind", (e) => e.flush(plainPicture(1, W, H, [{ ...whole(), kind: 2 }]))],
		["cut", (e) => e.flush(plainPicture(1, W, H, [whole()]).slice(0, -1))],
		["too long", (e) => e.flush(concat(plainPicture(1, W, H, [whole()]), new Uint8Array(1)))],
		["the end of the stream", (e) => e.flush(plainPicture(1, W, H, [whole()]), true)],
		["no zstd", () => new Uint8Array(100).fill(1)],
		["an empty picture", () => new Uint8Array(0)],
		["a bomb", (e) => e.flush(concat(plainPicture(1, W, H, [whole()]), new Uint8Array(1 << 23)))],
	];
	test.each(cases)("%s", async (_, make) => {
		const picture = await decoder();
		const data = make(new Encoder(encoderModule));
		expect(() => feed(picture, 1, data)).toThrow(failure("PROTOCOL"));
		expect(() => picture.frame(1, true, new Uint8Array(1))).toThrow(Failure); // stays dead
	});

	test("a seq that is not the next", async () => {
		const picture = await decoder();
		expect(() => picture.frame(2, false, new Uint8Array(1))).toThrow(failure("PROTOCOL"));
	});

	test("a window beyond what was agreed", async () => {
		const picture = await decoder(2048, 2048, 8);
		const noise = [rectangle(0, 0, 2048, 2048, random(3))];
		const data = new Encoder(encoderModule, 25).flush(plainPicture(1, 2048, 2048, noise));
		expect(() => feed(picture, 1, data)).toThrow(failure("PROTOCOL"));
	});

	test.each([[0, 1], [1, 0], [16385, 1], [16384, 16384], [2 ** 31, 2], [65536, 65536]])(
		"a screen of %i x %i takes no memory",
		async (width, height) => {
			const picture = await Picture.create(decoderModule, 8);
			expect(() => picture.layout(width, height)).toThrow(failure("PROTOCOL"));
		},
	);

	test("a piece that is too long", async () => {
		const picture = await decoder();
		expect(() => picture.frame(1, true, new Uint8Array(65537))).toThrow(failure("TOO_LONG"));
	});

	test.each([0, 4, 64])("a window of %i MiB", async (windowMib) => {
		await expect(Picture.create(decoderModule, windowMib)).rejects.toBeInstanceOf(Failure);
	});
});

test("corrupt input ends, and never hangs", async () => {
	const next = random(4);
	const encoder = new Encoder(encoderModule);
	const stream = [1, 2, 3, 4].map((seq) =>
		encoder.flush(plainPicture(seq, W, H, [rectangle(0, 0, W, seq === 1 ? H : 8, () => Math.floor(next() * 3) / 64)])),
	);
	let refused = 0;
	const began = performance.now();
	for (let round = 0; round < 400; round++) {
		const picture = await decoder();
		try {
			stream.forEach((data, i) => {
				const bad = data.slice();
				for (let n = 0; n < 1 + round / 100; n++) {
					bad[Math.floor(next() * bad.length)]! ^= 1 << Math.floor(next() * 8);
				}
				feed(picture, i + 1, round % 3 === 0 ? bad.slice(0, Math.floor(next() * bad.length)) : bad);
			});
		} catch (thrown) {
			expect(thrown).toEqual(failure("PROTOCOL"));
			refused++;
		}
	}
	expect(refused).toBeGreaterThan(350); // a changed pixel of a stored block is a picture, too
	expect(performance.now() - began).toBeLessThan(20_000);
});

describe("the fuzzers' corpus", () => {
	const corpus = new URL("../../tests/corpus/picture/", import.meta.url);
	const rawFrame = fromHex("28b52ffd0068");

	/** What tests/fuzz/fuzz_picture.c does with an input; how many pictures become complete. */
	function replay(picture: Picture, input: Bytes): number {
		const flags = input[0]!;
		const raw = flags & 1;
		picture.layout(1 + ((flags >> 2) & 7), 1 + (flags >> 5));
		let [at, seq, begun] = [1, 1, false];
		while (at < input.length) {
			const head = input[at++]!;
			if (head === 0) {
				picture.layout((input[at] ?? 0) + 1, (input[at + 1] ?? 0) + 1);
				at += 2;
				continue;
			}
			const bytes = input.slice(at, at + (head >> 1));
			const length = bytes.length << 3; // a raw block, RFC 8878 3.1.1.2
			const block = concat(begun ? new Uint8Array(0) : rawFrame, Uint8Array.of(length & 255, length >> 8, 0), bytes);
			at += bytes.length;
			begun = true;
			if (picture.frame(seq, (head & 1) === 1, raw ? block : bytes)) {
				seq++;
			}
		}
		return seq - 1;
	}

	/** FNV-1a of B, G and R: the hash in the name of what the encoder has made (tests/fuzz/seed_picture.c). */
	function digest(pixels: Uint8ClampedArray): string {
		let hash = 2166136261;
		for (let at = 0; at < pixels.length; at += 4) {
			for (const byte of [pixels[at + 2]!, pixels[at + 1]!, pixels[at]!]) {
				hash = Math.imul(hash ^ byte, 16777619);
			}
		}
		return (hash >>> 0).toString(16).padStart(8, "0");
	}

	test.each(readdirSync(corpus))("%s", async (name) => {
		const picture = await Picture.create(decoderModule, 8);
		const input = new Uint8Array(readFileSync(new URL(name, corpus)));
		if (name.startsWith("made-")) {
			expect(replay(picture, input)).toBeGreaterThan(3);
			expect(digest(picture.pixels())).toBe(name.split(".")[1]);
			return;
		}
		try {
			input.length > 1 && replay(picture, input);
		} catch (thrown) {
			expect(thrown).toEqual(failure("PROTOCOL"));
		}
	});
});
