// Drives Chromium for tests in Python: a line of JSON in is one call, a line out is its result.
// {"id", "on": "page" | "context" | "mouse" | "keyboard" | "clock" | "own", "call", "args"} -> {"id", "value"} or {"id", "error"}
// Started with: node driver.mjs '{"home": DIRECTORY}'. Chromium trusts what the NSS store in that home trusts.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(new URL("../../web/package.json", import.meta.url));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core"), "utf8");
const { home } = JSON.parse(process.argv[2]);

const browser = await chromium.launch({
	executablePath: "/usr/bin/chromium",
	env: { ...process.env, HOME: home },
	args: ["--no-sandbox", "--force-color-profile=srgb", "--disable-background-networking", "--disable-sync"],
});
let context, page;
let consoleLines = [];
let requests = [];
let keys;

/** Runs in the page. */
async function canvas() {
	const screen = document.querySelector("canvas");
	const { width, height } = screen;
	const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
	context.drawImage(screen, 0, 0);
	return context.getImageData(0, 0, width, height);
}

const own = {
	/** A new page in a new profile; the old one is closed. */
	async open(options) {
		await context?.close();
		context = await browser.newContext({ locale: "ja-JP", ...options });
		page = await context.newPage();
		page.setDefaultTimeout(30_000);
		consoleLines = [];
		requests = [];
		page.on("request", (request) => requests.push(request.url()));
		page.on("websocket", (socket) => requests.push(socket.url()));
		page.on("console", (line) => consoleLines.push(`${line.type()}: ${line.text()}`));
		page.on("pageerror", (error) => consoleLines.push(`error: ${error.stack}`));
	},
	console: () => consoleLines,
	/** Everything that the page asked for, with its WebSockets. */
	requests: () => requests,
	/** Violations of WCAG 2.2 A and AA and of axe's best practices. */
	async axe() {
		// the page's policy forbids scripts that are not its own, but not the debugger
		await page.evaluate(axe);
		const { violations } = await page.evaluate(() =>
			window.axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }),
		);
		return violations.map(({ id, help, nodes }) => ({ id, help, nodes: nodes.map((node) => node.html + " " + node.failureSummary) }));
	},
	/** The canvas as the person sees it: R G B A, base64. */
	async pixels() {
		return page.evaluate(`(${canvas})().then(({ width, height, data }) => {
			let text = "";
			for (let i = 0; i < data.length; i += 32768) {
				text += String.fromCharCode(...data.subarray(i, i + 32768));
			}
			return { width, height, rgba: btoa(text) };
		})`);
	},
	/** The SHA-256 of these, in hexadecimal. */
	async digest() {
		return page.evaluate(`(${canvas})().then(async ({ data }) => {
			const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
			return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
		})`);
	},
	/** A security key in this browser's machine; its name for the next two. */
	async plugIn(options) {
		keys = await context.newCDPSession(page);
		await keys.send("WebAuthn.enable", { enableUI: false });
		const { authenticatorId } = await keys.send("WebAuthn.addVirtualAuthenticator", {
			options: {
				protocol: "ctap2", transport: "usb", hasResidentKey: true, hasUserVerification: true, isUserVerified: true,
				automaticPresenceSimulation: true, ...options,
			},
		});
		return authenticatorId;
	},
	/** What is on it, with private keys. */
	async keys(authenticatorId) {
		return (await keys.send("WebAuthn.getCredentials", { authenticatorId })).credentials;
	},
	/** A copy of such a key: what a thief would have who could read it. */
	async copyKey(authenticatorId, credential) {
		await keys.send("WebAuthn.addCredential", { authenticatorId, credential });
	},
	/** A key as the system gives it to the browser: Input.dispatchKeyEvent. */
	async keyEvent(event) {
		const session = await context.newCDPSession(page);
		await session.send("Input.dispatchKeyEvent", event);
		await session.detach();
	},
	/** What an input method shows before the commit. */
	async composing(text) {
		const session = await context.newCDPSession(page);
		await session.send("Input.imeSetComposition", { selectionStart: text.length, selectionEnd: text.length, text });
		await session.detach();
	},
	/** What an input method does: composed text, then the commit. */
	async compose(text) {
		const session = await context.newCDPSession(page);
		for (let end = 1; end <= text.length; end++) {
			await session.send("Input.imeSetComposition", { selectionStart: end, selectionEnd: end, text: text.slice(0, end) });
		}
		await session.send("Input.insertText", { text });
		await session.detach();
	},
};

const targets = {
	own: () => own,
	page: () => page,
	context: () => context,
	mouse: () => page.mouse,
	keyboard: () => page.keyboard,
	clock: () => page.clock,
};

/** Bytes as base64; handles of Playwright have no form outside. */
function portable(value) {
	if (Buffer.isBuffer(value)) {
		return value.toString("base64");
	}
	const plain = typeof value !== "object" || Array.isArray(value) || Object.getPrototypeOf(value ?? {}) === Object.prototype;
	return plain ? (value ?? null) : null;
}

for await (const line of createInterface({ input: process.stdin })) {
	const { id, on, call, args } = JSON.parse(line);
	let answer;
	try {
		const target = targets[on]();
		answer = { id, value: portable(await target[call](...args)) };
	} catch (error) {
		answer = { id, error: String(error.message ?? error) };
	}
	process.stdout.write(JSON.stringify(answer) + "\n");
}
await browser.close();
