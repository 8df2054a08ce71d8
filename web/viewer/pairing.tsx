/** Registering this browser at the office PC: by its pairing code, or by an application that somebody there approves. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { Prompt } from "../gen/inner_pb.ts";
import { deviceNumber } from "../shared/device.ts";
import { Actions, Field, Remaining } from "./form.tsx";
import { useTexts } from "./language.tsx";
import { useCountdown, useWords } from "./pages.tsx";

interface PairingPageProps {
	prompt: Prompt;
	cameAt: number;
	onReply(text: string): void;
	onCancel(): void;
}

export function PairingPage({ prompt, cameAt, onReply, onCancel }: PairingPageProps) {
	const t = useTexts();
	const field = useRef<HTMLInputElement>(null);
	const [missing, setMissing] = useState(false);
	const left = useCountdown(cameAt + 1000 * prompt.expiresS);
	const refused = useWords(prompt.wrong);
	useEffect(() => {
		setMissing(false);
		field.current?.focus();
	}, [prompt]);

	function submit(event: SubmitEvent): void {
		event.preventDefault();
		const code = field.current!.value.normalize("NFKC").replace(/[\s\p{Pd}]/gu, "");
		if (/^[0-9A-Za-z]{8}$/.test(code)) {
			onReply(code);
		} else {
			setMissing(true);
			field.current!.focus();
		}
	}

	return (
		<form onSubmit={submit} noValidate>
			<h1>{t.pairingHeading}</h1>
			<p>{prompt.optional ? t.pairingOptional : t.pairingIntro}</p>
			<Field
				id="pairing"
				label={t.pairingLabel}
				support={t.pairingSupport}
				error={missing ? t.pairingMissing : refused}
				inputRef={field}
				input={{
					type: "text",
					name: "pairing",
					autocomplete: "off",
					autocapitalize: "characters",
					spellcheck: false,
					maxLength: 32,
					class: "input input-code",
				}}
			>
				{prompt.expiresS > 0 && <Remaining left={left} gone={t.pairingExpired} />}
			</Field>
			<Actions
				on={t.next}
				other={
					prompt.optional && (
						<button type="button" class="button" id="without" onClick={() => onReply("")}>
							{t.pairingWithout}
						</button>
					)
				}
				onCancel={onCancel}
			/>
		</form>
	);
}

/** Below a refusal because the office PC does not know this browser: its number, and how to apply. */
export function DevicePart({ onApply }: { onApply: ((name: string) => void) | null }) {
	const t = useTexts();
	const field = useRef<HTMLInputElement>(null);
	const [number, setNumber] = useState("");
	const [missing, setMissing] = useState(false);
	useEffect(() => void deviceNumber().then(setNumber), []);

	function submit(event: SubmitEvent): void {
		event.preventDefault();
		const name = field.current!.value.trim();
		if (name && onApply) {
			onApply(name);
		} else {
			setMissing(true);
			field.current!.focus();
		}
	}

	return (
		<section>
			<h2>{t.deviceNumber}</h2>
			<p id="device-number">
				<strong>{number}</strong>
			</p>
			<p class="support">{t.deviceNumberSupport}</p>
			{onApply && (
				<form onSubmit={submit} noValidate>
					<h2>{t.applyHeading}</h2>
					<Field
						id="apply"
						label={t.applyLabel}
						support={t.applySupport}
						error={missing ? t.applyMissing : null}
						inputRef={field}
						input={{ type: "text", name: "apply", autocomplete: "off", maxLength: 20, class: "input" }}
					/>
					<div class="actions">
						<button type="submit" class="button">
							{t.apply}
						</button>
					</div>
				</form>
			)}
		</section>
	);
}
