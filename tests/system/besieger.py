"""Besieges a port of this machine: `besieger.py PORT COUNT SOURCES` keeps COUNT connections from so many addresses: a third says nothing, a third
sends half a handshake and no more, a third one byte of it after the other. What is closed it opens again. A process of its own, so that what it
does is not measured with what it does to others. Says every half second how many are connected, the most there were, and how many were closed on it;
ends with its input."""
import contextlib
import os
import resource
import select
import socket
import sys
import time

HELLO = bytes.fromhex("160301010001000000fc0303") + os.urandom(200)
AGAIN_MAX = 5  # opened again in a turn of ten milliseconds


class Besieger:
    def __init__(self, port, count, sources):
        self.port, self.count, self.sources = port, count, sources
        self.events, self.streams, self.up, self.slow = select.epoll(), {}, set(), []
        self.begun = self.most = self.closed = 0

    def open(self):
        stream = socket.socket()
        stream.setblocking(False)
        stream.bind((f"127.0.3.{1 + self.begun % self.sources}", 0))
        stream.connect_ex(("127.0.0.1", self.port))
        self.begun += 1
        self.streams[stream.fileno()] = stream
        self.events.register(stream, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)

    def close(self, number):
        self.up.discard(number)
        self.streams.pop(number).close()
        self.closed += 1

    def connected(self, number):
        self.up.add(number)
        self.most = max(self.most, len(self.up))
        if number % 3 == 1:
            self.slow.append((number, 0))
        if number % 3 == 2:
            with contextlib.suppress(OSError):
                self.streams[number].send(HELLO[:60])

    def drip(self):
        """A byte of a few of the slow ones; the first is the last next time. A closed one's number may be another one's: that one has its bytes sooner."""
        some, self.slow = self.slow[:20], self.slow[20:]
        for number, sent in some:
            if number in self.up and sent < len(HELLO):
                with contextlib.suppress(OSError):
                    self.streams[number].send(HELLO[sent:sent + 1])
                self.slow.append((number, sent + 1))

    def turn(self):
        """False at the end of our input."""
        most = 100 if self.begun < self.count else AGAIN_MAX
        for _ in range(min(most, self.count - len(self.streams))):
            self.open()
        for number, event in self.events.poll(0.01):
            if number == sys.stdin.fileno():
                return False
            if event & ~select.EPOLLOUT:
                self.close(number)
            elif number not in self.up:
                self.connected(number)
        self.drip()
        return True


def main():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    besieger, said = Besieger(*map(int, sys.argv[1:])), 0
    besieger.events.register(sys.stdin.fileno(), select.EPOLLIN)
    while besieger.turn():
        if time.monotonic() - said > 0.5:
            said = time.monotonic()
            print(len(besieger.up), besieger.most, besieger.closed, flush=True)


if __name__ == "__main__":
    main()
