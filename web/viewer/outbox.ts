/**
 * What leaves for the office PC, on a grid of 20 ms: the rhythm of typing says much about what is typed (docs/protocol.md 8.2).
 * Pointer moves between two points of the grid become one.
 */
export type Item =
	| { kind: "pointer"; xPx: number; yPx: number; buttons: number }
	| { kind: "key"; usage: number; keysym: number; down: boolean }
	| { kind: "text"; text: string };

const GRID_MS = 20;
const TEXT_MAX_BYTES = 48;

/** Whole characters, as many as fit into each piece. */
export function splitText(text: string): string[] {
	const encoder = new TextEncoder();
	const out: string[] = [];
	let piece = "";
	let bytes = 0;
	for (const char of text) {
		const length = encoder.encode(char).length;
		if (bytes + length > TEXT_MAX_BYTES) {
			out.push(piece);
			piece = "";
			bytes = 0;
		}
		piece += char;
		bytes += length;
	}
	return piece ? [...out, piece] : out;
}

export class Outbox {
	private items: Item[] = [];
	private timer: ReturnType<typeof setTimeout> | null = null;

	constructor(private readonly send: (item: Item) => void) {}

	push(item: Item): void {
		const last = this.items.at(-1);
		if (item.kind === "pointer" && last?.kind === "pointer" && last.buttons === item.buttons) {
			this.items[this.items.length - 1] = item;
		} else {
			this.items.push(item);
		}
		this.timer ??= setTimeout(() => this.flush(), GRID_MS - (performance.now() % GRID_MS));
	}

	flush(): void {
		if (this.timer !== null) {
			clearTimeout(this.timer);
			this.timer = null;
		}
		const items = this.items;
		this.items = [];
		items.forEach(this.send);
	}
}
