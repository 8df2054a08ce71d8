import { create, toBinary } from "@bufbuild/protobuf";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { ByeSchema, HelloSchema, OuterType } from "../gen/outer_pb.ts";
import { SignedSchema, TicketBodySchema } from "../gen/signed_pb.ts";
import { concat, text } from "../shared/bytes.ts";
import { FRAME_FIRST_MAX_BYTES, encodeFrame, readFrame, readMessage } from "../shared/frame.ts";
import { Stream } from "../shared/stream.ts";
import { parseTicket } from "../shared/ticket.ts";
import { failure } from "./help.ts";

let server: WebSocketServer;
let url: string;
let peers: WebSocket[];

beforeEach(async () => {
	Object.defineProperty(globalThis, "WebSocket", { value: WebSocket, configurable: true });
	peers = [];
	server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
	server.on("connection", (peer) => peers.push(peer));
	await new Promise((resolve) => server.on("listening", resolve));
	url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
afterEach(() => {
	peers.forEach((peer) => peer.terminate());
	server.close();
});

async function open(): Promise<{ stream: Stream; peer: WebSocket }> {
	const stream = await Stream.open(url, "engawa.1", 2000);
	return { stream, peer: peers[0]! };
}

test("bytes arrive whole, whatever the messages", async () => {
	const { stream, peer } = await open();
	const reading = stream.read(5);
	[[1], [2, 3], [4, 5, 6, 7]].forEach((part) => peer.send(new Uint8Array(part)));
	expect(await reading).toEqual(new Uint8Array([1, 2, 3, 4, 5]));
	expect(await stream.read(2)).toEqual(new Uint8Array([6, 7]));
	stream.fail(failure("ENDED"));
});

test("a close, a time-out and text end it for good", async () => {
	const closed = await open();
	const waiting = closed.stream.read(1);
	closed.peer.close();
	await expect(waiting).rejects.toEqual(failure("CLOSED"));
	await expect(closed.stream.read(1)).rejects.toEqual(failure("CLOSED"));

	peers = [];
	const silent = await open();
	await expect(silent.stream.read(1, 30)).rejects.toEqual(failure("TIMEOUT"));

	peers = [];
	const words = await open();
	const reading = words.stream.read(1);
	words.peer.send("text");
	await expect(reading).rejects.toEqual(failure("PROTOCOL"));
});

test("what came before the close can still be read", async () => {
	const { stream, peer } = await open();
	peer.send(new Uint8Array([1, 2]));
	peer.close();
	await new Promise((resolve) => setTimeout(resolve, 100));
	expect(await stream.read(2)).toEqual(new Uint8Array([1, 2]));
	await expect(stream.read(1)).rejects.toEqual(failure("CLOSED"));
});

test("no relay", async () => {
	await expect(Stream.open("ws://127.0.0.1:9/", "engawa.1", 2000)).rejects.toEqual(failure("NO_GATE"));
});

test("frames: order, Bye, length, garbage", async () => {
	const { stream, peer } = await open();
	const hello = toBinary(HelloSchema, create(HelloSchema, { version: 1 }));
	const read = () => readMessage(stream, OuterType.OUTER_HELLO, HelloSchema, FRAME_FIRST_MAX_BYTES, 1000);
	peer.send(encodeFrame(OuterType.OUTER_HELLO, hello));
	expect((await read()).version).toBe(1);
	peer.send(encodeFrame(OuterType.OUTER_JOINED, hello));
	await expect(read()).rejects.toEqual(failure("PROTOCOL"));
	peer.send(encodeFrame(OuterType.OUTER_BYE, toBinary(ByeSchema, create(ByeSchema, { code: 202 }))));
	await expect(read()).rejects.toEqual(failure("UNREACHABLE"));
	peer.send(encodeFrame(OuterType.OUTER_HELLO, text("\u00ff\u00ff\u00ff")));
	await expect(read()).rejects.toEqual(failure("PROTOCOL"));
	peer.send(encodeFrame(200, new Uint8Array(3)));
	expect(await readFrame(stream, 3, 1000)).toEqual({ type: 200, payload: new Uint8Array(3) });
	peer.send(encodeFrame(OuterType.OUTER_HELLO, new Uint8Array(FRAME_FIRST_MAX_BYTES + 1)));
	await expect(read()).rejects.toEqual(failure("TOO_LONG"));
	expect(() => encodeFrame(1, new Uint8Array(65537))).toThrow(failure("TOO_LONG"));
	stream.fail(failure("ENDED"));
});

test("tickets that are none", () => {
	const deviceHash = new Uint8Array(32).fill(1);
	const make = (change: object) =>
		toBinary(
			SignedSchema,
			create(SignedSchema, {
				body: toBinary(
					TicketBodySchema,
					create(TicketBodySchema, {
						sessionId: new Uint8Array(16),
						agentKey: new Uint8Array(32),
						deviceHash,
						...change,
					}),
				),
			}),
		).slice();
	expect(parseTicket(make({}), deviceHash).body.sessionId.length).toBe(16);
	expect(() => parseTicket(make({ deviceHash: new Uint8Array(32) }), deviceHash)).toThrow(failure("TICKET_BAD"));
	expect(() => parseTicket(make({ sessionId: new Uint8Array(15) }), deviceHash)).toThrow(failure("PROTOCOL"));
	expect(() => parseTicket(make({ agentKey: new Uint8Array(0) }), deviceHash)).toThrow(failure("PROTOCOL"));
	expect(() => parseTicket(concat(make({}), new Uint8Array(2048)), deviceHash)).toThrow(failure("PROTOCOL"));
	expect(() => parseTicket(text("ÿ"), deviceHash)).toThrow(failure("PROTOCOL"));
});
