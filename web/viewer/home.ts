/** What a page may know of the home PC; the office PC writes it into mail and log as a claim. */
import { nearestScale, ofRoom } from "./monitors.ts";
import { remembered } from "./view.ts";

const BROWSERS: [RegExp, string][] = [
	[/ Edg\/(\d+)/, "Edge"],
	[/ Firefox\/(\d+)/, "Firefox"],
	[/Chrome\/(\d+)/, "Chrome"],
	[/ Version\/(\d+).* Safari\//, "Safari"],
];
const SYSTEMS: [RegExp, string][] = [
	[/Windows/, "Windows"],
	[/iPhone|iPad/, "iOS"],
	[/Android/, "Android"],
	[/Mac OS X/, "macOS"],
	[/CrOS/, "ChromeOS"],
	[/Linux/, "Linux"],
];

export function homeSystem(agent = navigator.userAgent): string {
	return SYSTEMS.find(([pattern]) => pattern.test(agent))?.[1] ?? "";
}

/** Browsers have no name of the computer. */
export function homeName(agent = navigator.userAgent): string {
	for (const [pattern, name] of BROWSERS) {
		const match = pattern.exec(agent);
		if (match) {
			return `${name} ${match[1]}`;
		}
	}
	return "Browser";
}

/** What the toolbar takes of the page, before there is one. */
const TOOLBAR_PX = 52;

/** As much as the page will have for the screen; more exactly once it is there. */
export function homeMonitors() {
	const { scalePercent } = remembered();
	const room = { width: window.innerWidth, height: window.innerHeight - TOOLBAR_PX, ratio: window.devicePixelRatio };
	return ofRoom(room, scalePercent || nearestScale());
}
