"""Turns running OVSDB servers into an inventory, and attaches to remote bridges through service Controller rows.

``client`` speaks the protocol, ``inventory`` reads, ``service_rows`` is the only writer, ``liveness`` says what is in
the way of attaching, ``fingerprint`` proves that nothing was left behind.
"""
