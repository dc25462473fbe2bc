"""Turns the name of a fault into a broken lab, and into the verdict that traffic must get there.

``fault`` is what a caller names, ``kinds`` how a fault is done and what it looks like; each family of faults is a
module with its own ``FAULTS``, and ``catalogue`` is all of them.
"""
