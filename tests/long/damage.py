"""Ways to damage a file: bits, pieces, and values swapped for others inside JSON, YAML and zip files."""

import contextlib
import io
import json
import random
import zipfile
from typing import Any

import yaml

ZSTD = 93  # the method of compression, as a zip file numbers it
ODD: list[Any] = [
    None,
    "",
    "x\x1b[2J",
    5,
    -1,
    0,
    2**70,
    1e308,
    float("nan"),
    float("inf"),
    True,
    [],
    {},
    [[]],
    {"a": {}},
]


def flipped(content: bytes, rng: random.Random) -> bytes:
    made = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        made[rng.randrange(len(made))] ^= 1 << rng.randrange(8)
    return bytes(made)


def cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content))]


def doubled(content: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(content))
    stop = min(len(content), start + rng.choice((1, 8, 200)))
    return content[:stop] + content[start:stop] * rng.choice((1, 3)) + content[stop:]


def dropped(content: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(content))
    return content[:start] + content[start + rng.choice((1, 8, 200)) :]


def swapped(value: Any, rng: random.Random) -> Any:
    """Put another value, or none, in the place of a random one, deep or not."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        if rng.random() < 0.15:
            return {name: item for name, item in value.items() if name != key}
        return value | {key: swapped(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.9:
        place = rng.randrange(len(value))
        return [*value[:place], swapped(value[place], rng), *value[place + 1 :]]
    return rng.choice(ODD)


def swapped_json(content: bytes, rng: random.Random) -> bytes:
    try:
        return json.dumps(swapped(json.loads(content), rng)).encode()
    except ValueError:
        lines = content.decode(errors="replace").splitlines()
        place = rng.randrange(len(lines))
        with contextlib.suppress(ValueError):
            lines[place] = json.dumps(swapped(json.loads(lines[place]), rng))
        return "\n".join(lines).encode()


def swapped_yaml(content: bytes, rng: random.Random) -> bytes:
    return yaml.safe_dump(swapped(yaml.safe_load(content), rng), allow_unicode=True).encode()


def swapped_zip(content: bytes, rng: random.Random) -> bytes:
    made = io.BytesIO()
    if any(one.compress_type == ZSTD for one in zipfile.ZipFile(io.BytesIO(content)).infolist()):
        return doubled(content, rng)  # Python's own zipfile knows it from 3.14 on
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w") as new:
        names = old.namelist()
        chosen = rng.choice(names)
        for name in names:
            inner = old.read(name)
            new.writestr(name, swapped_json(inner, rng) if name == chosen else inner)
    return made.getvalue()
