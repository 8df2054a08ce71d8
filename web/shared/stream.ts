/** A WebSocket as a stream of bytes: message boundaries mean nothing (docs/protocol.md 1). */
import { type Bytes, ByteQueue } from "./bytes.ts";
import { Failure } from "./failure.ts";

/** Two pictures of a large screen that do not compress. */
const UNREAD_MAX_BYTES = 64 * 2 ** 20;

interface Reader {
	bytes: number;
	resolve(data: Bytes): void;
	reject(failure: Failure): void;
}

export class Stream {
	/** When the last byte came, on the clock of performance.now(). */
	heardAt = performance.now();
	private readonly queue = new ByteQueue(UNREAD_MAX_BYTES);
	private reader: Reader | null = null;
	private failure: Failure | null = null;

	private constructor(private readonly socket: WebSocket) {
		socket.onmessage = (event: MessageEvent<unknown>) => this.onMessage(event.data);
		socket.onclose = socket.onerror = () => this.fail(new Failure("CLOSED"));
	}

	/** Throws NO_GATE when the relay cannot be reached. */
	static open(url: string, protocol: string, timeoutMs: number): Promise<Stream> {
		return new Promise((resolve, reject) => {
			const socket = new WebSocket(url, protocol);
			socket.binaryType = "arraybuffer";
			const onFailure = () => {
				clearTimeout(timer);
				socket.onopen = socket.onerror = socket.onclose = null;
				socket.close();
				reject(new Failure("NO_GATE"));
			};
			const timer = setTimeout(onFailure, timeoutMs);
			socket.onerror = socket.onclose = onFailure;
			socket.onopen = () => {
				clearTimeout(timer);
				socket.onopen = null;
				resolve(new Stream(socket));
			};
		});
	}

	/** Exactly n bytes. One read at a time. Throws CLOSED, or TIMEOUT when a time is given. */
	read(n: number, timeoutMs = 0): Promise<Bytes> {
		const ready = this.queue.take(n);
		if (ready) {
			return Promise.resolve(ready);
		}
		if (this.failure) {
			return Promise.reject(this.failure);
		}
		return new Promise((resolve, reject) => {
			const timer = timeoutMs > 0 ? setTimeout(() => this.fail(new Failure("TIMEOUT")), timeoutMs) : 0;
			this.reader = {
				bytes: n,
				resolve: (data) => {
					clearTimeout(timer);
					resolve(data);
				},
				reject: (failure) => {
					clearTimeout(timer);
					reject(failure);
				},
			};
		});
	}

	write(data: Bytes): void {
		if (!this.failure) {
			this.socket.send(data);
		}
	}

	/** Ends the connection; who waits for bytes gets the failure. The first failure stays. */
	fail(failure: Failure): void {
		if (this.failure) {
			return;
		}
		this.failure = failure;
		this.socket.onmessage = this.socket.onclose = this.socket.onerror = null;
		this.socket.close();
		this.reader?.reject(failure);
		this.reader = null;
	}

	private onMessage(data: unknown): void {
		this.heardAt = performance.now();
		if (!(data instanceof ArrayBuffer)) {
			return this.fail(new Failure("PROTOCOL")); // text
		}
		if (!this.queue.push(new Uint8Array(data))) {
			return this.fail(new Failure("TOO_LONG"));
		}
		const reader = this.reader;
		const ready = reader && this.queue.take(reader.bytes);
		if (ready) {
			this.reader = null;
			reader.resolve(ready);
		}
	}
}
