"""The numbers a session runs by; every one is an argument, none is read from the surroundings."""

from dataclasses import dataclass

from vtrace_ovs.model.task import MOST_TASKS


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """Waiting times in seconds.

    ``short_buffer`` and ``long_buffer`` are the two waits of design D6; the paper's are 12 s and 24 s, for a global
    log service. ``drain`` is how long packets may be in flight after coloring ends, ``answer_deadline`` how long a
    bridge may take to answer, ``parting_deadline`` one that may color packets: the others forget its marks when it is
    given up. ``slot_quarantine`` is how long a task number rests, ``inventory_deadline`` how long a task
    waits for bridges to be known. Interim results are at least ``interim_interval`` apart. The end of a task waits
    ``observation_deadline`` for servers to tell what the trace cost them, and ``naming_deadline`` for a database that
    knows what cookies stand for. While packets are collected, bridges are
    looked at every ``peek_interval``, as somebody may have changed their tables. Replies are waited for ``reply_wait``
    after the task of their requests has ended. Where packets are lost on the wire, underlay bridges are searched for
    ``search_time`` (0: not at all), after datapaths were waited for ``datapath_deadline`` to tell what they do.
    No more than ``max_tasks`` run at once, MOST_TASKS at most.
    Connections to bridges that no task needs any more are kept for ``linger``, as tasks come in rows; those that cost
    their bridge a Controller row, for which ovs-vswitchd goes through all it has twice, for ``row_linger``.
    """

    short_buffer: float = 1.0
    long_buffer: float = 2.0
    drain: float = 0.2
    answer_deadline: float = 5.0
    parting_deadline: float = 30.0
    slot_quarantine: float = 5.0
    inventory_deadline: float = 10.0
    interim_interval: float = 0.5
    observation_deadline: float = 1.0
    naming_deadline: float = 2.0
    peek_interval: float = 2.0
    reply_wait: float = 2.0
    search_time: float = 2.0
    datapath_deadline: float = 5.0
    max_tasks: int = MOST_TASKS
    linger: float = 1.0
    row_linger: float = 5.0
