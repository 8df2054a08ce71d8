/** Moves a picture that is larger than its place: at the edges, by Ctrl+Alt and the arrow keys, by Ctrl+Alt and dragging, by scroll bars. */
import { edgeStep } from "./view.ts";

const STEP_MS = 16;
/** Of what is seen, for one press of a key. */
const KEY_SHARE = 0.25;
const KEYS: Record<string, [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Pan {
	/** The picture has moved by itself, under a pointer that stands still. */
	onMoved: () => void = () => {};
	private timer: ReturnType<typeof setInterval> | null = null;
	private step: [number, number] = [0, 0];

	constructor(private readonly stage: HTMLElement) {}

	private possible(): boolean {
		return this.stage.scrollWidth > this.stage.clientWidth || this.stage.scrollHeight > this.stage.clientHeight;
	}

	/** true: the key was for us. */
	byKey(key: string): boolean {
		const way = KEYS[key];
		if (!way || !this.possible()) {
			return false;
		}
		this.stage.scrollBy(way[0] * KEY_SHARE * this.stage.clientWidth, way[1] * KEY_SHARE * this.stage.clientHeight);
		this.onMoved();
		return true;
	}

	/** true: the picture is being dragged. */
	byHand(event: PointerEvent): boolean {
		if (!event.ctrlKey || !event.altKey || !this.possible()) {
			return false;
		}
		this.rest();
		if (event.type === "pointermove" && event.buttons & 1) {
			this.stage.scrollBy(-event.movementX, -event.movementY);
		}
		return true;
	}

	/** The pointer is there: near to an edge the picture moves as long as it stays. */
	byEdge(event: MouseEvent): void {
		const box = this.stage.getBoundingClientRect();
		const { clientWidth, clientHeight } = this.stage; // without scroll bars
		this.step = [edgeStep(event.clientX - box.left, clientWidth), edgeStep(event.clientY - box.top, clientHeight)];
		if (!this.possible() || (this.step[0] === 0 && this.step[1] === 0)) {
			this.rest();
		} else {
			this.timer ??= setInterval(() => this.move(), STEP_MS);
		}
	}

	rest(): void {
		if (this.timer !== null) {
			clearInterval(this.timer);
			this.timer = null;
		}
	}

	private move(): void {
		const { scrollLeft, scrollTop } = this.stage;
		this.stage.scrollBy(...this.step);
		if (this.stage.scrollLeft === scrollLeft && this.stage.scrollTop === scrollTop) {
			this.rest(); // it shows the very edge
		} else {
			this.onMoved();
		}
	}
}
