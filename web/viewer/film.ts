/** Rectangles of H.264, decoded by the browser: one unit in, one picture out, in order. */
import { Failure } from "../shared/failure.ts";
import type { Rectangle } from "../shared/picture.ts";

/** Constrained baseline, level 4.0, as screen/film.h says. */
const CODEC = "avc1.42e028";
/** A decoder that says nothing has failed. */
const PICTURE_MS = 5000;

export async function filmsPlay(): Promise<boolean> {
	if (!("VideoDecoder" in globalThis)) {
		return false;
	}
	const { supported } = await VideoDecoder.isConfigSupported({ codec: CODEC });
	return supported === true;
}

export class Film {
	private decoder: VideoDecoder | null = null;
	private taken: ((frame: VideoFrame) => void) | null = null;
	private failed: ((why: Failure) => void) | null = null;
	private time = 0;

	/** Decodes one unit and writes it into the screen's R G B A pixels. Nothing else may happen to the screen meanwhile. */
	async show(unit: Uint8Array, place: Rectangle, pixels: Uint8ClampedArray<ArrayBuffer>, screenWidth: number): Promise<void> {
		const frame = await this.decode(unit);
		try {
			if (frame.displayWidth !== place.w || frame.displayHeight !== place.h) {
				throw new Failure("PROTOCOL");
			}
			const canvas = new OffscreenCanvas(place.w, place.h);
			const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true })!;
			context.drawImage(frame, 0, 0);
			const picture = context.getImageData(0, 0, place.w, place.h).data;
			for (let y = 0; y < place.h; y++) {
				pixels.set(picture.subarray(4 * place.w * y, 4 * place.w * (y + 1)), 4 * ((place.y + y) * screenWidth + place.x));
			}
		} finally {
			frame.close();
		}
	}

	private async decode(unit: Uint8Array): Promise<VideoFrame> {
		const key = isKey(unit);
		if (this.decoder === null || key) {
			// another film: a decoder of its own
			this.decoder?.close();
			this.decoder = new VideoDecoder({
				output: (frame) => (this.taken ? this.taken(frame) : frame.close()),
				error: () => this.failed?.(new Failure("PROTOCOL")),
			});
			this.decoder.configure({ codec: CODEC, optimizeForLatency: true });
		}
		const decoder = this.decoder;
		const done = new Promise<VideoFrame>((resolve, reject) => {
			this.taken = resolve;
			this.failed = reject;
			setTimeout(() => reject(new Failure("TIMEOUT")), PICTURE_MS);
		});
		decoder.decode(new EncodedVideoChunk({ type: key ? "key" : "delta", timestamp: this.time++, data: unit }));
		try {
			return await done;
		} finally {
			this.taken = this.failed = null;
		}
	}
}

/** A unit that needs no other: it has a picture of NAL type 5 (ITU-T H.264 7.4.1), or what comes before one. */
function isKey(unit: Uint8Array): boolean {
	for (let i = 0; i + 3 < unit.length; i++) {
		if (unit[i] === 0 && unit[i + 1] === 0 && unit[i + 2] === 1) {
			const type = unit[i + 3]! & 31;
			if (type === 5 || type === 7) {
				return true;
			}
			if (type === 1) {
				return false;
			}
		}
	}
	return false;
}
