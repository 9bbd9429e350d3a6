"""The three configuration files, checked; each mistake is told with its line and remedy."""

from __future__ import annotations

import difflib
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from tgecrawler.config.documents import LARGEST_FILE, Document, read_document
from tgecrawler.domain.lexicon import Lexicon
from tgecrawler.domain.source_list import SourceList
from tgecrawler.domain.watchlist import Watchlist
from tgecrawler.errors import ConfigError
from tgecrawler.sources.listing import check_selector

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Model = TypeVar("Model", bound=BaseModel)

_YAML_NAMES = {"bool": "true or false", "int": "a number", "float": "a number", "date": "a date"}


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
            raise ConfigError(str(error), file=file, line=line) from None
    return sources


def load_lexicon(path: str = "") -> Lexicon:
    """Return the lexicon at `path`, or the bundled one; ConfigError where it is wrong."""
    return load_model(path, "lexicon.yaml", Lexicon)[0]


def load_model(path: str, bundled: str, model: type[Model]) -> tuple[Model, Document, str]:
    """Return a checked file with its document and its name as the operator knows it.

    Args:
        path: empty for the bundled file of the name `bundled`.

    Raises:
        ConfigError: it cannot be read, is no YAML, or does not fit `model`.
    """
    file = path or bundled
    document = read_document(_read(path, bundled), file)
    try:
        return model.model_validate(document.data), document, file
    except ValidationError as error:
        raise _config_error(error, document, file, model) from None


def _read(path: str, bundled: str) -> str:
    source = Path(path) if path else resources.files("tgecrawler.config") / bundled
    try:
        with source.open("rb") as opened:
            content = opened.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise ConfigError(f"larger than {LARGEST_FILE >> 20} MB", file=path)
        return content.decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError("no such file; check the path", file=path) from None
    except IsADirectoryError:
        raise ConfigError("a folder; name the file in it", file=path) from None
    except OSError as error:
        raise ConfigError(f"cannot be read ({error.strerror})", file=path) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError("not UTF-8; save it as UTF-8", file=path, line=line) from None


def _config_error(
    error: ValidationError, document: Document, file: str, model: type[BaseModel]
) -> ConfigError:
    first, *others = error.errors(include_url=False)
    more = f" (and {len(others)} more)" if others else ""
    unknown_key = first["type"] == "extra_forbidden"
    line = document.line_of(first["loc"], key=unknown_key)
    return ConfigError(_in_words(first, model) + more, file=file, line=line)


def _in_words(detail: ErrorDetails, model: type[BaseModel]) -> str:
    """Return what is wrong and what to write instead."""
    where = str(detail["loc"][-1]) if detail["loc"] else "the file"
    kind, given = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        return _unknown_key(where, _keys_at(model, detail["loc"][:-1]))
    if kind == "missing":
        return f"{where!r} is missing; add it"
    if kind == "string_type" and type(given).__name__ in _YAML_NAMES:
        meant = _YAML_NAMES[type(given).__name__]
        return f"{given!s} is read as {meant}; put it in quotes"
    if kind == "string_type":
        return f"{where!r} is a text, not {_shown(given)}"
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    message = detail["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return f"{where!r}: {message}, not {_shown(given)}"


def _unknown_key(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
    return f"unknown key {key!r}; {hint}"


def _keys_at(model: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """Return the keys that a model knows at a path, read from its JSON schema."""
    schema = model.model_json_schema()
    node: dict[str, Any] = schema
    for step in path:
        below = node.get("items") if isinstance(step, int) else _property(node, str(step))
        node = _resolved(below or {}, schema)
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
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
