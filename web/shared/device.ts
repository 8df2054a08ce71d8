/** The key of this browser: X25519, made once, kept in IndexedDB, and its secret never leaves WebCrypto. */
import { type KeyPair, generateKeyPair } from "./noise.ts";

const DATABASE = "engawa";
const STORE = "keys";
const NAME = "device";

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
async function loadOrMake(database: IDBDatabase): Promise<KeyPair> {
	const read = () => done<KeyPair | undefined>(database.transaction(STORE).objectStore(STORE).get(NAME));
	const found = await read();
	if (found) {
		return found;
	}
	const made = await generateKeyPair();
	try {
		await done(database.transaction(STORE, "readwrite").objectStore(STORE).add(made, NAME));
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
export async function deviceKey(): Promise<KeyPair> {
	try {
		const database = await open();
		try {
			return await loadOrMake(database);
		} finally {
			database.close();
		}
	} catch {
		return generateKeyPair();
	}
}
