"""Turns the port of an output action into the packets that leave: reserved ports, ports in registers, floods, bundles.

Source: ``xlate_output_action()``, ``flood_packets()`` and ``xlate_output_trunc_action()`` in
``ofproto/ofproto-dpif-xlate.c``, ``bundle_execute()`` in ``lib/bundle.c`` (Open vSwitch 3.1).
"""

from vtrace_ovs.model import actions as act
from vtrace_ovs.model.trajectory import DropShape
from vtrace_ovs.walker.learning_switch import switched
from vtrace_ovs.walker.network import PortState
from vtrace_ovs.walker.state import canonical_port
from vtrace_ovs.walker.translation import Frame, Translation
from vtrace_ovs.walker.undecided import Unknown
from vtrace_ovs.walker.visit import Emission

_SIXTEEN_BITS = 0xFFFF
_FLOODS = {act.OFPP_FLOOD: "FLOOD", act.OFPP_ALL: "ALL"}


def output(run: Translation, action: act.Output, frame: Frame) -> None:
    """``output:PORT``, cut to ``max_len`` bytes where that is set: then only to ports a datapath has (tried)."""
    cut = action.max_len if action.port != act.OFPP_CONTROLLER else 0
    if not cut or (
        (action.port < act.OFPP_MAX or action.port == act.OFPP_LOCAL) and not run.view.is_patch(action.port)
    ):
        output_to(run, action.port, frame, cut)


def output_to(run: Translation, port: int, frame: Frame, max_len: int = 0) -> None:
    """Output to a port number of OpenFlow 1.3, reserved or not."""
    if port == act.OFPP_IN_PORT:
        _emit(run, run.state.in_port, frame, max_len)
    elif port == act.OFPP_CONTROLLER:
        run.punted = True
    elif port == act.OFPP_TABLE:
        run.go(0, frame)
    elif port == act.OFPP_NORMAL:
        _normal(run, frame)
    elif port in _FLOODS:
        _flood(run, _FLOODS[port], frame)
    elif port == run.state.in_port:
        run.stop(DropShape.OUTPUT_TO_INGRESS, step=frame.step)
    elif port != act.OFPP_ANY:
        _emit(run, port, frame, max_len)


def output_sub_field(run: Translation, action: act.OutputSubField, frame: Frame) -> None:
    """``output:REG[..]``."""
    port, unknown = run.state.read(action.source)
    if unknown:
        run.leave_open(Unknown(f"the port number in {action.source.field.name} is not known"), frame.step)
    elif port > _SIXTEEN_BITS:
        run.stop(DropShape.PORT_GONE, step=frame.step, port=port)
    else:
        output_to(run, canonical_port(port), frame)


def bundle(run: Translation, action: act.Bundle, frame: Frame) -> None:
    """``bundle`` and ``bundle_load``: the first live member, or by a hash that only one member leaves no choice."""
    live = [port for port in action.members if _alive(run, port)]
    if len(live) > 1 and not action.active_backup:
        named = ", ".join(map(str, live))
        run.leave_open(Unknown(f"bundle chooses one of the ports {named} by a hash"), frame.step)
        return
    port = live[0] if live else act.OFPP_ANY
    if action.destination is not None:
        run.state.write(action.destination, port & _SIXTEEN_BITS)
    else:
        output_to(run, port, frame)


def multipath(run: Translation, action: act.Multipath, frame: Frame) -> None:
    """``multipath``: a link number by a hash, which only a single link leaves no choice."""
    if action.n_links > 1:
        run.leave_open(Unknown(f"multipath chooses one of {action.n_links} links by a hash"), frame.step)
    else:
        run.state.write(action.destination, 0)


def _alive(run: Translation, port: int) -> bool:
    return port >= act.OFPP_MAX or run.view.port_state(port) is PortState.UP


def _flood(run: Translation, name: str, frame: Frame) -> None:
    """Every other port; of FLOOD only those that take floods, as far as the MAC table tells: OpenFlow 1.3 does not."""
    ports = run.view.flooded()
    if ports is None:
        run.leave_open(Unknown(f"{name} goes to ports that were not stored with the tables"), frame.step)
        return
    table = run.view.mac_table if name == "FLOOD" else None
    for port in ports:
        if port != run.state.in_port and (table is None or table.floods_to(port)):
            _emit(run, port, frame)


def _normal(run: Translation, frame: Frame) -> None:
    way = switched(run.view, run.state)
    if isinstance(way, Unknown):
        run.leave_open(way, frame.step)
        return
    kept = run.state
    for port, packed in way:
        run.state = kept.copy()
        run.state.packed = packed
        _emit(run, port, frame)
    run.state = kept


def _emit(run: Translation, port: int, frame: Frame, max_len: int = 0) -> None:
    match run.view.port_state(port):
        case PortState.UP:
            found, meters = tuple(run.found), tuple(run.meters)
            run.emissions.append(Emission(port, run.state.copy(), found, frame.step, meters, max_len))
        case PortState.DOWN:
            run.stop(DropShape.PORT_DOWN, step=frame.step, port=port)
        case PortState.NO_FORWARD:
            run.leave_open(
                Unknown(f"port {port} is set to no-forward, and Open vSwitch skips such outputs"), frame.step
            )
        case PortState.GONE:
            run.stop(DropShape.PORT_GONE, step=frame.step, port=port)
