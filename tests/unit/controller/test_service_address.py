import pytest

from vtrace_ovs.controller.service_address import ServiceAddress
from vtrace_ovs.errors import UsageError


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("tcp:192.0.2.1:6653", "192.0.2.1", 6653),
        ("tcp:[2001:db8::1]:6653", "2001:db8::1", 6653),
        ("tcp:127.0.0.1:0", "127.0.0.1", 0),
    ],
)
def test_an_address_is_a_method_an_ip_and_a_port(text: str, host: str, port: int) -> None:
    assert ServiceAddress.parse(text) == ServiceAddress(host, port)


@pytest.mark.parametrize(
    "text", ["", "192.0.2.1:6653", "ssl:192.0.2.1:6653", "tcp:host:6653", "tcp:192.0.2.1", "tcp:192.0.2.1:70000"]
)
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"write tcp:IP:PORT"):
        ServiceAddress.parse(text)


@pytest.mark.parametrize("text", ["tcp:0.0.0.0:6653", "tcp:[::]:6653"])
def test_what_no_bridge_can_dial_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="name one address of this host"):
        ServiceAddress.parse(text)
