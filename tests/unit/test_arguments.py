"""What a public function is called with is checked before anything else: no error of another library comes back."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

import quagpredict
from quagpredict.arguments import check_arguments
from quagpredict.errors import InvalidDataError, UsageError
from quagpredict.testing.synthetic import synthetic_corpus

# Read wherever scores are, one of many answers at a time, or arrays; they say what is wrong themselves.
THEMSELVES = {"doctor", "grade", "pass_at_k", "SurrogateRegressor"}


class Nothing:
    """What no parameter is of."""


def parameters() -> Iterator[tuple[str, str]]:
    for name in quagpredict.__all__:
        function = getattr(quagpredict, name)
        error = inspect.isclass(function) and issubclass(function, Exception)
        if not error and name not in THEMSELVES:
            for parameter, value in inspect.signature(function).parameters.items():
                told = not isinstance(value.annotation, str) and value.annotation is not Any
                if told and value.kind not in (value.VAR_KEYWORD, value.VAR_POSITIONAL):
                    yield name, parameter


@pytest.mark.parametrize(("name", "parameter"), list(parameters()))
def test_every_public_function_names_an_argument_of_another_type(name: str, parameter: str) -> None:
    signature = inspect.signature(getattr(quagpredict, name))
    others = {
        other: value.default if value.default is not value.empty else _fitting(value.annotation)
        for other, value in signature.parameters.items()
        if other != parameter and value.kind not in (value.VAR_KEYWORD, value.VAR_POSITIONAL)
    }
    with pytest.raises(UsageError, match=rf"^{parameter}: got .*, expected "):
        _called(getattr(quagpredict, name), others | {parameter: Nothing()})


def _called(function: Any, arguments: dict[str, Any]) -> None:
    made = function(**arguments)
    next(made)  # planned_commands works as it is read


def _fitting(annotation: Any) -> Any:
    for value in ("x", 1, {"x": "x"}, ["x"], []):
        try:
            check_arguments(_of(annotation), {"value": value})
        except UsageError:
            continue
        return value
    return object.__new__(annotation)  # a result: its class alone counts


def _of(annotation: Any) -> Callable[..., None]:
    def function(value: Any) -> None: ...

    function.__annotations__["value"] = annotation
    return function


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, np.int64(3)),
        (float, np.float32(0.5)),
        (float | None, 3),
        (bool, np.True_),
        (str | Path, Path("a")),
        (Sequence[str], ("a",)),
        (Sequence[int], np.arange(3)),
        (Mapping[str, float], {"a": 1}),
        (Callable[[int], None], print),
        (int | Literal["auto"], "auto"),
        ("Source", 3),
        (Any, None),
    ],
)
def test_what_fits_is_taken(annotation: Any, value: Any) -> None:
    check_arguments(_of(annotation), {"value": value})


@pytest.mark.parametrize(
    ("annotation", "value", "said"),
    [
        (int, True, "value=True: expected a whole number"),
        (int, 2.5, "value=2.5: expected a whole number"),
        (bool, "no", 'value="no": expected True or False'),
        (Sequence[str], "ab", 'value="ab": expected a list of text'),
        (Sequence[int], [1, "x"], r"value: got \[1, 'x'\], expected a list of whole number"),
        (Mapping[str, float] | None, ["x"], r"value: got \['x'\], expected a dictionary from text to a number"),
        (Literal["a", "b"], "c", 'value="c": expected one of a, b'),
        (Callable[[int], None], 3, "value=3: expected a function"),
    ],
)
def test_what_does_not_is_named_with_what_is_expected(annotation: Any, value: Any, said: str) -> None:
    with pytest.raises(UsageError, match=f"^{said}$"):
        check_arguments(_of(annotation), {"value": value})


def test_a_response_that_is_no_text_is_named() -> None:
    with pytest.raises(InvalidDataError, match="a response must be text, got int 3"):
        quagpredict.grade(3, "4")  # type: ignore[arg-type]


@pytest.mark.parametrize("asked", [{"repeats": 0}, {"jobs": 0}])
def test_validate_needs_a_repeat_and_a_process(asked: dict[str, int]) -> None:
    runs = synthetic_corpus(30, seed=1).frame
    (name,) = asked
    with pytest.raises(UsageError, match=f"{name}=0: expected a whole number of at least 1"):
        quagpredict.validate(runs, ["linear:both"], "random-halves", **asked)  # type: ignore[arg-type]


def test_a_learning_curve_needs_a_repeat() -> None:
    with pytest.raises(UsageError, match="repeats=0: expected a whole number of at least 1"):
        quagpredict.learning_curve(synthetic_corpus(45, seed=1).frame, ["linear:both"], repeats=0)
