from dataclasses import replace

from session_network import CS1, CS2
from session_world import World

from vtrace_ovs.diagnosis.scene import CopyTally, Scene
from vtrace_ovs.session.notes import notes_of


def test_a_result_tells_what_its_packets_do_not(armed: World) -> None:
    run = armed.session.runs[1]
    scene = Scene(armed.topology)
    assert notes_of(run, scene) == ()
    run.note("something happened")
    run.extra_packets, run.forgotten = 1, 2
    lossy = replace(scene, copies={CS1: CopyTally(9, 1), CS2: CopyTally(9)}, copies_capped={CS2: 3})
    assert notes_of(run, lossy) == (
        "something happened",
        "1 more packet was colored before coloring ended",
        "4 copies of traced packets never arrived: 1 of cs1/br, 3 of cs2/br",
        "left out: 2 packets with a mark that nobody was seen to give them",
    )
