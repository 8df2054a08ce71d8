/** Decodes pictures and draws them; also the clock, because timers of a page in the background are slowed down. */
import { Failure } from "../shared/failure.ts";
import { Picture } from "../shared/picture.ts";
import { Film } from "./film.ts";
import wasmUrl from "../wasm/out/picture.wasm?url";

export type ToWorker =
	| { do: "start"; canvas: OffscreenCanvas; windowMib: number }
	| { do: "layout"; width: number; height: number }
	| { do: "frame"; seq: number; last: boolean; data: Uint8Array };

export type FromWorker =
	/** A frame is used up; drawn: it completed a picture, which is on the canvas. */
	| { is: "used"; drawn: number | null }
	| { is: "failed"; code: number }
	| { is: "tick" };

const scope = self as unknown as {
	onmessage: (event: MessageEvent<ToWorker>) => void;
	postMessage(message: FromWorker): void;
};
const TICK_MS = 1000;

let picture: Picture;
const film = new Film();
let canvas: OffscreenCanvas;
let context: OffscreenCanvasRenderingContext2D;
let image: ImageData | null = null;

async function start(message: Extract<ToWorker, { do: "start" }>): Promise<void> {
	canvas = message.canvas;
	context = canvas.getContext("2d", { alpha: false })!;
	const response = await fetch(wasmUrl);
	const module = await WebAssembly.compile(await response.arrayBuffer());
	picture = await Picture.create(module, message.windowMib);
	setInterval(() => scope.postMessage({ is: "tick" }), TICK_MS);
}

function draw(): void {
	const pixels = picture.pixels();
	// the memory moves when it grows
	if (image === null || image.data.buffer !== pixels.buffer || image.data.byteOffset !== pixels.byteOffset) {
		image = new ImageData(pixels, canvas.width, canvas.height);
	}
	for (const { x, y, w, h } of picture.rectangles()) {
		context.putImageData(image, 0, 0, x, y, w, h);
	}
}

async function handle(message: ToWorker): Promise<void> {
	switch (message.do) {
		case "start":
			return start(message);
		case "layout":
			picture.layout(message.width, message.height);
			canvas.width = message.width;
			canvas.height = message.height;
			image = null;
			return;
		case "frame": {
			const whole = picture.frame(message.seq, message.last, message.data);
			if (whole) {
				const moving = picture.film();
				if (moving) {
					await film.show(moving.unit, moving.place, picture.pixels(), canvas.width);
				}
				draw();
			}
			scope.postMessage({ is: "used", drawn: whole ? message.seq : null });
		}
	}
}

/** Messages one after another; after a failure none. */
let work: Promise<void> = Promise.resolve();
scope.onmessage = (event) => {
	work = work.then(() => handle(event.data));
	work.catch((thrown: unknown) => {
		scope.onmessage = () => {};
		scope.postMessage({ is: "failed", code: Failure.of(thrown).code });
	});
};
