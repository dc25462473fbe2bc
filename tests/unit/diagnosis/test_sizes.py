from dataclasses import replace

import pytest

from vtrace_ovs.diagnosis.rules import diagnose
from vtrace_ovs.diagnosis.scene import Scene
from vtrace_ovs.model.topology import Bridge, BridgeRole, Port, PortKind, TunnelEnd
from vtrace_ovs.model.trajectory import Trajectory
from vtrace_ovs.model.verdict import CauseCode, Confidence, Disposition

VXLAN = TunnelEnd("vxlan", 4789, None)


def uplinked(scene: Scene, *mtus: int | None, end: TunnelEnd = VXLAN, datapath: str = "netdev") -> Scene:
    """With uplinks of these MTUs in every underlay bridge."""
    uplinks = tuple(Port(40 + at, f"up{at}", PortKind.EDGE, mtu=mtu) for at, mtu in enumerate(mtus))

    def with_uplinks(bridge: Bridge) -> Bridge:
        if bridge.role is BridgeRole.UNDERLAY:
            return replace(bridge, ports=(*bridge.ports, *uplinks))
        ports = tuple(replace(port, end=end) if port.kind is PortKind.TUNNEL else port for port in bridge.ports)
        return replace(bridge, ports=ports, datapath_type=datapath)

    return replace(scene, topology=replace(scene.topology, bridges=tuple(map(with_uplinks, scene.topology.bridges))))


def sized(sent: Trajectory, length: int) -> Trajectory:
    """The packet with a frame of this length (bytes)."""
    (hop,) = sent.hops
    assert hop.headers_out is not None
    return replace(sent, hops=(replace(hop, headers_out=replace(hop.headers_out, length=length)),))


def test_a_packet_that_no_uplink_carries_is_stopped_there_with_the_sizes(sent: Trajectory, scene: Scene) -> None:
    verdict = diagnose(sized(sent, 1465), None, uplinked(scene, 1500))
    assert (verdict.disposition, verdict.code) == (Disposition.DROPPED, CauseCode.TUNNEL_MTU)
    assert verdict.confidence is Confidence.INFERRED
    assert "its frame of 1465 bytes is 1501 behind the outer headers, and up0 of cs1/br-phy carries 1500 at most" in (
        verdict.operator_sentence
    )
    assert "MTU may be 1450 at most" in verdict.operator_sentence
    assert diagnose(sized(sent, 1464), None, uplinked(scene, 1500)).code is CauseCode.UNDERLAY_LOSS


@pytest.mark.parametrize(
    "other",
    [
        {"mtus": (1500, 9000)},
        {"mtus": (1500, None)},
        {"mtus": ()},
        {"mtus": (1500,), "datapath": "system"},
        {"mtus": (1500,), "end": TunnelEnd("stt", 7471, None)},
    ],
)
def test_where_a_way_out_may_be_wide_enough_nothing_is_said_of_sizes(
    other: dict[str, object], sent: Trajectory, scene: Scene
) -> None:
    mtus: tuple[int | None, ...] = other.pop("mtus")  # type: ignore[assignment]  # as above
    around = uplinked(scene, *mtus, **other)  # type: ignore[arg-type]  # fields of a scene
    assert diagnose(sized(sent, 1465), None, around).code is CauseCode.UNDERLAY_LOSS
