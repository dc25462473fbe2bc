"""Turns bytes and third-party text into model values and back; no sockets (``openflow`` is the OpenFlow half)."""
