/** Argon2id takes 64 MiB and part of a second: not on the page's own thread. One message, one answer. */
import type { Bytes } from "../shared/bytes.ts";
import { Failure } from "../shared/failure.ts";
import { deriveTerminalId } from "../shared/terminal.ts";
import wasmUrl from "../wasm/out/terminal.wasm?url";

export interface Request {
	anchor: Bytes;
	salt: Bytes;
}

export type Answer = { id: string } | { code: number };

const scope = self as unknown as {
	onmessage: (event: MessageEvent<Request>) => void;
	postMessage(answer: Answer): void;
};

scope.onmessage = async ({ data: { anchor, salt } }) => {
	try {
		const response = await fetch(wasmUrl);
		const module = await WebAssembly.compile(await response.arrayBuffer());
		scope.postMessage({ id: await deriveTerminalId(module, anchor, salt) });
	} catch (thrown) {
		scope.postMessage({ code: Failure.of(thrown).code });
	}
};
