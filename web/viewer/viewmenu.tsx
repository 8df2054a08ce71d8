/** What the person may choose about the picture: a button and, below it, a few plain groups of choices. */
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { useTexts } from "./language.tsx";
import { SCALES } from "./monitors.ts";
import type { Mode } from "./view.ts";

export interface ViewMenuProps {
	button: { current: HTMLButtonElement | null };
	mode: Mode;
	onMode(mode: Mode): void;
	/** How many monitors the office PC has, and which one is shown; null: all. */
	monitors: number;
	monitor: number | null;
	onMonitor(monitor: number | null): void;
	/** null: the office PC's screen stays as it is. */
	scalePercent: number | null;
	onScale(percent: number): void;
	/** Whether all screens of this computer are used; null: there is only one, or the browser does not tell. */
	allScreens: boolean | null;
	onAllScreens(all: boolean): void;
}

function Choices<T>({ name, legend, now, choices, onChoose }: {
	name: string;
	legend: string;
	now: T;
	choices: [T, string][];
	onChoose(choice: T): void;
}) {
	return (
		<fieldset class="choices">
			<legend>{legend}</legend>
			{choices.map(([choice, text]) => (
				<label key={text} class="choice">
					<input type="radio" name={name} checked={choice === now} onChange={() => onChoose(choice)} />
					<span>{text}</span>
				</label>
			))}
		</fieldset>
	);
}

/** Closes on Escape, and when the person goes on elsewhere. */
function Panel({ onClose, children }: { onClose(back: boolean): void; children: ComponentChildren }) {
	const t = useTexts();
	const panel = useRef<HTMLDivElement>(null);
	useLayoutEffect(() => {
		const stop = new AbortController();
		const { signal } = stop;
		panel.current!.querySelector<HTMLInputElement>("input:checked")?.focus();
		document.addEventListener("keydown", (event) => event.key === "Escape" && onClose(true), { signal });
		document.addEventListener("pointerdown", (event) => {
			if (!panel.current!.parentElement!.contains(event.target as Node)) {
				onClose(false);
			}
		}, { signal, capture: true });
		return () => stop.abort();
	}, []);
	return (
		<div
			id="view"
			ref={panel}
			class="view-panel"
			role="group"
			aria-label={t.view}
			onFocusOut={({ relatedTarget }) => {
				if (relatedTarget && !panel.current!.parentElement!.contains(relatedTarget as Node)) {
					onClose(false);
				}
			}}
		>
			{children}
		</div>
	);
}

export function ViewMenu(props: ViewMenuProps) {
	const t = useTexts();
	const [open, setOpen] = useState(false);
	const monitors: [number | null, string][] = [
		[null, t.allMonitors],
		...Array.from({ length: props.monitors }, (_, i): [number, string] => [i, t.monitor(i + 1)]),
	];
	return (
		<div class="view-menu">
			<button
				ref={props.button}
				type="button"
				class="button button-small"
				aria-expanded={open}
				aria-controls={open ? "view" : undefined}
				onClick={() => setOpen(!open)}
			>
				{t.view}
			</button>
			{open && (
				<Panel
					onClose={(back) => {
						setOpen(false);
						if (back) {
							props.button.current!.focus();
						}
					}}
				>
					<Choices
						name="mode"
						legend={t.pictureSize}
						now={props.mode}
						choices={[["fit", t.fit], ["actual", t.actual]] as [Mode, string][]}
						onChoose={props.onMode}
					/>
					{props.mode === "actual" && <p class="choices-hint">{t.panHint}</p>}
					{props.scalePercent !== null && (
						<Choices
							name="scale"
							legend={t.textSize}
							now={props.scalePercent}
							choices={SCALES.map((scale) => [scale, `${scale}%`] as [number, string])}
							onChoose={props.onScale}
						/>
					)}
					{props.monitors > 1 && (
						<Choices name="monitor" legend={t.shownMonitor} now={props.monitor} choices={monitors} onChoose={props.onMonitor} />
					)}
					{props.allScreens !== null && (
						<label class="choice">
							<input type="checkbox" checked={props.allScreens} onChange={(event) => props.onAllScreens(event.currentTarget.checked)} />
							<span>{t.allScreens}</span>
						</label>
					)}
				</Panel>
			)}
		</div>
	);
}
