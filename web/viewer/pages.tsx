/** The pages of the login. Each takes the focus when it comes, and keeps what was typed when the language changes. */
import { useEffect, useRef, useState } from "preact/hooks";
import { type Prompt, PromptKind } from "../gen/inner_pb.ts";
import { Failure, codeOf, explain } from "../shared/failure.ts";
import { formatTerminalId, parseTerminalId } from "../shared/terminal.ts";
import type { texts } from "../shared/texts.ts";
import { Actions, ErrorIcon, Field, Heading, Remaining } from "./form.tsx";
import { useLanguage, useTexts } from "./language.tsx";
import { DevicePart } from "./pairing.tsx";

/** A failure inside a field: what, what to do, code. */
export function useWords(code: number): string | null {
	const language = useLanguage();
	if (code === 0) {
		return null;
	}
	const { what, next } = explain(code, language);
	return `${what}${language === "en" ? " " : ""}${next} (EW-${code})`;
}

export function TerminalPage({ typed, onConnect }: { typed: string; onConnect(id: string): void }) {
	const t = useTexts();
	const field = useRef<HTMLInputElement>(null);
	const [wrong, setWrong] = useState(0);
	useEffect(() => field.current?.focus(), []);

	function submit(event: SubmitEvent): void {
		event.preventDefault();
		try {
			onConnect(parseTerminalId(field.current!.value));
		} catch (thrown) {
			setWrong(Failure.of(thrown).code);
			field.current!.focus();
		}
	}

	return (
		<form onSubmit={submit} noValidate>
			<h1>{t.terminalHeading}</h1>
			<Field
				id="terminal-id"
				label={t.terminalLabel}
				support={t.terminalSupport}
				error={useWords(wrong)}
				inputRef={field}
				input={{
					type: "text",
					name: "terminal-id",
					defaultValue: typed && formatTerminalId(typed),
					autocomplete: "username",
					autocapitalize: "characters",
					spellcheck: false,
					maxLength: 64,
					class: "input input-id",
				}}
			/>
			<div class="actions">
				<button type="submit" class="button button-main">
					{t.connect}
				</button>
			</div>
		</form>
	);
}

type StageName = keyof (typeof texts)["ja"]["stages"];

export function ProgressPage({ stage, onCancel }: { stage: StageName; onCancel(): void }) {
	const t = useTexts();
	return (
		<>
			<Heading>{t.progressHeading}</Heading>
			<div class="progress">
				<span class="spinner" aria-hidden="true" />
				<p role="status">{t.stages[stage]}</p>
			</div>
			<div class="actions">
				<button type="button" class="button" onClick={onCancel}>
					{t.cancel}
				</button>
			</div>
		</>
	);
}

/** Seconds until then, counted down while the page is there. */
export function useCountdown(endsAt: number): number {
	const [now, setNow] = useState(Date.now);
	useEffect(() => {
		const timer = setInterval(() => setNow(Date.now()), 1000);
		return () => clearInterval(timer);
	}, []);
	return Math.max(0, Math.ceil((endsAt - now) / 1000));
}

interface CodePageProps {
	prompt: Prompt;
	words: [string, string];
	/** On the clock of Date.now(). */
	cameAt: number;
	/** What has become of the mail, as the office PC has heard since; 0 = nothing. */
	notice: number;
	onReply(text: string): void;
	onCancel(): void;
}

/** What to do when the mail does not come; a new one makes the old one void, so not at once. */
const RESEND_MS = 30_000;

function NoMail({ cameAt, onAgain }: { cameAt: number; onAgain(): void }) {
	const t = useTexts();
	const wait = useCountdown(cameAt + RESEND_MS);
	return (
		<section class="no-mail" aria-labelledby="no-mail">
			<h2 id="no-mail">{t.mailMissing}</h2>
			<ul>
				{t.mailMissingTodo.map((line) => (
					<li key={line}>{line}</li>
				))}
			</ul>
			<button type="button" class="button" id="resend" disabled={wait > 0} onClick={onAgain}>
				{wait > 0 ? t.mailAgainIn(wait) : t.mailAgain}
			</button>
			<p class="support">{t.mailOld}</p>
		</section>
	);
}

export function CodePage({ prompt, words, cameAt, notice, onReply, onCancel }: CodePageProps) {
	const t = useTexts();
	const field = useRef<HTMLInputElement>(null);
	const [missing, setMissing] = useState(false);
	const left = useCountdown(cameAt + 1000 * prompt.expiresS);
	const digits = prompt.digits || 8;
	const refused = useWords(prompt.wrong);
	const news = useWords(notice);
	useEffect(() => {
		setMissing(false);
		field.current?.focus();
	}, [prompt]);

	const mailed = prompt.kind === PromptKind.PROMPT_MAIL_CODE;
	const paper = prompt.kind === PromptKind.PROMPT_RECOVERY;
	const moves = prompt.newAddress; // to another address, which this code confirms
	const missingText = paper ? t.paperMissing : t.codeMissing(digits);

	function submit(event: SubmitEvent): void {
		event.preventDefault();
		const code = field.current!.value.normalize("NFKC").replace(/[\s\p{Pd}]/gu, "");
		// a code from paper helps whatever was asked for; the office PC knows it by its length
		if (/^(?:[0-9A-Za-z]{20}|[0-9A-Za-z]{25}|[0-9]{30})$/.test(code) || (!paper && code.length === digits && /^[0-9]+$/.test(code))) {
			onReply(code);
		} else {
			setMissing(true);
			field.current!.focus();
		}
	}

	return (
		<form onSubmit={submit} noValidate>
			<h1>{moves ? t.newAddressHeading : mailed ? t.codeHeading : paper ? t.paperHeading : t.appHeading}</h1>
			{mailed ? (
				<>
					{moves && <p>{t.newAddressIntro}</p>}
					<p>{prompt.maskedAddress ? t.codeSent(prompt.maskedAddress) : t.codeSentSomewhere}</p>
					<dl class="words">
						<dt>{t.wordsLabel}</dt>
						<dd lang="ja">
							{words.map((word) => (
								<span key={word} class="word">
									{word}
								</span>
							))}
						</dd>
					</dl>
					<p class="support">{t.wordsSupport}</p>
				</>
			) : (
				<p>{paper ? t.paperIntro : t.appIntro}</p>
			)}
			{news && (
				<div class="notice" role="alert">
					<p>{news}</p>
				</div>
			)}
			<Field
				key={prompt.kind}
				id="code"
				label={paper ? t.paperLabel : t.codeLabel}
				support={mailed ? t.codeSupport(digits) : paper ? t.paperSupport : t.appSupport(digits)}
				error={missing ? missingText : refused}
				inputRef={field}
				input={{
					type: "text",
					name: "code",
					inputMode: paper ? "text" : "numeric",
					autocomplete: paper ? "off" : "one-time-code",
					spellcheck: false,
					maxLength: 48,
					class: "input input-code",
				}}
			>
				{prompt.expiresS > 0 && <Remaining left={left} gone={t.codeExpired} />}
			</Field>
			<Actions
				on={t.next}
				other={
					(!mailed || moves) && (
						<button type="button" class="button" id="elsewhere" onClick={() => onReply("")}>
							{moves ? t.newAddressLater : paper ? t.paperElsewhere : t.appElsewhere}
						</button>
					)
				}
				onCancel={onCancel}
			/>
			{mailed && !moves && <NoMail cameAt={cameAt} onAgain={() => onReply("")} />}
		</form>
	);
}

interface PasswordPageProps {
	prompt: Prompt;
	terminalId: string;
	/** Who connects, where the office PC has several persons; stays when the password was wrong. */
	user: string;
	onUser(user: string): void;
	onReply(text: string, user: string): void;
	onCancel(): void;
}

export function PasswordPage({ prompt, terminalId, user, onUser, onReply, onCancel }: PasswordPageProps) {
	const t = useTexts();
	const name = useRef<HTMLInputElement>(null);
	const field = useRef<HTMLInputElement>(null);
	const [missing, setMissing] = useState<"" | "user" | "password">("");
	const [shown, setShown] = useState(false);
	const refused = useWords(prompt.wrong);
	useEffect(() => (prompt.person && !user ? name : field).current?.focus(), [prompt]);

	function submit(event: SubmitEvent): void {
		event.preventDefault();
		const password = field.current!.value;
		const typed = name.current?.value.trim() ?? "";
		if (prompt.person && typed === "") {
			setMissing("user");
			name.current!.focus();
		} else if (password === "") {
			setMissing("password");
			field.current!.focus();
		} else {
			field.current!.value = "";
			onUser(typed);
			onReply(password, typed);
		}
	}

	return (
		<form onSubmit={submit} noValidate>
			<h1>{t.passwordHeading}</h1>
			{prompt.person ? (
				<Field
					id="user"
					label={t.userLabel}
					support={t.userSupport}
					error={missing === "user" ? t.userMissing : null}
					inputRef={name}
					input={{
						type: "text",
						name: "user",
						defaultValue: user,
						autocomplete: "username",
						autocapitalize: "none",
						spellcheck: false,
						maxLength: 127,
						class: "input",
					}}
				/>
			) : (
				// tells a password manager whose password it is
				<input type="text" name="terminal-id" autocomplete="username" value={terminalId} readOnly hidden />
			)}
			<Field
				id="password"
				label={t.passwordLabel}
				support={t.passwordSupport}
				error={missing === "password" ? t.passwordMissing : refused}
				inputRef={field}
				input={{
					type: shown ? "text" : "password",
					name: "password",
					autocomplete: "current-password",
					autocapitalize: "none",
					spellcheck: false,
					maxLength: 128,
					class: "input",
				}}
			>
				<label class="check">
					<input type="checkbox" checked={shown} onChange={(event) => setShown(event.currentTarget.checked)} />
					<span>{t.showPassword}</span>
				</label>
			</Field>
			<Actions on={t.connect} onCancel={onCancel} />
		</form>
	);
}

const LOST = ["CLOSED", "TIMEOUT", "SLOW", "DRAIN", "CRYPTO", "PROTOCOL", "RESUME_OVER", "PATH_LOST"];
const ENDED = ["ENDED", "ENDED_BY_ADMIN", "TAKEN_OVER", "CONNECTED_AGAIN", "IDLE", "SESSION_LONG", "INPUT_BURST"];

interface EndPageProps {
	failure: Failure;
	reached: boolean;
	onAgain(): void;
	onApply(name: string): void;
}

export function EndPage({ failure, reached, onAgain, onApply }: EndPageProps) {
	const t = useTexts();
	const { what, next } = explain(failure.code, useLanguage());
	const [copied, setCopied] = useState(false);
	const isOne = (names: string[]) => names.some((name) => codeOf(name) === failure.code);
	const wanted = failure.code === codeOf("ENDED");
	const ended = isOne(ENDED) || (reached && isOne(["HOURS"]));
	const heading = ended ? t.endedHeading : reached && isOne(LOST) ? t.lostHeading : t.refusedHeading;
	const todo = [next, failure.retrySeconds > 0 ? t.retry(failure.retrySeconds) : ""].filter(Boolean);

	async function copy(): Promise<void> {
		const lines = [`EW-${failure.code}`, what, ...todo, failure.support, new Date().toISOString()];
		await navigator.clipboard.writeText(lines.filter(Boolean).join("\n"));
		setCopied(true);
	}

	return (
		<>
			<Heading>{heading}</Heading>
			<div class={wanted ? "banner" : "banner banner-error"}>
				{!wanted && <ErrorIcon />}
				<div>
					<p class="banner-what">{what}</p>
					{todo.length > 0 && (
						<>
							<h2>{t.whatToDo}</h2>
							{todo.map((line) => (
								<p key={line}>{line}</p>
							))}
						</>
					)}
					{failure.support && (
						<>
							<h2>{t.support}</h2>
							<p>{failure.support}</p>
						</>
					)}
					{!wanted && (
						<p class="banner-code">
							{t.code}: <strong>EW-{failure.code}</strong>
						</p>
					)}
				</div>
			</div>
			{isOne(["DEVICE_UNKNOWN", "DEVICE_APPLIED"]) && (
				<DevicePart onApply={isOne(["DEVICE_UNKNOWN"]) ? onApply : null} />
			)}
			<div class="actions">
				<button type="button" class="button button-main" onClick={onAgain}>
					{t.again}
				</button>
				{!wanted && (
					<button type="button" class="button" onClick={() => void copy()}>
						{t.copy}
					</button>
				)}
			</div>
			<p role="status">{copied ? t.copied : ""}</p>
		</>
	);
}
