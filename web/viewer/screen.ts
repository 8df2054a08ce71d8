/** The office PC's screen: a canvas that a worker draws on. */
import type { Frame } from "../gen/inner_pb.ts";
import { Failure } from "../shared/failure.ts";
import type { FromWorker, ToWorker } from "./picture.worker.ts";

/** Frames that the worker has not used up yet; more wait in the network. */
const PENDING_MAX = 64;

export interface ScreenEvents {
	onDrawn(seq: number): void;
	onFailed(failure: Failure): void;
	/** Each second, also in the background. */
	onTick(): void;
}

export class Screen {
	readonly canvas = document.createElement("canvas");
	private readonly worker = new Worker(new URL("./picture.worker.ts", import.meta.url), { type: "module" });
	private pending = 0;
	private onRoom: (() => void) | null = null;
	/** Nothing more is drawn. */
	failed = false;

	constructor(
		windowMib: number,
		private readonly events: ScreenEvents,
	) {
		this.canvas.setAttribute("aria-hidden", "true");
		this.worker.onerror = () => this.fail(new Failure("INTERNAL"));
		this.worker.onmessage = ({ data }: MessageEvent<FromWorker>) => this.onMessage(data);
		const canvas = this.canvas.transferControlToOffscreen();
		this.post({ do: "start", canvas, windowMib }, [canvas]);
	}

	layout(width: number, height: number): void {
		this.post({ do: "layout", width, height });
	}

	/** Resolves when there is room for the next one. */
	async frame(frame: Frame): Promise<void> {
		this.pending++;
		this.post({ do: "frame", seq: frame.seq, last: frame.last, data: frame.data });
		if (this.pending >= PENDING_MAX) {
			await new Promise<void>((resolve) => (this.onRoom = resolve));
		}
	}

	close(): void {
		this.worker.terminate();
		this.onRoom?.();
	}

	private fail(failure: Failure): void {
		this.failed = true;
		this.onRoom?.();
		this.events.onFailed(failure);
	}

	private post(message: ToWorker, transfer: Transferable[] = []): void {
		this.worker.postMessage(message, transfer);
	}

	private onMessage(message: FromWorker): void {
		switch (message.is) {
			case "used":
				this.pending--;
				this.onRoom?.();
				this.onRoom = null;
				if (message.drawn !== null) {
					this.events.onDrawn(message.drawn);
				}
				return;
			case "failed":
				return this.fail(new Failure(message.code));
			case "tick":
				return this.events.onTick();
		}
	}
}
