"""Turns a cause and its particulars into the operator's sentence, the tenant's sentence and the remedy (idea N19).

Operator templates name ``{place}`` (VFD and table), ``{flow}`` (with its owner), ``{towards}`` (the next VFD, server
or port) and ``{detail}``. Tenant sentences and remedies take nothing: no identifier can slip in.
"""

from dataclasses import dataclass
from functools import lru_cache

from vtrace_ovs.diagnosis.naming import printable
from vtrace_ovs.model.construction import quickly_built
from vtrace_ovs.model.verdict import CauseCode, Disposition


@dataclass(frozen=True, slots=True)
class Wording:
    """What is said of one cause: an operator template, a finished tenant sentence, and what to do about it."""

    operator: str
    tenant: str
    remedy: str = ""


@quickly_built
@dataclass(frozen=True, slots=True)
class Particulars:
    """What an operator template may name. Unknown parts are empty."""

    place: str = ""
    flow: str = ""
    towards: str = ""
    detail: str = ""


DELIVERED = Wording(
    "Handed to {towards}{detail}.",
    "The network handed your traffic to its destination; if it is missing there, look inside the destination machine.",
)
EXITED = Wording(
    "Left the overlay by {towards}{detail}.",
    "Your traffic passed our virtual network and left it; what follows lies outside of it.",
)
LOST_IN_VFD = Wording(
    "Lost inside {place}: seen coming in, but neither leaving nor at a flow that drops{detail}.",
    "Your traffic is lost inside our virtual network; the cause is not known yet, and it is not your configuration.",
    "Check the virtual switch itself: its log, its coverage counters and `ovs-appctl ofproto/trace` for this packet.",
)

WORDINGS = {
    CauseCode.SECURITY_RULE_DENY: Wording(
        "Denied by a security rule in {place}: {flow}.",
        "One of your security rules blocks this traffic; check the rules that apply to the machines at both ends.",
        "If the tenant did not mean to block this traffic, the tenant changes or removes the rule.",
    ),
    CauseCode.SECURITY_DEFAULT_DENY: Wording(
        "Denied by default in {place}, as no security rule permits this: {flow}.",
        "None of your security rules permits this traffic, so it is blocked by default; add a rule that permits it.",
        "If this traffic is meant to pass, the tenant adds a rule that permits it.",
    ),
    CauseCode.CONNECTION_NOT_ESTABLISHED: Wording(
        "Denied in {place}, as part of no connection that is known: {flow}.",
        "This traffic is no part of a connection that your security rules let begin, so it is blocked; if it is an "
        "answer, what it answers took another way or was too long ago.",
        "For a reply, see whether its request passes the same connection tracking zone and is committed there, and "
        "whether the entry has timed out; for a first packet, add a rule that permits it.",
    ),
    CauseCode.CONNECTION_INVALID: Wording(
        "Dropped in {place}, as invalid to connection tracking: {flow}.",
        "This traffic does not fit any connection our network has seen, so it is blocked; check whether both "
        "directions of it take the same way, and start the connection anew.",
        "See whether the zone sees both directions from the first packet on (`ovs-appctl dpctl/dump-conntrack`), and "
        "whether checksums and TCP sequence numbers are right.",
    ),
    CauseCode.ANTI_SPOOFING_DENY: Wording(
        "Denied by anti-spoofing in {place}: the source address is not the sender's. {flow}.",
        "Your machine sends from an address that was not assigned to it; use the assigned address or register it.",
        "Compare the packet's source MAC and IP address with those assigned to the port.",
    ),
    CauseCode.NO_ROUTE: Wording(
        "No route to the destination in {place}: {flow}.",
        "Your router has no route to this destination; add one.",
        "The tenant adds a route to the destination's subnet, or attaches the subnet to the router.",
    ),
    CauseCode.BLACKHOLE_ROUTE: Wording(
        "Discarded by a blackhole route in {place}: {flow}.",
        "One of your routes discards traffic to this destination; remove or change that route.",
        "The tenant removes the blackhole route, or adds a more specific one.",
    ),
    CauseCode.UNKNOWN_DESTINATION: Wording(
        "The destination is not known in {place}: {flow}.",
        "The destination address is not known in your network; check the address, and whether that machine exists.",
        "Check that the destination exists in this network and that the control plane has distributed its address.",
    ),
    CauseCode.UNKNOWN_VNI: Wording(
        "Came with a VNI that is not known in {place}: {flow}{detail}.",
        "Your traffic arrives at a server of ours that does not know your network; this is our fault.",
        "Compare the VNI of the sending flow with those that the classification of this virtual switch knows.",
    ),
    CauseCode.VLAN_MISMATCH: Wording(
        "Came with another VLAN tag than is expected in {place}, or with none: {flow}{detail}.",
        "Your machine sends with another VLAN tag than is expected of it, or without one; check its network interface.",
        "Compare the packet's VLAN tag with the one that the classification wants: see the near misses.",
    ),
    CauseCode.WRONG_ENDPOINT: Wording(
        "Handed to {towards}{detail}.",
        "The network handed your traffic to another machine of yours than the one that has the destination address.",
        "Check the MAC address that the last router or sender has for the destination; all is well only if the machine "
        "that got the traffic is meant to forward it.",
    ),
    CauseCode.METER_RATE_LIMIT: Wording(
        "Dropped by a rate limit in {place}: {detail}.",
        "Your traffic exceeds its rate limit; the problem may be with your bandwidth settings.",
        "The tenant sends less, or the limit is raised.",
    ),
    CauseCode.EGRESS_QUEUE_LIMIT: Wording(
        "Handed to {towards}, whose QoS queue {detail}.",
        "Traffic to your machine exceeds its rate limit; the problem may be with your bandwidth settings.",
        "Less is sent to this machine, or its limit is raised (columns qos and queues of its port in the OVSDB).",
    ),
    CauseCode.NAT_EXHAUSTED: Wording(
        "Dropped in {place} by {flow}: {detail}.",
        "Your connection was to be given a public address, and all there are for it are in use; close connections that "
        "are not needed, or have more addresses assigned.",
        "Give the translation more addresses or ports, or end old connections (`ovs-appctl dpctl/dump-conntrack`).",
    ),
    CauseCode.TTL_EXPIRED: Wording(
        "TTL (IPv6: hop limit) exceeded in {place}{detail}.",
        "Your traffic passes more routers than its TTL or hop limit allows; check for a routing loop or a low TTL.",
        "Look for a routing loop; otherwise the sender uses a greater TTL.",
    ),
    CauseCode.OUTPUT_TO_INGRESS: Wording(
        "Would go back from {place} by the port of arrival ({towards}), which Open vSwitch suppresses{detail}.",
        "Your traffic is directed back to where it came from and is discarded there; check addresses and routes.",
        "Correct the forwarding entry, or use the in_port action where sending back is meant.",
    ),
    CauseCode.PORT_DOWN: Wording(
        "Sent to {towards}, which is down{detail}.",
        "A network interface on the way is down; check that the destination machine is running.",
        "Bring the port up; for a VM's port, see whether the VM runs.",
    ),
    CauseCode.PORT_GONE: Wording(
        "Sent to {towards}, which does not exist{detail}.",
        "Your traffic is lost inside our virtual network, which points at an interface that no longer exists.",
        "The flow outlived its port: have the control plane recompute this switch, or add the port back.",
    ),
    CauseCode.NO_LIVE_BUCKET: Wording(
        "Sent to a group in {place} of which no bucket is alive{detail}.",
        "None of the next hops for your traffic is available in our virtual network at the moment.",
        "Check the ports and groups that the group's buckets watch.",
    ),
    CauseCode.TRANSLATION_LIMIT: Wording(
        "Given up by Open vSwitch in {place}: too many resubmits or too deep a recursion{detail}.",
        "Your traffic is lost inside our virtual network because its rules became too complex.",
        "Look for flows that resubmit to each other, and for patch ports that form a circle.",
    ),
    CauseCode.FORWARDING_LOOP: Wording(
        "In a loop: {place} sees the same packet again and again{detail}.",
        "Your traffic goes round in a loop; check your routes for two that point at each other.",
        "Break the loop: compare the routes and forwarding entries of the devices on the path.",
    ),
    CauseCode.OVERLAPPING_FLOWS: Wording(
        "Two flows of one priority match in {place}, and which of them wins is left open: {flow} drops, {detail} "
        "has other actions.",
        "Two rules of our virtual network contradict each other about this traffic; the one that discards it won.",
        "Give one of the two flows another priority, or matches that do not overlap.",
    ),
    CauseCode.EXPLICIT_DROP: Wording(
        "Dropped in {place} by {flow}{detail}.",
        "A rule inside our virtual network discards this traffic; we are finding out what the rule is for.",
        "Ask the owner of the flow's cookie, or give this pipeline a profile that says what its tables mean.",
    ),
    CauseCode.TABLE_MISS: Wording(
        "Nothing matches in {place}: {flow}{detail}.",
        "Our virtual network has no rule for this traffic and discards it; we are finding out which one is missing.",
        "See the near misses for the flow that should have matched.",
    ),
    CauseCode.NO_OUTPUT_ACTION: Wording(
        "Matched in {place}, but sent nowhere: {flow}{detail}.",
        "A rule inside our virtual network handles this traffic but sends it nowhere.",
        "The last flow has actions but no output: have its owner correct it.",
    ),
    CauseCode.VSWITCHD_DEAD: Wording(
        "Lost in {place}: {detail}.",
        "Part of our virtual network is out of service; this is our fault, not your configuration.",
        "Restart ovs-vswitchd on that server and find out why it stopped.",
    ),
    CauseCode.UNDERLAY_LOSS: Wording(
        "Lost between {place} and {towards}{detail}.",
        "Your traffic is lost in the physical network between two of our servers; this is our fault.",
        "Check the physical path between these tunnel endpoints: links, switches, MTU, firewalls.",
    ),
    CauseCode.UNDERLAY_DENY: Wording(
        "Dropped by a flow of the underlay in {place}: {flow}{detail}.",
        "Your traffic is discarded in the physical network between two of our servers; this is our fault.",
        "Ask whoever programs that underlay switch why this flow is there, and have it corrected.",
    ),
    CauseCode.UNDERLAY_NO_ROUTE: Wording(
        "The underlay has no way on in {place}: {flow}{detail}.",
        "The physical network between two of our servers has no way for your traffic; this is our fault.",
        "Have whoever programs that underlay switch add what is missing there for the destination's tunnel endpoint.",
    ),
    CauseCode.STALE_MEGAFLOW: Wording(
        "The datapath of {place} does not do what its flow tables say: {flow} does {detail}.",
        "Part of our virtual network does not follow its own configuration; this is our fault.",
        "Have the datapath computed anew (ovs-appctl revalidator/purge on that server), and find out what changed it: "
        "dpctl/mod-flow, hardware offload, or a fault of Open vSwitch.",
    ),
    CauseCode.PATCH_LOSS: Wording(
        "Lost on the patch port between {place} and {towards}{detail}.",
        "Your traffic is lost inside one of our servers; this is our fault.",
        "Check both ends of the patch port and the virtual switch's log on that server.",
    ),
    CauseCode.PATCH_UNWIRED: Wording(
        "Sent to {towards}, a patch port that leads nowhere: {detail}.",
        "Your traffic is lost inside one of our servers, where two parts are not joined; this is our fault.",
        "Set options:peer of both patch ports to each other's names.",
    ),
    CauseCode.NO_TUNNEL_ENDPOINT: Wording(
        "Sent into a tunnel by {place}, but {detail}.",
        "Our virtual network does not know which server holds the destination; this is our fault.",
        "Check the flow that sets the tunnel destination, and the destination's tunnel ports.",
    ),
    CauseCode.TUNNEL_MTU: Wording(
        "Too large to leave {place} in a tunnel: {detail}.",
        "Your packets are larger than our network carries; lower the MTU of your machine's interface.",
        "Lower the MTU of the sender's interface (DHCP option 26, router advertisements), or raise the underlay's.",
    ),
    CauseCode.OUTSIDE_INVENTORY: Wording(
        "Left {place} towards {towards}, which is not traced, so what came then is not known{detail}.",
        "Your traffic left the part of the network we can follow; up to there it is not lost.",
        "Add what lies behind to the inventory, or trace from there.",
    ),
    CauseCode.HOP_LIMIT_REACHED: Wording(
        "Left {place} with the last mark there is, so later hops could not be followed{detail}.",
        "Your traffic passes more devices than we can follow; up to there it is not lost.",
        "Configure more DSCP code points as marks, or trace from a later device.",
    ),
    CauseCode.NEIGHBOUR_UNRESOLVED: Wording(
        "No packet of this traffic entered any traced device: its sender asks who has {detail}.",
        "Your machine asks the network for its next hop and gets no answer, so it sends nothing; check that address.",
        "Find who should answer: the machine with that address, or the flows that answer for it; `ovs-appctl "
        "ofproto/trace` of the request shows where it goes.",
    ),
    CauseCode.NOT_SENT: Wording(
        "No packet of this traffic entered any traced device{detail}.",
        "During the test nothing of this traffic came from your machine into the network; check the sender.",
        "Send the traffic while the trace runs; check the sender's routes and firewall, the rate limit of its port "
        "(ingress_policing_rate), and the filter's spelling.",
    ),
    CauseCode.REPLY_LOST: Wording(
        "The request arrived, but its reply was lost.",
        "Your traffic reached its destination, but the answer did not come back.",
        "Mend what stops the reply: the trace of the reply direction names it.",
    ),
    CauseCode.NO_REPLY: Wording(
        "The request arrived, but no reply to it entered any traced device.",
        "Your traffic reached its destination, but that machine sent no answer; look inside it.",
        "Check that the application listens and answers by the same way; some traffic needs no reply.",
    ),
    CauseCode.CONNECTION_REFUSED: Wording(
        "The destination refuses the connection: it answers with a TCP reset.",
        "Your traffic reached the destination machine, and that machine refused the connection; look inside it.",
        "Have something listen on the destination's port; check the destination's own firewall.",
    ),
    CauseCode.EVIDENCE_LOST: Wording(
        "What became of it after {place} is not known, because evidence is missing: {detail}.",
        "The test did not see enough to tell where your traffic is lost, if it is; it should be repeated.",
        "Repeat the trace with fewer packets.",
    ),
    CauseCode.UNSUPPORTED: Wording(
        "{place} applies something this tool does not model: {detail}.",
        "Your traffic meets a function of our network that the test cannot look into; it should be looked at by hand.",
        "Follow the packet by hand from there: `ovs-appctl ofproto/trace`.",
    ),
    CauseCode.INTERNAL_ERROR: Wording(
        "This tool failed while judging it, a fault of its own: {detail}.",
        "The test failed before it could tell what became of your traffic; it should be looked at by hand.",
        "Report the error with the controller's log; follow the packet by hand: `ovs-appctl ofproto/trace`.",
    ),
    CauseCode.UNKNOWN: Wording(
        "What became of it at {place} cannot be told{detail}.",
        "The test could not tell what became of your traffic; it should be repeated or looked at by hand.",
        "Repeat the trace; if it stays open, follow the packet by hand from there.",
    ),
}

SOURCE_DEAD = Wording(
    "No packet was seen, and none could be: {place} is the source, and {detail}.",
    WORDINGS[CauseCode.VSWITCHD_DEAD].tenant,
    WORDINGS[CauseCode.VSWITCHD_DEAD].remedy,
)

_BY_DISPOSITION = {
    (CauseCode.NONE, Disposition.DELIVERED): DELIVERED,
    (CauseCode.NONE, Disposition.EXITED): EXITED,
    (CauseCode.UNKNOWN, Disposition.LOST_IN_VFD): LOST_IN_VFD,
    (CauseCode.VSWITCHD_DEAD, Disposition.UNSEEN): SOURCE_DEAD,
}


def wording_of(code: CauseCode, disposition: Disposition) -> Wording:
    """The wording for a cause, which for a few depends on what became of the packet."""
    return _BY_DISPOSITION.get((code, disposition)) or WORDINGS.get(code) or WORDINGS[CauseCode.UNKNOWN]


def operator_sentence(wording: Wording, particulars: Particulars) -> str:
    """The operator's sentence, safe to print."""
    return _filled(wording.operator, particulars.place, particulars.flow, particulars.towards, particulars.detail)


@lru_cache(maxsize=4096)
def _filled(template: str, place: str, flow: str, towards: str, detail: str) -> str:
    """Packets that fared alike are told of alike: it is worded once."""
    return printable(template.format(place=place, flow=flow or "no flow matches", towards=towards, detail=detail))
