"""Turns a running lab into one whose sender uses addresses that are not its own."""

from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from vtrace_ovs.lab.faults.fault import Fault, FaultName, victim
from vtrace_ovs.lab.faults.kinds import FaultKind, NodeDeed, Symptom
from vtrace_ovs.lab.namespaces import shell
from vtrace_ovs.lab.wiring import VM_INTERFACE
from vtrace_ovs.model.overlay import OverlaySubnet
from vtrace_ovs.model.verdict import CauseCode, Disposition

if TYPE_CHECKING:
    from vtrace_ovs.lab.network import Lab

_DEVICE = f"dev {VM_INTERFACE}"


def _spoof(lab: "Lab", fault: Fault) -> None:
    """Send from the last address of the subnet; ask for neighbours with the VM's own, or it would send nothing."""
    _run(lab, fault, _spoofing)


def _be_honest(lab: "Lab", fault: Fault) -> None:
    _run(lab, fault, _honest)


def _run(lab: "Lab", fault: Fault, commands: Callable[[OverlaySubnet], Iterator[str]]) -> None:
    vm = victim(lab.base, fault)
    lab.vm(vm.name).run(*shell(*commands(lab.base.subnet_of(vm))))


def _spoofing(subnet: OverlaySubnet) -> Iterator[str]:
    yield f"sysctl -qw net.ipv4.conf.{VM_INTERFACE}.arp_announce=2"
    yield f"ip addr add {subnet.prefix[-2]}/{subnet.prefix.prefixlen} {_DEVICE}"
    yield f"ip route replace default via {subnet.gateway} {_DEVICE} src {subnet.prefix[-2]}"
    if subnet.prefix6 is not None:
        yield f"ip addr add {subnet.prefix6[-2]}/{subnet.prefix6.prefixlen} {_DEVICE} nodad"
        yield f"ip -6 route replace default via {subnet.gateway6} {_DEVICE} src {subnet.prefix6[-2]}"


def _honest(subnet: OverlaySubnet) -> Iterator[str]:
    yield f"ip route replace default via {subnet.gateway} {_DEVICE}"
    yield f"ip addr del {subnet.prefix[-2]}/{subnet.prefix.prefixlen} {_DEVICE}"
    if subnet.prefix6 is not None:
        yield f"ip -6 route replace default via {subnet.gateway6} {_DEVICE}"
        yield f"ip addr del {subnet.prefix6[-2]}/{subnet.prefix6.prefixlen} {_DEVICE}"
    yield f"sysctl -qw net.ipv4.conf.{VM_INTERFACE}.arp_announce=0"


FAULTS = {
    FaultName.ANTI_SPOOFING: FaultKind(
        "the sender uses addresses of its subnet that are not its own",
        NodeDeed(_spoof, _be_honest),
        (
            Symptom(
                CauseCode.ANTI_SPOOFING_DENY,
                Disposition.DROPPED,
                "cs1/br-int",
                table=10,
                sent_from=(IPv4Address("10.0.1.254"), IPv6Address("fd00::1:ffff:ffff:ffff:fffe")),
            ),
        ),
        of_sender=True,
    ),
}
