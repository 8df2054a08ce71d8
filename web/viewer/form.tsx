/** Parts of forms: heading that takes the focus, a labelled field with its error, icons. */
import type { ComponentChildren, JSX, RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { useTexts } from "./language.tsx";

/** The heading of a page without a field: who cannot see the page hears that it changed. */
export function Heading({ children }: { children: ComponentChildren }) {
	const ref = useRef<HTMLHeadingElement>(null);
	useEffect(() => ref.current?.focus(), []);
	return (
		<h1 ref={ref} tabIndex={-1}>
			{children}
		</h1>
	);
}

export function ErrorIcon() {
	return (
		<svg class="icon" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true">
			<path d="M8.2 2h7.6L22 8.2v7.6L15.8 22H8.2L2 15.8V8.2z" fill="currentColor" />
			<path d="M11 6h2v8h-2zM11 16h2v2h-2z" fill="#fff" />
		</svg>
	);
}

interface FieldProps {
	id: string;
	label: string;
	support: ComponentChildren;
	error: ComponentChildren | null;
	input: JSX.InputHTMLAttributes<HTMLInputElement>;
	inputRef: RefObject<HTMLInputElement>;
	children?: ComponentChildren;
}

export function Field({ id, label, support, error, input, inputRef, children }: FieldProps) {
	const t = useTexts();
	return (
		<div class={error ? "field field-wrong" : "field"}>
			<label class="field-label" for={id}>
				{label} <span class="required">{t.required}</span>
			</label>
			<p id={`${id}-support`} class="support">
				{support}
			</p>
			<input
				{...input}
				id={id}
				ref={inputRef}
				aria-required="true"
				aria-invalid={error ? "true" : undefined}
				aria-describedby={error ? `${id}-error ${id}-support` : `${id}-support`}
			/>
			<div id={`${id}-error`} role="alert">
				{error && (
					<p class="error">
						<ErrorIcon />
						<span>{error}</span>
					</p>
				)}
			</div>
			{children}
		</div>
	);
}

/** What a code has left, in a Field. */
export function Remaining({ left, gone }: { left: number; gone: string }) {
	const t = useTexts();
	return (
		<p class="support" role="timer" aria-live="off">
			{left > 0 ? t.codeExpires(Math.floor(left / 60), left % 60) : gone}
		</p>
	);
}

/** On, another way if there is one, and out. */
export function Actions({ on, other, onCancel }: { on: string; other?: ComponentChildren; onCancel(): void }) {
	const t = useTexts();
	return (
		<div class="actions">
			<button type="submit" class="button button-main">
				{on}
			</button>
			{other}
			<button type="button" class="button" onClick={onCancel}>
				{t.cancel}
			</button>
		</div>
	);
}
