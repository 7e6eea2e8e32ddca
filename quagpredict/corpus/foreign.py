"""Tables of other tools: their headers and units become the schema's, by name where it is known, else as told."""

import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import NamedTuple

import polars as pl

from quagpredict.corpus.per_cent import as_fractions
from quagpredict.errors import CorpusError, UsageError, did_you_mean
from quagpredict.schema import BY_NAME

#: Headers that can mean but one thing, in lower case with ``_`` for blanks and dashes -> column of the schema.
KNOWN = {
    **dict.fromkeys(
        ("eval_loss", "held_out_loss", "heldout_loss", "val_loss", "validation_loss", "test_loss"),
        "pre_held_out_loss_nats",
    ),
    **dict.fromkeys(
        (
            "score_after_rl",
            "after_rl",
            "rl_score",
            "post_rl_score",
            "post_rl",
            "final_rl_score",
            "rl_final",
            "rl_result",
        ),
        "post_pass_at_1",
    ),
    **dict.fromkeys(("base", "base_model_name", "base_name"), "base_model"),
}
#: Headers of what a team calls its candidates, in the order in which they are tried.
NAMES = ("name", "candidate_name", "checkpoint", "run", "run_name", "model", "model_name", "recipe", "mixture")
_OTHER = "\0other"
_INDEX = ("", "index", "unnamed:_0", "__index_level_0__")
_PASS_AT = re.compile(r"(?:(?P<stage>pre|sft|before_rl|post|rl|after_rl)_)?pass(?:_?@_?|_at_?|_?k=)(?P<k>[1-9]\d{0,5})")
_ANY_PASS_AT = re.compile(r"(pre|post)_pass_at_[1-9]\d*")
_AFTER = ("post", "rl", "after_rl")
# What probably is a score after RL, and a score of the first try before it.
_AFTER_RL = re.compile(r"(?:^|_)(?:after|post|final|with)_(?:rl|grpo)|_(?:rl|grpo)$")
_HELD_OUT = re.compile(r"(?:^|_)(?:val|valid|validation|eval|test|held_?out)_(?:\w+_)?loss$")
_FIRST_TRY = re.compile(r"(?:sft_|pre_|base_)?(?:acc|accuracy|score|avg|average|mean)(?:_sft)?")
# A unit behind a header; whether it holds is what `percent` says.
_PER_CENT = re.compile(r"\s*[(\[]?\s*(?:%|per ?cent)\s*[)\]]?\s*$", re.IGNORECASE)
_FEATURES = tuple(name for name in BY_NAME if name.startswith("pre_"))
_SHORT = {"loss": "pre_held_out_loss_nats", "held_out_loss": "pre_held_out_loss_nats", "base": "base_model"}


class Adopted(NamedTuple):
    """A table under the schema's names.

    Attributes
    ----------
    notes : tuple of str
        What was taken for what.
    """

    frame: pl.DataFrame
    notes: tuple[str, ...]


def adopt(
    frame: pl.DataFrame,
    columns: Mapping[str, str] | None = None,
    *,
    percent: bool = False,
    keep: Collection[str] = (),
    seeds: str | None = None,
    source: str = "table",
) -> Adopted:
    """Give the columns of a foreign table the schema's names, and its scores the schema's unit.

    Parameters
    ----------
    frame : polars.DataFrame
        Any table with one row a candidate.
    columns : mapping, optional
        Column of the schema -> what the table calls it. What is not named is recognised by its header where that can
        mean but one thing (``pass@64``, ``eval_loss``, ``score_after_rl``, an index of names), and else left alone.
    percent : bool
        Whether scores are in per cent: every column that the schema takes as a share of 0 to 1 is divided by 100.
    keep : collection of str
        Headers that keep their names: what the caller asks for by them.
    seeds : str, optional
        Header of eval seeds, by which a candidate has several rows. It keeps its name.

    Returns
    -------
    Adopted
        Columns in their order; none is left out.

    Raises
    ------
    UsageError
        If `columns` names a column that the schema does not know.
    CorpusError
        If the table lacks a header that `columns` names, two columns would have one name, or `percent` finds a score
        above 100 or a column that can but be a fraction (see `quagpredict.corpus.per_cent.as_fractions`).

    Examples
    --------
    >>> table = pl.DataFrame({"name": ["a", "b"], "Pass@64": [71.0, 66.0], "eval_loss": [0.8, 0.9]})
    >>> found = adopt(table, percent=True)
    >>> found.frame.columns, found.frame["pre_pass_at_64"].to_list()
    (['candidate', 'pre_pass_at_64', 'pre_held_out_loss_nats'], [0.71, 0.66])
    """
    renames = _named_columns(frame, columns or {}, source)
    keep = {*keep, *([seeds] if seeds else ())}
    there = {*frame.columns} - {*renames}
    header_of: dict[str, str] = {}
    for header in frame.columns:
        meant = meaning_of(header)
        free = header not in renames and header not in keep and header not in BY_NAME
        if free and meant and meant not in there and meant not in (*renames.values(), *header_of.values()):
            header_of[header] = meant
    if "candidate" not in {*there, *renames.values()}:
        named = _candidates(frame, {*renames, *header_of, *keep}, seeds)
        header_of |= {} if named is None else {named: "candidate"}
    renamed = frame.rename({**renames, **header_of})
    shares = _shares(renamed) if percent else []
    renamed, doubts = as_fractions(renamed, shares, source)
    read = [f"'{header}' as {name}" for header, name in header_of.items()]
    read += [f"per cent in {', '.join(shares)}"] if shares else []
    notes = [f"{source}: read {', '.join(read)}{'; say otherwise by `columns`' if header_of else ''}"] if read else []
    notes += doubts
    unknown = [name for name in renamed.columns if _is_unknown(name, renamed.schema[name]) and name not in keep]
    if unknown and (header_of or renames):
        shown = ", ".join(f"'{name}'" for name in unknown[:6]) + (", ..." if len(unknown) > 6 else "")
        notes.append(f"{source}: not known, and not used: {shown}; if one is a measurement, say which by `columns`")
    return Adopted(renamed, tuple(notes))


def joined_by_name(frame: pl.DataFrame, other: pl.DataFrame, source: str, other_source: str) -> Adopted:
    """Lay the columns of another table beside those of the candidates, by their names.

    Parameters
    ----------
    frame, other : polars.DataFrame
        Both with ``candidate``; where both have ``base_model`` it must agree too.
    source, other_source : str
        What to call them in errors.

    Returns
    -------
    Adopted
        The rows of `frame`; a value that it lacks comes from `other`. A note names candidates that `other` lacks.

    Raises
    ------
    CorpusError
        If `other` holds a candidate twice, has none of the candidates, or contradicts a value that is there.

    Examples
    --------
    >>> measured = pl.DataFrame({"candidate": ["a", "b"], "pre_pass_at_64": [0.7, 0.6]})
    >>> losses = pl.DataFrame({"candidate": ["b", "a"], "pre_held_out_loss_nats": [0.9, 0.8]})
    >>> joined_by_name(measured, losses, "x.csv", "y.csv").frame["pre_held_out_loss_nats"].to_list()
    [0.8, 0.9]
    """
    key = [name for name in ("candidate", "base_model") if name in frame.columns and name in other.columns]
    if "candidate" not in key:
        raise CorpusError(f"{other_source}: column 'candidate' is missing, by which it is joined to {source}")
    twice = other.filter(other.select(key).is_duplicated())
    if twice.height:
        raise CorpusError(f"{other_source}: candidate '{twice['candidate'][0]}' appears twice; keep one row of it")
    shared = frame.join(other.select(key), on=key, how="semi", nulls_equal=True)
    if shared.is_empty():
        raise CorpusError(
            f"{other_source}: holds none of the candidates of {source}, e.g. not '{frame['candidate'][0]}'"
        )
    both = [name for name in other.columns if name in frame.columns and name not in key]
    wide = frame.join(other, on=key, how="left", suffix=_OTHER, nulls_equal=True, maintain_order="left")
    for name in both:
        beside = f"{name}{_OTHER}"
        differ = wide.filter(
            pl.col(name).is_not_null() & pl.col(beside).is_not_null() & (pl.col(name) != pl.col(beside))
        )
        if differ.height:
            row = differ.row(0, named=True)
            raise CorpusError(
                f"{other_source}: column '{name}' says {row[beside]!r:.40} of candidate '{row['candidate']}', but "
                f"{source} says {row[name]!r:.40}; keep one of them"
            )
    wide = wide.with_columns(pl.coalesce(name, f"{name}{_OTHER}").alias(name) for name in both)
    lacking = frame.join(other.select(key), on=key, how="anti", nulls_equal=True)["candidate"].to_list()
    shown = ", ".join(f"'{name}'" for name in lacking[:3]) + (
        f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
    )
    notes = (f"{other_source}: says nothing of {shown}",) if lacking else ()
    return Adopted(wide.drop(f"{name}{_OTHER}" for name in both), notes)


def meaning_of(header: str) -> str | None:
    """Return the column of the schema that a header can but mean; None where it may mean something else.

    Examples
    --------
    >>> [meaning_of(header) for header in ("Pass@64 (%)", "PRE_PASS_AT_64", "post pass@1", "eval loss", "loss")]
    ['pre_pass_at_64', 'pre_pass_at_64', 'post_pass_at_1', 'pre_held_out_loss_nats', None]
    """
    text = _plain(_PER_CENT.sub("", header))
    match = _PASS_AT.fullmatch(text)
    if match is not None:
        return f"{'post' if match['stage'] in _AFTER else 'pre'}_pass_at_{match['k']}"
    return text if text in BY_NAME else KNOWN.get(text)


def suggestion(frame: pl.DataFrame) -> dict[str, str]:
    """Return column of the schema -> header for headers that probably mean it: what to say if nothing can be done.

    Examples
    --------
    >>> suggestion(pl.DataFrame({"model": ["a", "a"], "passat64": [0.7, 0.6], "loss": [0.8, 0.9]}))
    {'candidate': 'model', 'pre_held_out_loss_nats': 'loss', 'pre_pass_at_64': 'passat64'}
    >>> suggestion(pl.DataFrame({"run": ["a"], "MATH500 pass@64 (%)": [71.0], "SFT val loss (nats)": [0.8]}))
    {'candidate': 'run', 'pre_pass_at_64': 'MATH500 pass@64 (%)', 'pre_held_out_loss_nats': 'SFT val loss (nats)'}
    """
    likely_columns = {meant: header for header, meant in near_names(frame.columns).items()}
    for header in frame.columns:
        if meaning_of(header) is not None or header in BY_NAME or not frame[header].dtype.is_numeric():
            continue
        bare = re.sub(r"\s*[(\[][^)\]]*[)\]]\s*$", "", header)  # without a unit
        digits = re.search(r"\bp(?:ass)?[^\da-z]{0,4}(?:at)?[^\da-z]{0,2}(\d{1,4})$", bare.lower())
        if _AFTER_RL.search(_plain(bare)):
            likely_columns.setdefault("post_pass_at_1", header)
        elif digits:
            likely_columns.setdefault(f"pre_pass_at_{digits[1]}", header)
        elif _FIRST_TRY.fullmatch(_plain(bare)) and "pre_pass_at_1" not in frame.columns:
            likely_columns.setdefault("pre_pass_at_1", header)
        elif _HELD_OUT.search(_plain(bare)):
            likely_columns.setdefault("pre_held_out_loss_nats", header)
    if "candidate" not in frame.columns:
        texts = [name for name in frame.columns if frame[name].dtype == pl.String]
        free = [name for name in texts if name not in BY_NAME]  # a base or a recipe is no candidate
        likely = next((name for name in texts if name.strip().lower() in NAMES), free[0] if free else None)
        likely_columns = ({} if likely is None else {"candidate": likely}) | likely_columns
    return likely_columns


def looks_per_cent(frame: pl.DataFrame, headers: Collection[str]) -> bool:
    """Return whether scores under these headers can but be per cent: one above 1, none above 100.

    Examples
    --------
    >>> table = pl.DataFrame({"p@64": [0.0, 71.0]})
    >>> looks_per_cent(table, ["p@64"]), looks_per_cent(table / 100, ["p@64"])
    (True, False)
    """
    numbers = [frame[name].cast(pl.Float64) for name in headers if frame[name].dtype.is_numeric()]
    most = [float(values.to_numpy().max()) for column in numbers if len(values := column.fill_nan(None).drop_nulls())]
    return bool(most) and 1.0 < max(most) <= 100.0


def _plain(header: str) -> str:
    return re.sub(r"[\s\-]+", "_", header.strip()).lower()


def _is_unknown(name: str, dtype: pl.DataType) -> bool:
    """Return whether numbers stand under a name that says nothing here; recipes and costs of one's own are fine."""
    own = name.startswith(("recipe_", "share_", "cost_", "rl_", "pre_", "post_")) or _plain(name) in _INDEX
    return dtype.is_numeric() and name not in BY_NAME and not _ANY_PASS_AT.fullmatch(name) and not own


def _named_columns(frame: pl.DataFrame, columns: Mapping[str, str], source: str) -> dict[str, str]:
    """Return header -> column of the schema as the caller says it, checked; a known header may stand for a column."""
    given, columns = columns, {}
    for name, header in given.items():
        meant = name if name in BY_NAME or _ANY_PASS_AT.fullmatch(name) else meaning_of(name)
        swapped = name not in BY_NAME and name in frame.columns and header not in frame.columns
        if meant is None or swapped:
            turned = name in frame.columns and (header in BY_NAME or meaning_of(header) is not None)
            hint = f"; did you mean {header}={name!r}, the schema's name first?" if turned else ""
            raise UsageError(
                f"columns: no column of the schema is called '{name}'{hint or did_you_mean(name, BY_NAME)}"
            )
        columns[meant] = header
    for name, header in columns.items():
        if header not in frame.columns:
            hint = did_you_mean(header, frame.columns, rest=f"; it has {', '.join(frame.columns[:8])}")
            raise CorpusError(f"{source}: there is no column '{header}'{hint}")
        if name in frame.columns and name != header:
            raise CorpusError(f"{source}: column '{name}' is there already, beside '{header}' that is to be called so")
    headers = [*columns.values()]
    twice = next((header for header in headers if headers.count(header) > 1), None)
    if twice is not None:
        raise CorpusError(f"{source}: column '{twice}' is given two names")
    return {header: name for name, header in columns.items()}


def _candidates(frame: pl.DataFrame, taken: Collection[str], seeds: str | None) -> str | None:
    """Return the header of the candidates' names: a known one, or an index, all there, one a seed."""
    by_text = {_plain(name): name for name in reversed(frame.columns)}
    for text in (*NAMES, *_INDEX):
        header = by_text.get(text)
        if header is not None and header not in taken:
            values = frame[header]
            rows = frame.select(header, *([seeds] if seeds in frame.columns else []))
            if values.dtype == pl.String and values.null_count() == 0 and rows.n_unique() == frame.height:
                return header
    return None


def _shares(frame: pl.DataFrame) -> list[str]:
    """Return the columns of numbers that the schema takes as a share of 0 to 1."""
    return [
        name
        for name, dtype in frame.schema.items()
        if dtype.is_numeric()
        and (_ANY_PASS_AT.fullmatch(name) or (name in BY_NAME and BY_NAME[name].unit == "fraction"))
    ]


def near_names(columns: Iterable[str]) -> dict[str, str]:
    """Return column -> name of the schema that is probably meant, for columns that the schema does not know.

    Examples
    --------
    >>> near_names(["candidate", "pass_at_64", "pre_pass_at64", "loss", "web_share"])
    {'pass_at_64': 'pre_pass_at_64', 'pre_pass_at64': 'pre_pass_at_64', 'loss': 'pre_held_out_loss_nats'}
    """
    there = [*columns]
    meanings = {}
    for name in there:
        if name in BY_NAME or name.startswith(("pre_pass_at_", "recipe_", "cost_")):
            continue
        close = get_close_matches(name, _FEATURES, 1, cutoff=0.9)
        meant = f"pre_{name}" if f"pre_{name}" in BY_NAME else _SHORT.get(name) or (close[0] if close else "")
        if meant and meant not in there:
            meanings[name] = meant
    return meanings
