"""YAML read safely: plain data, and the line of every key and value."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from tgecrawler.errors import ConfigError

LARGEST_FILE = 32 * 1024 * 1024  # bytes; 50,000 companies take about 10 MB
DEEPEST = 50  # levels; ours have five, and the parser recurses

# The parser is recursive and written in C: depth is bounded before it sees the text.
_TOO_DEEP = re.compile(
    rf"(?:[\[{{]\s*){{{DEEPEST}}}|(?:- ){{{DEEPEST}}}|^ {{{20 * DEEPEST}}}", re.M
)

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML document: its data, and its nodes, which know their lines."""

    data: Any
    root: yaml.Node

    def line_of(self, path: Path, *, key: bool = False) -> int:
        """Return the 1-based line of the value at `path`, or of its key.

        Where the path leads nowhere (a missing key), the line of the last part
        that is there.
        """
        node, line = self.root, self.root.start_mark.line + 1
        for step in path:
            found = _child(node, step)
            if found is None:
                break
            key_node, node = found
            line = (key_node if key else node).start_mark.line + 1
        return line


def read_document(text: str, file: str) -> Document:
    """Return the one document of a YAML text.

    Raises:
        ConfigError: it is no YAML, empty, too deep, or uses a key twice or an anchor.
    """
    if deep := _TOO_DEEP.search(text):
        line = text.count("\n", 0, deep.start()) + 1
        raise ConfigError("nested too deeply", file=file, line=line)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        root = loader.get_single_node()
        if root is None:
            raise ConfigError("the file is empty; it begins with `version: 1`", file=file)
        _refuse_repetition(root, file)
        return Document(loader.construct_document(root), root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = " ".join(str(error.problem or error.context).split())
        message = f"not YAML: {problem}; check indentation, quotes and brackets"
        raise ConfigError(message, file=file, line=mark.line + 1 if mark else None) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        problem = " ".join(str(error).split())[:200]
        raise ConfigError(f"not YAML: {problem}", file=file) from None
    finally:
        loader.dispose()


def _refuse_repetition(root: yaml.Node, file: str) -> None:
    """Refuse what YAML accepts in silence: a key used twice, and values that are expanded."""
    visited: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in visited:
            line = node.start_mark.line + 1
            raise ConfigError("anchors (&, *) are not read; write it out", file=file, line=line)
        visited.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.MappingNode):
            _refuse_same_keys(node, file)
            waiting += [part for pair in node.value for part in pair]


def _refuse_same_keys(node: yaml.MappingNode, file: str) -> None:
    lines: dict[str, int] = {}
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise ConfigError("a key is a plain word", file=file, line=line)
        if key.value in lines:
            message = f"{key.value!r} is already set in line {lines[key.value]}; keep one"
            raise ConfigError(message, file=file, line=line)
        lines[key.value] = line


def _child(node: yaml.Node, step: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        return next((pair for pair in node.value if pair[0].value == str(step)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None
