import threading

from vtrace_ovs.controller.observer import Observer
from vtrace_ovs.model.cost import Moment, ServerReading
from vtrace_ovs.model.topology import Bridge, BridgeId, BridgeRole, ManagementSocket
from vtrace_ovs.session.commands import ObserveServers
from vtrace_ovs.session.events import ServerObserved

DEADLINE = 60.0


def test_every_server_is_answered_for_while_the_caller_goes_on() -> None:
    let_go, all_told = threading.Event(), threading.Event()
    told: list[ServerObserved] = []

    def observe(bridge: Bridge) -> ServerReading | None:
        assert let_go.wait(DEADLINE)
        return ServerReading(1.0, megaflows=3) if bridge.id.node == "s1" else None

    def post(event: ServerObserved) -> None:
        told.append(event)
        if len(told) == len(bridges):
            all_told.set()

    bridges = tuple(
        Bridge(BridgeId(node, "br"), 1, BridgeRole.VSWITCH, (), ManagementSocket("")) for node in ("s1", "s2")
    )
    Observer(observe, post).carry_out(ObserveServers(7, Moment.DURING, bridges))
    assert not told
    let_go.set()
    assert all_told.wait(DEADLINE)
    assert [(event.task_id, event.moment, event.node) for event in told] == [
        (7, Moment.DURING, "s1"),
        (7, Moment.DURING, "s2"),
    ]
    assert [event.reading for event in told] == [ServerReading(1.0, megaflows=3), None]
