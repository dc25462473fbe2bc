"""Turns what the kernel tells of a database's files (inotify(7)) into the news that somebody has written to it."""

import sqlite3
from pathlib import Path

from inotify_simple import INotify, flags

_WRITTEN = flags.MODIFY | flags.CREATE | flags.MOVED_TO
_ENDS = flags.IGNORED
_ANYTHING = flags.Q_OVERFLOW

FIRST_LOOK, LAST_LOOK, LONGER = 1, 64, 4
"""Milliseconds after the kernel's news, and after looks in vain, each of which waits so many times as long as the one
before. The kernel tells what is written before SQLite makes it visible."""


class Writings:
    """What is written to a SQLite database in WAL mode, by anybody on this machine, the asker included.

    ``wait`` is to be called, by one thread, until it is False, which frees what is kept. SQLite writes to the log
    before it makes a transaction visible; ``PRAGMA data_version`` tells at the cost of a function call when it has.
    Raises OSError where the kernel takes no more watches, or has none, and sqlite3.Error where there is no database.
    """

    def __init__(self, path: Path) -> None:
        self._names = {path.name, f"{path.name}-wal"}
        self._notify = INotify()
        try:
            self._watch = self._notify.add_watch(path.parent, _WRITTEN)
            self._database = sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, check_same_thread=False)
        except (OSError, sqlite3.Error):
            self._notify.close()
            raise
        self._seen = self._version()
        self._look_in: int | None = None

    def wait(self) -> bool:
        """Block until what somebody wrote can be seen; False once closed: do not ask again."""
        while True:
            events = self._notify.read(self._look_in)
            if any(event.mask & _ENDS for event in events):
                self._notify.close()
                self._database.close()
                return False
            if any(event.name in self._names or event.mask & _ANYTHING for event in events):
                self._look_in = FIRST_LOOK
            elif self._look_in is not None:
                self._look_in = None if self._look_in >= LAST_LOOK else LONGER * self._look_in
            version = self._version()
            if version is None or version != self._seen:
                self._seen = version
                return True

    def _version(self) -> int | None:
        """What changes with every transaction of somebody else's connection; None where the database does not say."""
        try:
            (version,) = self._database.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:
            return None
        return int(version)

    def close(self) -> None:
        """Have ``wait`` end: the kernel tells the one who waits that the watch was taken away."""
        if not self._notify.closed:
            self._notify.rm_watch(self._watch)
