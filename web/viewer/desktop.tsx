/** The office PC's screen with the controls above it. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Start } from "../gen/inner_pb.ts";
import { codeOf, explain } from "../shared/failure.ts";
import type { DesktopState } from "./app.tsx";
import { Input } from "./input.ts";
import { useLanguage, useTexts } from "./language.tsx";
import type { Item } from "./outbox.ts";
import { useCountdown } from "./pages.tsx";
import type { Size } from "./session.ts";

interface DesktopProps {
	state: DesktopState;
	onInput(item: Item): void;
	onStay(): void;
	onCloseNotice(): void;
	onEnd(): void;
}

interface Box {
	width: number;
	height: number;
}

/** CSS pixels of the screen: as large as fits, or one pixel of the office PC on one of this display. */
function displaySize({ widthPx, heightPx }: Size, room: Box, fit: boolean): Box {
	const scale = fit ? Math.min(room.width / widthPx, room.height / heightPx) : 1 / window.devicePixelRatio;
	return { width: widthPx * scale, height: heightPx * scale };
}

function useRoom(element: { current: HTMLElement | null }): Box {
	const [room, setRoom] = useState<Box>({ width: 1, height: 1 });
	useLayoutEffect(() => {
		const measure = () => {
			const box = element.current!.getBoundingClientRect();
			setRoom({ width: Math.floor(box.width), height: Math.floor(box.height) });
		};
		const observer = new ResizeObserver(measure);
		observer.observe(element.current!);
		measure();
		return () => observer.disconnect();
	}, []);
	return room;
}

function Notice({ notice, onStay, onClose }: {
	notice: NonNullable<DesktopState["notice"]>;
	onStay(): void;
	onClose(): void;
}) {
	const t = useTexts();
	const language = useLanguage();
	const left = useCountdown(notice.endsAt);
	const idle = notice.code === codeOf("IDLE");
	const { what, next } = explain(notice.code, language);
	const text = idle
		? t.idle(left)
		: notice.code === codeOf("HOURS")
			? t.hours(Math.floor(left / 60), left % 60)
			: notice.code === codeOf("SESSION_LONG")
				? t.sessionLong(Math.floor(left / 60), left % 60)
				: `${what}${language === "en" ? " " : ""}${next} (EW-${notice.code})`;
	return (
		<div class="notice" role="alert">
			<p>{text}</p>
			<button type="button" class="button button-small" onClick={idle ? onStay : onClose}>
				{idle ? t.keepOn : t.close}
			</button>
		</div>
	);
}

/** The organisation's message at the start; stays until it is closed. */
function Message({ start }: { start: Start }) {
	const t = useTexts();
	const [open, setOpen] = useState(start.message !== "");
	return open ? (
		<div class="notice" role="status">
			<p>{start.message}</p>
			<button type="button" class="button button-small" onClick={() => setOpen(false)}>
				{t.close}
			</button>
		</div>
	) : null;
}

export function Desktop({ state, onInput, onStay, onCloseNotice, onEnd }: DesktopProps) {
	const t = useTexts();
	const language = useLanguage();
	const resuming = explain(codeOf("RESUMING"), language);
	const { canvas, size, start } = state;
	const [fit, setFit] = useState(true);
	const [homeIme, setHomeIme] = useState(false);
	const stage = useRef<HTMLDivElement>(null);
	const holder = useRef<HTMLDivElement>(null);
	const area = useRef<HTMLTextAreaElement>(null);
	const firstButton = useRef<HTMLButtonElement>(null);
	const latest = useRef({ size, onInput });
	latest.current = { size, onInput };
	const display = displaySize(size, useRoom(stage), fit);

	useLayoutEffect(() => {
		holder.current!.prepend(canvas);
		area.current!.focus();
		const input = new Input({
			area: area.current!,
			send: (item) => latest.current.onInput(item),
			size: () => latest.current.size,
			onLeave: () => firstButton.current!.focus(),
		});
		return () => {
			input.close();
			canvas.remove();
		};
	}, [canvas]);
	useEffect(() => {
		area.current!.style.cursor = state.cursor;
	}, [state.cursor]);

	return (
		<div class="desktop">
			<header class="toolbar" aria-label={t.toolbar}>
				<button ref={firstButton} type="button" class="button button-small" onClick={() => setFit(!fit)}>
					{fit ? t.actual : t.fit}
				</button>
				<button
					type="button"
					class="button button-small"
					aria-pressed={homeIme}
					onClick={() => {
						setHomeIme(!homeIme);
						area.current!.focus();
					}}
				>
					{t.homeIme}
				</button>
				<p class="toolbar-status" role="status">
					{state.lost ? t.lost : state.slow ? t.slow : t.connected}
				</p>
				<p class="toolbar-hint">{t.leaveHint}</p>
				{start.sessionCode && (
					<p class="toolbar-code">
						{t.sessionCode} {start.sessionCode}
					</p>
				)}
				<button type="button" class="button button-small button-end" onClick={onEnd}>
					{t.end}
				</button>
			</header>
			<main class={fit ? "stage stage-fit" : "stage"} ref={stage}>
				<h1 class="unseen">{t.desktopTitle}</h1>
				<div class={state.lost ? "screen screen-lost" : "screen"} ref={holder} style={{ width: `${display.width}px`, height: `${display.height}px` }}>
					<textarea
						ref={area}
						class="keys"
						aria-label={t.stageLabel}
						readOnly={!homeIme}
						autocomplete="off"
						autocapitalize="none"
						spellcheck={false}
						rows={1}
					/>
				</div>
			</main>
			<div class="notices">
				{state.lost && (
					<div class="notice" role="alert">
						<p>{resuming.what}{language === "en" ? " " : ""}{resuming.next}</p>
					</div>
				)}
				{state.notice && (
					<Notice
						key={state.notice.endsAt}
						notice={state.notice}
						onStay={() => {
							onStay();
							area.current!.focus(); // the button goes; what is typed next is for the office PC
						}}
						onClose={() => {
							onCloseNotice();
							area.current!.focus();
						}}
					/>
				)}
				<Message start={start} />
			</div>
		</div>
	);
}
