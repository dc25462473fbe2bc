"""A sender's fragments: reported, then colored, joined, or left out with a word why."""

from ipaddress import IPv4Address

from session_network import CS1, VM_PORT, WEB, headers, tcp_to_db
from session_world import World

from vtrace_ovs.instrumentation.plan import ProbeKind
from vtrace_ovs.instrumentation.state import State
from vtrace_ovs.model.packet import FiveTuple, Fragment, Headers
from vtrace_ovs.session.events import PacketInReceived


def fragment(kind: Fragment, port: int = 443) -> Headers:
    whole = headers(port=port)
    assert whole.five_tuple is not None
    ports = (40000, port) if kind is Fragment.FIRST else (None, None)
    five_tuple = FiveTuple(6, IPv4Address(WEB), whole.five_tuple.destination, *ports)
    return Headers(*("02:00:00:00:00:01", "02:00:00:00:00:02", 0x0800, 1434), five_tuple=five_tuple, fragment=kind)


def reported(world: World, packet: Headers) -> PacketInReceived:
    return world.copy(CS1, world.probe(CS1, ProbeKind.FRAGMENT), State(), packet, in_port=VM_PORT)


def notes(world: World) -> str:
    world.wait(40.0)
    return " ".join(world.result.notes)


def colored_with_fragments(world: World) -> bool:
    return any("ip_frag" in {masked.field.name for masked in mod.match.fields} for mod in world.sources(CS1))


def test_a_first_fragment_with_the_filters_ports_has_fragments_colored(world: World) -> None:
    world.claim(tcp_to_db())
    assert not colored_with_fragments(world)
    world.feed(reported(world, fragment(Fragment.FIRST)))
    world.wait(1.0)
    assert colored_with_fragments(world)
    assert "this traffic has fragments" in notes(world)
    assert world.clean


def test_a_task_that_rests_hears_of_its_fragments(world: World) -> None:
    world.claim(tcp_to_db())
    world.session.runs[1].resting = True
    world.feed(reported(world, fragment(Fragment.FIRST)))
    assert "this traffic has fragments" in " ".join(world.session.runs[1].notes)


def test_other_fragments_change_nothing(world: World) -> None:
    world.claim(tcp_to_db())
    world.feed(reported(world, fragment(Fragment.FIRST, port=80)))
    world.feed(reported(world, fragment(Fragment.LATER)))
    world.wait(1.0)
    assert not colored_with_fragments(world)
    assert "fragments" not in notes(world)


def test_of_two_tasks_with_the_same_addresses_only_one_has_its_fragments_colored(world: World) -> None:
    world.claim(tcp_to_db(443), 1)
    world.claim(tcp_to_db(80), 2)
    world.feed(reported(world, fragment(Fragment.FIRST, port=443)))
    world.feed(reported(world, fragment(Fragment.FIRST, port=80)))
    world.wait(40.0)
    assert "those before the first one" in " ".join(world.results(1)[-1].notes)
    assert "those of another task look the same" in " ".join(world.results(2)[-1].notes)
