"""Turns everything that can go wrong into one small tree; the command line maps each leaf to an exit code once.

    VtraceError                      exit code
    ├── UsageError                   2   the request itself cannot be right
    │   └── FilterError              2   …and the fault has a place in the filter text
    ├── RefusedError                 4   we could, but tenants would notice; says what is in the way
    └── InfrastructureError          4   the surroundings are not as needed
        ├── OvsdbError               4   an OVSDB server cannot be read
        ├── OpenFlowError            4   a bridge does not talk, or refuses what we say
        ├── CodecError               4   bytes or text that are not what they claim to be
        ├── StorageError             4   the database is not ours, newer, locked or read-only
        └── LabError                 4   the Mininet lab cannot be built or changed

Each message is one line: what is wrong, where, and what to do about it.
"""


class VtraceError(Exception):
    """Base of every error this package raises on purpose."""

    exit_code = 4


class UsageError(VtraceError):
    """The request is malformed or contradicts itself."""

    exit_code = 2


class FilterError(UsageError):
    """A filter text is wrong at a known place.

    ``text`` is the filter as given; ``position`` and ``length`` (characters) frame the fault.
    """

    def __init__(self, message: str, text: str, position: int, length: int = 1) -> None:
        super().__init__(message)
        self.text = text
        self.position = position
        self.length = max(1, length)

    def with_caret(self) -> str:
        """The message, the filter text, and a caret line under the fault."""
        return f"{self}\n  {self.text}\n  {' ' * self.position}{'^' * self.length}"


class RefusedError(VtraceError):
    """Instrumentation would be noticed, or cannot be told apart; the message names what is in the way."""


class InfrastructureError(VtraceError):
    """Something around us is missing, dead, too old or forbidden."""


class OvsdbError(InfrastructureError):
    """An OVSDB server cannot be reached or read."""


class OpenFlowError(InfrastructureError):
    """A bridge cannot be reached over OpenFlow, or answered with an error."""


class CodecError(InfrastructureError):
    """Bytes or text do not decode; the message says where."""


class StorageError(InfrastructureError):
    """The database cannot be used as it is."""


class LabError(InfrastructureError):
    """The lab cannot be built, changed or taken down."""
