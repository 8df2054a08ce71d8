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
/** When the gate goes: how long the new way may take when the one before has ended, and from one try to the next. */
const MOVE_WAIT_MS = 3000;
const ANEW_MS = 60_000;
const MOVE_AGAIN_MS = 5000;
const MOVE_MAX_S = 600;
const SLOW_PATH_MS = 1500;
const DEAD_PATH_MS = 3000;
/** Between two ticks of the page's clock, which come each second: this page was not run meanwhile, and ticks that waited come at once. */
const LATE_TICK_MS = 2000;
const CAUGHT_UP_MS = 500;
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

/** Another way to the same desktop, up to Start. */
interface Way {
	channel: Channel;
	start: Start;
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
	/** The path is lost, the picture must not be seen; onDesktop comes again, or onEnd. */
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
	/** The last tick at work, and whether it was late. */
	private tickedAt = 0;
	private late = false;
	private finished = false;
	/** The other side has said that it is over. */
	private over = false;
	/** Its pictures may be seen, and input goes somewhere. */
	private working = false;
	private shown = false;
	private size: Size | null = null;
	private start: Start | null = null;
	/** The picture stream (docs/protocol.md 8.6): its number, records that came, records that come once more, the last picture drawn. */
	private stream = 0;
	/** When a picture could not be taken apart. */
	private brokenAt = -Infinity;
	/** Whether the session can go on over another connection. */
	private resumable = false;
	private received = 0n;
	private passedOver = 0n;
	private drawn = 0;
	/** The gate goes: a second way is being made. */
	private moving: Promise<Way | null> | null = null;
	/** And somebody answers there. */
	private moves = false;

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
			for (let start = await this.login(this.channel); ; ) {
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
		this.resumable = resumption !== null;
		try {
			return await this.work(start, resumption);
		} catch (thrown) {
			this.working = false;
			const failure = Failure.of(thrown);
			const lost = failure.code === codeOf("CLOSED") || failure.code === codeOf("CRYPTO");
			if (!resumption || !lost || this.over || this.stop.signal.aborted) {
				throw failure;
			}
			this.channel!.close(failure);
			return (await this.moved()) ?? this.comeBack(resumption);
		}
	}

	/** Start of the second way, if there is one: nobody sees anything of it. */
	private async moved(): Promise<Start | null> {
		const late = new Promise<null>((resolve) => setTimeout(() => resolve(null), MOVE_WAIT_MS));
		const { moving } = this;
		this.moving = null;
		const way = moving && this.moves ? await Promise.race([moving, late]) : null;
		if (moving && !way) {
			void moving.then((unused) => unused?.channel.close(new Failure("CLOSED")));
		}
		this.stop.signal.throwIfAborted();
		this.channel = way?.channel ?? this.channel;
		return way?.start ?? null;
	}

	/** The gate goes within so many seconds: another way is made while the one of now works; then that one is left. */
	private async move(resumption: Resumption, seconds: number): Promise<Way | null> {
		const before = this.channel!;
		const going = () => this.working && this.channel === before && !this.stop.signal.aborted;
		await this.sleep(1000 * Math.random() * Math.min(seconds, MOVE_MAX_S)); // not all at once
		while (going()) {
			const way = await this.tryToMove(resumption);
			if (way) {
				before.close(new Failure("CLOSED"));
				return way;
			}
			await this.sleep(MOVE_AGAIN_MS);
		}
		return null;
	}

	/** null: no gate leads there yet. */
	private async tryToMove(resumption: Resumption): Promise<Way | null> {
		let channel: Channel | null = null;
		try {
			channel = await Channel.resume(resumption, this.language, this.stop.signal);
			this.moves = true;
			return { channel, start: await this.login(channel, true) };
		} catch (thrown) {
			this.moves = false;
			channel?.close(Failure.of(thrown));
			return null;
		}
	}

	private async comeBack(resumption: Resumption): Promise<Start> {
		const until = performance.now() + 1000 * resumption.seconds;
		this.shown = false;
		this.events.onLost();
		for (let wait = AGAIN_FIRST_MS; ; wait = Math.min(1.5 * wait, AGAIN_MAX_MS)) {
			try {
				this.channel = await Channel.resume(resumption, this.language, this.stop.signal);
				return await this.login(this.channel, true);
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

	/** back: it goes on with a session; who does that has answered everything. */
	private async login(channel: Channel, back = false): Promise<Start> {
		const words = wordsOf(channel.hash);
		const { deviceMemory = SMALL_DEVICE_GIB } = navigator as { deviceMemory?: number };
		const film = await filmsPlay();
		const proof = await deviceProof(channel.hash);
		await channel.send(InnerType.INNER_FACTS, FactsSchema, {
			kind: ClientKind.CLIENT_HTML5,
			build: BUILD,
			os: homeSystem(),
			computerName: homeName(),
			locale: this.language,
			monitors: homeMonitors(),
			film,
			apply: this.apply,
			...proof,
			windowMib: deviceMemory < SMALL_DEVICE_GIB ? WINDOW_SMALL_MIB : WINDOW_MIB,
			...(this.screen?.failed ? {} : { stream: this.stream, received: this.received }),
		});
		if (!back) {
			this.events.onStage("reply");
		}
		for (;;) {
			const record = await channel.receive();
			switch (record.type) {
				case InnerType.INNER_PROMPT:
					if (this.open || back) {
						throw new Failure("PROTOCOL");
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

	/** The picture stream begins, or goes on over another path. */
	private takeUp(start: Start): void {
		const { layout } = start;
		if (!layout) {
			throw new Failure("PROTOCOL");
		}
		const on = this.screen !== null && start.stream !== 0 && start.stream === this.stream;
		if (start.from > (on ? this.received : 0n)) {
			throw new Failure("PROTOCOL"); // what is between is nowhere
		}
		if (on && this.screen!.failed) {
			throw new Failure("INTERNAL");
		}
		this.start = start;
		this.moves = false;
		this.channel!.startWork();
		this.working = true;
		this.tickedAt = performance.now();
		this.late = false;
		if (on) {
			this.passedOver = this.received - start.from;
			if (this.drawn > 0) {
				this.acknowledge();
				this.show();
			}
			return;
		}
		if (this.screen === null) {
			this.events.onStage("screen");
		}
		this.screen?.close();
		this.stream = start.stream;
		this.received = this.passedOver = 0n;
		this.drawn = 0;
		this.shown = false;
		this.size = layout;
		this.screen = this.makeScreen(start.windowMib);
		this.screen.layout(layout.widthPx, layout.heightPx);
	}

	private makeScreen(windowMib: number): Screen {
		const current: Screen = new Screen(windowMib, {
			onDrawn: (seq) => {
				if (current === this.screen) {
					this.drawn = seq;
					this.acknowledge();
					this.show();
				}
			},
			onFailed: (failure) => this.channel!.close(this.broken(failure)),
			onTick: () => this.onTick(),
		});
		return current;
	}

	/** A picture that cannot be taken apart costs the stream, not the session: it goes on with empty hands. Another one within a minute ends it. */
	private broken(failure: Failure): Failure {
		const again = performance.now() - this.brokenAt < ANEW_MS || !this.resumable;
		this.brokenAt = performance.now();
		return again || failure.code !== codeOf("PROTOCOL") ? failure : new Failure("CLOSED");
	}

	/** What is drawn while the path is lost is acknowledged over the next one. */
	private acknowledge(): void {
		if (this.working) {
			void this.send(InnerType.INNER_ACK, AckSchema, { seq: this.drawn, received: this.received });
		}
	}

	private show(): void {
		if (this.working && !this.shown) {
			this.shown = true;
			this.events.onDesktop(this.screen!.canvas, this.start!, this.size!);
		}
	}

	/** Whether the next record of the picture stream is a new one. */
	private counts(): boolean {
		if (this.passedOver > 0n) {
			this.passedOver--;
			return false;
		}
		this.received++;
		return true;
	}

	private async work(start: Start, resumption: Resumption | null): Promise<never> {
		this.takeUp(start);
		for (;;) {
			const record = await this.channel!.receive();
			switch (record.type) {
				case InnerType.INNER_FRAME:
				case InnerType.INNER_LAYOUT:
				case InnerType.INNER_CURSOR:
					if (this.counts()) {
						await this.picture(record);
					}
					break;
				case InnerType.INNER_NOTICE: {
					const { code, seconds } = decode(NoticeSchema, record.payload);
					if (code === codeOf("DRAIN") && resumption) {
						this.moving ??= this.move(resumption, seconds); // nothing that a person has to know
						break;
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

	private async picture(record: InnerRecord): Promise<void> {
		switch (record.type) {
			case InnerType.INNER_FRAME:
				return this.screen!.frame(decode(FrameSchema, record.payload));
			case InnerType.INNER_LAYOUT:
				this.size = decode(LayoutSchema, record.payload);
				this.screen!.layout(this.size.widthPx, this.size.heightPx);
				return this.events.onSize(this.size);
			case InnerType.INNER_CURSOR:
				return this.events.onCursor(cursorStyle(decode(CursorSchema, record.payload)));
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
		const sinceMs = performance.now() - this.tickedAt;
		if (!this.working || sinceMs < CAUGHT_UP_MS) {
			return;
		}
		this.tickedAt = performance.now();
		this.late = sinceMs >= LATE_TICK_MS && !this.late;
		const silenceMs = performance.now() - this.channel!.heardAt;
		// after a pause the silence was ours: what waits in the socket is read before the next tick
		if (silenceMs > DEAD_PATH_MS && !this.late) {
			this.channel!.close(new Failure("CLOSED"));
		} else {
			this.events.onPath(silenceMs > SLOW_PATH_MS);
			void this.send(InnerType.INNER_PING, InnerPingSchema, { id: ++this.pings, received: this.received });
		}
	}

	private send<S extends DescMessage>(type: InnerType, schema: S, init: MessageInitShape<S>): Promise<void> {
		return this.channel?.send(type, schema, init) ?? Promise.resolve();
	}
}
