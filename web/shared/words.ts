/** 照合語: two words of a handshake, shown here and written in the mail (docs/protocol.md 5). */
import words from "../gen/words.json";

export function wordsOf(hash: Uint8Array): [string, string] {
	return [words[hash[0]!]!, words[hash[1]!]!];
}
