"""Worlds around a session: two bridges that carry the traced traffic, and one beside them."""

import pytest
from session_network import CS1, CS2, GW, tcp_to_db
from session_world import World


@pytest.fixture
def world() -> World:
    """Three bridges up, no task."""
    return World(CS1, CS2, GW)


@pytest.fixture
def armed(world: World) -> World:
    """A task for five packets is armed."""
    world.claim(tcp_to_db(packet_count=5))
    world.told()
    return world
