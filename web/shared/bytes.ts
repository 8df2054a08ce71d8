/** Byte strings, as WebCrypto wants them: backed by memory of their own. */
export type Bytes = Uint8Array<ArrayBuffer>;

const utf8 = new TextEncoder();

export function text(value: string): Bytes {
	return utf8.encode(value);
}

export function concat(...parts: Uint8Array[]): Bytes {
	const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
	let at = 0;
	for (const part of parts) {
		out.set(part, at);
		at += part.length;
	}
	return out;
}

export function u16(value: number): Bytes {
	return new Uint8Array([value >> 8, value]);
}

export function u32(value: number): Bytes {
	return new Uint8Array([value >>> 24, value >> 16, value >> 8, value]);
}

/** Not in constant time: for public values only. */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
	return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

export function toHex(bytes: Uint8Array): string {
	return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function fromHex(hex: string): Bytes {
	if (hex.length % 2 !== 0 || /[^0-9a-fA-F]/.test(hex)) {
		throw new RangeError("not hexadecimal");
	}
	return Uint8Array.from({ length: hex.length / 2 }, (_, i) => parseInt(hex.slice(2 * i, 2 * i + 2), 16));
}

export function toBase64(bytes: Uint8Array): string {
	return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

/** Throws when the text is not base64. */
export function fromBase64(value: string): Bytes {
	return Uint8Array.from(atob(value), (char) => char.charCodeAt(0));
}

export async function sha256(bytes: Bytes): Promise<Bytes> {
	return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

/** Bytes that have arrived and are not read yet; bounded from birth. */
export class ByteQueue {
	private parts: Uint8Array[] = [];
	private bytes = 0;

	constructor(private readonly maxBytes: number) {}

	get length(): number {
		return this.bytes;
	}

	/** False, and nothing is taken, when there is no room. */
	push(part: Uint8Array): boolean {
		if (this.bytes + part.length > this.maxBytes) {
			return false;
		}
		this.parts.push(part);
		this.bytes += part.length;
		return true;
	}

	/** The next n bytes, or null while there are fewer. */
	take(n: number): Bytes | null {
		if (this.bytes < n) {
			return null;
		}
		const out = new Uint8Array(n);
		let at = 0;
		let used = 0;
		while (at < n) {
			const part = this.parts[used]!;
			const piece = part.subarray(0, n - at);
			out.set(piece, at);
			at += piece.length;
			if (piece.length === part.length) {
				used++;
			} else {
				this.parts[used] = part.subarray(piece.length);
			}
		}
		this.parts.splice(0, used);
		this.bytes -= n;
		return out;
	}
}
