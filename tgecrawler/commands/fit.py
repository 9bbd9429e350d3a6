"""``scrapy fit``: the weights anew, from labelled records."""

from __future__ import annotations

import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from rich.console import Console
from rich.table import Table

from tgecrawler.cli import TgeCommand, json_flag
from tgecrawler.commands.evaluate import read_labelled
from tgecrawler.config.loader import load_lexicon, load_watchlist
from tgecrawler.domain.metrics import LabelledRecord, evaluate
from tgecrawler.domain.relevance import Assessor
from tgecrawler.domain.watchlist import Watchlist
from tgecrawler.errors import ArgumentError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from tgecrawler.domain.weights import Weights
    from tgecrawler.fitting.crossval import Judged
    from tgecrawler.fitting.dataset import Example


class Command(TgeCommand):
    """Fits weights on labelled files, and measures them by cross-validation first."""

    most_arguments = 100

    def syntax(self) -> str:
        return "[options] <FILE.jsonl> ..."

    def short_desc(self) -> str:
        return "Fit the weights on labelled files"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument(
            "--written",
            action="append",
            default=[],
            metavar="FILE",
            help="records written for the purpose: they help to fit and are never measured",
        )
        parser.add_argument("--out", metavar="FILE", help="write the weights there")
        parser.add_argument(
            "--cross-validate",
            action="store_true",
            help="nested and grouped by project; records of weight 1 and more are measured",
        )
        parser.add_argument(
            "--hold-out", metavar="FILE", help="measure one of the files by weights without it"
        )
        parser.add_argument(
            "--curve", action="store_true", help="the learning curve, by cross-validation"
        )
        json_flag(parser)

    def act(self, args: list[str], opts: argparse.Namespace) -> None:
        if not args:
            raise ArgumentError("fit takes files of labelled records (JSON lines)")
        if not any((opts.out, opts.cross_validate, opts.hold_out, opts.curve)):
            raise ArgumentError("fit has nothing to do; give --out FILE or --cross-validate")
        for module in ("sklearn", "scipy", "numpy"):
            if find_spec(module) is None:
                raise ArgumentError("fit needs scikit-learn; pip install scikit-learn")
        files = {name: list(read_labelled(Path(name))) for name in args}
        written = [record for name in opts.written for record in read_labelled(Path(name))]
        if opts.hold_out and opts.hold_out not in files:
            raise ArgumentError(f"--hold-out names one of the files, such as {args[0]}")
        from threadpoolctl import threadpool_limits

        # a thread each for such small vectors spins more than it computes, and on a busy
        # machine takes minutes for seconds
        with threadpool_limits(limits=1):
            figures = Fitter(self, files, written).run(opts)
        if opts.json:
            sys.stdout.write(orjson.dumps(figures, option=orjson.OPT_INDENT_2).decode() + "\n")
        else:
            _print(figures)


class Fitter:
    """One run of the command: the examples, and what is asked of them."""

    def __init__(
        self,
        command: Command,
        files: dict[str, list[LabelledRecord]],
        written: list[LabelledRecord],
    ) -> None:
        from tgecrawler.fitting.dataset import make_examples
        from tgecrawler.fitting.train import Settings

        options = command.options()
        self.files = files
        self.settings = Settings()
        self._lexicon = load_lexicon(str(options["TGE_LEXICON"]))
        self._watchlist = load_watchlist(str(options["TGE_WATCHLIST"]))
        records = [record for file in files.values() for record in file]
        if not any(record.tge for record in records) or all(record.tge for record in records):
            raise ArgumentError("the files hold only one of the two labels; give both")
        bare = Assessor(Watchlist(version=1, companies=()), self._lexicon, min_score=0.5)
        self.examples = make_examples(records, written, bare)
        self._file_of = {id(r): name for name, file in files.items() for r in file}

    def run(self, opts: argparse.Namespace) -> dict[str, Any]:
        """Return the figures that were asked for, and write the weights."""
        from tgecrawler.fitting import crossval
        from tgecrawler.fitting.train import calibration, fit_weights

        figures: dict[str, Any] = {"records": self._counts()}
        if opts.cross_validate:
            judged = crossval.cross_validate(
                self.examples, self._is_tested, self._assessor, self.settings
            )
            figures["cross_validation"] = self._by_file(judged)
            figures["calibration"] = calibration((a.score, r.tge) for r, a in judged)
        if opts.hold_out:
            held = {id(record) for record in self.files[opts.hold_out]}
            judged = crossval.held_out(self.examples, _among(held), self._assessor, self.settings)
            figures["held_out"] = {opts.hold_out: _figures(judged)}
        if opts.curve:
            figures["learning_curve"] = [
                {"share": share, "f1": f1, "f1_sure": sure}
                for share, f1, sure in crossval.learning_curve(
                    self.examples, self._is_tested, self._assessor, self.settings
                )
            ]
        if opts.out:
            self._write(Path(opts.out), fit_weights(self.examples, self.settings))
        return figures

    def _is_tested(self, example: Example) -> bool:
        return not example.written and example.record.weight >= 1

    def _assessor(self, weights: Weights) -> Assessor:
        return Assessor(self._watchlist, self._lexicon, weights, min_score=0.5)

    def _counts(self) -> dict[str, int]:
        counts = Counter(
            "written" if e.written else self._file_of[id(e.record)] for e in self.examples
        )
        return dict(counts)

    def _by_file(self, judged: Judged) -> dict[str, dict[str, float]]:
        figures = {"all": _figures(judged)}
        for name in self.files:
            rows = [pair for pair in judged if self._file_of[id(pair[0])] == name]
            if rows:
                figures[name] = _figures(rows)
        return figures

    def _write(self, path: Path, weights: Weights) -> None:
        counts = ", ".join(f"{count} {Path(name).stem}" for name, count in self._counts().items())
        head = [
            "# Fitted by `scrapy fit`; see tgecrawler/domain/weights.py for the grammar.",
            f"# Records: {counts}.",
        ]
        try:
            path.write_text("\n".join([*head, *weights.lines(), ""]), encoding="utf-8")
        except OSError as error:
            raise ArgumentError(f"--out: cannot write {path}: {error.strerror}") from None


def _among(kept: set[int]) -> Callable[[Example], bool]:
    return lambda example: id(example.record) in kept


def _figures(judged: Judged) -> dict[str, float]:
    sure = evaluate([pair for pair in judged if pair[0].sure])
    return {
        **evaluate(judged).as_dict(),
        "precision_sure": sure.precision,
        "recall_sure": sure.recall,
    }


def _print(figures: dict[str, Any]) -> None:
    console = Console(file=sys.stdout)
    console.print("records:", ", ".join(f"{n} {name}" for name, n in figures["records"].items()))
    for part in ("cross_validation", "held_out"):
        if part in figures:
            console.print(_table(part.replace("_", " "), figures[part]))
    for row in figures.get("learning_curve", ()):
        console.print(
            f"{row['share']:.0%} of the groups: F1 {row['f1']:.3f}, sure {row['f1_sure']:.3f}"
        )
    if "calibration" in figures:
        console.print(_bins(figures["calibration"]))


def _table(title: str, by_file: dict[str, dict[str, float]]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("figure")
    for name in by_file:
        table.add_column(Path(name).stem, justify="right")
    for figure in next(iter(by_file.values())):
        cells = (values[figure] for values in by_file.values())
        table.add_row(figure, *(f"{v:.3f}" if isinstance(v, float) else str(v) for v in cells))
    return table


def _bins(rows: Sequence[dict[str, float]]) -> Table:
    table = Table(title="calibration", title_justify="left")
    for column in ("mean score", "share of positives", "records"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(f"{row['score']:.2f}", f"{row['positive']:.2f}", str(row["records"]))
    return table
