"""Turns events of the outside world into commands to it: the life of every task, without any I/O.

Rule 1: everything that decides lives here or below; the edge only carries out commands and reports events.
Rule 2: a command that touches the network is preceded by a written intent, and followed by a confirmation event.
Rule 3: sinks are armed before sources and removed after them.
Rule 4: whatever happens, a task ends in a final state with nothing of its own left on any bridge it can reach.

``events`` and ``commands`` are the two vocabularies, ``machine.Session`` maps one to the other with what it has:
``presence`` knows who is there, ``attendance`` who is to be connected, ``slots`` numbers tasks, ``planning`` says what
bridges are to carry and ``deployment`` brings them there; ``intake`` takes copies in as records, ``readings`` takes
tables and counters, ``decisions`` says when a packet is judged, ``outcomes`` judges it and keeps the result; ``turns``
lets tasks rest while copies come too fast; ``alternator`` counts instead of copying.
"""
