import { create, toBinary } from "@bufbuild/protobuf";
import { beforeAll, describe, expect, test } from "vitest";
import { SignedSchema, StatementBodySchema } from "../gen/signed_pb.ts";
import { type Bytes, concat, fromHex, sha256, text } from "../shared/bytes.ts";
import { signatureFromDer, verifyStatement } from "../shared/statement.ts";
import { failure } from "./help.ts";
import { type Anchor, makeAnchor, sign, signatureToDer } from "./signer.ts";

const NOW = 1_800_000_000;
const agentKey = new Uint8Array(32).fill(3);
const salt = new Uint8Array(16).fill(4);
let anchor: Anchor;

beforeAll(async () => {
	anchor = await makeAnchor();
});

async function statement(change: {
	body?: object;
	purpose?: string;
	signed?: object;
	signature?: (der: Bytes) => Bytes;
}): Promise<Bytes> {
	const body = toBinary(
		StatementBodySchema,
		create(StatementBodySchema, {
			anchorKey: anchor.point,
			salt,
			agentKey,
			agentId: new Uint8Array(16),
			notAfterS: BigInt(NOW + 60),
			...change.body,
		}),
	).slice();
	const der = await sign(anchor, change.purpose ?? "engawa statement v1", body);
	return toBinary(
		SignedSchema,
		create(SignedSchema, {
			body,
			keyId: (await sha256(anchor.point)).slice(0, 8),
			signature: change.signature ? change.signature(der) : der,
			...change.signed,
		}),
	).slice();
}

/** The ID of this anchor and salt, as Argon2id would give it. */
const derive = async (point: Bytes, given: Bytes) =>
	Buffer.from(point).equals(anchor.point) && Buffer.from(given).equals(salt) ? "THEID" : "OTHER";
const verify = (bytes: Bytes, id = "THEID", key = agentKey) => verifyStatement(bytes, id, key, NOW, derive);

test("a good statement", async () => {
	await verify(await statement({}));
});

describe("forged statements", () => {
	test.each([
		["another purpose", { purpose: "engawa ticket v1" }],
		["expired", { body: { notAfterS: BigInt(NOW - 1) } }],
		["another agent key", { body: { agentKey: new Uint8Array(32).fill(9) } }],
		["another salt", { body: { salt: new Uint8Array(16) } }],
		["another key id", { signed: { keyId: new Uint8Array(8) } }],
		["no signature", { signed: { signature: new Uint8Array(0) } }],
		["a changed signature", { signature: (der: Bytes) => der.map((byte, i) => (i === 20 ? byte ^ 1 : byte)) }],
		["bytes after the signature", { signature: (der: Bytes) => concat(der, new Uint8Array(1)) }],
		["a point that is not on the curve", { body: { anchorKey: concat(new Uint8Array([4]), new Uint8Array(64)) } }],
	])("%s", async (_, change) => {
		await expect(verify(await statement(change))).rejects.toEqual(failure("TERMINAL_FORGED"));
	});

	test("another ID, another handshake key", async () => {
		await expect(verify(await statement({}), "WRONG")).rejects.toEqual(failure("TERMINAL_FORGED"));
		await expect(verify(await statement({}), "THEID", new Uint8Array(32))).rejects.toEqual(failure("TERMINAL_FORGED"));
	});

	test.each([
		["a compressed point", { body: { anchorKey: new Uint8Array(33).fill(2) } }],
		["a short salt", { body: { salt: new Uint8Array(15) } }],
		["no body", { signed: { body: text("x") } }],
	])("%s is no statement", async (_, change) => {
		await expect(verify(await statement(change))).rejects.toEqual(failure("PROTOCOL"));
	});

	test("truncated anywhere", async () => {
		const whole = await statement({});
		for (let length = 0; length < whole.length; length += 5) {
			await expect(verify(whole.slice(0, length))).rejects.toBeInstanceOf(Error);
		}
	});
});

describe("DER", () => {
	const r = fromHex("80" + "11".repeat(31));
	const s = fromHex("00".repeat(31) + "05");

	test("there and back, with a leading zero and a short number", () => {
		const der = signatureToDer(concat(r, s));
		expect(der.length).toBe(2 + 2 + 33 + 2 + 1);
		expect(signatureFromDer(der)).toEqual(concat(r, s));
	});

	test.each([
		["empty", ""],
		["no sequence", "3106020101020101"],
		["long form of the length", "308106020101020101"],
		["too long for what follows", "3007020101020101"],
		["bytes after the end", "300602010102010100"],
		["a third number", "3009020101020101020101"],
		["one number", "3003020101"],
		["negative", "3006020181020101"],
		["zero", "3006020100020101"],
		["an empty number", "30050200020101"],
		["a zero too many", "300702020001020101"],
		["33 bytes without a leading zero", "3026" + "0221" + "01".repeat(33) + "020101"],
		["34 bytes", "3027" + "0222" + "0081" + "01".repeat(32) + "020101"],
		["not a number", "3006030101020101"],
		["cut in a number", "30040220" + "01".repeat(2)],
	])("%s is refused", (_, hex) => {
		expect(() => signatureFromDer(fromHex(hex))).toThrow(failure("SIGNATURE"));
	});
});
