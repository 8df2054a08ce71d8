/**
 * Noise_IK and Noise_IKpsk2 with 25519, AESGCM and SHA256 (Noise rev 34) over WebCrypto, and the key schedule after
 * Split (docs/protocol.md 5). Names are the specification's. All calls of one object are made one after another.
 */
import { type Bytes, concat, sha256, text } from "./bytes.ts";
import { Failure } from "./failure.ts";

export const KEY_BYTES = 32;
export const TAG_BYTES = 16;
export const MESSAGE_MAX_BYTES = 65535;
export const MESSAGE1_BYTES = 96;
/** Either side rekeys after this many messages of a key. */
const REKEY_MESSAGES = 2 ** 20;

export enum Suite {
	IK = 1,
	IKpsk2 = 2,
}

export interface KeyPair {
	privateKey: CryptoKey;
	publicKey: Bytes;
}

export async function generateKeyPair(): Promise<KeyPair> {
	const pair = (await crypto.subtle.generateKey({ name: "X25519" }, false, ["deriveBits"])) as CryptoKeyPair;
	return {
		privateKey: pair.privateKey,
		publicKey: new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey)),
	};
}

async function dh(privateKey: CryptoKey, publicKey: Bytes): Promise<Bytes> {
	try {
		const key = await crypto.subtle.importKey("raw", publicKey, { name: "X25519" }, false, []);
		const bits = await crypto.subtle.deriveBits({ name: "X25519", public: key }, privateKey, 256);
		const shared = new Uint8Array(bits);
		if (shared.every((byte) => byte === 0)) {
			throw new Failure("CRYPTO"); // a point of low order
		}
		return shared;
	} catch {
		throw new Failure("CRYPTO");
	}
}

async function hmac(key: Bytes, ...data: Bytes[]): Promise<Bytes> {
	const imported = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
	return new Uint8Array(await crypto.subtle.sign("HMAC", imported, concat(...data)));
}

async function hkdf(chainingKey: Bytes, input: Bytes, outputs: number): Promise<Bytes[]> {
	const temporary = await hmac(chainingKey, input);
	const out: Bytes[] = [];
	let last: Bytes = new Uint8Array(0);
	for (let i = 1; i <= outputs; i++) {
		last = await hmac(temporary, last, new Uint8Array([i]));
		out.push(last);
	}
	temporary.fill(0);
	return out;
}

/** One direction of a channel. Dead after the first failure. */
export class CipherState {
	private n = 0;
	private dead = false;

	private constructor(
		private k: CryptoKey,
		private readonly rekeyMessages: number,
	) {}

	/** The key's bytes are wiped. */
	static async initializeKey(key: Bytes, rekeyMessages = REKEY_MESSAGES): Promise<CipherState> {
		const state = new CipherState(await CipherState.import(key), rekeyMessages);
		key.fill(0);
		return state;
	}

	async encryptWithAd(ad: Bytes, plaintext: Bytes): Promise<Bytes> {
		return this.step(ad, (algorithm) => crypto.subtle.encrypt(algorithm, this.k, plaintext));
	}

	async decryptWithAd(ad: Bytes, ciphertext: Bytes): Promise<Bytes> {
		return this.step(ad, (algorithm) => crypto.subtle.decrypt(algorithm, this.k, ciphertext));
	}

	private async step(ad: Bytes, run: (algorithm: AesGcmParams) => Promise<ArrayBuffer>): Promise<Bytes> {
		if (this.dead) {
			throw new Failure("CRYPTO");
		}
		try {
			const out = new Uint8Array(await run(gcm(nonce(this.n), ad)));
			this.n++;
			if (this.n % this.rekeyMessages === 0) {
				await this.rekey();
			}
			return out;
		} catch {
			this.dead = true;
			throw new Failure("CRYPTO");
		}
	}

	private async rekey(): Promise<void> {
		const last = new Uint8Array(12).fill(0xff, 4);
		const none = new Uint8Array(0);
		const out = new Uint8Array(await crypto.subtle.encrypt(gcm(last, none), this.k, new Uint8Array(KEY_BYTES)));
		this.k = await CipherState.import(out.slice(0, KEY_BYTES));
		out.fill(0);
	}

	private static import(key: Bytes): Promise<CryptoKey> {
		return crypto.subtle.importKey("raw", key, "AES-GCM", false, ["encrypt", "decrypt"]);
	}
}

function gcm(iv: Bytes, additionalData: Bytes): AesGcmParams {
	return { name: "AES-GCM", iv, additionalData, tagLength: 8 * TAG_BYTES };
}

function nonce(n: number): Bytes {
	const out = new Uint8Array(12);
	new DataView(out.buffer).setBigUint64(4, BigInt(n));
	return out;
}

class SymmetricState {
	private cipher: CipherState | null = null;

	private constructor(
		public ck: Bytes,
		public h: Bytes,
	) {}

	static async initializeSymmetric(protocolName: string): Promise<SymmetricState> {
		const name = text(protocolName);
		const h = name.length <= KEY_BYTES ? concat(name, new Uint8Array(KEY_BYTES - name.length)) : await sha256(name);
		return new SymmetricState(h.slice(), h);
	}

	async mixKey(input: Bytes): Promise<void> {
		const [ck, k] = await hkdf(this.ck, input, 2);
		this.ck = ck!;
		this.cipher = await CipherState.initializeKey(k!);
		input.fill(0);
	}

	async mixHash(data: Bytes): Promise<void> {
		this.h = await sha256(concat(this.h, data));
	}

	async mixKeyAndHash(input: Bytes): Promise<void> {
		const [ck, h, k] = await hkdf(this.ck, input, 3);
		this.ck = ck!;
		await this.mixHash(h!);
		this.cipher = await CipherState.initializeKey(k!);
	}

	async encryptAndHash(plaintext: Bytes): Promise<Bytes> {
		const out = this.cipher ? await this.cipher.encryptWithAd(this.h, plaintext) : plaintext;
		await this.mixHash(out);
		return out;
	}

	async decryptAndHash(ciphertext: Bytes): Promise<Bytes> {
		const out = this.cipher ? await this.cipher.decryptWithAd(this.h, ciphertext) : ciphertext;
		await this.mixHash(ciphertext);
		return out;
	}
}

/** Everything that Split and the schedule after it give. Ask for each cipher once. */
export interface Secrets {
	/** h: binds codes, proofs and words. */
	hash: Bytes;
	loginClient: CipherState;
	loginAgent: CipherState;
	workClient: CipherState;
	workAgent: CipherState;
	pskNext: Bytes;
}

export interface HandshakeOptions {
	initiator: boolean;
	prologue: Bytes;
	/** Our static key. */
	s: KeyPair;
	/** The responder's static key: the initiator knows it. */
	rs?: Bytes;
	/** Makes it IKpsk2. */
	psk?: Bytes;
	/** Fresh unless a test vector says otherwise. */
	e?: KeyPair;
}

type Token = "e" | "es" | "s" | "ss" | "ee" | "se" | "psk";
const MESSAGES: Record<Suite, Token[][]> = {
	[Suite.IK]: [["e", "es", "s", "ss"], ["e", "ee", "se"]],
	[Suite.IKpsk2]: [["e", "es", "s", "ss"], ["e", "ee", "se", "psk"]],
};

export class HandshakeState {
	private message = 0;
	private failed = false;
	private e: KeyPair | null;
	private rs: Bytes | null;
	private re: Bytes | null = null;

	private constructor(
		private readonly options: HandshakeOptions,
		private readonly symmetric: SymmetricState,
	) {
		this.e = options.e ?? null;
		this.rs = options.rs ?? null;
	}

	static async initialize(options: HandshakeOptions): Promise<HandshakeState> {
		const name = `Noise_${options.psk ? "IKpsk2" : "IK"}_25519_AESGCM_SHA256`;
		const symmetric = await SymmetricState.initializeSymmetric(name);
		await symmetric.mixHash(options.prologue);
		await symmetric.mixHash(options.initiator ? options.rs! : options.s.publicKey); // the pre-message
		return new HandshakeState(options, symmetric);
	}

	/** The peer's static key; null for a responder that has not read message 1. */
	get remoteStatic(): Bytes | null {
		return this.rs;
	}

	async writeMessage(payload: Bytes): Promise<Bytes> {
		return this.once(true, async (tokens) => {
			const out: Bytes[] = [];
			for (const token of tokens) {
				if (token === "e") {
					this.e ??= await generateKeyPair();
					out.push(this.e.publicKey);
					await this.mixEphemeral(this.e.publicKey);
				} else if (token === "s") {
					out.push(await this.symmetric.encryptAndHash(this.options.s.publicKey));
				} else {
					await this.mixToken(token);
				}
			}
			out.push(await this.symmetric.encryptAndHash(payload));
			return concat(...out);
		});
	}

	/** The payload. */
	async readMessage(message: Bytes): Promise<Bytes> {
		return this.once(false, async (tokens) => {
			let at = 0;
			const next = (n: number): Bytes => {
				if (message.length - at < n) {
					throw new Failure("PROTOCOL");
				}
				at += n;
				return message.slice(at - n, at);
			};
			for (const token of tokens) {
				if (token === "e") {
					this.re = next(KEY_BYTES);
					await this.mixEphemeral(this.re);
				} else if (token === "s") {
					this.rs = await this.symmetric.decryptAndHash(next(KEY_BYTES + TAG_BYTES));
				} else {
					await this.mixToken(token);
				}
			}
			return this.symmetric.decryptAndHash(next(message.length - at));
		});
	}

	/** After both messages. */
	async split(rekeyMessages = REKEY_MESSAGES): Promise<Secrets> {
		if (this.failed || this.message !== 2) {
			throw new Failure("PROTOCOL");
		}
		const { ck, h } = this.symmetric;
		const [first, second] = await hkdf(ck, new Uint8Array(0), 2);
		const exported = await hmac(ck, text("engawa export"));
		const cipher = (key: Bytes) => CipherState.initializeKey(key, rekeyMessages);
		const secrets: Secrets = {
			hash: h,
			loginClient: await cipher(first!),
			loginAgent: await cipher(second!),
			workClient: await cipher(await hmac(exported, text("work client"), h)),
			workAgent: await cipher(await hmac(exported, text("work agent"), h)),
			pskNext: await hmac(exported, text("psk"), h),
		};
		exported.fill(0);
		ck.fill(0);
		return secrets;
	}

	/** Runs the next message of the pattern; a failed handshake stays failed. */
	private async once(writing: boolean, run: (tokens: Token[]) => Promise<Bytes>): Promise<Bytes> {
		const ours = (this.message === 0) === this.options.initiator;
		const tokens = MESSAGES[this.options.psk ? Suite.IKpsk2 : Suite.IK][this.message];
		if (this.failed || !tokens || ours !== writing) {
			this.failed = true;
			throw new Failure("PROTOCOL");
		}
		this.message++;
		try {
			return await run(tokens);
		} catch (thrown) {
			this.failed = true;
			throw Failure.of(thrown);
		}
	}

	private async mixEphemeral(publicKey: Bytes): Promise<void> {
		await this.symmetric.mixHash(publicKey);
		if (this.options.psk) {
			await this.symmetric.mixKey(publicKey.slice()); // Noise 9.2
		}
	}

	private async mixToken(token: Exclude<Token, "e" | "s">): Promise<void> {
		const { initiator, s } = this.options;
		const e = this.e?.privateKey;
		switch (token) {
			case "ee":
				return this.symmetric.mixKey(await dh(e!, this.re!));
			case "ss":
				return this.symmetric.mixKey(await dh(s.privateKey, this.rs!));
			case "es":
				return this.symmetric.mixKey(initiator ? await dh(e!, this.rs!) : await dh(s.privateKey, this.re!));
			case "se":
				return this.symmetric.mixKey(initiator ? await dh(s.privateKey, this.re!) : await dh(e!, this.rs!));
			case "psk":
				return this.symmetric.mixKeyAndHash(this.options.psk!);
		}
	}
}
