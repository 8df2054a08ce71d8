/**
 * The keys of this browser, made once, kept in IndexedDB; their secrets never leave WebCrypto. X25519 for the channel, and
 * ECDSA P-256, by which the device proves itself to an office PC that has it registered (docs/protocol.md 6).
 */
import { type Bytes, concat, sha256, text } from "./bytes.ts";
import { type KeyPair, generateKeyPair } from "./noise.ts";

const DATABASE = "engawa";
const STORE = "keys";
const NAME = "device";
const PROOF_NAME = "proof";
const PURPOSE = "engawa device v1\0";
const ECDSA = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

function done<T>(request: IDBRequest<T>): Promise<T> {
	return new Promise((resolve, reject) => {
		request.onsuccess = () => resolve(request.result);
		request.onerror = () => reject(request.error ?? new Error("IndexedDB"));
	});
}

function open(): Promise<IDBDatabase> {
	const request = indexedDB.open(DATABASE, 1);
	request.onupgradeneeded = () => request.result.createObjectStore(STORE);
	return done(request);
}

/** Reads the key, or makes one and keeps it; of two tabs that do so at once, the first wins. */
async function loadOrMake<T>(database: IDBDatabase, name: string, make: () => Promise<T>): Promise<T> {
	const read = () => done<T | undefined>(database.transaction(STORE).objectStore(STORE).get(name));
	const found = await read();
	if (found) {
		return found;
	}
	const made = await make();
	try {
		await done(database.transaction(STORE, "readwrite").objectStore(STORE).add(made, name));
		return made;
	} catch (thrown) {
		const other = await read();
		if (other) {
			return other;
		}
		throw thrown;
	}
}

/** Where the browser keeps nothing (private windows), the key lives as long as the page. */
async function keep<T>(name: string, make: () => Promise<T>): Promise<T> {
	try {
		const database = await open();
		try {
			return await loadOrMake(database, name, make);
		} finally {
			database.close();
		}
	} catch {
		return make();
	}
}

export function deviceKey(): Promise<KeyPair> {
	return keep(NAME, generateKeyPair);
}

export interface DeviceProof {
	/** Uncompressed point. */
	deviceKey: Bytes;
	/** r, then s. */
	deviceProof: Bytes;
}

/** Of this handshake only. */
export async function deviceProof(hash: Bytes): Promise<DeviceProof> {
	const pair = await keep(PROOF_NAME, () => crypto.subtle.generateKey(ECDSA, false, ["sign", "verify"]) as Promise<CryptoKeyPair>);
	const [point, signature] = await Promise.all([
		crypto.subtle.exportKey("raw", pair.publicKey),
		crypto.subtle.sign(ECDSA, pair.privateKey, concat(text(PURPOSE), hash)),
	]);
	return { deviceKey: new Uint8Array(point), deviceProof: new Uint8Array(signature) };
}

/** What whoever approves this device needs to be told: "AB12-CD34-EF56-7890". */
export async function deviceNumber(): Promise<string> {
	const digest = await sha256((await deviceKey()).publicKey);
	const hex = Array.from(digest.subarray(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join("");
	return hex.toUpperCase().replace(/(.{4})(?=.)/g, "$1-");
}
