"""The OpenFlow half of the codecs in one place: ``from vtrace_ovs.codecs import openflow``.

Bytes in: ``messages`` cuts a stream into messages; ``hello_versions``, ``features_reply``, ``get_config_reply``,
``refusal``, ``packet_in`` read one message; ``Assembly`` gathers multipart replies, whose bodies ``flows``, ``groups``,
``meters``, ``meter_counters``, ``ports``, ``port_counters`` and ``queue_counters`` read. Bytes out: every other
function, one message each.
"""

from vtrace_ovs.codecs.changes import flow_mod, meter_mod
from vtrace_ovs.codecs.framing import Message, MessageType, messages
from vtrace_ovs.codecs.packet_ins import is_packet_in, packet_in
from vtrace_ovs.codecs.replies import (
    Assembly,
    Part,
    Refusal,
    SwitchConfig,
    SwitchFeatures,
    features_reply,
    get_config_reply,
    hello_versions,
    refusal,
)
from vtrace_ovs.codecs.requests import (
    ALL_TABLES,
    MultipartType,
    barrier_request,
    echo_reply,
    echo_request,
    features_request,
    flow_stats_request,
    get_config_request,
    group_desc_request,
    hello,
    meter_config_request,
    meter_stats_request,
    port_desc_request,
    port_stats_request,
    queue_stats_request,
    set_async,
    set_config,
    set_controller_id,
    set_packet_in_format,
)
from vtrace_ovs.codecs.statistics import flows, groups, meter_counters, meters, port_counters, ports, queue_counters

__all__ = [
    "ALL_TABLES",
    "Assembly",
    "Message",
    "MessageType",
    "MultipartType",
    "Part",
    "Refusal",
    "SwitchConfig",
    "SwitchFeatures",
    "barrier_request",
    "echo_reply",
    "echo_request",
    "features_reply",
    "features_request",
    "flow_mod",
    "flow_stats_request",
    "flows",
    "get_config_reply",
    "get_config_request",
    "group_desc_request",
    "groups",
    "hello",
    "hello_versions",
    "is_packet_in",
    "messages",
    "meter_config_request",
    "meter_counters",
    "meter_mod",
    "meter_stats_request",
    "meters",
    "packet_in",
    "port_counters",
    "port_desc_request",
    "port_stats_request",
    "ports",
    "queue_counters",
    "queue_stats_request",
    "refusal",
    "set_async",
    "set_config",
    "set_controller_id",
    "set_packet_in_format",
]
