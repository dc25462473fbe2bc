"""Turns tasks, evidence and verdicts into database rows and back (design D9).

``store.Store`` is the whole face. ``schema`` declares the tables, ``database`` opens and migrates them, ``writings``
tells when somebody writes to them, ``faults`` words what can go wrong; the other modules
turn one kind of noun into rows each.
"""
