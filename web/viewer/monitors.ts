/** The monitors of the home PC, as the office PC shall have them where its display is a virtual one (docs/protocol.md 8.4). */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { MonitorSchema } from "../gen/inner_pb.ts";

export type Monitor = Required<Pick<MessageInitShape<typeof MonitorSchema>, "xPx" | "yPx" | "widthPx" | "heightPx" | "scalePercent">>;

export type Places = Omit<Monitor, "scalePercent">;

/** Limits of the office PC: no smaller side, no larger one, no more of them. */
const SIDE_MIN_PX = 320;
const SIDE_MAX_PX = 16384;
export const MONITORS_MAX = 4;
/** How much larger text and controls are, for people to choose. */
export const SCALES = [100, 125, 150, 200];

/** Of Window Management (W3C, 2024): what is used of a ScreenDetailed. */
export interface HomeScreen {
	left: number;
	top: number;
	width: number;
	height: number;
	devicePixelRatio: number;
	label?: string;
}

export interface HomeScreens {
	screens: HomeScreen[];
	currentScreen: HomeScreen;
	addEventListener(type: string, listener: () => void, options?: { signal?: AbortSignal }): void;
}

function side(css: number, ratio: number): number {
	// even sides: films have no others
	return 2 * Math.floor(Math.min(Math.max(Math.round(css * ratio), SIDE_MIN_PX), SIDE_MAX_PX) / 2);
}

/** The nearest of those that can be chosen. */
export function nearestScale(ratio = window.devicePixelRatio): number {
	return SCALES.reduce((best, scale) => (Math.abs(scale - 100 * ratio) < Math.abs(best - 100 * ratio) ? scale : best));
}

/** One monitor of the size that there is for it on the page, each pixel on one of this display. */
export function ofRoom(room: { width: number; height: number; ratio: number }, scalePercent: number): Monitor[] {
	return [{ xPx: 0, yPx: 0, widthPx: side(room.width, room.ratio), heightPx: side(room.height, room.ratio), scalePercent }];
}

/**
 * All screens of this computer, the page's own first. Browsers give places in CSS pixels, which overlap as soon as two screens have
 * different scales: side by side, or one below the other, is kept, with real pixels and no gaps.
 */
export function ofScreens({ screens, currentScreen }: HomeScreens, scalePercent: number): Monitor[] {
	const beside = (a: HomeScreen, b: HomeScreen) => a.left + a.width <= b.left || b.left + b.width <= a.left;
	const row = screens.every((a, i) => screens.slice(i + 1).every((b) => beside(a, b)));
	const placed = new Map<HomeScreen, Monitor>();
	let at = 0;
	for (const screen of [...screens].sort((a, b) => (row ? a.left - b.left : a.top - b.top))) {
		const [widthPx, heightPx] = [side(screen.width, screen.devicePixelRatio), side(screen.height, screen.devicePixelRatio)];
		placed.set(screen, { xPx: row ? at : 0, yPx: row ? 0 : at, widthPx, heightPx, scalePercent });
		at += row ? widthPx : heightPx;
	}
	const own = placed.has(currentScreen) ? currentScreen : screens[0]!;
	return [own, ...screens.filter((screen) => screen !== own)].slice(0, MONITORS_MAX).map((screen) => placed.get(screen)!);
}

/** Places and sizes; the order means nothing. */
export function samePlaces(a: Places[], b: Places[]): boolean {
	const places = (monitors: Places[]) => monitors.map(({ xPx, yPx, widthPx, heightPx }) => `${xPx} ${yPx} ${widthPx} ${heightPx}`).sort().join();
	return places(a) === places(b);
}

/** Whether this browser can tell of more screens than the page's. */
export function screensCanBeAsked(): boolean {
	return "getScreenDetails" in window && (screen as { isExtended?: boolean }).isExtended === true;
}

/** Asks the person, through the browser. null: not allowed. */
export async function askScreens(): Promise<HomeScreens | null> {
	try {
		return await (window as unknown as { getScreenDetails(): Promise<HomeScreens> }).getScreenDetails();
	} catch {
		return null;
	}
}
