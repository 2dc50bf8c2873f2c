"""Other bytes than somebody wrote: what disks, networks, editors and mischief make of a file."""

import re
from collections.abc import Callable

import numpy as np

Way = Callable[[bytes, np.random.Generator], bytes]

EXTREMES = (0, 1, 2**7, 2**8 - 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1)
TOKENS = (
    b"1e999", b"-1", b"0", b"NaN", b"null", b"true", b"[]", b"{}", b'""', b"99999999999999999999",
    b"[[[[[[]]]]]]", b"-0.5", b'"x"', b"\xff\xfe", b"\\u0000",
)  # fmt: skip
_NUMBER_OR_WORD = re.compile(rb"-?\d+(?:\.\d+)?|\"[^\"]*\"|true|false|null|\[|\]|\{|\}")


def mutated(data: bytes, rng: np.random.Generator, *, is_text: bool) -> bytes:
    """One to three mutations of a file's bytes; of most texts values alone, so that they parse."""
    if is_text and rng.random() < 0.7:
        ways: tuple[Way, ...] = (_token,)
    elif is_text:
        ways = (_token, _cut, _block, _bits)
    else:
        ways = (_bits, _bytes, _number, _cut, _block)
    for _ in range(rng.integers(1, 4)):
        data = ways[rng.integers(len(ways))](data, rng) if data else data
    return data


def _place(data: bytes, rng: np.random.Generator) -> int:
    """Somewhere; half of the time in the first 512 bytes, where headers are."""
    return int(rng.integers(min(len(data), 512) if rng.random() < 0.5 else len(data)))


def _bits(data: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.integers(1, 9)):
        changed[_place(data, rng)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _bytes(data: bytes, rng: np.random.Generator) -> bytes:
    at, length = _place(data, rng), int(rng.integers(1, 17))
    return data[:at] + rng.integers(0, 256, length, np.uint8).tobytes() + data[at + length :]


def _number(data: bytes, rng: np.random.Generator) -> bytes:
    at, length = _place(data, rng), int(rng.choice([2, 4, 8]))
    value = EXTREMES[rng.integers(len(EXTREMES))] % 2 ** (8 * length)
    order = "little" if rng.random() < 0.5 else "big"
    return data[:at] + value.to_bytes(length, order) + data[at + length :]


def _cut(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: int(rng.integers(len(data)))] if rng.random() < 0.7 else data[_place(data, rng) :]


def _block(data: bytes, rng: np.random.Generator) -> bytes:
    at, length = _place(data, rng), int(rng.integers(1, 200))
    block = data[at : at + length]
    return data[:at] + block * int(rng.integers(0, 4)) + data[at + length :]


def _token(data: bytes, rng: np.random.Generator) -> bytes:
    found = list(_NUMBER_OR_WORD.finditer(data))
    if not found:
        return _bits(data, rng)
    match = found[rng.integers(len(found))]
    return data[: match.start()] + TOKENS[rng.integers(len(TOKENS))] + data[match.end() :]
