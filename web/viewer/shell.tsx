/** What every page of the login has around it: name, language, steps, help in the same place. */
import type { ComponentChildren } from "preact";
import type { Language } from "../shared/failure.ts";
import { useLanguage, useTexts } from "./language.tsx";

const LANGUAGES: [Language, string][] = [
	["ja", "日本語"],
	["en", "English"],
];

function LanguageSwitch({ onLanguage }: { onLanguage(language: Language): void }) {
	const now = useLanguage();
	const t = useTexts();
	return (
		<div class="language" role="group" aria-label={t.language}>
			{LANGUAGES.map(([language, name]) => (
				<button
					key={language}
					type="button"
					class="language-button"
					lang={language}
					aria-pressed={language === now}
					onClick={() => onLanguage(language)}
				>
					{name}
				</button>
			))}
		</div>
	);
}

function Steps({ now }: { now: number }) {
	const t = useTexts();
	return (
		<nav class="steps" aria-label={t.stepsLabel}>
			<p class="steps-short">{t.stepOf(now + 1, t.steps.length)}</p>
			<ol>
				{t.steps.map((name, i) => (
					<li
						key={name}
						class={i < now ? "step step-done" : i === now ? "step step-now" : "step"}
						aria-current={i === now ? "step" : undefined}
					>
						<span class="step-number" aria-hidden="true">
							{i + 1}
						</span>
						<span class="step-name">{name}</span>
					</li>
				))}
			</ol>
		</nav>
	);
}

export function Shell(props: { step: number; onLanguage(language: Language): void; children: ComponentChildren }) {
	const t = useTexts();
	return (
		<>
			<a class="skip" href="#main">
				{t.skipToMain}
			</a>
			<header class="header">
				<p class="brand">
					<img src="/icon.svg" alt="" width="32" height="32" />
					<span>{t.appName}</span>
				</p>
				<LanguageSwitch onLanguage={props.onLanguage} />
			</header>
			<Steps now={props.step} />
			<main id="main" class="main" tabIndex={-1}>
				{props.children}
			</main>
			<footer class="footer">
				<p>{t.help}</p>
			</footer>
		</>
	);
}
