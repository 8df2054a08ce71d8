/** Which page is shown, and the session behind it. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { Prompt, Start } from "../gen/inner_pb.ts";
import { PromptKind } from "../gen/inner_pb.ts";
import type { Stage } from "../shared/channel.ts";
import { Failure, type Language, codeOf } from "../shared/failure.ts";
import { texts } from "../shared/texts.ts";
import { Desktop } from "./desktop.tsx";
import { KeyPage } from "./key.tsx";
import { LanguageContext, chooseLanguage, chosenLanguage } from "./language.tsx";
import { PairingPage } from "./pairing.tsx";
import { CodePage, EndPage, PasswordPage, ProgressPage, TerminalPage } from "./pages.tsx";
import { Session, type Size, isKeyPrompt } from "./session.ts";
import { Shell } from "./shell.tsx";
import { browserFits } from "./support.ts";

export interface DesktopState {
	canvas: HTMLCanvasElement;
	start: Start;
	size: Size;
	/** CSS. */
	cursor: string;
	slow: boolean;
	/** The path is lost, another one is looked for. */
	lost: boolean;
	notice: { code: number; endsAt: number } | null;
}

type Page =
	| { is: "terminal" }
	| { is: "progress"; stage: Stage | "reply" | "screen" }
	| { is: "prompt"; prompt: Prompt; words: [string, string]; cameAt: number; before: PromptKind; notice: number }
	| { is: "desktop"; desktop: DesktopState }
	| { is: "end"; failure: Failure; reached: boolean };

/** The step of the four that a page belongs to; progress stays at the step before it. */
function stepOf(page: Page, before: number): number {
	switch (page.is) {
		case "terminal":
			return 0;
		case "prompt":
			return page.prompt.kind === PromptKind.PROMPT_PASSWORD || page.prompt.newAddress ? 2 : 1;
		case "desktop":
			return 3;
		default:
			return before;
	}
}

export function App() {
	const [language, setLanguage] = useState<Language>(chosenLanguage);
	const [page, setPage] = useState<Page>({ is: "terminal" });
	const [terminalId, setTerminalId] = useState("");
	const [user, setUser] = useState("");
	const session = useRef<Session | null>(null);
	const step = useRef(0);
	step.current = stepOf(page, step.current);

	useEffect(() => {
		document.documentElement.lang = language;
		chooseLanguage(language);
	}, [language]);
	useEffect(() => {
		const t = texts[language];
		document.title = `${page.is === "desktop" ? t.desktopTitle : t.steps[step.current]} | ${t.appName}`;
	}, [language, page.is, step.current]);
	useEffect(() => {
		void browserFits().then((fits) => {
			if (!fits) {
				setPage({ is: "end", failure: new Failure("BROWSER_OLD"), reached: false });
			}
		});
	}, []);

	const change = (changed: Partial<DesktopState>) =>
		setPage((now) => (now.is === "desktop" ? { is: "desktop", desktop: { ...now.desktop, ...changed } } : now));

	/** 0 seconds: what was announced with this code is over. */
	const notice = (code: number, seconds: number) =>
		setPage((now) => {
			if (now.is === "prompt" && seconds === 0) {
				return { ...now, notice: code }; // about what is being asked
			}
			if (now.is !== "desktop") {
				return now;
			}
			const shown = now.desktop.notice;
			const next = seconds > 0 ? { code, endsAt: Date.now() + 1000 * seconds } : shown?.code === code ? null : shown;
			return { is: "desktop", desktop: { ...now.desktop, notice: next } };
		});

	function connect(id: string, apply = ""): void {
		setTerminalId(id);
		setPage({ is: "progress", stage: "ticket" });
		let cursor = "default"; // may come before the first picture
		let before = PromptKind.PROMPT_NONE;
		const current: Session = new Session(id, language, {
			onStage: (stage) => setPage({ is: "progress", stage }),
			onPrompt: (prompt, words) => {
				setPage({ is: "prompt", prompt, words, cameAt: Date.now(), before, notice: 0 });
				before = prompt.kind;
			},
			onDesktop: (canvas, start, size) => {
				setPage({ is: "desktop", desktop: { canvas, start, size, cursor, slow: false, lost: false, notice: null } });
			},
			onSize: (size) => change({ size }),
			onCursor: (next) => {
				cursor = next;
				change({ cursor });
			},
			onNotice: (code, seconds) => notice(code, seconds),
			onPath: (slow) => change({ slow }),
			onLost: () => change({ lost: true, notice: null }),
			onEnd: (failure, reached) => {
				if (session.current === current) {
					session.current = null;
					const left = failure.code === codeOf("ENDED") && !reached;
					setPage(left ? { is: "terminal" } : { is: "end", failure, reached });
				}
			},
		}, apply);
		session.current = current;
	}

	const cancel = () => void session.current?.end();
	const reply = (text: string, user?: string) => session.current?.reply(text, user);
	const useKey = async () => session.current?.useKey();

	function content() {
		switch (page.is) {
			case "terminal":
				return <TerminalPage typed={terminalId} onConnect={(id) => connect(id)} />;
			case "progress":
				return <ProgressPage stage={page.stage} onCancel={cancel} />;
			case "prompt": {
				const { prompt, words, cameAt, before, notice } = page;
				const actions = { prompt, onReply: reply, onCancel: cancel };
				if (isKeyPrompt(prompt)) {
					const made = before === PromptKind.PROMPT_WEBAUTHN_NEW;
					return <KeyPage key={prompt.kind} {...actions} made={made} onUse={useKey} />;
				}
				if (prompt.kind === PromptKind.PROMPT_PAIRING) {
					return <PairingPage {...actions} cameAt={cameAt} />;
				}
				return prompt.kind === PromptKind.PROMPT_PASSWORD ? (
					<PasswordPage {...actions} terminalId={terminalId} user={user} onUser={setUser} />
				) : (
					<CodePage {...actions} words={words} cameAt={cameAt} notice={notice} />
				);
			}
			case "end":
				return (
					<EndPage
						failure={page.failure}
						reached={page.reached}
						onAgain={() => setPage({ is: "terminal" })}
						onApply={(name) => connect(terminalId, name)}
					/>
				);
		}
	}

	return (
		<LanguageContext.Provider value={language}>
			{page.is === "desktop" ? (
				<Desktop
					state={page.desktop}
					onInput={(item) => session.current?.input(item)}
					onWant={(monitors) => session.current?.want(monitors)}
					onStay={() => {
						session.current?.stay();
						change({ notice: null });
					}}
					onCloseNotice={() => change({ notice: null })}
					onEnd={cancel}
				/>
			) : (
				<Shell step={step.current} onLanguage={setLanguage}>
					{content()}
				</Shell>
			)}
		</LanguageContext.Provider>
	);
}
