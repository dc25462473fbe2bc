"""Turns a file into the page a real headless Chromium makes of it, to be asked questions (Chrome DevTools Protocol).

The browser talks over two pipes (``--remote-debugging-pipe``: it reads fd 3 and writes fd 4, JSON ended by NUL), so it
listens nowhere; and it is told to fetch nothing on its own.
"""

import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

DEADLINE = 60.0
NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
    *("--remote-debugging-pipe", "--window-size=1280,1000"),
)
WITH_PIPES = (
    "import os,sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
FREE = 10
"""Descriptors from here on are neither standard ones nor those the pipes get in the browser."""
TROUBLE = {"Runtime.exceptionThrown", "Log.entryAdded", "Page.javascriptDialogOpening", "Runtime.consoleAPICalled"}

# Everything drawn is inside its drawing, and every word inside the box it stands in.
OUTSIDE = """
[...document.querySelectorAll('svg')].flatMap(svg => {
  const view = svg.viewBox.baseVal;
  return [...svg.querySelectorAll('text,rect,path')].map(one => [one, one.getBBox()])
    .filter(([_, b]) => b.x < -1 || b.y < -1 || b.x + b.width > view.width + 1 || b.y + b.height > view.height + 1)
    .map(([one, b]) => [one.tagName, one.textContent, b.x, b.y, b.width, b.height]);
})
"""
SPILT = """
[...document.querySelectorAll('svg')].flatMap(svg => {
  const boxes = [...svg.querySelectorAll('rect')].map(one => one.getBBox());
  return [...svg.querySelectorAll('text')].map(one => [one.textContent, one.getBBox()]).filter(([_, t]) =>
    boxes.some(b => t.x >= b.x && t.x < b.x + b.width && t.y + t.height / 2 > b.y && t.y + t.height / 2 < b.y + b.height
      && t.x + t.width > b.x + b.width + 1));
})
"""
OVERLAPPING = """
[...document.querySelectorAll('svg')].flatMap(svg => {
  const all = [...svg.querySelectorAll('text')].map(one => [one.textContent, one.getBBox()]);
  return all.flatMap(([a, p], i) => all.slice(i + 1).filter(([_, q]) =>
    p.x + 1 < q.x + q.width && q.x + 1 < p.x + p.width && p.y + 3 < q.y + q.height && q.y + 3 < p.y + p.height)
    .map(([b, _]) => [a, b]));
})
"""
ACTIVE = """
[...document.querySelectorAll('script,img,iframe,object,embed,link,a,form,base,foreignObject,use')]
  .map(e => e.outerHTML)
  .concat([...document.querySelectorAll('*')].flatMap(e => [...e.attributes].filter(a => a.name.startsWith('on'))
    .map(a => a.name + '=' + a.value)))
"""

Json = dict[str, Any]


@dataclass
class Page:
    """An open page. ``trouble`` is what it complained of or wanted to show, ``requests`` what it fetched."""

    reader: int
    writer: int
    session: str = ""
    pending: bytes = b""
    number: int = 0
    trouble: list[Json] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)

    def ask(self, expression: str) -> Any:  # noqa: ANN401 - whatever JavaScript answers
        """The value of a JavaScript expression, as the developer tools evaluate it: the page's own policy is apart."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def call(self, method: str, **parameters: object) -> Json:
        """One command and its answer; events that come meanwhile are kept."""
        self.number += 1
        message: Json = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.writer, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self.number:
                assert "error" not in answer, (method, answer)
                result: Json = answer["result"]
                return result

    def open(self, path: Path) -> None:
        """Load a file and wait until all of it is there."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.events.clear()
        self.call("Page.navigate", url=path.as_uri())
        while "Page.loadEventFired" not in self.events:
            self._next()

    def _next(self) -> Json:
        deadline = time.monotonic() + DEADLINE
        while b"\0" not in self.pending:
            ready, _, _ = select.select([self.reader], [], [], max(0.0, deadline - time.monotonic()))
            chunk = os.read(self.reader, 1 << 16) if ready else b""
            assert chunk, "Chromium does not answer"
            self.pending += chunk
        line, self.pending = self.pending.split(b"\0", 1)
        message: Json = json.loads(line)
        name = message.get("method")
        if isinstance(name, str):
            self.events.append(name)
            if name in TROUBLE:
                self.trouble.append(message)
            elif name == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
        return message


@contextmanager
def opened(path: Path, profile: Path) -> Iterator[Page]:
    """The page of this file in a browser of its own; ``profile`` is a directory it may write to."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.fail(
            "a Chromium is needed to look at pages: apt-get install chromium (make browser does)", pytrace=False
        )
    ends = [_out_of_the_way(fd) for pair in (os.pipe(), os.pipe()) for fd in pair]
    theirs_in, ours_out, ours_in, theirs_out = ends
    command = [sys.executable, "-c", WITH_PIPES, str(theirs_in), str(theirs_out), program, *QUIET]
    with subprocess.Popen(
        [*command, f"--user-data-dir={profile}"],
        pass_fds=(theirs_in, theirs_out),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as browser:
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            page = Page(ours_in, ours_out)
            page.open(path)
            yield page
        finally:
            browser.kill()
            os.close(ours_in)
            os.close(ours_out)


def assert_whole_and_dead(page: Page, path: Path) -> None:
    """Nothing ran, nothing was fetched, nothing complained, and everything drawn is where it can be read."""
    assert page.trouble == []
    assert page.requests == [path.as_uri()]
    assert page.ask("typeof owned") == "undefined"
    assert page.ask(ACTIVE) == []
    for problem in (OUTSIDE, SPILT, OVERLAPPING):
        assert page.ask(problem) == []


def _out_of_the_way(fd: int) -> int:
    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, FREE)
    os.close(fd)
    return moved
