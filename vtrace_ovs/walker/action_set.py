"""Turns an action set, or a group bucket, into the list of actions OpenFlow runs for it.

Source: OpenFlow 1.3.5 §5.10 and ``ofpacts_execute_action_set()`` in ``lib/ofp-actions.c`` of Open vSwitch 3.1: one
``pop_vlan``, ``push_vlan`` and ``dec_ttl`` each, every header write in order, then the last group, or else the last
output, or else the last resubmit, or else the last ``ct``. A set without one of those four does nothing at all.
"""

from collections.abc import Sequence

from vtrace_ovs.model.actions import (
    Action,
    Conntrack,
    DecTtl,
    Group,
    Move,
    Neutral,
    Output,
    OutputSubField,
    PopVlan,
    PushVlan,
    Resubmit,
    SetField,
    SetTunnelId,
    UnknownAction,
)

_ONCE = (PopVlan, PushVlan, DecTtl)
_WRITES = (SetField, Move, SetTunnelId, Neutral)
_FINAL = ((Group,), (Output, OutputSubField), (Resubmit,), (Conntrack,))


def ordered(written: Sequence[Action]) -> tuple[Action, ...]:
    """The actions of a set in execution order. An unknown action comes first, so that it is never passed over."""
    unknown = tuple(action for action in written if isinstance(action, UnknownAction))
    final = next((last for kinds in _FINAL if (last := _last(written, *kinds)) is not None), None)
    if final is None:
        return unknown
    once = tuple(last for kind in _ONCE if (last := _last(written, kind)) is not None)
    writes = tuple(action for action in written if isinstance(action, _WRITES))
    return (*unknown, *once, *writes, final)


def _last(written: Sequence[Action], *kinds: type[Action]) -> Action | None:
    return next((action for action in reversed(written) if isinstance(action, kinds)), None)
