"""Turns ``python -m vtrace_ovs`` into the ``vtrace`` command."""

from vtrace_ovs.cli.app import main

if __name__ == "__main__":
    main()
