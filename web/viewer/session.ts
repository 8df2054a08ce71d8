/**
 * One session, from the terminal ID to its end (docs/protocol.md 6 and 8).
 *
 *   connect -> Facts -> (Prompt / Reply)* -> Start -> work -> End
 *
 * Everything the other side does out of turn ends it.
 */
import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import {
	AckSchema, ClientKind, ContinueSchema, CursorSchema, EndSchema, FactsSchema, FrameSchema, InnerPingSchema,
	InnerType, KeySchema, LayoutSchema, NoticeSchema, PointerSchema, type Prompt, PromptKind, PromptSchema, RefusedSchema, ReplySchema,
	type Start, StartSchema, TextSchema, WantLayoutSchema,
} from "../gen/inner_pb.ts";
import { BUILD, Channel, type Resumption, type Stage } from "../shared/channel.ts";
import { deviceProof } from "../shared/device.ts";
import { Failure, type Language, codeOf } from "../shared/failure.ts";
import { decode } from "../shared/frame.ts";
import type { InnerRecord } from "../shared/record.ts";
import { makeKey, signWithKey } from "../shared/securitykey.ts";
import { wordsOf } from "../shared/words.ts";
import { cursorStyle } from "./cursor.ts";
import { deriveInWorker } from "./derive.ts";
import { filmsPlay } from "./film.ts";
import { homeMonitors, homeName, homeSystem } from "./home.ts";
import type { Monitor, Places } from "./monitors.ts";
import type { Item } from "./outbox.ts";
import { Screen } from "./screen.ts";

/** Coming back: from one try to the next, and what does not mean that there is nothing to come back to. */
const AGAIN_FIRST_MS = 500;
const AGAIN_MAX_MS = 10_000;
const PASSING = new Set(
	["NO_GATE", "CLOSED", "DRAIN", "NO_CONTROLLER", "BUSY_DATABASE", "TOO_MANY", "TIMEOUT", "UNREACHABLE", "LIMIT", "SLOW"].map(codeOf),
);
const SLOW_PATH_MS = 1500;
const DEAD_PATH_MS = 3000;
/** Where the page has little memory, a shorter history costs bytes on the wire. */
const WINDOW_MIB = 32;
const WINDOW_SMALL_MIB = 8;
const SMALL_DEVICE_GIB = 4;
const PROMPTS = new Set([
	PromptKind.PROMPT_MAIL_CODE, PromptKind.PROMPT_PASSWORD, PromptKind.PROMPT_TOTP, PromptKind.PROMPT_RECOVERY,
	PromptKind.PROMPT_WEBAUTHN, PromptKind.PROMPT_WEBAUTHN_NEW,
	PromptKind.PROMPT_PAIRING,
]);

export function isKeyPrompt(prompt: Prompt): boolean {
	return prompt.kind === PromptKind.PROMPT_WEBAUTHN || prompt.kind === PromptKind.PROMPT_WEBAUTHN_NEW;
}

/** Of the office PC's screen, with the monitors that it consists of. */
export interface Size {
	widthPx: number;
	heightPx: number;
	monitors: Places[];
}

export interface SessionEvents {
	onStage(stage: Stage | "reply" | "screen"): void;
	onPrompt(prompt: Prompt, words: [string, string]): void;
	/** The first picture is on the canvas. */
	onDesktop(canvas: HTMLCanvasElement, start: Start, size: Size): void;
	onSize(size: Size): void;
	/** A value for CSS `cursor`. */
	onCursor(style: string): void;
	onNotice(code: number, seconds: number): void;
	/** The path is lost, the picture is gone; onDesktop comes again, or onEnd. */
	onLost(): void;
	/** Each second: whether the path is slower than it should be. */
	onPath(slow: boolean): void;
	/** Once, and last. reached: the login had succeeded. */
	onEnd(failure: Failure, reached: boolean): void;
}

export class Session {
	private channel: Channel | null = null;
	private screen: Screen | null = null;
	private open: Prompt | null = null;
	private readonly stop = new AbortController();
	private pings = 0n;
	private finished = false;
	/** The other side has said that it is over. */
	private over = false;
	private back = false;

	constructor(
		private readonly terminalId: string,
		private readonly language: Language,
		private readonly events: SessionEvents,
		/** Not empty: asks to be registered under this name. */
		private readonly apply = "",
	) {
		void this.run();
	}

	/** Answers the open prompt; user: where it asks for one. */
	reply(text: string, user = ""): void {
		this.answer(this.open, { text, user });
	}

	/** Answers it with a security key. Throws when there was none: the prompt stays open. */
	async useKey(): Promise<void> {
		const prompt = this.open;
		const channel = this.channel;
		if (prompt?.webauthn && channel) {
			const more =
				prompt.kind === PromptKind.PROMPT_WEBAUTHN_NEW
					? { key: await makeKey(prompt.webauthn, channel.hash, this.terminalId) }
					: { assertion: await signWithKey(prompt.webauthn, channel.hash) };
			this.answer(prompt, more);
		}
	}

	private answer(prompt: Prompt | null, reply: MessageInitShape<typeof ReplySchema>): void {
		if (prompt && prompt === this.open) {
			this.open = null;
			this.events.onStage("reply");
			void this.send(InnerType.INNER_REPLY, ReplySchema, { kind: prompt.kind, ...reply });
		}
	}

	input(item: Item): void {
		switch (item.kind) {
			case "pointer":
				return void this.send(InnerType.INNER_POINTER, PointerSchema, item);
			case "key":
				return void this.send(InnerType.INNER_KEY, KeySchema, item);
			case "text":
				return void this.send(InnerType.INNER_TEXT, TextSchema, item);
		}
	}

	/** How the office PC's monitors shall stand. */
	want(monitors: Monitor[]): void {
		void this.send(InnerType.INNER_WANT_LAYOUT, WantLayoutSchema, { monitors });
	}

	/** The person is there: no end for idleness. */
	stay(): void {
		void this.send(InnerType.INNER_CONTINUE, ContinueSchema, {});
	}

	/** The person ends it. */
	async end(): Promise<void> {
		const failure = new Failure("ENDED");
		this.stop.abort(failure);
		if (!this.channel) {
			this.finish(failure); // what is still under way ends by itself
		}
		if (this.screen) {
			await this.send(InnerType.INNER_END, EndSchema, { code: failure.code });
		}
		this.channel?.close(failure);
	}

	private async run(): Promise<void> {
		try {
			this.channel = await Channel.connect({
				terminalId: this.terminalId,
				locale: this.language,
				onStage: (stage) => this.events.onStage(stage),
				derive: deriveInWorker,
				signal: this.stop.signal,
			});
			this.stop.signal.throwIfAborted();
			for (let start = await this.login(); ; ) {
				start = await this.workThenComeBack(start);
			}
		} catch (thrown) {
			const failure = Failure.of(thrown);
			this.channel?.close(failure);
			this.finish(failure);
		}
	}

	/** Start of the next connection; throws when there is none. */
	private async workThenComeBack(start: Start): Promise<Start> {
		const resumption = this.channel!.resumption(start);
		try {
			return await this.work(start);
		} catch (thrown) {
			const failure = Failure.of(thrown);
			const lost = failure.code === codeOf("CLOSED") || failure.code === codeOf("CRYPTO");
			if (!resumption || !lost || this.over || this.stop.signal.aborted) {
				throw failure;
			}
			this.channel!.close(failure);
			this.screen!.close();
			this.events.onLost();
			return this.comeBack(resumption);
		}
	}

	private async comeBack(resumption: Resumption): Promise<Start> {
		const until = performance.now() + 1000 * resumption.seconds;
		this.back = true;
		for (let wait = AGAIN_FIRST_MS; ; wait = Math.min(1.5 * wait, AGAIN_MAX_MS)) {
			try {
				this.channel = await Channel.resume(resumption, this.language, this.stop.signal);
				return await this.login();
			} catch (thrown) {
				this.stop.signal.throwIfAborted();
				const failure = Failure.of(thrown);
				this.channel!.close(failure);
				if (!PASSING.has(failure.code)) {
					throw failure;
				}
				if (performance.now() > until) {
					throw new Failure("PATH_LOST");
				}
			}
			await this.sleep(wait * (0.5 + Math.random()));
			this.stop.signal.throwIfAborted();
		}
	}

	private sleep(ms: number): Promise<void> {
		return new Promise((resolve) => {
			setTimeout(resolve, ms);
			this.stop.signal.addEventListener("abort", () => resolve(), { once: true });
		});
	}

	private finish(failure: Failure): void {
		if (!this.finished) {
			this.finished = true;
			this.events.onEnd(failure, this.screen !== null);
			this.screen?.close();
		}
	}

	private async login(): Promise<Start> {
		const words = wordsOf(this.channel!.hash);
		const { deviceMemory = SMALL_DEVICE_GIB } = navigator as { deviceMemory?: number };
		await this.send(InnerType.INNER_FACTS, FactsSchema, {
			kind: ClientKind.CLIENT_HTML5,
			build: BUILD,
			os: homeSystem(),
			computerName: homeName(),
			locale: this.language,
			monitors: homeMonitors(),
			film: await filmsPlay(),
			apply: this.apply,
			...(await deviceProof(this.channel!.hash)),
			windowMib: deviceMemory < SMALL_DEVICE_GIB ? WINDOW_SMALL_MIB : WINDOW_MIB,
		});
		if (!this.back) {
			this.events.onStage("reply");
		}
		for (;;) {
			const record = await this.channel!.receive();
			switch (record.type) {
				case InnerType.INNER_PROMPT:
					if (this.open || this.back) {
						throw new Failure("PROTOCOL"); // who comes back has answered everything
					}
					this.open = decode(PromptSchema, record.payload);
					if (!PROMPTS.has(this.open.kind) || (isKeyPrompt(this.open) && !this.open.webauthn)) {
						throw new Failure("PROTOCOL");
					}
					this.events.onPrompt(this.open, words);
					break;
				case InnerType.INNER_REFUSED: {
					const { code, support, retryS } = decode(RefusedSchema, record.payload);
					throw new Failure(code || "PROTOCOL", support, retryS);
				}
				case InnerType.INNER_NOTICE: {
					const { code, seconds } = decode(NoticeSchema, record.payload);
					this.events.onNotice(code, seconds);
					break;
				}
				case InnerType.INNER_START:
					if (this.open) {
						throw new Failure("PROTOCOL");
					}
					return decode(StartSchema, record.payload);
				default:
					throw this.unexpected(record);
			}
		}
	}

	private async work(start: Start): Promise<never> {
		const { layout } = start;
		if (!layout) {
			throw new Failure("PROTOCOL");
		}
		this.channel!.startWork();
		if (!this.back) {
			this.events.onStage("screen");
		}
		let size: Size = layout;
		let shown = false;
		const screen = new Screen(start.windowMib, {
			onDrawn: (seq) => {
				void this.send(InnerType.INNER_ACK, AckSchema, { seq });
				if (!shown) {
					shown = true;
					this.events.onDesktop(screen.canvas, start, size);
				}
			},
			onFailed: (failure) => this.channel!.close(failure),
			onTick: () => this.onTick(),
		});
		this.screen = screen;
		screen.layout(layout.widthPx, layout.heightPx);
		for (;;) {
			const record = await this.channel!.receive();
			switch (record.type) {
				case InnerType.INNER_FRAME:
					await screen.frame(decode(FrameSchema, record.payload));
					break;
				case InnerType.INNER_LAYOUT:
					size = decode(LayoutSchema, record.payload);
					screen.layout(size.widthPx, size.heightPx);
					this.events.onSize(size);
					break;
				case InnerType.INNER_CURSOR:
					this.events.onCursor(cursorStyle(decode(CursorSchema, record.payload)));
					break;
				case InnerType.INNER_NOTICE: {
					const { code, seconds } = decode(NoticeSchema, record.payload);
					if (code === codeOf("DRAIN") && start.resumeS > 0) {
						break; // it goes on by itself
					}
					this.events.onNotice(code, seconds);
					break;
				}
				case InnerType.INNER_PONG:
					break; // any byte is a sign of life
				default:
					throw this.unexpected(record);
			}
		}
	}

	/** End is allowed at any time; all else that is not expected is a violation. */
	private unexpected(record: InnerRecord): Failure {
		if (record.type === InnerType.INNER_END) {
			this.over = true;
			return new Failure(decode(EndSchema, record.payload).code || codeOf("CLOSED"));
		}
		return new Failure("PROTOCOL");
	}

	private onTick(): void {
		const silenceMs = performance.now() - this.channel!.heardAt;
		if (silenceMs > DEAD_PATH_MS) {
			this.channel!.close(new Failure("CLOSED"));
		} else {
			this.events.onPath(silenceMs > SLOW_PATH_MS);
			void this.send(InnerType.INNER_PING, InnerPingSchema, { id: ++this.pings });
		}
	}

	private send<S extends DescMessage>(type: InnerType, schema: S, init: MessageInitShape<S>): Promise<void> {
		return this.channel?.send(type, schema, init) ?? Promise.resolve();
	}
}
