/** The pages of a login with a security key: using one, and registering one after a registration code. */
import { useEffect, useState } from "preact/hooks";
import { type Prompt, PromptKind } from "../gen/inner_pb.ts";
import { Failure } from "../shared/failure.ts";
import { keysWork } from "../shared/securitykey.ts";
import { ErrorIcon, Heading } from "./form.tsx";
import { useTexts } from "./language.tsx";
import { useWords } from "./pages.tsx";

interface KeyPageProps {
	prompt: Prompt;
	/** It was registered a moment ago and has to show that it works. */
	made: boolean;
	/** Throws when there was no key. */
	onUse(): Promise<void>;
	onReply(text: string): void;
	onCancel(): void;
}

export function KeyPage({ prompt, made, onUse, onReply, onCancel }: KeyPageProps) {
	const t = useTexts();
	const [busy, setBusy] = useState(false);
	const [failed, setFailed] = useState(0);
	const error = useWords(failed || prompt.wrong);
	const isNew = prompt.kind === PromptKind.PROMPT_WEBAUTHN_NEW;
	const works = keysWork();
	useEffect(() => setFailed(0), [prompt]);

	async function use(): Promise<void> {
		setBusy(true);
		setFailed(0);
		try {
			await onUse(); // the next page comes by itself
		} catch (thrown) {
			setFailed(Failure.of(thrown).code);
		} finally {
			setBusy(false);
		}
	}

	return (
		<>
			<Heading>{isNew ? t.keyNewHeading : t.keyHeading}</Heading>
			<p>{isNew ? t.keyNewIntro : made ? t.keyMadeIntro : t.keyIntro}</p>
			<p class="support">{works ? t.keySupport : t.keyImpossible}</p>
			<div role="alert">
				{error && (
					<p class="error">
						<ErrorIcon />
						<span>{error}</span>
					</p>
				)}
			</div>
			<p role="status">{busy ? t.keyWaiting : ""}</p>
			<div class="actions">
				{works && (
					<button type="button" class="button button-main" disabled={busy} onClick={() => void use()}>
						{isNew ? t.keyMake : t.keyUse}
					</button>
				)}
				<button type="button" class="button" id="elsewhere" disabled={busy} onClick={() => onReply("")}>
					{isNew || made ? t.keyNotNow : t.keyElsewhere}
				</button>
				<button type="button" class="button" onClick={onCancel}>
					{t.cancel}
				</button>
			</div>
		</>
	);
}
