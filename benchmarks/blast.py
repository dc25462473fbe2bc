"""Turns a VM's interface into a sender of UDP: ``blast.py INTERFACE MACS SOURCE DESTINATION PORT RATE PORT,…``.

It sends until its input ends. MACS are the gateway's and the VM's, 24 hex digits. No two packets have the same payload;
they leave from the source ports in turn. Frames go through a ring that is shared with the kernel (packet(7),
PACKET_TX_RING): a sender that makes a system call per packet would need a core of its own.
"""

import mmap
import select
import socket
import sys
import time
from contextlib import suppress
from ipaddress import IPv4Address
from struct import Struct, pack

SLOTS, SLOT, BLOCK = 5120, 256, 1 << 16
BURST = 64
SO_SNDBUFFORCE, ROOM = 32, 1024
SOL_PACKET, PACKET_VERSION, PACKET_TX_RING, TPACKET_V2 = 263, 10, 13, 1
HEADER = 32
"""Bytes of a ``tpacket2_hdr``: the frame follows. Its first two words are status and length."""
AVAILABLE, SEND_REQUEST = 0, 1
STATUS, LENGTH, NUMBER = Struct("=I"), Struct("=I"), Struct(">Q")
LINK, IP, UDP, FILLING = 14, 20, 8, b"x" * 56


def main(interface: str, macs: str, source: str, destination: str, port: str, rate: str, sources: str) -> None:  # noqa: PLR0913, PLR0917 - the command line
    """Send bursts, as many as the rate has room for by now."""
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    end.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V2)
    end.setsockopt(SOL_PACKET, PACKET_TX_RING, pack("=IIII", BLOCK, SLOTS * SLOT // BLOCK, SLOT, SLOTS))
    end.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, SLOTS * ROOM)
    end.bind((interface, 0))
    ring = mmap.mmap(end.fileno(), SLOTS * SLOT)
    ports = [int(one) for one in sources.split(",")]
    for slot in range(SLOTS):
        link = bytes.fromhex(macs) + b"\x08\x00"
        frame = link + packet(IPv4Address(source), IPv4Address(destination), ports[slot % len(ports)], int(port))
        LENGTH.pack_into(ring, slot * SLOT + LENGTH.size, len(frame))
        at = slot * SLOT + HEADER
        ring[at : at + len(frame)] = frame
    began, sent = time.monotonic(), 0
    while True:
        ahead = sent / float(rate) - (time.monotonic() - began)
        if select.select([sys.stdin], [], [], max(ahead, 0))[0]:
            return
        sent += burst(end, ring, sent)


def burst(end: socket.socket, ring: mmap.mmap, first: int) -> int:
    """Send frames with these numbers, as far as their slots are free; how many."""
    done = 0
    for number in range(first, first + BURST):
        at = number % SLOTS * SLOT
        if STATUS.unpack_from(ring, at)[0] != AVAILABLE:
            break
        NUMBER.pack_into(ring, at + HEADER + LINK + IP + UDP, number)
        STATUS.pack_into(ring, at, SEND_REQUEST)
        done += 1
    with suppress(BlockingIOError):  # the rest goes with the next ones
        end.send(b"", socket.MSG_DONTWAIT)
    return done


def packet(source: IPv4Address, destination: IPv4Address, source_port: int, port: int) -> bytes:
    """UDP over IPv4, with room for its number; without a UDP checksum, which IPv4 allows (RFC 768)."""
    payload = NUMBER.pack(0) + FILLING
    udp = pack(">HHHH", source_port, port, UDP + len(payload), 0) + payload
    start = pack(">BBHHHBB", 0x45, 0, IP + len(udp), 0, 0x4000, 64, socket.IPPROTO_UDP)
    addresses = source.packed + destination.packed
    words = sum(int.from_bytes((start + addresses)[at : at + 2]) for at in range(0, len(start) + len(addresses), 2))
    words = (words & 0xFFFF) + (words >> 16)
    return start + (~(words + (words >> 16)) & 0xFFFF).to_bytes(2) + addresses + udp


if __name__ == "__main__":
    main(*sys.argv[1:])
