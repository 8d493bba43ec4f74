"""64 bits of a text: what is kept of each of many rows to find those that are equal."""

from hashlib import blake2b


def bits(text: str) -> int:
    """A hash that two different texts share once in 2^64; half a surrogate pair is hashed too."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def spaced_bits(text: str) -> int:
    """The same of texts that differ in white space only."""
    return bits(" ".join(text.split()))
