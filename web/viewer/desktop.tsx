/** The office PC's screen with the controls above it. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Start } from "../gen/inner_pb.ts";
import { codeOf, explain } from "../shared/failure.ts";
import type { DesktopState } from "./app.tsx";
import { Input } from "./input.ts";
import { useLanguage, useTexts } from "./language.tsx";
import { type HomeScreens, type Monitor, askScreens, nearestScale, ofRoom, ofScreens, samePlaces, screensCanBeAsked } from "./monitors.ts";
import type { Item } from "./outbox.ts";
import { useCountdown } from "./pages.tsx";
import { Pan } from "./pan.ts";
import { type Remembered, type Room, before, remember, remembered, scaleOf, shownArea } from "./view.ts";
import { ViewMenu } from "./viewmenu.tsx";

interface DesktopProps {
	state: DesktopState;
	onInput(item: Item): void;
	onWant(monitors: Monitor[]): void;
	onStay(): void;
	onCloseNotice(): void;
	onEnd(): void;
}

function useRoom(element: { current: HTMLElement | null }): Room {
	const [room, setRoom] = useState<Room>({ left: 0, top: 0, width: 1, height: 1, ratio: 1 });
	useLayoutEffect(() => {
		const measure = () => {
			const { left, top } = element.current!.getBoundingClientRect();
			const { offsetWidth: width, offsetHeight: height } = element.current!;
			const room = { left, top, width, height, ratio: devicePixelRatio };
			setRoom((now) => (JSON.stringify(now) === JSON.stringify(room) ? now : room));
		};
		const observer = new ResizeObserver(measure);
		observer.observe(element.current!);
		window.addEventListener("resize", measure); // another display, with other pixels
		measure();
		return () => {
			observer.disconnect();
			window.removeEventListener("resize", measure);
		};
	}, []);
	return room;
}

/** A window that is being resized has many sizes on the way. */
const WANT_MS = 400;

/** Tells the office PC how its monitors shall stand, when that is other than they do. */
function useWanted(state: DesktopState, wanted: Monitor[] | null, onWant: (monitors: Monitor[]) => void): void {
	const told = useRef("");
	const key = JSON.stringify(wanted);
	useEffect(() => {
		if (!wanted || state.lost) {
			return;
		}
		const timer = setTimeout(() => {
			const first = told.current === ""; // the scale was in Facts
			if (first ? !samePlaces(wanted, state.size.monitors) : told.current !== key || !samePlaces(wanted, state.size.monitors)) {
				onWant(wanted);
			}
			told.current = key;
		}, WANT_MS);
		return () => clearTimeout(timer);
	}, [key, state.canvas, state.lost]);
}

/** All screens of this computer, once the person has allowed it; they may come and go. */
function useScreens() {
	const [screens, setScreens] = useState<HomeScreens | null>(null);
	const [, again] = useState(0);
	useEffect(() => {
		const stop = new AbortController();
		for (const change of ["screenschange", "currentscreenchange"]) {
			screens?.addEventListener(change, () => again((n) => n + 1), { signal: stop.signal });
		}
		return () => stop.abort();
	}, [screens]);
	return { screens, use: async (all: boolean) => setScreens(all ? await askScreens() : null) };
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

export function Desktop({ state, onInput, onWant, onStay, onCloseNotice, onEnd }: DesktopProps) {
	const t = useTexts();
	const language = useLanguage();
	const resuming = explain(codeOf("RESUMING"), language);
	const { canvas, size, start } = state;
	const [view, setView] = useState(remembered);
	const [monitor, setMonitor] = useState<number | null>(null);
	const [homeIme, setHomeIme] = useState(false);
	const stage = useRef<HTMLElement>(null);
	const holder = useRef<HTMLDivElement>(null);
	const area = useRef<HTMLTextAreaElement>(null);
	const firstButton = useRef<HTMLButtonElement>(null);
	const room = useRoom(stage);
	const { screens, use: useAllScreens } = useScreens();
	const scalePercent = view.scalePercent || nearestScale(room.ratio);
	const wanted = screens ? ofScreens(screens, scalePercent) : ofRoom(room, scalePercent);
	useWanted(state, start.ownDisplay && room.width > 1 ? wanted : null, onWant);
	const shown = shownArea(size, monitor);
	const scale = scaleOf(shown, room, view.mode);
	const [width, height] = [shown.width * scale, shown.height * scale];
	const latest = useRef({ shown, onInput });
	latest.current = { shown, onInput };
	const place = {
		width: `${width}px`,
		height: `${height}px`,
		marginLeft: `${before(room.left, room.width, width, room.ratio)}px`,
		marginTop: `${before(room.top, room.height, height, room.ratio)}px`,
	};
	const choose = (chosen: Partial<Remembered>) => {
		setView({ ...view, ...chosen });
		remember({ ...view, ...chosen });
	};

	useLayoutEffect(() => {
		holder.current!.prepend(canvas);
		area.current!.focus();
		const input = new Input({
			area: area.current!,
			send: (item) => latest.current.onInput(item),
			shown: () => latest.current.shown,
			pan: new Pan(stage.current!),
			onLeave: () => firstButton.current!.focus(),
		});
		return () => {
			input.close();
			canvas.remove();
		};
	}, [canvas]);
	useLayoutEffect(() => {
		canvas.style.width = `${size.widthPx * scale}px`;
		canvas.style.height = `${size.heightPx * scale}px`;
		canvas.style.left = `${-shown.x * scale}px`;
		canvas.style.top = `${-shown.y * scale}px`;
	}, [canvas, size, scale, shown.x, shown.y]);
	useEffect(() => {
		area.current!.style.cursor = state.cursor;
	}, [state.cursor]);

	return (
		<div class="desktop">
			<header class="toolbar" aria-label={t.toolbar}>
				<ViewMenu
					button={firstButton}
					mode={view.mode}
					onMode={(mode) => choose({ mode })}
					monitors={size.monitors.length}
					monitor={size.monitors[monitor ?? -1] ? monitor : null}
					onMonitor={setMonitor}
					scalePercent={start.ownDisplay ? scalePercent : null}
					onScale={(percent) => choose({ scalePercent: percent })}
					allScreens={start.ownDisplay && screensCanBeAsked() ? screens !== null : null}
					onAllScreens={(all) => void useAllScreens(all)}
				/>
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
			<main class={view.mode === "fit" ? "stage stage-fit" : "stage"} ref={stage}>
				<h1 class="unseen">{t.desktopTitle}</h1>
				<div class={state.lost ? "screen screen-lost" : "screen"} ref={holder} style={place}>
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
