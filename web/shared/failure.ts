import catalogue from "../gen/errors.json";

/** One entry of src/base/err.def, as `engawa explain --json` prints it. */
interface Entry {
	name: string;
	fault: string;
	ja: { what: string; next: string };
	en: { what: string; next: string };
}

const entries = catalogue as Record<string, Entry>;
const numbers = new Map(Object.entries(entries).map(([number, entry]) => [entry.name, Number(number)]));

export type Language = "ja" | "en";

/** The number of a failure by its name in the catalogue. */
export function codeOf(name: string): number {
	const code = numbers.get(name);
	if (code === undefined) {
		throw new RangeError(`no failure is called ${name}`);
	}
	return code;
}

/** What ends a session or refuses a login: a number of the catalogue and what the office PC added. */
export class Failure extends Error {
	readonly code: number;

	constructor(
		nameOrCode: string | number,
		readonly support = "",
		readonly retrySeconds = 0,
	) {
		const code = typeof nameOrCode === "string" ? codeOf(nameOrCode) : nameOrCode;
		super(`EW-${code}`);
		this.code = code;
	}

	/** Whatever was thrown, as a failure: what nobody foresaw is INTERNAL. */
	static of(thrown: unknown): Failure {
		return thrown instanceof Failure ? thrown : new Failure("INTERNAL");
	}
}

/** What happened and what to do; an unknown number (a newer office PC) gets the words of PROTOCOL. */
export function explain(code: number, language: Language): { what: string; next: string } {
	return (entries[code] ?? entries[codeOf("PROTOCOL")]!)[language];
}
