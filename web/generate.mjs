// What the page takes from the rest of the project: messages, the catalogue of failures, the words of 照合語.
// Usage: node generate.mjs ENGAWA   (the built command line program)
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const web = dirname(fileURLToPath(import.meta.url));
const out = join(web, "gen");
const engawa = process.argv[2];
mkdirSync(out, { recursive: true });

execFileSync("protoc", [
	`--plugin=protoc-gen-es=${join(web, "node_modules/.bin/protoc-gen-es")}`,
	`--es_out=${out}`,
	"--es_opt=target=ts",
	`-I${join(web, "../proto")}`,
	"outer.proto",
	"inner.proto",
	"signed.proto",
], { stdio: "inherit" });

const errors = execFileSync(engawa, ["explain", "--json"], { encoding: "utf8" });
if (!JSON.parse(errors)["1000"]) {
	throw new Error(`${engawa} explain --json has no EW-1000`);
}
writeFileSync(join(out, "errors.json"), errors);

const list = readFileSync(join(web, "../src/crypto/words.def"), "utf8");
const words = Array.from(list.matchAll(/^\s*WORD\("([^"]+)"\)/gm), (match) => match[1]);
if (words.length !== 256) {
	throw new Error(`src/crypto/words.def has ${words.length} words`);
}
writeFileSync(join(out, "words.json"), JSON.stringify(words));
