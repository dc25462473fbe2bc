from html.parser import HTMLParser

from vtrace_ovs.rendering.lines import Style
from vtrace_ovs.rendering.page import POLICY, Cell, figure, heading, page, paragraph, table, titled

HOSTILE = "<script>\"'&\x1b\u202e\n"
HARMLESS = "&lt;script&gt;&quot;&#x27;&amp;\\x1b\\u202e\\n"


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not [name for name, _ in attrs if name.startswith("on") or name in ("href", "src")]
        self.found.append(tag)


def test_every_piece_escapes_what_it_is_given() -> None:
    assert heading(2, HOSTILE, Style.BAD) == f'<h2 class="bad">{HARMLESS}</h2>\n'
    assert paragraph(HOSTILE) == f'<p class="plain">{HARMLESS}</p>\n'
    both = table((HOSTILE,), ((HOSTILE, Cell((HOSTILE, "b"), Style.GOOD)),))
    assert f"<th>{HARMLESS}</th>" in both
    assert f'<td class="plain">{HARMLESS}</td><td class="good">{HARMLESS}<br>b</td>' in both
    assert f"<title>{HARMLESS}</title>" in page(HOSTILE, ())
    assert list(titled(3, HOSTILE, "x")) == [f'<h3 class="plain">{HARMLESS}</h3>\n', "x"]


def test_a_page_runs_nothing_and_fetches_nothing() -> None:
    tags = Tags()
    text = page("t", (figure("<svg></svg>"), table((), (("a",),))))
    tags.feed(text)
    assert " ".join(tags.found) == "html head meta meta title style body figure svg table tbody tr td"
    assert f'content="{POLICY}"' in text
    assert POLICY.startswith("default-src 'none'")
    assert "url(" not in text
    assert "@import" not in text


def test_what_is_empty_has_no_heading() -> None:
    assert not list(titled(3, "Notes", table(("a",), ())))
