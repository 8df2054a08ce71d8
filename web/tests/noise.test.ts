import { createCipheriv } from "node:crypto";
import { describe, expect, test } from "vitest";
import { type Bytes, fromHex, text, toHex } from "../shared/bytes.ts";
import { CipherState, HandshakeState, type Secrets, generateKeyPair } from "../shared/noise.ts";
import { failure, keyPair, readJson } from "./help.ts";

interface Vector {
	protocol_name: string;
	prologue: string;
	psk: string;
	init_static: string;
	init_ephemeral: string;
	resp_static: string;
	resp_ephemeral: string;
	messages: { payload: string; ciphertext: string }[];
}

const { vectors } = readJson<{ vectors: Vector[] }>("tests/corpus/noise/vectors.json");
const NONE = new Uint8Array(0);

async function parties(vector: Vector, fresh = false) {
	const initiator = await keyPair(fromHex(vector.init_static));
	const responder = await keyPair(fromHex(vector.resp_static));
	const common = {
		prologue: fromHex(vector.prologue),
		...(vector.psk ? { psk: fromHex(vector.psk) } : {}),
	};
	return {
		initiator: await HandshakeState.initialize({
			...common,
			initiator: true,
			s: initiator,
			rs: responder.publicKey,
			...(fresh ? {} : { e: await keyPair(fromHex(vector.init_ephemeral)) }),
		}),
		responder: await HandshakeState.initialize({
			...common,
			initiator: false,
			s: responder,
			...(fresh ? {} : { e: await keyPair(fromHex(vector.resp_ephemeral)) }),
		}),
		initiatorKey: initiator.publicKey,
	};
}

async function finish(vector: Vector, rekeyMessages?: number): Promise<[Secrets, Secrets]> {
	const { initiator, responder } = await parties(vector, true);
	await responder.readMessage(await initiator.writeMessage(NONE));
	await initiator.readMessage(await responder.writeMessage(NONE));
	return [await initiator.split(rekeyMessages), await responder.split(rekeyMessages)];
}

test("both patterns have vectors", () => {
	expect(new Set(vectors.map((vector) => vector.protocol_name))).toEqual(
		new Set(["Noise_IK_25519_AESGCM_SHA256", "Noise_IKpsk2_25519_AESGCM_SHA256"]),
	);
});

describe.each(vectors.map((vector, i) => ({ name: `${vector.protocol_name} ${i}`, vector })))("$name", ({ vector }) => {
	test("the published messages, both directions", async () => {
		const { initiator, responder, initiatorKey } = await parties(vector);
		const [m0, m1, ...transport] = vector.messages;
		const message1 = await initiator.writeMessage(fromHex(m0!.payload));
		expect(toHex(message1)).toBe(m0!.ciphertext);
		expect(toHex(await responder.readMessage(message1))).toBe(m0!.payload);
		expect(responder.remoteStatic).toEqual(initiatorKey);
		const message2 = await responder.writeMessage(fromHex(m1!.payload));
		expect(toHex(message2)).toBe(m1!.ciphertext);
		expect(toHex(await initiator.readMessage(message2))).toBe(m1!.payload);
		const ours = await initiator.split();
		const theirs = await responder.split();
		expect(ours.hash).toEqual(theirs.hash);
		let fromInitiator = true;
		for (const { payload, ciphertext } of transport) {
			const [seal, open] = fromInitiator
				? [ours.loginClient, theirs.loginClient]
				: [theirs.loginAgent, ours.loginAgent];
			expect(toHex(await seal.encryptWithAd(NONE, fromHex(payload)))).toBe(ciphertext);
			expect(toHex(await open.decryptWithAd(NONE, fromHex(ciphertext)))).toBe(payload);
			fromInitiator = !fromInitiator;
		}
	});

	test("every bit of message 1 and 2 counts", async () => {
		for (let bit = 0; bit < 8 * 96; bit += 37) {
			const { initiator, responder } = await parties(vector, true);
			const message1 = await initiator.writeMessage(NONE);
			message1[bit >> 3]! ^= 1 << (bit & 7);
			await expect(responder.readMessage(message1).then((): Promise<Bytes> => responder.writeMessage(NONE))
				.then((message2) => initiator.readMessage(message2))).rejects.toBeInstanceOf(Error);
		}
		for (let bit = 0; bit < 8 * 48; bit += 37) {
			const { initiator, responder } = await parties(vector, true);
			await responder.readMessage(await initiator.writeMessage(NONE));
			const message2 = await responder.writeMessage(NONE);
			message2[bit >> 3]! ^= 1 << (bit & 7);
			await expect(initiator.readMessage(message2)).rejects.toEqual(failure("CRYPTO"));
			await expect(initiator.split()).rejects.toEqual(failure("PROTOCOL")); // stays failed
		}
	});

	test("another prologue, another psk", async () => {
		for (const change of [{ prologue: "00" + vector.prologue }, vector.psk ? { psk: "11".repeat(32) } : null]) {
			if (!change) {
				continue;
			}
			const { initiator } = await parties(vector, true);
			const { responder } = await parties({ ...vector, ...change }, true);
			await expect(
				initiator
					.writeMessage(NONE)
					.then((message1) => responder.readMessage(message1))
					.then(() => responder.writeMessage(NONE))
					.then((message2) => initiator.readMessage(message2)),
			).rejects.toEqual(failure("CRYPTO"));
		}
	});

	test("the keys after Split agree and all differ", async () => {
		const [ours, theirs] = await finish(vector);
		expect(ours.pskNext).toEqual(theirs.pskNext);
		const texts = new Set<string>();
		for (const name of ["loginClient", "loginAgent", "workClient", "workAgent"] as const) {
			const sealed = await ours[name].encryptWithAd(NONE, text("same"));
			texts.add(toHex(sealed));
			expect(await theirs[name].decryptWithAd(NONE, sealed)).toEqual(text("same"));
		}
		expect(texts.size).toBe(4);
	});

	test("rekey after n messages, on both sides", async () => {
		const [ours, theirs] = await finish(vector, 4);
		for (let i = 0; i < 10; i++) {
			const sealed = await ours.workClient.encryptWithAd(NONE, new Uint8Array([i]));
			expect(await theirs.workClient.decryptWithAd(NONE, sealed)).toEqual(new Uint8Array([i]));
		}
	});
});

test("REKEY is the specification's, and n goes on counting", async () => {
	const seal = (key: Uint8Array, nonce: string, data: Uint8Array) => {
		const cipher = createCipheriv("aes-256-gcm", key, Buffer.from(nonce, "hex"));
		return Buffer.concat([cipher.update(data), cipher.final(), cipher.getAuthTag()]);
	};
	const cipher = await CipherState.initializeKey(new Uint8Array(32), 2);
	let key: Uint8Array = new Uint8Array(32);
	for (let n = 0; n < 6; n++) {
		const expected = seal(key, n.toString(16).padStart(24, "0"), text("data"));
		expect(toHex(await cipher.encryptWithAd(NONE, text("data")))).toBe(expected.toString("hex"));
		if (n % 2 === 1) {
			key = seal(key, "00000000ffffffffffffffff", new Uint8Array(32)).subarray(0, 32);
		}
	}
});

test("truncated messages, wrong turns, a replayed record", async () => {
	const { initiator, responder } = await parties(vectors[0]!, true);
	const message1 = await initiator.writeMessage(NONE);
	await expect(responder.readMessage(message1.slice(0, 79))).rejects.toEqual(failure("PROTOCOL"));
	await expect(initiator.writeMessage(NONE)).rejects.toEqual(failure("PROTOCOL"));
	const [ours, theirs] = await finish(vectors[0]!);
	const sealed = await ours.loginClient.encryptWithAd(NONE, text("once"));
	await theirs.loginClient.decryptWithAd(NONE, sealed);
	await expect(theirs.loginClient.decryptWithAd(NONE, sealed)).rejects.toEqual(failure("CRYPTO"));
	const next = await ours.loginClient.encryptWithAd(NONE, text("after"));
	await expect(theirs.loginClient.decryptWithAd(NONE, next)).rejects.toEqual(failure("CRYPTO")); // dead
});

test("points of low order are refused", async () => {
	const low = [
		"00".repeat(32),
		"01" + "00".repeat(31),
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	];
	for (const point of low) {
		const initiator = await HandshakeState.initialize({
			initiator: true,
			prologue: NONE,
			s: await generateKeyPair(),
			rs: fromHex(point),
		});
		await expect(initiator.writeMessage(NONE)).rejects.toEqual(failure("CRYPTO"));
	}
});
