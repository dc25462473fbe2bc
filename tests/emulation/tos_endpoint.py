"""Turns a namespace into one end of traffic whose TOS byte matters: run as a program there, it sends or counts.

    tos_endpoint send  DESTINATION PORT RATE TOS,TOS,…   UDP of one five-tuple, the TOS bytes in turn
    tos_endpoint watch INTERFACE PORT                    UDP to that port, as it is or in VXLAN or Geneve

Both end when standard input does and print how many packets had which TOS byte, as JSON. Standard library only.
"""

import json
import select
import socket
import struct
import sys
import time
from collections import Counter
from itertools import cycle

SOURCE_PORT = 4000
QUIET = 0.3
VXLAN_PORT = 4789
GENEVE_PORT = 6081
ETHERNET, IPV4, UDP, VXLAN, GENEVE = 14, 20, 8, 8, 8
GENEVE_OPTIONS = 0x3F


def send(destination: str, port: str, rate: str, values: str) -> Counter[int]:
    """Until told to stop; each packet differs from all others in its payload."""
    print("ready", flush=True)  # noqa: T201 - this is a program
    sent: Counter[int] = Counter()
    end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end.bind(("", SOURCE_PORT))
    start = time.monotonic()
    for number, tos in enumerate(cycle(map(int, values.split(",")))):
        if _told_to_stop(start + number / float(rate) - time.monotonic()):
            break
        end.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
        end.sendto(b"tos" + number.to_bytes(8), (destination, int(port)))
        sent[tos] += 1
    return sent


def watch(interface: str, port: str) -> Counter[int]:
    """Until told to stop, and on until no packet is on its way any more."""
    seen: Counter[int] = Counter()
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    end.bind((interface, 0))
    end.setblocking(False)
    print("ready", flush=True)  # noqa: T201 - this is a program
    stopped = False
    while True:
        ready, _, _ = select.select([end] if stopped else [end, sys.stdin], [], [], QUIET if stopped else None)
        if end in ready:
            tos = _tos(end.recv(2048), int(port))
            if tos is not None:
                seen[tos] += 1
        elif stopped:
            return seen
        stopped = stopped or sys.stdin in ready


def _tos(frame: bytes, port: int) -> int | None:
    """The TOS byte of a UDP packet to this port, the inner one in a tunnel."""
    if len(frame) < ETHERNET + IPV4 + UDP or frame[12:14] != b"\x08\x00" or frame[23] != socket.IPPROTO_UDP:
        return None
    (to,) = struct.unpack_from("!H", frame, ETHERNET + IPV4 + 2)
    if to == VXLAN_PORT:
        return _tos(frame[ETHERNET + IPV4 + UDP + VXLAN :], port)
    if to == GENEVE_PORT:
        header = ETHERNET + IPV4 + UDP
        return _tos(frame[header + GENEVE + 4 * (frame[header] & GENEVE_OPTIONS) :], port)
    return frame[ETHERNET + 1] if to == port else None


def _told_to_stop(wait: float) -> bool:
    return bool(select.select([sys.stdin], [], [], max(wait, 0))[0])


def main(verb: str, *arguments: str) -> None:
    """Read the arguments (see the module's docstring) and run."""
    counted = {"send": send, "watch": watch}[verb](*arguments)  # type: ignore[operator]  # the caller counts them
    print(json.dumps(counted))  # noqa: T201 - this is a program


if __name__ == "__main__":
    main(*sys.argv[1:])
