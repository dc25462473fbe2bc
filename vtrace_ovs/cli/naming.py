"""Turns the southbound connections an operator named and cookies into what OVN says they stand for."""

from collections.abc import Collection

from vtrace_ovs.cli.console import talk
from vtrace_ovs.cli.settings import Settings
from vtrace_ovs.errors import OvsdbError
from vtrace_ovs.model.profile import NamedFlow
from vtrace_ovs.ovsdb.southbound import read_names

SOUTHBOUND_TIMEOUT = 1.5


def flow_names(settings: Settings, cookies: Collection[int]) -> tuple[NamedFlow, ...]:
    """What the southbound database says of these cookies; nothing when none was named. Failures go to stderr."""
    if not settings.ovn_southbound:
        return ()
    try:
        return read_names(settings.ovn_southbound, cookies, SOUTHBOUND_TIMEOUT, settings.tls)
    except OvsdbError as error:
        talk(f"vtrace: flows of OVN stay without names: {error}")
        return ()
