"""Turns events of the outside world into commands to it: the life of every task, without any I/O.

Rule 1: everything that decides lives here or below; the edge only carries out commands and reports events.
Rule 2: a command that touches the network is preceded by a written intent, and followed by a confirmation event.
Rule 3: sinks are armed before sources and removed after them.
Rule 4: whatever happens, a task ends in a final state with nothing of its own left on any bridge it can reach.

``events`` and ``commands`` are the two vocabularies, ``machine.Session`` maps one to the other; ``arming`` plans what
the bridges shall carry, ``collecting`` turns packet-ins into records and trajectories, ``judging`` into verdicts.
"""
