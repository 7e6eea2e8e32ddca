"""What a kind of surrogate tells of itself, and what a fit is given."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypedDict

import polars as pl

from quagpredict.arrays import Floats
from quagpredict.corpus.columns import is_derived
from quagpredict.corpus.derived import with_derived
from quagpredict.corpus.design import design_matrix
from quagpredict.errors import CorpusError, UsageError
from quagpredict.surrogates.feature_sets import Transforms, resolve_features, resolve_transforms
from quagpredict.surrogates.fitted import FittedSurrogate
from quagpredict.surrogates.forms import Form
from quagpredict.surrogates.json_object import JsonObject


class FitTable(NamedTuple):
    """The rows of a task as numbers.

    Attributes
    ----------
    frame : polars.DataFrame
        The rows with every derived column that the kind reads.
    X : array (n, p)
        These columns, finite.
    transforms : "identity", "log-logit" or mapping
        Of the features; a mapping without the target.
    names : mapping
        Arguments of every fit on a matrix: ``features``, ``target`` and ``target_transform``.
    """

    frame: pl.DataFrame
    columns: tuple[str, ...]
    X: Floats
    transforms: Transforms
    names: dict[str, Any]


class FitSettings(TypedDict, total=False):
    """How rows of a table are fitted: keywords of all that fits them; `FitTask` has the defaults.

    Attributes
    ----------
    features : str or sequence of str
        As for `quagpredict.fit`; a kind that reads columns of its own takes those instead.
    transforms : "identity", "log-logit" or mapping
        What "log-logit" needs to know is learnt from the rows alone. ``effective_k`` and ``sharpening`` apply the
        target's transform to what they model; ``saturating`` always takes logits.
    target, groups, seed, source
        As for `quagpredict.fit`.
    """

    features: str | Sequence[str]
    transforms: Transforms
    target: str
    groups: str | None
    seed: int
    source: str


@dataclass(frozen=True, eq=False)
class FitTask:
    """Rows to learn from and what was asked for; see `FitSettings` and `fit_frame`."""

    kind: "Kind"
    frame: pl.DataFrame
    y: Floats
    features: str | Sequence[str] = "both"
    transforms: Transforms = "identity"
    target: str = "post_pass_at_1"
    groups: str | None = None
    seed: int = 0
    source: str = "corpus"

    def table(self) -> FitTable:
        """Return what the kind reads from the rows.

        Raises
        ------
        CorpusError
            If a column or value is missing (named), or there are fewer rows than the kind bears.
        UsageError
            If the target is among the features, or a transform is unknown.
        """
        features = self.features
        if self.kind.reads != "own":
            features = resolve_features(features, self.frame, exclude=(self.target, self.groups or ""))
        columns = self.kind.columns(self.frame, features, self.groups)
        if self.target in columns:
            raise UsageError(f"'{self.target}' is the target and cannot be a feature too")
        measured = sum(not is_derived(name) for name in columns)
        needed = self.kind.fewest_rows(measured)
        if len(self.y) < needed:
            raise CorpusError(
                f"{self.source}: {len(self.y)} finished candidates are too few for {measured or len(columns)} features "
                f"({_shown(columns)}): at least {needed} are needed; finish more runs or use fewer features"
            )
        frame = with_derived(self.frame, columns, source=self.source)
        X = design_matrix(frame, columns, source=self.source)
        transforms = self.transforms
        if isinstance(transforms, Mapping):
            of_target = transforms.get(self.target, "identity")
            transforms = {column: name for column, name in transforms.items() if column != self.target}
        else:
            (of_target,) = resolve_transforms(transforms, [self.target], frame)
        names = {"features": columns, "target": self.target, "target_transform": of_target}
        return FitTable(frame, columns, X, transforms, names)


def feature_columns(frame: pl.DataFrame, features: str | Sequence[str], _groups: str | None) -> tuple[str, ...]:
    """Return the columns that `features` names; see `resolve_features`."""
    return resolve_features(features, frame)


def no_columns(_frame: pl.DataFrame) -> tuple[str, ...]:
    """Return none."""
    return ()


def fit_features(task: FitTask) -> FittedSurrogate:
    """Fit to the named features alone, each with its transform."""
    table = task.table()
    settings = dict(table.names, feature_transforms=resolve_transforms(table.transforms, table.columns, table.frame))
    if task.kind.seeded:
        settings["seed"] = task.seed
    return task.kind.fit_matrix(table.X, task.y, **settings)


@dataclass(frozen=True, eq=False, kw_only=True)
class Kind:
    """A kind of surrogate: each is one module, which holds its form, its fit and this.

    Attributes
    ----------
    fit_matrix : callable
        From features X, (n, p), and target y, (n,), to the fitted surrogate. Its keywords are ``features``, ``target``,
        ``feature_transforms`` and ``target_transform``, as `fit_linear` has them, and options of its own.
    fit : callable
        From a `FitTask` to the fitted surrogate. The default gives `fit_matrix` the named features. A kind that reads
        more finds all columns of the rows in `FitTask.frame`, the nested counts too unless `prepare` has dropped them;
        what it needs of them to *predict*, it names as derived columns.
    columns : callable
        From a table, the named features and the column of groups to the columns that the kind reads; derived ones are
        made by `with_derived`. A CorpusError says that the table cannot give them.
    teaching : callable
        From a table to the derived columns that a fit reads beside those it predicts from; none by default.
    reads : {"features", "weights", "groups", "own"}
        Whether it reads the named features, these where weights of a mixture are among them, these and the groups, or
        columns of its own whatever is named.
    fewest : int
        Finished candidates that a fit needs; 0 if it predicts from a prior alone.
    fewest_each : int
        How many more it needs for each feature that is measured, not derived.
    form : type, optional
        The form that this module defines, or one beside it with ``_form`` in its name; none where it uses that of
        another kind. It is a frozen dataclass of numbers, arrays, texts and tuples of texts, and is stored under the
        kind's name.
    read : callable, optional
        From the stored form and the number of features to a form; every size and bound is checked.
    seeded : bool
        Whether it draws random numbers: `fit_matrix` then takes ``seed``.
    searches : bool
        Whether it searches its best parameters: `fit_matrix` then takes ``start``, a fit of nearly the same rows.
    slow : bool
        Whether fits take long enough to be worth a process of their own.
    tried_from : int or None
        Rows from which on ``auto`` tries it; None for never.
    raw_and_transformed : bool
        Whether ``auto`` tries it raw and transformed; it makes no difference to trees, nor to kinds of fixed scale.
    poor_score : bool
        Whether it predicts badly from columns that are not what it models; scikit-learn's checks then ask for no score.
    """

    fit_matrix: Callable[..., FittedSurrogate]
    fit: Callable[[FitTask], FittedSurrogate] = fit_features
    columns: Callable[[pl.DataFrame, str | Sequence[str], str | None], tuple[str, ...]] = feature_columns
    teaching: Callable[[pl.DataFrame], tuple[str, ...]] = no_columns
    reads: Literal["features", "weights", "groups", "own"] = "features"
    fewest: int = 4
    fewest_each: int = 0
    form: type[Any] | None = None
    read: Callable[[JsonObject, int], Form] | None = None
    seeded: bool = False
    searches: bool = False
    slow: bool = False
    tried_from: int | None = 0
    raw_and_transformed: bool = True
    poor_score: bool = False

    def fewest_rows(self, features: int) -> int:
        """Return how many candidates a fit of so many features needs."""
        return self.fewest + self.fewest_each * features


def _shown(columns: Sequence[str]) -> str:
    return ", ".join(columns) if len(columns) <= 6 else f"{', '.join(columns[:3])}, ... {columns[-1]}"
