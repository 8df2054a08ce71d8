"""Between engawa-desktop-rdp and a real xrdp, with the key of the certificate that is expected: sees what is said, says more."""
import contextlib
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
    """change(number, pdu) returns what the client gets instead of this message of the server."""

    def __init__(self, server_port, certificate, key, change):
        self.server_port, self.change = server_port, change
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.connections, self.said, self.open = 0, [], []
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                self.connections += 1
                with contextlib.suppress(OSError, ssl.SSLError):
                    self.serve(client)

    def serve(self, client):
        server = socket.create_connection(("127.0.0.1", self.server_port))
        self.open += [client, server]
        server.sendall(client.recv(4096))
        client.sendall(server.recv(4096))
        plain = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        plain.check_hostname, plain.verify_mode = False, ssl.CERT_NONE
        server, client = plain.wrap_socket(server), self.context.wrap_socket(client, server_side=True)
        self.open += [client, server]
        threading.Thread(target=self.listen, args=(client, server), daemon=True).start()
        self.speak(server, client)

    def listen(self, client, server):
        buffer = bytearray()
        with contextlib.suppress(OSError, ssl.SSLError):
            while data := client.recv(65536):
                buffer += data
                for pdu in pdus(buffer):
                    self.said.append(pdu)
                    server.sendall(pdu)
            server.close()

    def speak(self, server, client):
        buffer, number = bytearray(), 0
        while data := server.recv(65536):
            buffer += data
            for pdu in pdus(buffer):
                client.sendall(b"".join(self.change(number, pdu)))
                number += 1

    def cut(self):
        for s in self.open:
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.cut()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
