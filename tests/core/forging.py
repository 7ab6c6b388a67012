"""RSA PKCS #1 v1.5 signatures forged by hand: raw RSA over encoded messages that a lax verifier would take.

A sound verifier encodes the message itself and compares all of it (RFC 8017 section 8.2.2, note). Each class here is
one that some verifier once read instead of comparing. They are made with the private key, which shows the strongest
case: even the key's owner has one signature per message, and no second spelling of it.
"""

import hashlib
from collections.abc import Callable, Mapping

from tests.core.minting import private_key

SIZE = 256
"""Bytes of a 2048-bit modulus."""

OIDS = {
    "sha1": "2b0e03021a",
    "md5": "2a864886f70d0205",
    "sha224": "608648016503040204",
    "sha256": "608648016503040201",
    "sha384": "608648016503040202",
    "sha512": "608648016503040203",
    "sha512_256": "608648016503040206",
    "sha3_256": "608648016503040208",
}
NULL = b"\x05\x00"

Forge = Callable[[bytes, str], bytes]


def der(tag: int, content: bytes, *, long: int = 0) -> bytes:
    """One element; ``long`` writes its length in so many bytes more than it needs (BER)."""
    if len(content) < 0x80 and not long:
        return bytes((tag, len(content))) + content
    length = len(content).to_bytes(max(1, (len(content).bit_length() + 7) // 8) - 1 + max(1, long), "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def digest_info(message: bytes, hash_name: str = "sha256", *, parameters: bytes = NULL, oid: str = "") -> bytes:
    """What is padded and signed (RFC 8017 section 9.2)."""
    algorithm = der(0x30, der(0x06, bytes.fromhex(oid or OIDS[hash_name])) + parameters)
    return der(0x30, algorithm + der(0x04, hashlib.new(hash_name, message).digest()))


def padded(info: bytes, *, start: bytes = b"\x00\x01", fill: bytes = b"\xff", end: bytes = b"\x00") -> bytes:
    """The encoded message, as long as the modulus."""
    length = SIZE - len(start) - len(end) - len(info)
    return start + (fill * length)[:length] + end + info


def raw(encoded: bytes, key: str) -> bytes:
    """RSA with the private key over whatever is given."""
    numbers = private_key(key).private_numbers()
    number = pow(int.from_bytes(encoded, "big"), numbers.d, numbers.public_numbers.n)
    return number.to_bytes(SIZE, "big")


def modulus(key: str) -> int:
    return private_key(key).public_key().public_numbers().n


def good(message: bytes, key: str) -> bytes:
    """The one signature that counts, made by the same means as the forged ones."""
    return raw(padded(digest_info(message)), key)


def _info(change: Callable[[bytes], bytes]) -> Forge:
    return lambda message, key: raw(padded(change(message)), key)


def _padding(change: Callable[[bytes], bytes]) -> Forge:
    return lambda message, key: raw(change(digest_info(message)), key)


def _signature(change: Callable[[bytes, int], bytes]) -> Forge:
    return lambda message, key: change(good(message, key), modulus(key))


def _sequence(message: bytes, *, outer: int = 0, inner: int = 0, oid: int = 0, null: int = 0, octets: int = 0) -> bytes:
    """A DigestInfo with one of its lengths in long form."""
    parameters = der(0x05, b"", long=null)
    algorithm = der(0x30, der(0x06, bytes.fromhex(OIDS["sha256"]), long=oid) + parameters, long=inner)
    return der(0x30, algorithm + der(0x04, hashlib.sha256(message).digest(), long=octets), long=outer)


def _with_tail(message: bytes, tail: bytes, *, is_inside: bool) -> bytes:
    """A DigestInfo with bytes after the hash, outside or inside of the sequence."""
    info = digest_info(message)
    return der(0x30, info[2:] + tail) if is_inside else info + tail


def _short_fill(info: bytes, length: int) -> bytes:
    """Padding that is too short, the rest of the space behind the hash."""
    head = b"\x00\x01" + b"\xff" * length + b"\x00" + info
    return head + bytes(SIZE - len(head))


def _indefinite(message: bytes) -> bytes:
    return b"\x30\x80" + digest_info(message)[2:] + b"\x00\x00"


def cube_root(number: int) -> int:
    """The least integer whose cube is not below a number."""
    low, high = 0, 1 << (number.bit_length() // 3 + 2)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if middle**3 < number else (low, middle)
    return low


def bleichenbacher(message: bytes, key: str = "cubic") -> bytes:
    """A signature under exponent 3 made without the private key: garbage behind the hash makes the number a cube."""
    head = b"\x00\x01" + b"\xff" * 8 + b"\x00" + digest_info(message)
    least = int.from_bytes(head + bytes(SIZE - len(head)), "big")
    root = cube_root(least)
    assert (root**3).to_bytes(SIZE, "big").startswith(head)
    return root.to_bytes(SIZE, "big")


def garbage_in_parameters(message: bytes, key: str = "cubic") -> bytes:
    """The same with the garbage inside of the algorithm's parameters, by a number whose cube begins and ends right."""
    end = der(0x04, hashlib.sha256(message).digest())
    bits = 8 * len(end)
    oid = der(0x06, bytes.fromhex(OIDS["sha256"]))
    # A tail that is odd has exactly one cube root modulo a power of two; it is found bit by bit.
    tail, root = int.from_bytes(end, "big") | 1, 1
    for bit in range(1, bits):
        if (root**3 ^ tail) >> bit & 1:
            root |= 1 << bit
    space = SIZE - 11 - len(end) - len(oid) - 16
    inner = oid + b"\x04\x81" + bytes((space,))
    inner_length = len(inner) + space
    outer_length = inner_length + 3 + len(end)
    head = b"\x00\x01" + b"\xff" * 4 + b"\x00\x30\x81" + bytes((outer_length & 0xFF, 0x30, 0x81, inner_length)) + inner
    least = int.from_bytes(head + bytes(SIZE - len(head)), "big")
    high = (cube_root(least) >> bits << bits) + (1 << bits) | root
    return high.to_bytes(SIZE, "big")


DIGEST_INFOS: Mapping[str, Callable[[bytes], bytes]] = {
    "parameters missing": lambda m: digest_info(m, parameters=b""),
    "parameters empty octets": lambda m: digest_info(m, parameters=b"\x04\x00"),
    "parameters a number": lambda m: digest_info(m, parameters=b"\x02\x01\x00"),
    "parameters with a content": lambda m: digest_info(m, parameters=b"\x05\x01\x00"),
    "parameters twice": lambda m: digest_info(m, parameters=NULL * 2),
    "parameters with garbage": lambda m: digest_info(m, parameters=b"\x04\x14" + b"x" * 20),
    "outer length in long form": lambda m: _sequence(m, outer=1),
    "outer length in longer form": lambda m: _sequence(m, outer=4),
    "inner length in long form": lambda m: _sequence(m, inner=1),
    "identifier's length in long form": lambda m: _sequence(m, oid=1),
    "null's length in long form": lambda m: _sequence(m, null=1),
    "hash's length in long form": lambda m: _sequence(m, octets=1),
    "hash's length in longer form": lambda m: _sequence(m, octets=3),
    "length without end": _indefinite,
    "outer length too small": lambda m: b"\x30\x30" + digest_info(m)[2:],
    "outer length too large": lambda m: b"\x30\x32" + digest_info(m)[2:],
    "outer length huge": lambda m: b"\x30\x84\x7f\xff\xff\xff" + digest_info(m)[2:],
    "bytes behind the hash": lambda m: _with_tail(m, b"\x00" * 8, is_inside=False),
    "bytes behind the hash, in the sequence": lambda m: _with_tail(m, b"\x00" * 8, is_inside=True),
    "null behind the hash, in the sequence": lambda m: _with_tail(m, NULL, is_inside=True),
    "tag of a set": lambda m: b"\x31" + digest_info(m)[1:],
    "tag of a bit string around the hash": lambda m: digest_info(m).replace(b"\x04\x20", b"\x03\x20"),
    "hash cut off": lambda m: digest_info(m)[:-1],
    "hash of nothing": lambda m: digest_info(b""),
    "hash alone, without its identifier": lambda m: hashlib.sha256(m).digest(),
    "message itself": lambda m: m[:100],
    "nothing": lambda m: b"",
    "one bit of the hash changed": lambda m: digest_info(m)[:-1] + bytes((digest_info(m)[-1] ^ 1,)),
    **{
        f"{name} under its own identifier": lambda m, name=name: digest_info(m, name)
        for name in OIDS
        if name != "sha256"
    },
    **{
        f"SHA-256 under the identifier of {name}": lambda m, name=name: digest_info(m, oid=OIDS[name])
        for name in OIDS
        if name != "sha256"
    },
    "SHA-512 cut to 32 bytes": lambda m: digest_info(m)[:-32] + hashlib.sha512(m).digest()[:32],
    "SHA-1 under the identifier of SHA-256": lambda m: digest_info(m, "sha1", oid=OIDS["sha256"]),
    "identifier of RSA with SHA-256": lambda m: digest_info(m, oid="2a864886f70d01010b"),
}

PADDINGS: Mapping[str, Callable[[bytes], bytes]] = {
    "block type 0": lambda info: padded(info, start=b"\x00\x00", fill=b"\x00"),
    "block type 0 with full padding": lambda info: padded(info, start=b"\x00\x00"),
    "block type 2": lambda info: padded(info, start=b"\x00\x02"),
    "block type 2 with random padding": lambda info: padded(info, start=b"\x00\x02", fill=b"\xa5\x17\x93"),
    "block type 255": lambda info: padded(info, start=b"\x00\xff"),
    "first byte not zero": lambda info: padded(info, start=b"\x01\x01"),
    "no first byte": lambda info: padded(info, start=b"\x01"),
    "padding of other bytes": lambda info: padded(info, fill=b"\xfe"),
    "padding of zeros": lambda info: padded(info, fill=b"\x00"),
    "zero in the padding": lambda info: padded(info, start=b"\x00\x01\xff\xff\xff\x00"),
    "last byte of the padding changed": lambda info: padded(info, end=b"\xfe\x00"),
    "no separator": lambda info: padded(info, end=b""),
    "separator not zero": lambda info: padded(info, end=b"\x01"),
    "two separators": lambda info: padded(info, end=b"\x00\x00"),
    "no padding": lambda info: _short_fill(info, 0),
    "padding of 7 bytes": lambda info: _short_fill(info, 7),
    "padding of 8 bytes and a tail": lambda info: _short_fill(info, 8),
    "padding short by one": lambda info: _short_fill(info, SIZE - 3 - len(info) - 1),
    "hash in front of the padding": lambda info: b"\x00\x01" + info + b"\x00" + b"\xff" * (SIZE - 3 - len(info)),
    "digest info alone": lambda info: bytes(SIZE - len(info)) + info,
}

SIGNATURES: Mapping[str, Callable[[bytes, int], bytes]] = {
    "nothing": lambda s, n: b"",
    "zero, one byte": lambda s, n: b"\x00",
    "zero": lambda s, n: bytes(SIZE),
    "one": lambda s, n: (1).to_bytes(SIZE, "big"),
    "two": lambda s, n: (2).to_bytes(SIZE, "big"),
    "modulus less one": lambda s, n: (n - 1).to_bytes(SIZE, "big"),
    "modulus": lambda s, n: n.to_bytes(SIZE, "big"),
    "modulus and one": lambda s, n: (n + 1).to_bytes(SIZE, "big"),
    "all ones": lambda s, n: b"\xff" * SIZE,
    "its negative": lambda s, n: (n - int.from_bytes(s, "big")).to_bytes(SIZE, "big"),
    "one modulus more, one byte longer": lambda s, n: (int.from_bytes(s, "big") + n).to_bytes(SIZE + 1, "big"),
    "a hundred moduli more": lambda s, n: (int.from_bytes(s, "big") + 100 * n).to_bytes(SIZE + 1, "big"),
    "zero in front": lambda s, n: b"\x00" + s,
    "zero behind": lambda s, n: s + b"\x00",
    "first byte cut off": lambda s, n: s[1:],
    "last byte cut off": lambda s, n: s[:-1],
    "last half cut off": lambda s, n: s[: SIZE // 2],
    "backwards": lambda s, n: s[::-1],
    "twice": lambda s, n: s + s,
    "signature inside of DER": lambda s, n: der(0x03, b"\x00" + s),
    "as text": lambda s, n: s.hex().encode(),
    "one bit changed": lambda s, n: bytes((s[0] ^ 1,)) + s[1:],
}

FORGERIES: dict[str, Forge] = {
    **{f"digest info: {name}": _info(change) for name, change in DIGEST_INFOS.items()},
    **{f"padding: {name}": _padding(change) for name, change in PADDINGS.items()},
    **{f"signature: {name}": _signature(change) for name, change in SIGNATURES.items()},
}

SPELLINGS: dict[str, Callable[[str], str]] = {
    "one padding sign": lambda text: f"{text}=",
    "two padding signs": lambda text: f"{text}==",
    "three padding signs": lambda text: f"{text}===",
    "padding inside": lambda text: f"{text[:4]}={text[4:]}",
    "blank in front": lambda text: f" {text}",
    "blank behind": lambda text: f"{text} ",
    "blank inside": lambda text: f"{text[:5]} {text[5:]}",
    "tab inside": lambda text: f"{text[:5]}\t{text[5:]}",
    "line end inside": lambda text: f"{text[:5]}\n{text[5:]}",
    "line ends as in MIME": lambda text: f"{text[:5]}\r\n{text[5:]}",
    "vertical tab inside": lambda text: f"{text[:5]}\v{text[5:]}",
    "null inside": lambda text: f"{text[:5]}\x00{text[5:]}",
    "null behind": lambda text: f"{text}\x00",
    "no-break space behind": lambda text: f"{text}\u00a0",
    "zero-width space inside": lambda text: f"{text[:5]}\u200b{text[5:]}",
    "byte order mark in front": lambda text: f"\ufeff{text}",
    "wide letter": lambda text: chr(ord(text[0]) - 0x20 + 0xFF00) + text[1:],
    "letter of another script": lambda text: f"\u0435{text[1:]}",
    "escaped letter": lambda text: f"%{ord(text[0]):02X}{text[1:]}",
    "a letter more": lambda text: f"{text}A",
    "standard alphabet, plus": lambda text: f"{text[:8]}+{text[8:]}",
    "standard alphabet, slash": lambda text: f"{text[:8]}/{text[8:]}",
    "quoted-printable": lambda text: f"=3D{text}",
    "minus in front": lambda text: f"-{text}",
}
