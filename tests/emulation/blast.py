"""Turns a VM's interface into a sender of frames: ``blast.py INTERFACE RATE numbered|alike FRAME…`` (frames in hex).

The frames go out in turn, so many a second, until its input ends; ``numbered``: the first eight bytes of UDP payload
(over IPv4) are the packet's number, so that no two are alike. Frames go through a ring that is shared with the kernel
(packet(7), PACKET_TX_RING): a sender that makes a system call per packet would need a core of its own.
"""

import mmap
import select
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import cycle
from struct import Struct, pack

SLOTS, SLOT, BLOCK = 5120, 256, 1 << 16
BURST = 64
SO_SNDBUFFORCE, ROOM = 32, 1024
SOL_PACKET, PACKET_VERSION, PACKET_TX_RING, TPACKET_V2 = 263, 10, 13, 1
HEADER = 32
"""Bytes of a ``tpacket2_hdr``: the frame follows. Its first two words are status and length."""
AVAILABLE, SEND_REQUEST = b"\0", b"\1"
STATUS = 0 if sys.byteorder == "little" else 3
"""Which byte of a slot tells the two apart."""
LENGTH, NUMBER = Struct("=I"), Struct(">Q")
NUMBERED = HEADER + 14 + 20 + 8
"""Where in a slot the payload of UDP begins."""


def main(interface: str, rate: str, likeness: str, *frames: str) -> None:
    """Send bursts, as many as the rate has room for by now."""
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    end.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V2)
    end.setsockopt(SOL_PACKET, PACKET_TX_RING, pack("=IIII", BLOCK, SLOTS * SLOT // BLOCK, SLOT, SLOTS))
    end.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, SLOTS * ROOM)
    end.bind((interface, 0))
    ring = mmap.mmap(end.fileno(), SLOTS * SLOT)
    fill(ring, [bytes.fromhex(frame) for frame in frames])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    began, sent = time.monotonic(), 0
    while True:
        ahead = sent / float(rate) - (time.monotonic() - began)
        if select.select([sys.stdin], [], [], max(ahead, 0))[0]:
            return
        sent += burst(end, ring, sent, numbered=likeness == "numbered")


def fill(ring: mmap.mmap, frames: Sequence[bytes]) -> None:
    """Put a frame into every slot."""
    for slot, frame in zip(range(SLOTS), cycle(frames), strict=False):
        at = slot * SLOT
        LENGTH.pack_into(ring, at + LENGTH.size, len(frame))
        ring[at + HEADER : at + HEADER + len(frame)] = frame


def burst(end: socket.socket, ring: mmap.mmap, first: int, *, numbered: bool) -> int:
    """Send the next packets, as far as their slots are free; how many."""
    begin = first % SLOTS * SLOT
    places = range(begin, begin + BURST * SLOT, SLOT)
    states = ring[begin + STATUS : places.stop : SLOT]
    free = len(states) - len(states.lstrip(AVAILABLE))
    for number, place in enumerate(places[:free], first) if numbered else ():
        NUMBER.pack_into(ring, place + NUMBERED, number)
    ring[begin + STATUS : begin + free * SLOT : SLOT] = SEND_REQUEST * free
    with suppress(BlockingIOError):  # the rest goes with the next ones
        end.send(b"", socket.MSG_DONTWAIT)
    return free


if __name__ == "__main__":
    main(*sys.argv[1:])
