/** Keyboard, mouse, wheel and input method of the home PC, from a text area that lies over the screen. */
import { isSwitch, keysymOf, usageOf } from "./keys.ts";
import { Outbox, type Item, splitText } from "./outbox.ts";
import type { Pan } from "./pan.ts";
import { type Area, pixelAt } from "./view.ts";

/** Bits of Pointer.buttons: X11's buttons 1 to 9. */
const BUTTON_BITS = [0, 1, 2, 7, 8]; // MouseEvent.button: left, middle, right, back, forward
const WHEEL_UP = 3;
const WHEEL_DOWN = 4;
const WHEEL_LEFT = 5;
const WHEEL_RIGHT = 6;
/** One notch of a wheel, in pixels and in lines. */
const NOTCH_PX = 100;
const NOTCH_LINES = 3;
/** Of one event: a touch pad can ask for hundreds. */
const NOTCHES_MAX = 10;

export interface InputOptions {
	/** Over what is shown of the office PC's screen, and of its size. */
	area: HTMLTextAreaElement;
	send(item: Item): void;
	/** What is shown, in the office PC's pixels. */
	shown(): Area;
	/** Moves what is larger than its place on the page. */
	pan: Pan;
	/** Ctrl+Alt+Home. */
	onLeave(): void;
}

export class Input {
	private readonly outbox: Outbox;
	private readonly stop = new AbortController();
	private readonly pressed = new Map<string, { usage: number; keysym: number }>();
	private buttons = 0;
	private at = { xPx: 0, yPx: 0 };
	private last = { x: 0, y: 0 }; // on the page
	private wheel = { x: 0, y: 0 };

	constructor(private readonly options: InputOptions) {
		this.outbox = new Outbox(options.send);
		const { area } = options;
		const { signal } = this.stop;
		area.addEventListener("keydown", (event) => this.onKeyDown(event), { signal });
		area.addEventListener("keyup", (event) => this.onKeyUp(event), { signal });
		area.addEventListener("compositionend", () => this.onText(), { signal });
		area.addEventListener("input", (event) => (event as InputEvent).isComposing || this.onText(), { signal });
		for (const name of ["paste", "drop", "dragover", "copy", "cut", "contextmenu"]) {
			area.addEventListener(name, (event) => event.preventDefault(), { signal }); // nothing is carried over
		}
		for (const name of ["pointerdown", "pointermove", "pointerup", "pointercancel"] as const) {
			area.addEventListener(name, (event) => this.onPointer(event), { signal });
		}
		area.addEventListener("wheel", (event) => this.onWheel(event), { signal, passive: false });
		area.addEventListener("pointerleave", () => options.pan.rest(), { signal });
		options.pan.onMoved = () => this.follow();
		area.addEventListener("blur", () => this.release(), { signal });
		window.addEventListener("blur", () => this.release(), { signal });
		window.addEventListener("pagehide", () => this.release(), { signal });
		document.addEventListener("visibilitychange", () => this.release(), { signal });
	}

	/** All keys and buttons up, at once. */
	release(): void {
		for (const key of this.pressed.values()) {
			this.outbox.push({ kind: "key", ...key, down: false });
		}
		this.pressed.clear();
		if (this.buttons !== 0) {
			this.point(0);
		}
		this.outbox.flush();
	}

	close(): void {
		this.stop.abort();
		this.options.pan.rest();
		this.release();
	}

	private onKeyDown(event: KeyboardEvent): void {
		if (event.isComposing || event.key === "Process" || event.key === "Unidentified") {
			return; // the input method of the home PC has it; what comes out of it is text
		}
		event.preventDefault();
		if (event.key === "Home" && event.ctrlKey && event.altKey) {
			this.release();
			this.options.onLeave();
			return;
		}
		if (event.ctrlKey && event.altKey && this.options.pan.byKey(event.key)) {
			return;
		}
		if (event.repeat || this.pressed.has(event.code)) {
			return; // the office PC repeats
		}
		const key = { usage: usageOf(event.code), keysym: keysymOf(event.key, event.code) };
		if (key.usage === 0 && key.keysym === 0) {
			return;
		}
		this.outbox.push({ kind: "key", ...key, down: true });
		// macOS tells of no release while Command is held
		if (isSwitch(event.key) || (event.metaKey && !event.code.startsWith("Meta"))) {
			this.outbox.push({ kind: "key", ...key, down: false });
		} else {
			this.pressed.set(event.code, key);
		}
	}

	private onKeyUp(event: KeyboardEvent): void {
		const key = this.pressed.get(event.code);
		if (!key && event.key === "PrintScreen") {
			const printScreen = { usage: usageOf(event.code), keysym: keysymOf(event.key, event.code) };
			this.outbox.push({ kind: "key", ...printScreen, down: true }); // Windows tells of no press
			this.outbox.push({ kind: "key", ...printScreen, down: false });
		}
		if (key) {
			event.preventDefault();
			this.pressed.delete(event.code);
			this.outbox.push({ kind: "key", ...key, down: false });
		}
	}

	private onText(): void {
		const { area } = this.options;
		for (const text of splitText(area.value)) {
			this.outbox.push({ kind: "text", text });
		}
		area.value = "";
	}

	private onPointer(event: PointerEvent): void {
		if (!event.isPrimary) {
			return;
		}
		const { area, pan } = this.options;
		if (this.buttons === 0 && pan.byHand(event)) {
			return;
		}
		this.locate(event);
		let buttons = 0;
		BUTTON_BITS.forEach((bit, button) => {
			// PointerEvent.buttons counts right before middle
			const mask = [1, 4, 2, 8, 16][button]!;
			buttons |= event.buttons & mask ? 1 << bit : 0;
		});
		if (event.type === "pointerdown") {
			event.preventDefault();
			area.focus({ preventScroll: true });
			area.setPointerCapture(event.pointerId);
		}
		this.point(event.type === "pointercancel" ? 0 : buttons);
		pan.byEdge(event);
	}

	/** The picture has moved under the pointer. */
	private follow(): void {
		this.at = this.pixel();
		this.point(this.buttons);
	}

	private onWheel(event: WheelEvent): void {
		event.preventDefault();
		this.locate(event);
		const unit = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? NOTCH_PX : NOTCH_LINES;
		// what is left of a notch does not count for the other direction
		const add = (sum: number, delta: number) => (sum * delta < 0 ? 0 : sum) + delta / unit;
		this.wheel.x = add(this.wheel.x, event.deltaX);
		this.wheel.y = add(this.wheel.y, event.deltaY);
		this.wheel.x -= this.turn(this.wheel.x, WHEEL_LEFT, WHEEL_RIGHT);
		this.wheel.y -= this.turn(this.wheel.y, WHEEL_UP, WHEEL_DOWN);
	}

	/** Presses a wheel button once for each whole notch; how many there were. */
	private turn(notches: number, back: number, forward: number): number {
		const whole = Math.trunc(notches);
		const bit = 1 << (whole < 0 ? back : forward);
		for (let i = 0; i < Math.min(Math.abs(whole), NOTCHES_MAX); i++) {
			this.outbox.push({ kind: "pointer", ...this.at, buttons: this.buttons | bit });
			this.outbox.push({ kind: "pointer", ...this.at, buttons: this.buttons });
		}
		return whole;
	}

	private locate(event: MouseEvent): void {
		this.last = { x: event.clientX, y: event.clientY };
		this.at = this.pixel();
	}

	private pixel() {
		return pixelAt(this.last, this.options.area.getBoundingClientRect(), this.options.shown());
	}

	private point(buttons: number): void {
		this.buttons = buttons;
		this.outbox.push({ kind: "pointer", ...this.at, buttons });
	}
}
