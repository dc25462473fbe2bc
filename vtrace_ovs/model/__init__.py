"""The nouns: what a task, a flow, a packet record, a trajectory and a verdict are. Standard library only.

Reading order: ``packet`` and ``filter`` (traffic), ``oxm``, ``match``, ``actions`` and ``flow`` (OpenFlow),
``topology`` (where things are), ``task``, ``records`` (what was seen), ``trajectory`` (what it adds up to),
``verdict`` (what it means).
"""
