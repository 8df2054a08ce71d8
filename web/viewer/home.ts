/** What a page may know of the home PC; the office PC writes it into mail and log as a claim. */

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

export function homeMonitors() {
	const scale = window.devicePixelRatio;
	return [
		{
			xPx: 0,
			yPx: 0,
			widthPx: Math.round(screen.width * scale),
			heightPx: Math.round(screen.height * scale),
			scalePercent: Math.round(scale * 100),
		},
	];
}
