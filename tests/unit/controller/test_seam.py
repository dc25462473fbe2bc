import socket

from vtrace_ovs.controller import seam
from vtrace_ovs.controller.framework import Framework


def test_everything_comes_from_the_framework_that_was_chosen() -> None:
    assert seam.FRAMEWORK is Framework.OS_KEN
    names = {seam.App.__module__, seam.AppManager.__module__, seam.EventBase.__module__, seam.hub.__name__}
    assert {name.partition(".")[0] for name in names} == {"os_ken"}


def test_a_native_socket_is_cooperative_as_it_is() -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        assert seam.cooperative(sock) is sock
