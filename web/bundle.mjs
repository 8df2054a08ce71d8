// Usage: node bundle.mjs SOURCE.ts OUT.mjs    A test program in TypeScript, for a node that does not read it.
import { build } from "esbuild";

const [source, out] = process.argv.slice(2);
await build({
	entryPoints: [source],
	outfile: out,
	bundle: true,
	platform: "node",
	format: "esm",
	target: "node18",
	logLevel: "warning",
	banner: {
		js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url); ' +
			'import { webcrypto } from "node:crypto"; globalThis.crypto ??= webcrypto;',
	},
});
