/** The picture decoder of src/screen as WebAssembly: one object decodes one session. */
import { Failure } from "./failure.ts";

interface PictureExports {
	memory: WebAssembly.Memory;
	_initialize(): void;
	picture_start(windowMib: number): number;
	picture_layout(width: number, height: number): number;
	picture_piece(): number;
	picture_piece_max(): number;
	picture_frame(seq: number, last: number, length: number): number;
	picture_pixels(): number;
	picture_rectangles(): number;
	picture_count(): number;
	picture_film(): number;
	picture_film_length(): number;
	picture_film_place(): number;
}

export interface Rectangle {
	x: number;
	y: number;
	w: number;
	h: number;
}

/** Returns below this are -EW numbers, above it the C library's. */
const FIRST_CODE = -100;

function check(result: number): number {
	if (result < 0) {
		throw new Failure(result <= FIRST_CODE ? -result : "INTERNAL");
	}
	return result;
}

export class Picture {
	private size = { width: 0, height: 0 };

	private constructor(private readonly wasm: PictureExports) {}

	static async create(module: WebAssembly.Module, windowMib: number): Promise<Picture> {
		const instance = await WebAssembly.instantiate(module, {});
		const wasm = instance.exports as unknown as PictureExports;
		wasm._initialize();
		check(wasm.picture_start(windowMib));
		return new Picture(wasm);
	}

	layout(width: number, height: number): void {
		this.call(() => this.wasm.picture_layout(width, height));
		this.size = { width, height };
	}

	/** One Frame; true when a picture is complete. */
	frame(seq: number, last: boolean, data: Uint8Array): boolean {
		const { wasm } = this;
		if (data.length > wasm.picture_piece_max()) {
			throw new Failure("TOO_LONG");
		}
		new Uint8Array(wasm.memory.buffer, wasm.picture_piece(), data.length).set(data);
		return this.call(() => wasm.picture_frame(seq, last ? 1 : 0, data.length)) === 1;
	}

	/** What the complete picture wrote. */
	rectangles(): Rectangle[] {
		const { wasm } = this;
		const count = wasm.picture_count();
		const numbers = new Uint16Array(wasm.memory.buffer, wasm.picture_rectangles(), 4 * count);
		return Array.from({ length: count }, (_, i) => {
			const [x, y, w, h] = numbers.subarray(4 * i, 4 * i + 4) as unknown as [number, number, number, number];
			return { x, y, w, h };
		});
	}

	/** The complete picture's film: H.264 that belongs into a rectangle. The caller puts its pixels there before the next frame. */
	film(): { place: Rectangle; unit: Uint8Array } | null {
		const { wasm } = this;
		const at = wasm.picture_film();
		if (at === 0) {
			return null;
		}
		const [x, y, w, h] = new Uint16Array(wasm.memory.buffer, wasm.picture_film_place(), 4) as unknown as [number, number, number, number];
		return { place: { x, y, w, h }, unit: new Uint8Array(wasm.memory.buffer, at, wasm.picture_film_length()).slice() };
	}

	/** R G B A of the whole screen: a view that the next call may move. */
	pixels(): Uint8ClampedArray<ArrayBuffer> {
		const { width, height } = this.size;
		const buffer = this.wasm.memory.buffer as ArrayBuffer;
		return new Uint8ClampedArray(buffer, this.wasm.picture_pixels(), 4 * width * height);
	}

	/** A trap (there should be none) is a failure like any other. */
	private call(run: () => number): number {
		let result: number;
		try {
			result = run();
		} catch {
			throw new Failure("INTERNAL");
		}
		return check(result);
	}
}

