"""JSON from a file that nobody vouches for: what is not plain, small JSON is a FormatError."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from minidl.errors import FormatError

MOST_BYTES = 32 * 2**20
_MOST_CONTAINERS = 2**21  # lists and objects: each costs Python some 100 bytes, however short it is to write
_MOST_DIGITS = 40

# A string (closed or not: possessive, so that it is read once), or a bracket.
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*+"?|([\[{])|[\]}]', re.DOTALL)


def parse_json(data: bytes | str, place: str, depth: int = 64) -> Any:
    """Return what a JSON text says.

    Parameters
    ----------
    data : bytes or str
        UTF-8.
    place : str
        What an error begins with: the file, and where in it.
    depth : int
        How deep lists and objects may be nested.

    Raises
    ------
    FormatError
        If it is not JSON, repeats a name within an object, is nested too deeply, has NaN, infinite or absurdly long
        numbers, or is larger than 32 MiB.
    """
    if isinstance(data, str):
        data = data.encode("utf-8", "surrogatepass")
    if len(data) > MOST_BYTES:
        raise FormatError(f"{place}: {len(data):,} bytes of JSON; expected {MOST_BYTES:,} at most")
    _check_nesting(data, place, depth)

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in found if names.count(name) > 1)
            raise FormatError(f"{place}: the name {twice!r} stands twice in one object")
        return found

    def integer(digits: str) -> int:
        if len(digits) > _MOST_DIGITS:
            raise FormatError(f"{place}: a number of {len(digits)} digits; expected {_MOST_DIGITS} at most")
        return int(digits)

    def finite(text: str) -> float:
        number = float(text)
        if number in (float("inf"), -float("inf")):
            raise FormatError(f"{place}: the number {text[:_MOST_DIGITS]} is too large")
        return number

    def refuse(constant: str) -> NoReturn:
        raise FormatError(f"{place}: {constant} is not JSON")

    try:
        text = data.decode("utf-8")
        return json.loads(text, object_pairs_hook=unique, parse_int=integer, parse_float=finite, parse_constant=refuse)
    except FormatError:
        raise
    except UnicodeDecodeError as error:
        raise FormatError(f"{place}: not UTF-8 text ({error.reason} at byte {error.start})") from error
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{place}: not JSON ({error})") from error


def _check_nesting(data: bytes, place: str, most: int) -> None:
    """Look at the brackets before the parser does: it recurses at each."""
    depth = containers = 0
    for token in _TOKENS.finditer(data):
        if token.lastindex:
            depth += 1
            containers += 1
            if depth > most:
                raise FormatError(f"{place}: nested more than {most} deep at byte {token.start()}")
            if containers > _MOST_CONTAINERS:
                raise FormatError(f"{place}: more than {_MOST_CONTAINERS:,} lists and objects")
        elif data[token.start()] != 0x22:  # a closing bracket, not a string
            depth -= 1
