from vtrace_ovs.codecs import openflow


def test_everything_offered_exists_and_says_what_it_is() -> None:
    assert openflow.__all__ == sorted(openflow.__all__)
    for name in openflow.__all__:
        offered = getattr(openflow, name)
        assert not callable(offered) or offered.__doc__
