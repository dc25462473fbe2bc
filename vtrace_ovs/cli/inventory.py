"""Turns an option, the environment or a lab that is up into the OVSDB servers to trace on."""

from vtrace_ovs.cli.settings import Settings, ovsdb_connections


def ovsdb_of(settings: Settings, option: str | None) -> tuple[str, ...]:
    """The servers of ``--ovsdb``, else of ``VTRACE_OVSDB``, else those of labs that are up, else the local one."""
    if option is not None:
        return ovsdb_connections(option, "--ovsdb")
    if settings.ovsdb_given:
        return settings.ovsdb
    return _of_a_lab(settings) or settings.ovsdb


def _of_a_lab(settings: Settings) -> tuple[str, ...]:
    from vtrace_ovs.errors import LabError  # noqa: PLC0415 - only who has a lab pays for importing it
    from vtrace_ovs.lab.client import LabClient, labs  # noqa: PLC0415 - as above

    connections: list[str] = []
    for name in labs(settings.rundir / "lab"):
        try:
            connections.extend(LabClient(settings.rundir / "lab" / name).status().ovsdb_remotes)
        except LabError:
            continue
    return tuple(connections)
