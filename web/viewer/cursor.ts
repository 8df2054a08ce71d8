/** The office PC's cursor shape, moved by the home PC. */
import type { Cursor } from "../gen/inner_pb.ts";
import { Failure } from "../shared/failure.ts";

const SIDE_MAX_PX = 128; // browsers show no larger one
const BYTES_MAX = 36864;

/** A value for CSS `cursor`. Throws PROTOCOL when the sizes do not fit. */
export function cursorStyle(cursor: Cursor): string {
	const { widthPx: width, heightPx: height, hotXPx, hotYPx, bgra } = cursor;
	if (width === 0 || height === 0) {
		return "none";
	}
	if (4 * width * height !== bgra.length || bgra.length > BYTES_MAX) {
		throw new Failure("PROTOCOL");
	}
	if (width > SIDE_MAX_PX || height > SIDE_MAX_PX) {
		return "default";
	}
	const canvas = document.createElement("canvas");
	canvas.width = width;
	canvas.height = height;
	const image = new ImageData(width, height);
	for (let i = 0; i < bgra.length; i += 4) {
		const alpha = bgra[i + 3]!;
		const plain = (value: number) => (alpha === 0 ? 0 : Math.min(255, Math.round((value * 255) / alpha)));
		image.data.set([plain(bgra[i + 2]!), plain(bgra[i + 1]!), plain(bgra[i]!), alpha], i);
	}
	canvas.getContext("2d")!.putImageData(image, 0, 0);
	const hotX = Math.min(hotXPx, width - 1);
	const hotY = Math.min(hotYPx, height - 1);
	return `url(${canvas.toDataURL()}) ${hotX} ${hotY}, default`;
}
