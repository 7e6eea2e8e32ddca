"""Which samples are drawn side by side, and how prompts of different lengths share a batch. No model is needed here."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from quagpredict.engines.contract import Request

# Lengths are mixed where that saves at least this share of the blocks. Less is not worth the padding, and what is
# drawn in one length is the same to the last bit as with one length alone.
_WORTH_MIXING = 0.2


class Span(NamedTuple):
    """Samples `first` to `first + samples - 1` of the request at `position`."""

    position: int
    first: int
    samples: int


Block = list[Span]


def plan_blocks(requests: Sequence[Request], rows: int, *, mix: bool = True) -> list[Block]:
    """Share the samples of all requests out to blocks of at most `rows`, longest prompts first.

    Blocks hold prompts of one length, which need neither padding nor a mask. Where that would leave many of them half
    empty (few samples of many problems, as in real text), what does not fill a block of its length shares blocks with
    its neighbours in length.

    Parameters
    ----------
    rows : int
        Samples of a block, at least 1.
    mix : bool
        Whether a block may hold prompts of different lengths.

    Returns
    -------
    list of Block
        Each sample once. The samples of one request may lie in several blocks, in any order.

    Examples
    --------
    >>> asked = [Request(key, (2,) * length, 0, 3) for key, length in (("a", 5), ("b", 4), ("c", 3))]
    >>> [[tuple(span) for span in block] for block in plan_blocks(asked, 8)]
    [[(0, 0, 3), (1, 0, 3), (2, 0, 2)], [(2, 2, 1)]]
    >>> len(plan_blocks(asked, 8, mix=False))
    3
    """
    order = sorted(range(len(requests)), key=lambda position: (-len(requests[position].prompt), position))
    alone = list(_filled(requests, order, rows, one_length=True))
    if not mix or len(alone) < 2:
        return alone
    full = [block for block in alone if _size(block) == rows]
    rest = [span for block in alone if _size(block) < rows for span in block]
    mixed = list(_filled(_requests_of(requests, rest), range(len(rest)), rows, one_length=False))
    if len(full) + len(mixed) > (1 - _WORTH_MIXING) * len(alone):
        return alone
    named = [[Span(rest[span.position].position, span.first, span.samples) for span in block] for block in mixed]
    return sorted([*full, *named], key=lambda block: -len(requests[block[0].position].prompt))


def _size(block: Block) -> int:
    return sum(span.samples for span in block)


def _requests_of(requests: Sequence[Request], spans: Sequence[Span]) -> list[Request]:
    return [requests[span.position]._replace(first=span.first, samples=span.samples) for span in spans]


def _filled(requests: Sequence[Request], order: Sequence[int], rows: int, *, one_length: bool) -> Iterator[Block]:
    block: Block = []
    room, length = rows, -1
    for position in order:
        request = requests[position]
        first, left = request.first, request.samples
        if one_length and len(request.prompt) != length and block:
            yield block
            block, room = [], rows
        length = len(request.prompt)
        while left:
            taken = min(left, room)
            block.append(Span(position, first, taken))
            first, left, room = first + taken, left - taken, room - taken
            if room == 0:
                yield block
                block, room = [], rows
    if block:
        yield block
