"""Turns what the kernel tells of a database's files (inotify(7)) into the news that somebody may have written to it."""

from pathlib import Path

from inotify_simple import INotify, flags

_WRITTEN = flags.MODIFY | flags.CREATE | flags.MOVED_TO
_ENDS = flags.IGNORED
_ANYTHING = flags.Q_OVERFLOW


class Writings:
    """What is written to a SQLite database in WAL mode, by anybody on this machine, the asker included.

    ``wait`` is to be called until it is False, which frees what the kernel keeps. SQLite writes to the log before it
    makes a transaction visible, so who asks the database at once may have to ask again. Raises OSError where the kernel
    takes no more watches, or has none.
    """

    def __init__(self, path: Path) -> None:
        self._names = {path.name, f"{path.name}-wal"}
        self._notify = INotify()
        try:
            self._watch = self._notify.add_watch(path.parent, _WRITTEN)
        except OSError:
            self._notify.close()
            raise

    def wait(self) -> bool:
        """Block until something was written; False once closed, or when the folder is gone: do not ask again."""
        while True:
            events = self._notify.read()
            if any(event.mask & _ENDS for event in events):
                self._notify.close()
                return False
            if any(event.name in self._names or event.mask & _ANYTHING for event in events):
                return True

    def close(self) -> None:
        """Have ``wait`` end: the kernel tells the one who waits that the watch was taken away."""
        if not self._notify.closed:
            self._notify.rm_watch(self._watch)
