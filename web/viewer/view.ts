/** How much of the office PC's screen is shown, where, and how large. */
import type { Size } from "./session.ts";

export interface Area {
	x: number;
	y: number;
	width: number;
	height: number;
}

export type Mode = "fit" | "actual";

/** The part of the screen that is shown, in its pixels. */
export function shownArea(size: Size, monitor: number | null): Area {
	const one = monitor === null ? undefined : size.monitors[monitor];
	return one
		? { x: one.xPx, y: one.yPx, width: one.widthPx, height: one.heightPx }
		: { x: 0, y: 0, width: size.widthPx, height: size.heightPx };
}

export interface Room {
	left: number;
	top: number;
	width: number;
	height: number;
	/** Pixels of this display for one CSS pixel. */
	ratio: number;
}

/** So near to one on one that the difference would only blur. */
const SNAP = 0.015;

/** CSS pixels for one pixel of the office PC. */
export function scaleOf(area: Area, room: Room, mode: Mode): number {
	const actual = 1 / room.ratio;
	const fit = Math.min(room.width / area.width, room.height / area.height);
	return mode === "actual" || Math.abs(fit / actual - 1) < SNAP ? actual : fit;
}

/** The space before the picture that puts it in the middle of a room that begins at `from`, at a whole pixel of this display. */
export function before(from: number, room: number, length: number, ratio: number): number {
	const middle = from + Math.max(0, (room - length) / 2);
	return Math.ceil(middle * ratio - 1e-3) / ratio - from;
}

/** The pixel of the office PC at a place of the page: in `box`, on the page, lies `area` of the screen. */
export function pixelAt(at: { x: number; y: number }, box: { left: number; top: number; width: number; height: number }, area: Area) {
	const scale = (value: number, from: number, length: number, first: number, count: number) =>
		first + Math.min(Math.max(Math.floor(((value - from) / length) * count), 0), count - 1);
	return { xPx: scale(at.x, box.left, box.width, area.x, area.width), yPx: scale(at.y, box.top, box.height, area.y, area.height) };
}

/** How near to the edge the pointer has to be for the picture to move, and by how much each 16 ms at the very edge, in CSS pixels. */
export const EDGE_PX = 28;
const EDGE_STEP_PX = 18;

/** The step for a pointer at `at` between 0 and `length`: the nearer to the edge, the faster. */
export function edgeStep(at: number, length: number): number {
	if (at < EDGE_PX) {
		return -Math.ceil((EDGE_STEP_PX * (EDGE_PX - Math.max(at, 0))) / EDGE_PX);
	}
	return at > length - EDGE_PX ? Math.ceil((EDGE_STEP_PX * (EDGE_PX - Math.max(length - at, 0))) / EDGE_PX) : 0;
}

const KEY = "engawa.view";

export interface Remembered {
	mode: Mode;
	/** 0: as on this computer. */
	scalePercent: number;
}

/** What the person chose the last time, on this computer. */
export function remembered(): Remembered {
	try {
		const { mode, scalePercent } = JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Remembered>;
		return { mode: mode === "actual" ? "actual" : "fit", scalePercent: typeof scalePercent === "number" ? scalePercent : 0 };
	} catch {
		return { mode: "fit", scalePercent: 0 }; // storage is closed, or somebody wrote into it
	}
}

export function remember(view: Remembered): void {
	try {
		localStorage.setItem(KEY, JSON.stringify(view));
	} catch {
		// the next session asks again
	}
}
