/** What this page needs of a browser: Chrome or Edge 133, Firefox 130, Safari 17 or newer. */
export async function browserFits(): Promise<boolean> {
	try {
		await crypto.subtle.generateKey({ name: "X25519" }, false, ["deriveBits"]);
		return "transferControlToOffscreen" in HTMLCanvasElement.prototype && typeof WebAssembly === "object";
	} catch {
		return false;
	}
}
