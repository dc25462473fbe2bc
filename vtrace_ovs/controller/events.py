"""The one Ryu event this controller needs: something waits in the inbox."""

from vtrace_ovs.controller.seam import EventBase


class EventInbox(EventBase):  # type: ignore[misc]  # neither framework has types
    """Session events are waiting. Other Ryu apps in the process never see our bridges' messages, only our app does."""
