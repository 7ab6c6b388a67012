"""How much is read at once."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.window import LEAST_BYTES, MOST_BYTES, TOGETHER_BYTES, Window


def test_few_connections_read_much_at_once() -> None:
    window = Window()
    for connections in (0, 1, TOGETHER_BYTES // MOST_BYTES):
        window.share(connections)
        assert len(window.view) == MOST_BYTES


@given(connections=st.integers(0, 100_000))
def test_many_read_less_and_stay_within_the_bound(connections: int) -> None:
    window = Window()
    window.share(connections)
    size = len(window.view)
    assert LEAST_BYTES <= size <= MOST_BYTES
    assert size == LEAST_BYTES or size * connections <= TOGETHER_BYTES


def test_it_grows_again() -> None:
    window = Window()
    window.share(10_000)
    window.share(1)
    assert len(window.view) == MOST_BYTES
