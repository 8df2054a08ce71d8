import { readFileSync } from "node:fs";
import { type Bytes, concat, fromHex, u16, u32 } from "../shared/bytes.ts";
import { Failure, codeOf } from "../shared/failure.ts";
import type { KeyPair } from "../shared/noise.ts";

const root = new URL("../../", import.meta.url);

export function readJson<T>(path: string): T {
	return JSON.parse(readFileSync(new URL(path, root), "utf8")) as T;
}

export function wasm(name: string): WebAssembly.Module {
	return new WebAssembly.Module(readFileSync(new URL(`web/wasm/out/${name}.wasm`, root)));
}

/** The X25519 pair of a secret that a test vector gives. */
export async function keyPair(secret: Bytes): Promise<KeyPair> {
	const pkcs8 = concat(fromHex("302e020100300506032b656e04220420"), secret);
	const key = await crypto.subtle.importKey("pkcs8", pkcs8, { name: "X25519" }, true, ["deriveBits"]);
	const jwk = await crypto.subtle.exportKey("jwk", key);
	return { privateKey: key, publicKey: new Uint8Array(Buffer.from(jwk.x!, "base64url")) };
}

/** The name's number, for comparison with what was thrown. */
export function failure(name: string): Failure {
	return new Failure(codeOf(name));
}

/** Numbers from a seed (mulberry32): a failing case can be run again. */
export function random(seed: number): () => number {
	return () => {
		seed = (seed + 0x6d2b79f5) | 0;
		let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
		t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
		return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
	};
}

interface EncoderExports {
	memory: WebAssembly.Memory;
	_initialize(): void;
	encoder_start(level: number, windowLog: number, pieceBytes: number): number;
	encoder_in(): number;
	encoder_out(): number;
	encoder_flush(length: number, end: number): number;
}

/** A zstd stream as an agent makes it. */
export class Encoder {
	private readonly wasm: EncoderExports;

	constructor(module: WebAssembly.Module, windowLog = 23, pieceBytes = 1 << 24, level = 5) {
		this.wasm = new WebAssembly.Instance(module, {}).exports as unknown as EncoderExports;
		this.wasm._initialize();
		if (this.wasm.encoder_start(level, windowLog, pieceBytes) !== 0) {
			throw new Error("encoder_start");
		}
	}

	flush(plain: Uint8Array, end = false): Bytes {
		const { memory, encoder_in, encoder_out, encoder_flush } = this.wasm;
		new Uint8Array(memory.buffer, encoder_in(), plain.length).set(plain);
		const length = encoder_flush(plain.length, end ? 1 : 0);
		if (length < 0) {
			throw new Error("encoder_flush");
		}
		return new Uint8Array(memory.buffer, encoder_out(), length).slice();
	}
}

export interface PlainRectangle {
	x: number;
	y: number;
	w: number;
	h: number;
	bgr: Uint8Array;
	kind?: number;
}

/** The plain bytes of a picture (docs/protocol.md 8.1). */
export function plainPicture(seq: number, width: number, height: number, rectangles: PlainRectangle[]): Bytes {
	return concat(
		u32(seq),
		u16(width),
		u16(height),
		u16(rectangles.length),
		...rectangles.flatMap(({ kind, x, y, w, h, bgr }) => [
			new Uint8Array([kind ?? 1]),
			u16(x),
			u16(y),
			u16(w),
			u16(h),
			bgr,
		]),
	);
}
