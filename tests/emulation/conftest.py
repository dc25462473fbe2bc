"""Every emulation test needs root and Mininet; the ``lab`` fixture comes from the shipped pytest plugin."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(__file__.rsplit("/", 1)[0]):
            item.add_marker(pytest.mark.emulation)
