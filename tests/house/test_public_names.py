"""The top-level names: sorted, there, documented, each with an example that the doctest run executes."""

import importlib
import inspect
import pkgutil

import quagpredict
from quagpredict import errors

PROMISED = {
    "audit",
    "fit",
    "grade",
    "pass_at_k",
    "rank",
    "read_corpus",
    "score_checkpoint",
    "validate",
    "write_corpus",
}


def test_the_promised_names_are_there() -> None:
    defined = {
        name for name, value in vars(errors).items() if inspect.isclass(value) and value.__module__ == errors.__name__
    }
    assert set(quagpredict.__all__) >= PROMISED | defined


def test_the_list_is_sorted_and_true() -> None:
    assert list(quagpredict.__all__) == sorted(quagpredict.__all__)
    assert [name for name in quagpredict.__all__ if not hasattr(quagpredict, name)] == []
    assert set(quagpredict.__all__) <= set(dir(quagpredict))


def test_no_module_has_the_name_of_what_its_package_offers() -> None:
    """`from package import name` would give the one or the other, by what was imported before."""
    packages = {info.name for info in pkgutil.walk_packages(quagpredict.__path__, "quagpredict.") if info.ispkg}
    clashes = []
    for name in ("quagpredict", *sorted(packages)):
        package = importlib.import_module(name)
        modules = {info.name for info in pkgutil.iter_modules(package.__path__)}
        clashes += [f"{name}.{clash}" for clash in modules & set(getattr(package, "__all__", ()))]
    assert clashes == []


def test_a_wrong_name_is_an_attribute_error() -> None:
    assert not hasattr(quagpredict, "no_such_name")


def test_every_public_function_has_a_runnable_example() -> None:
    bare = []
    for name in quagpredict.__all__:
        value = getattr(quagpredict, name)
        if inspect.isclass(value) and issubclass(value, Exception):
            assert value.__doc__
        elif callable(value):
            doc = inspect.getdoc(value) or ""
            if "Examples\n--------" not in doc or ">>>" not in doc:
                bare.append(name)
    assert bare == []
