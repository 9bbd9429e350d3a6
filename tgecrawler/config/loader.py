"""The three configuration files, checked; each mistake is told with its line and remedy."""

from __future__ import annotations

import difflib
import gc
import re
from contextlib import contextmanager
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from tgecrawler.config.documents import LARGEST_FILE, Document, read_document
from tgecrawler.domain.lexicon import Lexicon
from tgecrawler.domain.source_list import SourceList
from tgecrawler.domain.watchlist import Watchlist
from tgecrawler.domain.weights import Weights, parse_weights
from tgecrawler.errors import ConfigError
from tgecrawler.sources.listing import check_selector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic_core import ErrorDetails

Model = TypeVar("Model", bound=BaseModel)
Place = tuple[str | int, ...]

MOST_FAULTS = 100  # of one file, looked up to find the first; the others are counted
LONGEST_MESSAGE = 300  # characters
LONGEST_VALUE = 60  # characters of a value that a message repeats

# What YAML reads where a text was meant: `no`, 2024, 2026-01-31, null.
_READ_AS = {
    "bool": "true or false",
    "int": "a number",
    "float": "a number",
    "date": "a date",
    "datetime": "a moment",
    "NoneType": "nothing",
    "bytes": "bytes",
}
# By pydantic's type of error; filled with its context, the key, and what was given.
_SENTENCES = {
    "missing": "{key} is missing; add it",
    "invalid_key": "a key is a text, not {given}; put it in quotes",
    "string_type": "{key} is a text, not {given}",
    "tuple_type": "{key} is a list, such as [one, two], not {given}",
    "dict_type": "{key} is keys with values, not {given}",
    "model_type": "{key} is keys with values, such as `{example}: …`, not {given}",
    "int_type": "{key} is a whole number, not {given}",
    "float_type": "{key} is a number, not {given}",
    "float_parsing": "{key} is a number, not {given}",
    "literal_error": "{key} is {expected}, not {given}",
    "less_than_equal": "{key} is at most {le}, not {given}",
    "greater_than_equal": "{key} is at least {ge}, not {given}",
    "string_too_long": "{key} has at most {max_length} characters; shorten {given}",
    "string_too_short": "{key} is empty; write it or remove it",
    "too_short": "{key} is empty; write at least {min_length}",
    "too_long": "{key} has at most {max_length} rows, not {actual_length}; remove some",
}
# A missing key may be an unknown one, misspelt; a list counts as short without its faulty rows.
_CONSEQUENCES = ("missing", "too_short")
_QUOTED = re.compile(r"'([^']*)'")
# PyYAML's own constructors raise these on `2026-13-45` or `!!bool maybe`.
_UNBUILDABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def load_watchlist(path: str = "") -> Watchlist:
    """Return the watchlist at `path`, or the bundled one; ConfigError where it is wrong."""
    return load_model(path, "watchlist.yaml", Watchlist)[0]


def load_sources(path: str = "") -> SourceList:
    """Return the sources at `path`, or the bundled ones; ConfigError where they are wrong."""
    sources, document, file = load_model(path, "sources.yaml", SourceList)
    for index, site in enumerate(sources.sites):
        try:
            if site.item:
                check_selector(site.item)
        except ValueError as error:
            line = document.line_of(("sites", index, "item"))
            raise ConfigError(_one_line(str(error)), file=file, line=line) from None
    return sources


def load_lexicon(path: str = "") -> Lexicon:
    """Return the lexicon at `path`, or the bundled one; ConfigError where it is wrong."""
    return load_model(path, "lexicon.yaml", Lexicon)[0]


def load_weights(path: str = "") -> Weights:
    """Return the fitted weights at `path`, or the bundled ones; see `load_model`."""
    file = path or "weights.tsv"
    try:
        return parse_weights(_read(path, "weights.tsv").split("\n"))
    except ValueError as error:
        message, line = error.args
        raise ConfigError(_one_line(message), file=file, line=line) from None


def load_model(path: str, bundled: str, model: type[Model]) -> tuple[Model, Document, str]:
    """Return a checked file with its document and its name as the operator knows it.

    50,000 companies (13 MB) take about 5 s, and 0.65 GB while they load.

    Args:
        path: empty for the bundled file of the name `bundled`.

    Raises:
        ConfigError: it cannot be read, is no YAML, or does not fit `model`.
    """
    file = path or bundled
    text = _read(path, bundled)
    with _collector_paused():
        document = _document(text, file)
        try:
            return model.model_validate(document.data), document, file
        except ValidationError as error:
            raise _config_error(error, document, file, model) from None


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Pause the cyclic collector: it finds nothing here, and takes two thirds of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _read(path: str, bundled: str) -> str:
    file = path or bundled
    try:
        source = Path(path) if path else resources.files("tgecrawler.config") / bundled
        with source.open("rb") as opened:
            content = opened.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise ConfigError(f"larger than {LARGEST_FILE >> 20} MB; split it", file=file)
        return content.decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError("no such file; check the path", file=file) from None
    except IsADirectoryError:
        raise ConfigError("a folder; name the file in it", file=file) from None
    except OSError as error:
        raise ConfigError(f"cannot be read ({error.strerror})", file=file) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError("not UTF-8; save it as UTF-8", file=file, line=line) from None
    except ValueError:  # what `open` says of a path with a NUL in it
        raise ConfigError("no path; check it", file=_one_line(repr(file))) from None


def _document(text: str, file: str) -> Document:
    """Return the document of a text; ConfigError, with a line wherever one can be told."""
    try:
        return read_document(text, file)
    except ConfigError as error:
        where = None if error.line else _unreadable(text)
        line, message = where or (error.line, error.message)
        raise ConfigError(_one_line(message), file=file, line=line) from None
    except _UNBUILDABLE:
        line, message = _unreadable(text) or (None, "not YAML; check its tags (!)")
        raise ConfigError(message, file=file, line=line) from None
    except RecursionError:  # of the parser in Python, where PyYAML lacks the one in C
        raise ConfigError("nested too deeply", file=file) from None


def _unreadable(text: str) -> tuple[int, str] | None:
    """Return line and sentence of the first character or value that cannot be read at all."""
    if found := yaml.reader.Reader.NON_PRINTABLE.search(text):
        sentence = f"the character U+{ord(found.group()):04X} is not allowed in YAML; remove it"
        return text.count("\n", 0, found.start()) + 1, sentence
    loader = yaml.SafeLoader("")
    for node in _scalars(text):
        try:
            loader.construct_object(node)
        except (yaml.YAMLError, *_UNBUILDABLE):
            kind = _READ_AS.get(node.tag.rpartition(":")[2].replace("timestamp", "date"), "a value")
            shown = _shown(node.value)
            sentence = f"{shown} is read as {kind}, but cannot be; put it in quotes"
            return node.start_mark.line + 1, sentence
    return None


def _scalars(text: str) -> Iterator[yaml.ScalarNode]:
    """Yield the single values of a text that parses, in its order."""
    root = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    waiting: list[Any] = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.ScalarNode):
            yield node
        elif isinstance(node, yaml.MappingNode):
            waiting += [part for pair in reversed(node.value) for part in reversed(pair)]
        elif isinstance(node, yaml.SequenceNode):
            waiting += reversed(node.value)


def _config_error(
    error: ValidationError, document: Document, file: str, model: type[BaseModel]
) -> ConfigError:
    """Return the first fault in the file's order, one of `_CONSEQUENCES` only after all others."""
    faults = []
    for fault in islice(error.errors(include_url=False), MOST_FAULTS):
        place, is_key = _place(fault)
        # Of the consequences the innermost, for the others follow from it.
        depth = len(place) if fault["type"] in _CONSEQUENCES else MOST_FAULTS
        faults.append((-depth, document.line_of(place, key=is_key), fault))
    _, line, first = min(faults, key=lambda fault: fault[:2])
    count = error.error_count() - 1
    more = f" (and {count} more)" if count else ""
    return ConfigError(_in_words(first, document, model) + more, file=file, line=line)


def _place(fault: ErrorDetails) -> tuple[Place, bool]:
    """Return where a fault lies, and whether it is the key there that is wrong."""
    loc = fault["loc"]
    if loc and loc[-1] == "[key]":  # pydantic's word for a key of a dict
        return loc[:-1], True
    return loc, fault["type"] in ("extra_forbidden", "invalid_key")


def _in_words(fault: ErrorDetails, document: Document, model: type[BaseModel]) -> str:
    """Return what is wrong and what to write instead, in one line."""
    place, is_key = _place(fault)
    kind, given, context = fault["type"], fault["input"], fault.get("ctx", {})
    if kind == "value_error":
        return _one_line(str(context["error"]))
    if kind == "extra_forbidden":
        return _unknown_key(str(place[-1]), _keys_at(model, place[:-1]))
    if is_key and kind == "literal_error":
        return _unknown_key(str(given), _QUOTED.findall(context["expected"]))
    written = "" if is_key else _written(document.root, place)
    if given is None and not is_key and not written:
        return _one_line(f"{_key(place)} has no value; write it or remove the line")
    if kind == "string_type" and type(given).__name__ in _READ_AS:
        read_as = _READ_AS[type(given).__name__]
        return _one_line(f"{written or given} is read as {read_as}; put it in quotes")
    if kind not in _SENTENCES:
        return _one_line(f"{_key(place)}: {fault['msg']}, not {_shown(given)}")
    example = next(iter(_keys_at(model, place)), "name")
    values = {**context, "key": _key(place), "given": _shown(given), "example": example}
    return _one_line(_SENTENCES[kind].format(**values))


def _key(place: Place) -> str:
    """Return how a message names a place: by the innermost key, and the row under it."""
    names = [step for step in place if isinstance(step, str)]
    if not names:
        return "the file"
    return repr(names[-1]) if place[-1] == names[-1] else f"a row of {names[-1]!r}"


def _written(root: yaml.Node, place: Place) -> str:
    """Return a single value as the file writes it, or "" where none is at `place`."""
    node: yaml.Node | None = root
    for step in place:
        if isinstance(node, yaml.MappingNode):
            node = next((value for key, value in node.value if key.value == str(step)), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            node = node.value[step]
    return _clip(node.value) if isinstance(node, yaml.ScalarNode) else ""


def _unknown_key(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key[:LONGEST_VALUE], known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
    return _one_line(f"unknown key {_shown(key)}; {hint}")


def _keys_at(model: type[BaseModel], path: Place) -> list[str]:
    """Return the keys that a model knows at a path, read from its JSON schema."""
    schema = model.model_json_schema()
    node: dict[str, Any] = schema
    for step in path:
        below = node.get("items") if isinstance(step, int) else _property(node, str(step))
        node = _resolved(below if isinstance(below, dict) else {}, schema)
    return list(node.get("properties", ()))


def _property(node: dict[str, Any], name: str) -> Any:
    return node.get("properties", {}).get(name) or node.get("additionalProperties")


def _resolved(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        found: dict[str, Any] = schema["$defs"][name]
        return found
    return node


def _shown(value: object) -> str:
    """Return a short form of a value; of a list or keys only what they are, for they nest."""
    if isinstance(value, list | tuple | set):
        return "a list"
    if isinstance(value, dict):
        return "keys with values"
    return "nothing" if value is None else _clip(repr(value))


def _clip(text: str, longest: int = LONGEST_VALUE) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _one_line(message: str) -> str:
    """Return a message that cannot break the line, or flood it, whatever a file holds."""
    shown = "".join(char if char.isprintable() else " " for char in message)
    return _clip(" ".join(shown.split()), LONGEST_MESSAGE)
