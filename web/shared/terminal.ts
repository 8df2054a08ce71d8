/** Terminal IDs (docs/protocol.md 2). */
import type { Bytes } from "./bytes.ts";
import { Failure } from "./failure.ts";

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const CHARS = 16;
/** Hyphens, dashes, the minus and the long vowel mark that a Japanese keyboard gives in their place. */
const SEPARATORS = /[\s\p{Pd}\u2212\u30fc\u00ad]/gu;

function checkDigit(digits: number[]): number {
	let sum = 0;
	digits.forEach((digit, index) => {
		let term = digit;
		for (let i = 0; i <= index; i++) {
			term <<= 1;
			if (term & 32) {
				term ^= 0b100101; // x^5 + x^2 + 1
			}
		}
		sum ^= term;
	});
	return sum;
}

/** What a person typed or pasted to the 16 characters; throws TERMINAL_ID_BAD. */
export function parseTerminalId(typed: string): string {
	const id = typed
		.normalize("NFKC")
		.toUpperCase()
		.replace(SEPARATORS, "")
		.replace(/[IL]/g, "1")
		.replace(/O/g, "0");
	const digits = Array.from(id, (char) => ALPHABET.indexOf(char));
	if (digits.length !== CHARS || digits.includes(-1) || checkDigit(digits.slice(0, 15)) !== digits[15]) {
		throw new Failure("TERMINAL_ID_BAD");
	}
	return id;
}

export function formatTerminalId(id: string): string {
	return id.match(/.{4}/g)!.join("-");
}

/** The ID that 10 bytes of Argon2id stand for. */
export function encodeTerminalId(bytes: Uint8Array): string {
	const digits: number[] = [];
	let bits = 0;
	let value = 0;
	for (const byte of bytes) {
		value = (value << 8) | byte;
		bits += 8;
		while (bits >= 5 && digits.length < CHARS - 1) {
			bits -= 5;
			digits.push((value >> bits) & 31);
		}
		value &= (1 << bits) - 1;
	}
	digits.push(checkDigit(digits));
	return digits.map((digit) => ALPHABET[digit]).join("");
}

interface TerminalExports {
	memory: WebAssembly.Memory;
	_initialize(): void;
	terminal_io(): number;
	terminal_derive(): number;
}

const POINT_BYTES = 65;
const SALT_BYTES = 16;
const ID_BYTES = 10;

/** 64 MiB and part of a second: for a worker. */
export async function deriveTerminalId(wasm: WebAssembly.Module, anchor: Bytes, salt: Bytes): Promise<string> {
	if (anchor.length !== POINT_BYTES || salt.length !== SALT_BYTES) {
		throw new Failure("PROTOCOL");
	}
	const instance = await WebAssembly.instantiate(wasm, {});
	const exports = instance.exports as unknown as TerminalExports;
	exports._initialize();
	const at = exports.terminal_io();
	new Uint8Array(exports.memory.buffer, at).set([...anchor, ...salt]);
	if (exports.terminal_derive() !== 0) {
		throw new Failure("INTERNAL");
	}
	const from = at + POINT_BYTES + SALT_BYTES;
	return encodeTerminalId(new Uint8Array(exports.memory.buffer, from, ID_BYTES));
}
