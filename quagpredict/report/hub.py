"""A corpus as a dataset folder, a surrogate as a model folder, as the Hugging Face hub takes them; nothing is sent."""

import re
import shlex
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import yaml

from quagpredict.corpus import read_corpus, write_corpus
from quagpredict.errors import UsageError
from quagpredict.files import written_aside
from quagpredict.report.card import surrogate_card
from quagpredict.shipped import shipped_or_given
from quagpredict.surrogates.store import CARD, FILE, load_surrogate

_TABLE = "corpus.parquet"
_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|#)[^)]*\)")


class HubFolder(NamedTuple):
    """A folder that the hub takes.

    Attributes
    ----------
    path : Path
    kind : {"dataset", "model"}
    upload : str
        The command line that would send it.
    """

    path: Path
    kind: str
    upload: str


def write_hub_folder(
    source: str | Path, out: str | Path, *, repo: str | None = None, license: str | None = None
) -> HubFolder:
    """Write a corpus or a surrogate as a folder with the card that the hub wants, and say how it is sent there.

    Parameters
    ----------
    source : path
        A folder that `fit` made becomes a model; a table, or a folder with ``corpus.parquet``, a dataset. All files of
        a folder come along.
    out : path
        The folder to write; it must not be there.
    repo : str, optional
        ``owner/name`` on the hub, by default ``OWNER/`` and the name of `out`.
    license : str, optional
        As the hub names it, such as ``apache-2.0``; the card says nothing of it by default.

    Returns
    -------
    HubFolder

    Raises
    ------
    UsageError
        If `out` is there already, `repo` is no ``owner/name``, or there is no such source.
    CorpusError, SurrogateError
        If the source cannot be read.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     made = write_hub_folder("models/lab", Path(folder) / "lab", repo="me/lab-mixed")
    ...     made.kind, sorted(path.name for path in made.path.iterdir()), made.upload.split()[:3]
    ('model', ['README.md', 'surrogate.json'], ['hf', 'upload', 'me/lab-mixed'])
    """
    target = Path(out)
    own_name = re.sub(r"[^\w.-]+", "-", target.resolve().name)
    named = repo or f"OWNER/{own_name}"
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", named):
        raise UsageError(f"repo: expected owner/name, got '{named}'")
    if target.exists():
        raise UsageError(f"{out}: is there already; name a new folder")
    given = shipped_or_given(source)
    if given.resolve() in target.resolve().parents:
        raise UsageError(f"{out}: lies in {source}, which is copied; name a folder outside of it")
    kind = "model" if (given / FILE).is_file() else "dataset"
    about, body = _of_surrogate(given) if kind == "model" else _of_corpus(given)
    if given.is_dir():
        shutil.copytree(given, target, ignore=shutil.ignore_patterns(CARD, ".*", "__pycache__"))
    else:
        write_corpus(read_corpus(given, allow_mixed_protocols=True), target / _TABLE)
    about = about if license is None else {"license": license, **about}
    front = yaml.safe_dump(about, sort_keys=False, allow_unicode=True)
    with written_aside(target / "README.md") as aside:
        aside.write_text(f"---\n{front}---\n{_LINK.sub(lambda found: found[2], body)}", encoding="utf-8")
    of = " --repo-type dataset" if kind == "dataset" else ""
    return HubFolder(target, kind, f"hf upload {named} {shlex.quote(str(target))} .{of}")


def _of_surrogate(folder: Path) -> tuple[dict[str, Any], str]:
    """Return what the head of a card says of a surrogate, and the card."""
    fitted = load_surrogate(folder)
    about = {
        "library_name": "quagpredict",
        "pipeline_tag": "tabular-regression",
        "tags": ["quagpredict", "sft", "grpo", fitted.name],
    }
    own = folder / CARD
    return about, own.read_text("utf-8") if own.is_file() else surrogate_card(fitted)


def _of_corpus(source: Path) -> tuple[dict[str, Any], str]:
    """Return what the head of a card says of a corpus, and the card."""
    frame = read_corpus(source / _TABLE if source.is_dir() else source, nested=False, allow_mixed_protocols=True)
    after = frame["post_pass_at_1"] if "post_pass_at_1" in frame.columns else pl.Series([None])
    finished = after.drop_nulls().len()
    name = source.resolve().name if source.is_dir() else source.stem
    about = {
        "pretty_name": f"{name}: {frame.height} SFT candidates, {finished} of them taken through RL",
        "task_categories": ["tabular-regression"],
        "tags": ["quagpredict", "sft", "grpo"],
        "size_categories": [_size(frame.height)],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": _TABLE}]}],
    }
    own = source / CARD
    if own.is_file():
        return about, own.read_text("utf-8")
    lines = [
        f"# {about['pretty_name']}",
        "",
        "One row is one candidate: what was measured before RL (`pre_*`) and after",
    ]
    lines += ["it (`post_*`), scores as fractions, losses in nats per token.", "", "| | |", "| --- | --- |"]
    for column in ("base_model", "eval_protocol_id", "rl_recipe_id"):
        if column in frame.columns:
            values = frame[column].drop_nulls().unique(maintain_order=True).to_list()
            lines.append(f"| `{column}` | {', '.join(map(str, values[:8]))}{', ...' if len(values) > 8 else ''} |")
    return about, "\n".join([*lines, ""])


def _size(rows: int) -> str:
    """Return the hub's name for a number of rows."""
    return "n<1K" if rows < 1_000 else "1K<n<10K" if rows < 10_000 else "10K<n<100K" if rows < 100_000 else "100K<n<1M"
