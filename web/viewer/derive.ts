import type { Bytes } from "../shared/bytes.ts";
import { Failure } from "../shared/failure.ts";
import type { Answer, Request } from "./terminal.worker.ts";

/** The terminal ID of an anchor, computed in a worker. */
export function deriveInWorker(anchor: Bytes, salt: Bytes): Promise<string> {
	const worker = new Worker(new URL("./terminal.worker.ts", import.meta.url), { type: "module" });
	return new Promise<string>((resolve, reject) => {
		worker.onerror = () => reject(new Failure("INTERNAL"));
		worker.onmessage = ({ data }: MessageEvent<Answer>) =>
			"id" in data ? resolve(data.id) : reject(new Failure(data.code));
		worker.postMessage({ anchor, salt } satisfies Request);
	}).finally(() => worker.terminate());
}
