import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Language } from "../shared/failure.ts";
import { texts } from "../shared/texts.ts";

const KEY = "engawa.language";

export const LanguageContext = createContext<Language>("ja");

export function useLanguage(): Language {
	return useContext(LanguageContext);
}

export function useTexts() {
	return texts[useLanguage()];
}

/** Japanese unless the person has chosen. */
export function chosenLanguage(): Language {
	try {
		return localStorage.getItem(KEY) === "en" ? "en" : "ja";
	} catch {
		return "ja"; // storage is switched off
	}
}

export function chooseLanguage(language: Language): void {
	try {
		localStorage.setItem(KEY, language);
	} catch {
		// for this page only, then
	}
}
