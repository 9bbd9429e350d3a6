"""``scrapy explain``: the score of a text, with every reason."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tgecrawler.cli import TgeCommand, json_flag
from tgecrawler.config.loader import load_watchlist
from tgecrawler.domain.urls import resolve_url
from tgecrawler.errors import ArgumentError, SourceError
from tgecrawler.items import Article
from tgecrawler.runtime import load_assessor
from tgecrawler.sources.article_reader import read_in_place
from tgecrawler.spiders.page import PageSpider

if TYPE_CHECKING:
    import argparse

    from tgecrawler.items import Assessment, TextField

LONGEST_FILE = 10 * 1024 * 1024  # bytes; as much as a crawl takes of one page
Texts = dict["TextField", str]
SHOWN = ("kind", "status", "project", "token", "event_date", "chain", "exchange", "claim_url")
LEAST_SHOWN = 0.1  # weights below are summed up in one row; --all and --json show each


class Command(TgeCommand):
    """Judges a page, a file, or standard input (``-``) as a crawl would, and says why."""

    requires_crawler_process = True  # a page is fetched by the same middlewares as in a crawl
    most_arguments = 1

    def syntax(self) -> str:
        return "[options] <URL | FILE | ->"

    def short_desc(self) -> str:
        return "Show the score of a text with every reason"

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        super().add_options(parser)
        parser.add_argument("--title", default="", help="the title, for a file or -")
        parser.add_argument("--summary", default="", help="the summary, for a file or -")
        parser.add_argument("--post", action="store_true", help="judge the text as a post")
        parser.add_argument("--all", action="store_true", help="show every weight, small ones too")
        json_flag(parser)

    def act(self, args: list[str], opts: argparse.Namespace) -> None:
        if not args and not opts.title:
            raise ArgumentError("explain takes a URL, a file, or - with --title")
        options = self.options()
        assessor = load_assessor(options, load_watchlist(str(options["TGE_WATCHLIST"])))
        texts, article = self._texts(args[0] if args else "", opts)
        assessment = assessor.assess(
            texts["title"],
            texts["summary"],
            texts["text"],
            medium="post" if opts.post else "article",
            published_at=article.published_at or datetime.now(UTC),
            url=article.canonical_url,
            links=article.links,
        )
        if opts.json:
            shown = orjson.dumps(asdict(assessment), option=orjson.OPT_INDENT_2)
            sys.stdout.write(shown.decode() + "\n")
        else:
            print_assessment(texts, assessment, least=0.0 if opts.all else LEAST_SHOWN)

    def _texts(self, what: str, opts: argparse.Namespace) -> tuple[Texts, Article]:
        """Return the texts to judge and the article that they are of."""
        article = Article(url="", canonical_url="")
        if resolve_url(what):
            article = self._fetch(what)
        elif what == "-":
            article = replace(article, text=sys.stdin.read(LONGEST_FILE))
        elif what:
            article = _read_file(Path(what))
        title = opts.title or article.title
        return {"title": title, "summary": opts.summary, "text": article.text}, article

    def _fetch(self, url: str) -> Article:
        process = self.crawler_process
        if process is None:
            raise RuntimeError("Scrapy gives this command its process")
        crawler = process.create_crawler(PageSpider)
        crawling = process.crawl(crawler, url=url)
        process.start()
        if crawling.done() and (error := crawling.exception()):  # type: ignore[attr-defined]
            raise error
        spider = crawler.spider
        if not isinstance(spider, PageSpider) or spider.article is None:
            raise ArgumentError(f"{url}: {getattr(spider, 'error', '') or 'not fetched'}")
        return spider.article


def _read_file(path: Path) -> Article:
    """Return a saved page, or a file of plain text, as an article."""
    url = f"https://file.example/{path.name}"
    try:
        with path.open("rb") as file:
            body = file.read(LONGEST_FILE)
    except OSError as error:
        raise ArgumentError(f"cannot read {path}: {error.strerror}") from None
    if not body.lstrip().startswith(b"<"):
        return Article(url=url, canonical_url=url, text=body.decode("utf-8", "replace"))
    try:
        return read_in_place(body, url=url)
    except SourceError as error:
        raise ArgumentError(f"{path}: {error}") from None


def print_assessment(texts: Texts, assessment: Assessment, *, least: float = 0.0) -> None:
    """Print verdict, reasons by weight, and the texts with the reasons' words marked.

    Args:
        least: reasons of a smaller weight share one row.
    """
    console = Console(file=sys.stdout)
    verdict = "an alert" if assessment.relevant else "no alert"
    console.print(Text(f"{verdict}: score {assessment.score:.2f}", style="bold"))
    for name in SHOWN:
        if (value := getattr(assessment, name)) and value != "none":
            console.print(Text(f"  {name}: {value}"))
    if assessment.companies:
        console.print(Text(f"  companies: {', '.join(assessment.companies)}"))
    if assessment.claim_url:
        console.print(Text(f"  {_claim_verdict(assessment)}"))
    for what in assessment.missing:
        console.print(Text(f"  missing: {what}", style="yellow"))
    console.print(_reasons_table(assessment, least))
    for field, text in texts.items():
        if text:
            console.print(Text(f"\n{field}", style="dim"))
            console.print(_marked(text, field, assessment))


def _claim_verdict(assessment: Assessment) -> str:
    suspect = [r.rule for r in assessment.reasons if r.rule.startswith("claim_url_suspect")]
    if suspect:
        return f"BEWARE of the claim link: {suspect[0].partition(': ')[2]}"
    known = {True: "is", False: "is not", None: "may or may not be"}
    return f"the claim link {known[assessment.claim_url_official]} on an official domain"


def _reasons_table(assessment: Assessment, least: float) -> Table:
    table = Table()
    table.add_column("weight", justify="right")
    for column in ("cue", "where", "words"):
        table.add_column(column, overflow="fold")
    by_weight = sorted(assessment.reasons, key=lambda reason: -abs(reason.weight))
    small = [reason for reason in by_weight if 0 < abs(reason.weight) < least]
    for reason in by_weight:
        if reason in small:
            continue
        where = f"{reason.field} {reason.start}-{reason.end}" if reason.text else ""
        weight = f"{reason.weight:+.2f}" if reason.weight else ""
        table.add_row(*map(Text, (weight, reason.rule, where, reason.text)))
    if small:
        total = sum(reason.weight for reason in small)
        table.add_row(f"{total:+.2f}", f"{len(small)} smaller ones (--all shows them)", "", "")
    return table


def _marked(text: str, field: TextField, assessment: Assessment) -> Text:
    marked = Text(text)
    for reason in assessment.reasons:
        if reason.field == field and reason.text and abs(reason.weight) >= LEAST_SHOWN:
            style = "bold green" if reason.weight > 0 else "bold red"
            marked.stylize(style, reason.start, reason.end)
    return marked
