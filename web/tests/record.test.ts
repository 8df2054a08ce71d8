import { expect, test } from "vitest";
import { concat, text } from "../shared/bytes.ts";
import { CipherState, TAG_BYTES } from "../shared/noise.ts";
import { Padding, openRecord, sealRecord } from "../shared/record.ts";
import { failure } from "./help.ts";

const NONE = new Uint8Array(0);
const cipher = () => CipherState.initializeKey(new Uint8Array(32).fill(7));

test.each([
	[Padding.Login, 0, 1024],
	[Padding.Login, 1020, 1024],
	[Padding.Login, 1021, 2048],
	[Padding.Client, 0, 64],
	[Padding.Client, 60, 64],
	[Padding.Client, 61, 256],
	[Padding.Client, 253, 512],
	[Padding.Agent, 0, 256],
	[Padding.Agent, 252, 256],
	[Padding.Agent, 60000, 60160],
])("padding %i of %i bytes is %i", async (padding, length, plain) => {
	const payload = new Uint8Array(length).fill(9);
	const wire = await sealRecord(await cipher(), padding, 16, payload);
	expect(wire.length).toBe(2 + plain + TAG_BYTES);
	expect(new DataView(wire.buffer).getUint16(0)).toBe(plain + TAG_BYTES);
	expect(await openRecord(await cipher(), wire.slice(2))).toEqual({ type: 16, payload });
});

test("types above 127 and long payloads", async () => {
	const wire = await sealRecord(await cipher(), Padding.Agent, 255, text("x"));
	expect((await openRecord(await cipher(), wire.slice(2))).type).toBe(255);
	await expect(sealRecord(await cipher(), Padding.Agent, 1, new Uint8Array(65520))).rejects.toEqual(failure("TOO_LONG"));
});

test.each([
	["padding that is not zero", concat(new Uint8Array([1, 0, 0, 1, 5]), new Uint8Array(250), new Uint8Array([1]))],
	["a length beyond the record", concat(new Uint8Array([1, 0, 1, 0]), new Uint8Array(252))],
	["no header", new Uint8Array(3)],
	["nothing", NONE],
])("%s ends the session", async (_, plain) => {
	const sealed = await (await cipher()).encryptWithAd(NONE, plain);
	await expect(openRecord(await cipher(), sealed)).rejects.toEqual(failure("PROTOCOL"));
});

test("a record shorter than its tag", async () => {
	await expect(openRecord(await cipher(), new Uint8Array(15))).rejects.toEqual(failure("CRYPTO"));
});
