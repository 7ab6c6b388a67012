"""What stands for a secret or a long text where something is remembered about it."""

from hashlib import blake2b


def digest(*parts: str) -> bytes:
    """Return 16 bytes for texts in this order; no two lists of texts have the same.

    Their lengths count, so that a text cannot reach over into the next one.
    """
    made = blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        made.update(len(encoded).to_bytes(8) + encoded)
    return made.digest()
