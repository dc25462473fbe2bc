"""Turns a namespace into a sender of UDP: ``blast.py DESTINATION PORT RATE SOURCE,…`` until input ends.

No two packets have the same payload. They leave from the source ports in turn. RATE 0 is as fast as it goes.
"""

import select
import socket
import sys
import time
from contextlib import suppress
from itertools import cycle

BURST = 32
NUMBER, FILLING = 8, b"x" * 56


def main(destination: str, port: str, rate: str, sources: str) -> None:
    """Send bursts, as many as the rate has room for by now."""
    ends = []
    for source in sources.split(","):
        end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        end.bind(("", int(source)))
        end.connect((destination, int(port)))
        ends.append(end)
    turns = cycle(ends)
    began, sent = time.monotonic(), 0
    while True:
        ahead = sent / float(rate) - (time.monotonic() - began) if float(rate) else 0.0
        if select.select([sys.stdin], [], [], max(ahead, 0))[0]:
            return
        for number in range(sent, sent + BURST):
            with suppress(ConnectionError):  # nobody listens there yet, or any more
                next(turns).send(number.to_bytes(NUMBER) + FILLING)
        sent += BURST


if __name__ == "__main__":
    main(*sys.argv[1:])
