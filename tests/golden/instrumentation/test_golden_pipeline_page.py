"""Every flow we install is shown in the documentation; ``python tests/functional/pipeline_page.py`` writes it anew."""

from pipeline_page import PAGE, page


def test_the_page_shows_the_flows_as_they_are_planned() -> None:
    assert PAGE.read_text() == page()
