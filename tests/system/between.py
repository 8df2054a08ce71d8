"""Between engawa-desktop-rdp and a real xrdp, with the key of the certificate that is expected: sees what is said, says more."""
import collections
import contextlib
import select
import socket
import ssl
import struct
import threading


def pdus(buffer):
    """Whole messages at the front of it: TPKT or fast path."""
    while len(buffer) >= 4:
        if buffer[0] == 3:
            length = struct.unpack_from(">H", buffer, 2)[0]
        else:
            length = struct.unpack_from(">H", buffer, 1)[0] & 0x7FFF if buffer[1] & 0x80 else buffer[1]
        if len(buffer) < length:
            return
        yield bytes(buffer[:length])
        del buffer[:length]


def indication(channel, data):
    """From the server on a channel."""
    mcs = struct.pack(">BHHBH", 0x68, 1, channel, 0x70, 0x8000 | len(data)) + data
    return struct.pack(">BBH", 3, 0, 7 + len(mcs)) + b"\x02\xf0\x80" + mcs


def on_channel(channel, payload):
    """A whole message on a static virtual channel."""
    return indication(channel, struct.pack("<II", len(payload), 3) + payload)


def is_fast(pdu):
    return pdu[0] & 3 == 0


class Between:
    """change(number, pdu) returns what the client gets instead of this message of the server. One thread: two must not use one TLS
    connection."""

    def __init__(self, server_port, certificate, key, change):
        self.server_port, self.change = server_port, change
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.connections, self.said, self.extra, self.number = 0, [], collections.deque(), 0
        self.ours, self.theirs = socket.socketpair()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                self.connections += 1
                with client, contextlib.suppress(OSError):
                    self.serve(client)

    def serve(self, client):
        plain = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        plain.check_hostname, plain.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", self.server_port)) as server:
            server.sendall(client.recv(4096))
            client.sendall(server.recv(4096))
            with plain.wrap_socket(server) as server, self.context.wrap_socket(client, server_side=True) as client:
                server.setblocking(False)
                client.setblocking(False)
                self.pass_on(server, client)

    def pass_on(self, server, client):
        buffers = {server: bytearray(), client: bytearray()}
        while True:
            if not server.pending() and not client.pending():
                select.select([server, client, self.theirs], [], [])
            for side in server, client:
                with contextlib.suppress(ssl.SSLWantReadError):
                    data = side.recv(65536)
                    if not data:
                        return
                    buffers[side] += data
            for pdu in pdus(buffers[client]):
                self.said.append(pdu)
                send(server, pdu)
            for pdu in pdus(buffers[server]):
                send(client, b"".join(self.change(self.number, pdu)))
                self.number += 1
            if select.select([self.theirs], [], [], 0)[0]:
                if not self.theirs.recv(1):
                    return
                send(client, self.extra.popleft())

    def say(self, data):
        """To the client, beside what the server says."""
        self.extra.append(data)
        self.ours.send(b".")

    def close(self):
        """Ends the connections without a word."""
        self.ours.close()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def send(side, data):
    while data:
        try:
            data = data[side.send(data):]
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            select.select([], [side], [], 1)
