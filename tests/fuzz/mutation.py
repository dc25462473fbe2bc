"""Turns captured inputs into others that nobody has sent yet, the same ones for the same seed."""

from collections.abc import Iterator, Sequence
from random import Random

EDGES = (0x00, 0x01, 0x07, 0x08, 0x10, 0x7F, 0x80, 0xFE, 0xFF)
LENGTHS = (0, 1, 4, 7, 8, 16, 24, 0x7FFF, 0x8000, 0xFFFF)
MOST_EDITS = 4
LONGEST = 4096


def mutations(seeds: Sequence[bytes], random: Random) -> Iterator[bytes]:
    """One input after another, without end."""
    while True:
        octets = bytearray(random.choice(seeds))
        for _ in range(1 + random.randrange(MOST_EDITS)):
            random.choice(EDITS)(octets, random, seeds)
        yield bytes(octets[:LONGEST])


def _flip(octets: bytearray, random: Random, _: Sequence[bytes]) -> None:
    if octets:
        octets[random.randrange(len(octets))] ^= 1 << random.randrange(8)


def _edge(octets: bytearray, random: Random, _: Sequence[bytes]) -> None:
    if octets:
        octets[random.randrange(len(octets))] = random.choice(EDGES)


def _any_byte(octets: bytearray, random: Random, _: Sequence[bytes]) -> None:
    if octets:
        octets[random.randrange(len(octets))] = random.randrange(256)


def _length(octets: bytearray, random: Random, _: Sequence[bytes]) -> None:
    """A 16-bit number where one may be: lengths lie at even offsets."""
    if len(octets) > 1:
        at = random.randrange(len(octets) // 2) * 2
        number = random.choice(LENGTHS) if random.random() < 0.5 else int.from_bytes(octets[at : at + 2])
        octets[at : at + 2] = (number + random.choice((-8, -1, 0, 1, 8)) & 0xFFFF).to_bytes(2)


def _cut(octets: bytearray, random: Random, _: Sequence[bytes]) -> None:
    del octets[random.randrange(len(octets) + 1) :]


def _drop(octets: bytearray, random: Random, _: Sequence[bytes]) -> None:
    start = random.randrange(len(octets) + 1)
    del octets[start : start + random.choice((1, 2, 4, 8, 16))]


def _double(octets: bytearray, random: Random, _: Sequence[bytes]) -> None:
    start = random.randrange(len(octets) + 1)
    octets[start:start] = octets[start : start + random.choice((1, 2, 4, 8, 16, 64))]


def _graft(octets: bytearray, random: Random, seeds: Sequence[bytes]) -> None:
    """A piece of another input over a piece of this one."""
    other = random.choice(seeds)
    source, target = random.randrange(len(other) + 1), random.randrange(len(octets) + 1)
    piece = other[source : source + random.choice((2, 4, 8, 16, 32, 128))]
    octets[target : target + len(piece)] = piece


EDITS = (_flip, _edge, _any_byte, _length, _length, _cut, _drop, _double, _graft)
