"""Imports point one way; the project's own packages are the ones imported."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("tgecrawler", "pipelines", "middlewares")

# Rooms from the rim to the core: a module may import from its own layer and from later ones.
LAYERS = (
    ("pipelines", "middlewares"),
    ("tgecrawler.commands",),
    ("tgecrawler.cli", "tgecrawler.fleet", "tgecrawler.spiders"),
    ("tgecrawler.extensions", "tgecrawler.exports", "tgecrawler.logformat"),
    ("tgecrawler.addon",),
    ("tgecrawler.runtime", "tgecrawler.demo", "tgecrawler.manual", "tgecrawler.fitting"),
    (
        "tgecrawler.archive",
        "tgecrawler.cache",
        "tgecrawler.dedup",
        "tgecrawler.redis_address",
        "tgecrawler.redis_link",
        "tgecrawler.redis_start",
        "tgecrawler.scheduling",
        "tgecrawler.storage",
        "tgecrawler.stream",
        "tgecrawler.sources",
        "tgecrawler.transport",
        "tgecrawler.config",
    ),
    ("tgecrawler.domain",),
    ("tgecrawler.drops",),
    ("tgecrawler.items", "tgecrawler.options", "tgecrawler.errors"),
    ("tgecrawler",),
)
FREE_OF_FRAMEWORKS = (
    "tgecrawler.domain",
    "tgecrawler.sources",
    "tgecrawler.items",
    "tgecrawler.fitting",
)
FRAMEWORKS = ("scrapy", "twisted", "redis", "scrapy_redis")


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    module_of(path): path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))
}


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                found.add(name if name in MODULES else node.module)
    return found


def layer_of(module: str) -> int:
    best = max(
        (room for rooms in LAYERS for room in rooms if f"{module}.".startswith(f"{room}.")),
        key=len,
    )
    return next(index for index, rooms in enumerate(LAYERS) if best in rooms)


@pytest.mark.parametrize("module", [name for name in MODULES if name != "tgecrawler.settings"])
def test_imports_point_to_the_core(module: str) -> None:
    ours = [name for name in imports_of(MODULES[module]) if name.partition(".")[0] in PACKAGES]
    outward = [name for name in ours if layer_of(name) < layer_of(module)]
    assert outward == []


def test_no_module_inside_imports_pipelines_or_middlewares() -> None:
    for name, path in MODULES.items():
        if name.startswith("tgecrawler"):
            tops = {imported.partition(".")[0] for imported in imports_of(path)}
            assert not tops & {"pipelines", "middlewares"}, name


@pytest.mark.parametrize(
    "module", [name for name in MODULES if name.startswith(FREE_OF_FRAMEWORKS)]
)
def test_the_core_knows_no_framework(module: str) -> None:
    tops = {imported.partition(".")[0] for imported in imports_of(MODULES[module])}
    assert not tops & set(FRAMEWORKS)


@pytest.mark.parametrize(
    "module", [name for name in MODULES if name.startswith("tgecrawler.domain")]
)
def test_the_domain_reads_no_clock_and_no_file(module: str) -> None:
    assert not imports_of(MODULES[module]) & {
        "os",
        "pathlib",
        "time",
        "socket",
        "random",
        "secrets",
    }
    calls = [
        node.func
        for node in ast.walk(ast.parse(MODULES[module].read_text()))
        if isinstance(node, ast.Call)
    ]
    assert not [func for func in calls if isinstance(func, ast.Name) and func.id == "open"]
    assert not [
        func
        for func in calls
        if isinstance(func, ast.Attribute) and func.attr in ("now", "utcnow", "today")
    ]


def test_no_import_cycles() -> None:
    graph = {
        name: {target for target in imports_of(path) if target in MODULES and target != name}
        for name, path in MODULES.items()
    }
    while leaves := [name for name, targets in graph.items() if not targets & graph.keys()]:
        for name in leaves:
            del graph[name]
    assert graph == {}


def test_our_packages_are_the_ones_imported(tmp_path: Path) -> None:
    """Scrapy appends the project to sys.path: an installed `pipelines` would win over ours."""
    script = (
        "from scrapy.utils.project import get_project_settings; get_project_settings();"
        "import pipelines, middlewares; print(pipelines.__file__); print(middlewares.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert [Path(line).parent for line in done.stdout.splitlines()] == [
        ROOT / "pipelines",
        ROOT / "middlewares",
    ]
