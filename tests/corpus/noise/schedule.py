#!/usr/bin/python3
"""Writes schedule.json: one IKpsk2 handshake and the key schedule after Split (docs/protocol.md 5), computed from the text of
the specification with Python's hmac and the cryptography package: an answer that neither implementation here made."""
import hashlib
import hmac
import json
import os
import sys

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

secrets = {name: hashlib.sha256(name.encode()).digest()
           for name in ("init_static", "init_ephemeral", "resp_static", "resp_ephemeral", "psk")}
prologue = b"engawa known answer"


def public(name):
    return X25519PrivateKey.from_private_bytes(secrets[name]).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def dh(ours, theirs):
    peer = X25519PublicKey.from_public_bytes(public(theirs))
    return X25519PrivateKey.from_private_bytes(secrets[ours]).exchange(peer)


def mac(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def hkdf(ck, ikm, count):
    temp, out, last = mac(ck, ikm), [], b""
    for i in range(1, count + 1):
        last = mac(temp, last + bytes([i]))
        out.append(last)
    return out


h = ck = b"Noise_IKpsk2_25519_AESGCM_SHA256"
k = n = None


def mix_hash(data):
    global h
    h = hashlib.sha256(h + data).digest()


def mix_key(ikm):
    global ck, k, n
    ck, k = hkdf(ck, ikm, 2)
    n = 0


def encrypt(plain):
    global n
    out = AESGCM(k).encrypt(b"\0\0\0\0" + n.to_bytes(8, "big"), plain, h)
    n += 1
    mix_hash(out)


mix_hash(prologue)
mix_hash(public("resp_static"))
# -> e, es, s, ss
mix_hash(public("init_ephemeral"))
mix_key(public("init_ephemeral"))
mix_key(dh("init_ephemeral", "resp_static"))
encrypt(public("init_static"))
mix_key(dh("init_static", "resp_static"))
encrypt(b"")
# <- e, ee, se, psk
mix_hash(public("resp_ephemeral"))
mix_key(public("resp_ephemeral"))
mix_key(dh("init_ephemeral", "resp_ephemeral"))
mix_key(dh("init_static", "resp_ephemeral"))
ck, temp, k = hkdf(ck, secrets["psk"], 3)
n = 0
mix_hash(temp)
encrypt(b"")

login_client, login_agent = hkdf(ck, b"", 2)
export = mac(ck, b"engawa export")
answer = {name: value.hex() for name, value in secrets.items()} | {
    "prologue": prologue.hex(),
    "hash": h.hex(),
    "login_client": login_client.hex(),
    "login_agent": login_agent.hex(),
    "work_client": mac(export, b"work client" + h).hex(),
    "work_agent": mac(export, b"work agent" + h).hex(),
    "psk_next": mac(export, b"psk" + h).hex(),
}
with open(os.path.join(os.path.dirname(sys.argv[0]), "schedule.json"), "w") as f:
    json.dump(answer, f, indent=1)
    f.write("\n")
