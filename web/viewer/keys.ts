/** Keys: KeyboardEvent.code to USB HID usage (page 7), KeyboardEvent.key to X11 keysym. */

/** HID Usage Tables 1.12, section 10; names of UI Events KeyboardEvent code Values. */
const USAGES: Record<string, number> = {
	Enter: 0x28, Escape: 0x29, Backspace: 0x2a, Tab: 0x2b, Space: 0x2c, Minus: 0x2d, Equal: 0x2e,
	BracketLeft: 0x2f, BracketRight: 0x30, Backslash: 0x31, IntlHash: 0x32, Semicolon: 0x33, Quote: 0x34,
	Backquote: 0x35, Comma: 0x36, Period: 0x37, Slash: 0x38, CapsLock: 0x39,
	PrintScreen: 0x46, ScrollLock: 0x47, Pause: 0x48, Insert: 0x49, Home: 0x4a, PageUp: 0x4b, Delete: 0x4c,
	End: 0x4d, PageDown: 0x4e, ArrowRight: 0x4f, ArrowLeft: 0x50, ArrowDown: 0x51, ArrowUp: 0x52,
	NumLock: 0x53, NumpadDivide: 0x54, NumpadMultiply: 0x55, NumpadSubtract: 0x56, NumpadAdd: 0x57,
	NumpadEnter: 0x58, Numpad0: 0x62, NumpadDecimal: 0x63, IntlBackslash: 0x64, ContextMenu: 0x65,
	Power: 0x66, NumpadEqual: 0x67, Help: 0x75, NumpadComma: 0x85,
	IntlRo: 0x87, KanaMode: 0x88, IntlYen: 0x89, Convert: 0x8a, NonConvert: 0x8b,
	Lang1: 0x90, Lang2: 0x91, Lang3: 0x92, Lang4: 0x93, Lang5: 0x94,
	ControlLeft: 0xe0, ShiftLeft: 0xe1, AltLeft: 0xe2, MetaLeft: 0xe3,
	ControlRight: 0xe4, ShiftRight: 0xe5, AltRight: 0xe6, MetaRight: 0xe7,
};
for (let i = 0; i < 26; i++) {
	USAGES[`Key${String.fromCharCode(65 + i)}`] = 0x04 + i;
}
for (let i = 1; i <= 9; i++) {
	USAGES[`Digit${i}`] = 0x1d + i;
	USAGES[`Numpad${i}`] = 0x58 + i;
}
USAGES["Digit0"] = 0x27;
for (let i = 1; i <= 12; i++) {
	USAGES[`F${i}`] = 0x39 + i;
	USAGES[`F${i + 12}`] = 0x67 + i;
}

/** keysymdef.h; left and right are told apart by the code. */
const KEYSYMS: Record<string, number> = {
	Backspace: 0xff08, Tab: 0xff09, Clear: 0xff0b, Enter: 0xff0d, Pause: 0xff13, ScrollLock: 0xff14, Escape: 0xff1b,
	KanjiMode: 0xff21, NonConvert: 0xff22, Convert: 0xff23, Romaji: 0xff24, Hiragana: 0xff25, Katakana: 0xff26,
	HiraganaKatakana: 0xff27, Zenkaku: 0xff28, Hankaku: 0xff29, ZenkakuHankaku: 0xff2a, KanaMode: 0xff2d,
	Alphanumeric: 0xff30, Eisu: 0xff30,
	Home: 0xff50, ArrowLeft: 0xff51, ArrowUp: 0xff52, ArrowRight: 0xff53, ArrowDown: 0xff54,
	PageUp: 0xff55, PageDown: 0xff56, End: 0xff57,
	PrintScreen: 0xff61, Insert: 0xff63, Undo: 0xff65, ContextMenu: 0xff67, Find: 0xff68, Cancel: 0xff69, Help: 0xff6a,
	ModeChange: 0xff7e, NumLock: 0xff7f, CapsLock: 0xffe5, Delete: 0xffff, AltGraph: 0xfe03,
	ShiftLeft: 0xffe1, ShiftRight: 0xffe2, ControlLeft: 0xffe3, ControlRight: 0xffe4,
	AltLeft: 0xffe9, AltRight: 0xffea, MetaLeft: 0xffeb, MetaRight: 0xffec,
	Shift: 0xffe1, Control: 0xffe3, Alt: 0xffe9, Meta: 0xffeb, // on a key that was given this meaning
};
for (let i = 1; i <= 24; i++) {
	KEYSYMS[`F${i}`] = 0xffbd + i;
}

const KEYPAD_KEYSYM = 0xff80;
const KEYPAD: Record<string, number> = {
	Enter: 0xff8d, "*": 0xffaa, "+": 0xffab, ",": 0xffac, "-": 0xffad, ".": 0xffae, "/": 0xffaf, "=": 0xffbd,
	Home: 0xff95, ArrowLeft: 0xff96, ArrowUp: 0xff97, ArrowRight: 0xff98, ArrowDown: 0xff99,
	PageUp: 0xff9a, PageDown: 0xff9b, End: 0xff9c, Clear: 0xff9d, Insert: 0xff9e, Delete: 0xff9f,
};

/** Keys that switch the input method: browsers report no release of some of them. */
const SWITCHES = new Set([
	"KanjiMode", "Romaji", "Hiragana", "Katakana", "HiraganaKatakana", "Zenkaku", "Hankaku", "ZenkakuHankaku",
	"KanaMode", "Alphanumeric", "Eisu", "CapsLock",
]);

export function usageOf(code: string): number {
	return USAGES[code] ?? 0;
}

export function isSwitch(key: string): boolean {
	return SWITCHES.has(key);
}

const MODIFIER = /^(Shift|Control|Alt|Meta)(Left|Right)$/;

/** 0 when there is none: dead keys, unknown keys. */
export function keysymOf(key: string, code: string): number {
	if (code.startsWith("Numpad")) {
		const keypad = /^[0-9]$/.test(key) ? KEYPAD_KEYSYM + 0x30 + Number(key) : KEYPAD[key];
		if (keypad !== undefined) {
			return keypad;
		}
	}
	const named = KEYSYMS[MODIFIER.test(code) && key !== "AltGraph" ? code : key];
	if (named !== undefined) {
		return named;
	}
	const [char, more] = Array.from(key);
	if (char === undefined || more !== undefined) {
		return 0;
	}
	const point = char.codePointAt(0)!;
	if (point < 0x20 || (point > 0x7e && point < 0xa0)) {
		return 0;
	}
	return point <= 0xff ? point : 0x01000000 + point; // Latin-1 as it is, Unicode with the flag of X11
}
