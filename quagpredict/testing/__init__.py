"""For tests of your own parts: contracts that anyone can run, and synthetic worlds whose truth is known."""


def held(true: object, sentence: str) -> None:
    """Raise an AssertionError with the sentence unless `true`.

    Examples
    --------
    >>> held(1 < 2, "smaller numbers come first")
    >>> held(2 < 1, "smaller numbers come first")
    Traceback (most recent call last):
    ...
    AssertionError: smaller numbers come first
    """
    if not true:
        raise AssertionError(sentence)
