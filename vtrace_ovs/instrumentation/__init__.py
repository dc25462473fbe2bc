"""Turns stored flow tables and armed tasks into the flows and meters that color, match and log, and back into nothing.

Reading order: ``plan`` (the nouns), ``state`` (the bits a traced packet carries inside a VFD), ``marks`` (the DSCP code
points it carries between VFDs), ``planner`` (one bridge), which composes ``inlets``, ``clones`` and ``outlets``; then
``changes`` (from one plan to the next) and ``reading`` (a packet-in back into the probe that sent it). The tables
this must not disturb are judged in ``spare`` (what nobody uses) and ``reach`` (where a traced packet may come).
"""
