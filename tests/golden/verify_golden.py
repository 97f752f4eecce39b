#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The journal format's second implementation, written from engine/event/FORMAT.md alone.

Recomputes every golden vector: ids, hashes, canonical bytes, digest, chain and CRC of each event, and
what its details and payloads mean. Shares no code with the engine. Needs python3-protobuf,
python3-zstandard and protoc.
"""

import argparse
import hashlib
import importlib
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

import zstandard

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
PAYLOAD_MAX = 8 * 1024 * 1024
CLASSES = {"start": range(1, 10), "command": range(10, 40), "outcome": range(40, 70),
           "note": range(70, 100), "end": range(100, 128)}

differences = []


def expect(what, got, wanted):
    if got != wanted:
        differences.append(f"{what}: computed {got!r}, the golden file has {wanted!r}")


# --- §1 identities ---

def ulid_bytes(text):
    number = 0
    for character in text.upper():
        number = number * 32 + ALPHABET.index(character)
    return number.to_bytes(16, "big")


def ulid_text(raw):
    number = int.from_bytes(raw, "big")
    return "".join(ALPHABET[number >> (5 * place) & 31] for place in reversed(range(26)))


def run_bytes(text):
    assert text.startswith("run_")
    return ulid_bytes(text[4:])


def child_id(parent, operation, now_us):
    chance = hashlib.sha256(run_bytes(parent) + operation.encode()).digest()[:10]
    return "run_" + ulid_text((now_us // 1000).to_bytes(6, "big") + chance)


# --- §5, §6 checks and hashes ---

def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def siphash24(key, data):
    mask = 2**64 - 1

    def turn(value, bits):
        return (value << bits | value >> (64 - bits)) & mask

    k0, k1 = struct.unpack("<QQ", key)
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D,
         k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]

    def rounds(count):
        for _ in range(count):
            v[0] = (v[0] + v[1]) & mask
            v[1] = turn(v[1], 13) ^ v[0]
            v[0] = turn(v[0], 32)
            v[2] = (v[2] + v[3]) & mask
            v[3] = turn(v[3], 16) ^ v[2]
            v[0] = (v[0] + v[3]) & mask
            v[3] = turn(v[3], 21) ^ v[0]
            v[2] = (v[2] + v[1]) & mask
            v[1] = turn(v[1], 17) ^ v[2]
            v[2] = turn(v[2], 32)

    padded = data + b"\0" * (7 - len(data) % 8) + bytes([len(data) & 255])
    for (word,) in struct.iter_unpack("<Q", padded):
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 0xFF
    rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def text(data):
    data = data.encode() if isinstance(data, str) else data
    return struct.pack("<I", len(data)) + data


def envelope(run, event):
    return (run + struct.pack("<QBIq", event["position"], event["kind"], event["epoch"], event["at"])
            + text(event["operation"]) + text(event["name"]) + text(event["place"])
            + text(event["content_type"]) + text(event["input_content_type"])
            + struct.pack("<IB", event["key_id"], event["flags"] & 0xC3)
            + text(event["details"]) + text(event["digest"]))


def crc_bytes(run, event):
    return (envelope(run, event) + struct.pack("<BB", event["flags"] & 0xCF, event["codec"])
            + text(event["salt"]) + text(event["value"]) + text(event["input"]) + event["chain"])


# --- §4 payloads ---

def plaintext(stored, codec):
    if codec == 0:
        return stored
    if codec == 1:
        size = zstandard.frame_content_size(stored)
        assert 0 <= size <= PAYLOAD_MAX, size
        return zstandard.ZstdDecompressor().decompress(stored)
    raise ValueError(f"codec {codec} is unknown at level 1")


def digest(event, value, entered):
    return hashlib.sha256(text(event["salt"]) + text(event["content_type"]) + text(value)
                          + text(event["input_content_type"]) + text(entered)).digest()[:16]


def is_as_meant(data, meant):
    if meant.startswith("sha256:"):
        return hashlib.sha256(data).hexdigest() == meant[7:]
    return data.hex() == meant


# --- details ---

def details_type(protoc):
    with tempfile.TemporaryDirectory() as folder:
        proto = ROOT / "engine/event/journal.proto"
        subprocess.run([protoc, f"--proto_path={proto.parent}", f"--python_out={folder}",
                        proto.name], check=True)
        sys.path.insert(0, folder)
        try:
            return importlib.import_module("journal_pb2").details
        finally:
            sys.path.remove(folder)


def meaning(message):
    """A message as plain values, bytes as hex; what isn't set is left out."""
    out = {}
    for field, value in message.ListFields():
        def plain(one):
            if isinstance(one, bytes):
                return one.hex()
            return meaning(one) if hasattr(one, "ListFields") else one

        if field.message_type and field.message_type.GetOptions().map_entry:
            out[field.name] = dict(value)
        elif field.label == field.LABEL_REPEATED:
            out[field.name] = [plain(one) for one in value]
        else:
            out[field.name] = plain(value)
    return out


# --- the vectors ---

def verify_functions(golden):
    for vector in golden["crc32c"]:
        expect("crc32c", crc32c(bytes.fromhex(vector["bytes"])), vector["crc"])
    for vector in golden["siphash24"]:
        key, data = bytes.fromhex(vector["key"]), bytes.fromhex(vector["bytes"])
        expect("siphash24", siphash24(key, data), vector["hash"])
    for vector in golden["ulids"]:
        expect("ulid", ulid_bytes(vector["text"]).hex(), vector["bytes"])
        expect("ulid", ulid_text(bytes.fromhex(vector["bytes"])), vector["text"])
    for vector in golden["child_ids"]:
        expect("child", child_id(vector["parent"], vector["operation"], vector["now"]), vector["child"])
    for vector in golden["idempotency_keys"]:
        expect("idempotency key", f"{vector['origin']}/{vector['operation']}/{vector['step']}",
               vector["key"])
    # Independent of the engine: the values that RFC 3720 and SipHash's authors published.
    expect("crc32c of RFC 3720", crc32c(bytes(32)), 0x8A9136AA)
    expect("siphash24 of its paper", siphash24(bytes(range(16)), bytes(range(15))), 0xA129CA6149BE45E5)


def verify_payloads(where, event):
    parts = (("value", "content_type", event["codec"] & 15, 4),
             ("input", "input_content_type", event["codec"] >> 4, 8))
    erased = event["flags"] & 0x0C
    present = any(event[type_column] for _, type_column, _, _ in parts)
    expect(f"{where}: length of digest", len(event["digest"]), 16 if present else 0)
    expect(f"{where}: length of salt", len(event["salt"]), 16 if present and not erased else 0)
    plain = []
    for name, type_column, codec, erased_bit in parts:
        if event["flags"] & erased_bit or not event[type_column]:
            expect(f"{where}: bytes of a missing {name}", event[name], b"")
        plain.append(plaintext(event[name], codec))
        if not is_as_meant(plain[-1], event[f"{name}_is"]):
            differences.append(f"{where}: the {name} isn't what {name}_is says")
        if codec == 1 and (len(plain[-1]) < 4096 or len(event[name]) * 10 > len(plain[-1]) * 9):
            differences.append(f"{where}: the {name} shouldn't be compressed")
    if present and not erased:
        expect(f"{where}: digest", digest(event, *plain).hex(), event["digest"].hex())


def verify_event(run, before, event, message):
    where = f"position {event['position']} ({event['kind_name']})"
    for name in ("value", "input", "salt", "digest", "details", "chain"):
        event[name] = bytes.fromhex(event[name])
    if not any(event["kind"] in numbers for numbers in CLASSES.values()):
        differences.append(f"{where}: kind {event['kind']} belongs to no class")
    verify_payloads(where, event)

    details = message.FromString(event["details"])
    expect(f"{where}: details", meaning(details), event["details_means"])
    expect(f"{where}: bytes of details", details.SerializeToString(deterministic=True).hex(),
           event["details"].hex())

    chain = hashlib.sha256(before + envelope(run, event)).digest()[:16]
    expect(f"{where}: chain", chain.hex(), event["chain"].hex())
    expect(f"{where}: crc", crc32c(crc_bytes(run, event)), event["crc"])
    return chain


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--protoc", default="protoc")
    arguments.add_argument("golden", nargs="?", default=HERE / "journal_v1.json")
    options = arguments.parse_args()
    golden = json.loads(pathlib.Path(options.golden).read_text(encoding="utf-8"))
    message = details_type(options.protoc)

    verify_functions(golden)
    events = 0
    kinds = set()
    for run in golden["runs"]:
        before = bytes.fromhex(run["before"])
        for place, event in enumerate(run["events"], start=1):
            expect("position", event["position"], place)
            before = verify_event(run_bytes(run["run"]), before, event, message)
            kinds.add(event["kind_name"])
            events += 1
    expect("format level", golden["format_level"], 1)
    expect("kinds", len(kinds), 31)

    for difference in differences:
        print(difference, file=sys.stderr)
    print(f"{events} events of {len(kinds)} kinds: {len(differences)} differences")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
