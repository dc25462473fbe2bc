"""Turns a database and a remote OVSDB into a search of its underlay bridges that goes on until it is killed.

    underlay_search DATABASE OVSDB

As a controller searches, in a process of its own; its task has failed by then, so that no next controller resumes it.
"""

import sys
from ipaddress import IPv4Address
from threading import Event
from time import time

from vtrace_ovs.controller.service_address import ServiceAddress
from vtrace_ovs.controller.settings import ControllerSettings
from vtrace_ovs.controller.underlay import UnderlaySearcher
from vtrace_ovs.filters import parse, trace_request
from vtrace_ovs.model.postcard import Segment
from vtrace_ovs.model.task import TaskState
from vtrace_ovs.model.topology import BridgeRole
from vtrace_ovs.ovsdb.attachment import ServiceAttachment
from vtrace_ovs.ovsdb.inventory import read_inventory
from vtrace_ovs.session.commands import SearchUnderlay
from vtrace_ovs.storage.store import Store

DEADLINE = 60.0
TRAFFIC = "udp,nw_src=10.0.0.1,tp_dst=53"
WAY = Segment(IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2"), 5001)
SETTINGS = ControllerSettings(1, listen=ServiceAddress("127.0.0.1", 0))


def main(database: str, ovsdb: str) -> None:
    """Search for longer than any test waits."""
    found = read_inventory((ovsdb,), DEADLINE).topology.bridges
    bridges = tuple(bridge for bridge in found if bridge.role is BridgeRole.UNDERLAY)
    with Store.open(database) as store:
        searcher = UnderlaySearcher(SETTINGS, store, ServiceAttachment(DEADLINE), lambda _: None)
        searcher.start()
        task = store.add_task(trace_request(TRAFFIC), time())
        store.set_state(task.id, TaskState.FAILED, time())
        searcher.carry_out(SearchUnderlay(task.id, (WAY,), (parse(TRAFFIC),), bridges, 10 * DEADLINE))
        Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
