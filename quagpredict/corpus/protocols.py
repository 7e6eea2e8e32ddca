"""What two eval protocols differ in, where the files of a table say what their protocols are."""

import json
from collections.abc import Iterable, Mapping
from typing import Any


def what_differs(provenances: Iterable[Mapping[str, str]]) -> str:
    """Return in what the first two protocols differ that files describe; empty where they describe fewer than two.

    Parameters
    ----------
    provenances : iterable of mappings
        Metadata of the files. ``protocols`` is JSON: an object from ``eval_protocol_id`` to what it is the digest of.

    Examples
    --------
    >>> files = [{"protocols": '{"a": {"settings": {"temperature": 1.0}, "grading": null}}'},
    ...          {"protocols": '{"b": {"settings": {"temperature": 0.6}, "grading": null}}'}]
    >>> what_differs(files)
    'they differ in temperature (1.0 and 0.6)'
    >>> what_differs([{"plan": "lab"}])
    ''
    """
    contents: dict[str, Mapping[str, Any]] = {}
    for provenance in provenances:
        try:
            described = json.loads(provenance.get("protocols", "{}"))
        except (ValueError, RecursionError):
            continue
        if isinstance(described, dict):
            contents |= {name: content for name, content in described.items() if isinstance(content, dict)}
    if len(contents) < 2:
        return ""
    first, second = map(_flat, list(contents.values())[:2])
    keys = dict.fromkeys((*first, *second))
    apart = [f"{key} ({first.get(key)} and {second.get(key)})" for key in keys if first.get(key) != second.get(key)]
    return f"they differ in {', '.join(apart)}" if apart else ""


def _flat(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of a protocol, those of its sections by their own names."""
    parts: dict[str, Any] = {}
    for key, value in content.items():
        parts |= value if isinstance(value, dict) else {key: value}
    return parts
