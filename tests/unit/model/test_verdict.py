from vtrace_ovs.model.verdict import LOSSES, Disposition


def test_only_what_is_proven_counts_as_loss() -> None:
    names = {disposition.name for disposition in Disposition if disposition.is_loss}
    assert names == {"DROPPED", "LOST_IN_VFD", "LOST_ON_WIRE", "LOOPED"} == {loss.name for loss in LOSSES}
