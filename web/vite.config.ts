import { defineConfig } from "vitest/config";

export default defineConfig({
	root: "viewer",
	// nothing inline and nothing from elsewhere: the page runs under `default-src 'none'`
	build: {
		outDir: "../dist",
		emptyOutDir: true,
		target: "es2022",
		assetsInlineLimit: 0,
		modulePreload: { polyfill: false },
		reportCompressedSize: false,
	},
	worker: { format: "es" },
	esbuild: { jsx: "automatic", jsxImportSource: "preact" },
	clearScreen: false,
	logLevel: "warn",
	test: {
		root: ".",
		include: ["tests/**/*.test.ts"],
		setupFiles: ["tests/setup.ts"],
		testTimeout: 30_000,
		hookTimeout: 30_000,
		reporters: ["dot"],
		pool: "forks",
		poolOptions: { forks: { singleFork: true } },
	},
});
