from collections.abc import Callable

import pytest

from vtrace_ovs.codecs import requests
from vtrace_ovs.codecs.framing import MessageType, messages
from vtrace_ovs.codecs.replies import hello_versions
from vtrace_ovs.model.match import MaskedField, Match
from vtrace_ovs.model.oxm import METADATA

PLAIN: list[tuple[Callable[[int], bytes], MessageType, str]] = [
    (requests.features_request, MessageType.FEATURES_REQUEST, ""),
    (requests.get_config_request, MessageType.GET_CONFIG_REQUEST, ""),
    (requests.barrier_request, MessageType.BARRIER_REQUEST, ""),
    (requests.echo_request, MessageType.ECHO_REQUEST, ""),
    (lambda xid: requests.echo_reply(xid, b"x"), MessageType.ECHO_REPLY, "78"),
    (lambda xid: requests.set_config(2, 128, xid), MessageType.SET_CONFIG, "00020080"),
    (
        lambda xid: requests.set_controller_id(0x5654, xid),
        MessageType.EXPERIMENTER,
        "00002320 00000014 000000000000 5654",
    ),
    (requests.set_packet_in_format, MessageType.EXPERIMENTER, "00002320 00000010 00000002"),
    (
        requests.set_async,
        MessageType.SET_ASYNC,
        "00000002 00000002 00000000 00000000 00000000 00000000",
    ),
    (requests.group_desc_request, MessageType.MULTIPART_REQUEST, "0007000000000000"),
    (requests.port_desc_request, MessageType.MULTIPART_REQUEST, "000d000000000000"),
    (requests.port_stats_request, MessageType.MULTIPART_REQUEST, "0004000000000000 ffffffff 00000000"),
    (requests.queue_stats_request, MessageType.MULTIPART_REQUEST, "0005000000000000 ffffffff ffffffff"),
    (requests.meter_stats_request, MessageType.MULTIPART_REQUEST, "0009000000000000 ffffffff 00000000"),
    (requests.meter_config_request, MessageType.MULTIPART_REQUEST, "000a000000000000 ffffffff 00000000"),
]


@pytest.mark.parametrize(("build", "kind", "body"), PLAIN)
def test_a_request_is_one_message_with_its_xid(build: Callable[[int], bytes], kind: MessageType, body: str) -> None:
    ((found,), rest) = messages(build(77))
    assert (found.version, found.type, found.xid, found.body) == (4, kind, 77, bytes.fromhex(body))
    assert rest == b""


def test_hello_offers_openflow_1_3_only() -> None:
    ((found,), _) = messages(requests.hello(1))
    assert hello_versions(found) == {4}


def test_flows_are_asked_for_by_table_cookie_and_match() -> None:
    match = Match.of(MaskedField(METADATA, 1, METADATA.full_mask))
    ((found,), _) = messages(requests.flow_stats_request(1, 3, 0x53, 0xFF, match))
    assert found.body[8:9] == b"\x03"
    assert found.body[24:40] == bytes.fromhex("0000000000000053 00000000000000ff")
    assert found.body[40:44] == bytes.fromhex("00010010")
