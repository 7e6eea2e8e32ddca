"""YAML of today's recipes is read; whatever is odd is one line that names the file."""

from pathlib import Path

import pytest

from quagpredict.errors import RecipeError, UsageError
from quagpredict.plans.reading import read_yaml
from quagpredict.plans.recipe import Recipe


def written(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(("text", "value"), [("1e-3", 0.001), ("2.5e5", 250000.0), ("-1E+2", -100.0), ("1.0e-5", 1e-5)])
def test_numbers_with_an_exponent_are_numbers(tmp_path: Path, text: str, value: float) -> None:
    assert read_yaml(written(tmp_path, f"learning_rate: {text}")) == {"learning_rate": value}


def test_text_that_only_looks_alike_stays_text(tmp_path: Path) -> None:
    assert read_yaml(written(tmp_path, "a: e-3\nb: 1e\nc: '1e-3'\nd: 12e3x")) == {
        "a": "e-3",
        "b": "1e",
        "c": "1e-3",
        "d": "12e3x",
    }


def test_an_empty_file_is_an_empty_recipe(tmp_path: Path) -> None:
    assert read_yaml(written(tmp_path, "# nothing\n")) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a\n", "expected a mapping"),
        ("a: [1\n", "line 2, column 1: not valid YAML"),
        ("a: 1\nb: 2\na: 3\n", "line 3, column 1: not valid YAML: the key 'a' appears twice"),
        ("a: {b: 1, b: 2}\n", "the key 'b' appears twice"),
        ("1: a\n", "key 1: expected text"),
        ("{a: 1}: b\n", "not valid YAML"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(RecipeError) as error:
        read_yaml(path)
    assert str(error.value).startswith(str(path))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_and_a_binary_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such file"):
        read_yaml(tmp_path / "none.yaml")
    path = tmp_path / "recipe.yaml"
    path.write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(RecipeError, match=r"recipe\.yaml: cannot be read"):
        read_yaml(path)


@pytest.mark.parametrize("text", ["day: 2024-01-01", "rate: .nan", "rate: .inf"])
def test_a_recipe_holds_only_what_a_digest_can(tmp_path: Path, text: str) -> None:
    with pytest.raises(RecipeError, match="put it in quotes or remove it"):
        Recipe.read(written(tmp_path, text))


def test_merge_keys_work(tmp_path: Path) -> None:
    content = read_yaml(written(tmp_path, "a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}\n"))
    assert content["b"] == {"p": 1, "q": 3}
    content = read_yaml(written(tmp_path, "a: &x {p: 1}\nb: &y {<<: *x, p: 2}\nc: {<<: *y, p: 3}\n"))
    assert content["c"] == {"p": 3}


BOMB = "\n".join(
    [
        "a: &a [x, x, x, x, x, x, x, x, x]",
        *(
            f"{now}: &{now} [{', '.join([f'*{before}'] * 9)}]"
            for before, now in zip("abcdefgh", "bcdefghi", strict=True)
        ),
    ]
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "stands for more than 200,000 values, aliases counted each time"),
        ("a: &a [*a]", "an alias stands for what it is a part of"),
        ("a: " + "[" * 5000 + "]" * 5000, "is nested too deep to be read"),
        ("a: 2026-13-45", "a value cannot be read"),
        ("a: 2026-01-02", r"a: expected text, a number.*got datetime.date\(2026, 1, 2\).*put it in quotes"),
        ("a: {b: [.nan]}", r"a.b\[0\]: expected a finite number, got nan"),
        ("a: !!binary aGk=", "got b'hi'"),
        ("a: !!set {x}", "expected text, a number"),
        ('a: "\\ud800"', "half a character"),
        ("a: 99999999999999999999", "beyond 64 bits"),
        ("a: " + "9" * 5000, "a value cannot be read"),
        ("a: {1: x, b: y}", "expected keys that are text"),
        ("a: {2026-01-02: x}", "expected keys that are text"),
    ],
    ids=range(13),
)
def test_odd_yaml_is_one_line(text, said, tmp_path):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(RecipeError, match=said) as caught:
        read_yaml(tmp_path / "a.yaml")
    assert str(caught.value).startswith(str(tmp_path / "a.yaml"))
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_no_recipe_is_as_large_as_is_not_read(tmp_path):
    with (tmp_path / "a.yaml").open("wb") as file:
        file.truncate(2**33)
    with pytest.raises(RecipeError, match="larger than 8 MiB"):
        read_yaml(tmp_path / "a.yaml")
