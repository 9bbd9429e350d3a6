"""When each source is asked again, and with which validators."""

from __future__ import annotations

import hashlib
import logging
import random
import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from tgecrawler.addon import runtime_of
from tgecrawler.domain.delivery import Delivery
from tgecrawler.domain.feed_history import FeedHistory, observed, usual_gap_s
from tgecrawler.domain.feed_rhythm import is_stale
from tgecrawler.domain.polling import PollBounds, PollHints, next_poll_at
from tgecrawler.domain.source_list import FeedSource
from tgecrawler.domain.timing import in_words
from tgecrawler.errors import DatabaseError, OptionError
from tgecrawler.extensions.source_rows import SourceRows
from tgecrawler.extensions.store import Store
from tgecrawler.scheduling.feed_clock import FeedClock
from tgecrawler.spiders.poll_payload import dump_settled, dump_state, load_settled, load_state
from tgecrawler.storage.polls import PollState, read_polls, sources_of_coming_events
from tgecrawler.storage.records import SettledBody, SourceHealth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from scrapy.crawler import Crawler
    from scrapy.statscollectors import StatsCollector

    from tgecrawler.domain.delivery import DeliveredBody
    from tgecrawler.domain.source_list import SiteSource
    from tgecrawler.items import Entry
    from tgecrawler.options import Value

    Source = FeedSource | SiteSource

logger = logging.getLogger(__name__)

# A page that fails is asked for again with the next polls; then the feed's other
# entries are worth more than the traffic of reading it whole for ever.
MOST_UNSETTLED_POLLS = 3
# A server that says "not modified" whatever it has is found out by asking without validators,
# once a day, and of a source that is rarely asked every twentieth time.
TRUSTED_FOR = timedelta(days=1)
TRUSTED_POLLS = 20
COMING_EVENTS_EVERY = timedelta(minutes=10)
AROUND_EVENT = timedelta(days=1)
WITHHELD_FOR = timedelta(minutes=30)  # dates are set before publishing, and caches lag
SAY_STALE_EVERY = timedelta(days=1)
# A poll whose answer got lost in a fault of ours is made again after so long.
OVERDUE_AFTER = timedelta(hours=1)
NO_HINTS = PollHints()


@dataclass(slots=True)
class SourcePolls:
    """A source, what its row says, and what this process adds to it."""

    source: Source
    state: PollState
    history: FeedHistory
    told: frozenset[str] | None = None  # keys of the addresses in its last body, once one was read
    said_stale_at: datetime | None = None


class PollBook:
    """Plans the polls of all sources. Options: TGE_POLL_SHORTEST_S, TGE_POLL_LONGEST_S.

    `clock` holds when each is due. In a replay every source is due and nothing is
    kept of its polls: an archive is read whole, as often as one likes. A run that
    writes an archive asks without validators, so that every body is in it.
    """

    def __init__(
        self, store: Store, rows: SourceRows, stats: StatsCollector, bounds: PollBounds
    ) -> None:
        self.store = store
        self.rows = rows
        self.stats = stats
        self.bounds = bounds
        options = store.runtime.options
        self.replaying = bool(options["TGE_REPLAY"])
        self.asks_whole = self.replaying or bool(options["TGE_ARCHIVE"])
        self.clock = FeedClock()
        stored = {} if self.replaying else read_polls(store.engine)
        sources: list[Source] = [*store.runtime.sources.feeds, *store.runtime.sources.sites]
        self.polls = {source.slug: _polls_of(source, stored.get(source.slug)) for source in sources}
        # Set where other processes see to a part of a body's entries; see `SharedPolls`.
        self.on_handed_over: Callable[[Delivery], None] | None = None
        self.on_settled: Callable[[str, bytes], None] | None = None
        self._near_event: set[str] = set()
        self._near_event_at: datetime | None = None

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        store, rows = map(crawler.get_extension, (Store, SourceRows))
        if store is None or rows is None:
            raise RuntimeError("a spider that polls has Store and SourceRows among its extensions")
        return cls(store, rows, crawler.stats, poll_bounds(runtime_of(crawler).options))

    def state_of(self, slug: str) -> bytes:
        """Return what is known of a source, for the process that polls it next."""
        one = self.polls[slug]
        return dump_state(one.state, one.told)

    def adopt(self, slug: str, state: bytes, settled: bytes) -> None:
        """Take over what other processes know of a source; nothing where they know nothing.

        What cannot be read, of another version say, or is about another address, is left.
        """
        one = self.polls[slug]
        known = load_state(state, one.state.url)
        if known is not None:
            one.state, one.told = known
            one.history = FeedHistory.from_json(one.state.history)
        if (body := load_settled(settled)) is not None:
            one.state = replace(one.state, **body)

    def reload(self, stored: Mapping[str, PollState]) -> None:
        """Take over what the database knows of sources, where that is newer."""
        for slug, one in self.polls.items():
            known = _polls_of(one.source, stored.get(slug))
            ours_at, theirs_at = one.state.polled_at, known.state.polled_at
            if theirs_at is not None and (ours_at is None or theirs_at > ours_at):
                self.polls[slug] = known

    def due_at(self, slug: str, now: datetime) -> datetime:
        """Return when a source is due: `now` for one that was never polled."""
        return self.polls[slug].state.next_poll_at or now

    def validators(self, slug: str, rules_key: str, now: datetime) -> dict[str, str]:
        """Return the headers that make a request conditional; {} where the whole is wanted.

        Args:
            rules_key: of the rules in force; a body that was settled under other
                rules is wanted again.
        """
        one = self.polls[slug]
        state = one.state
        if self.asks_whole or not state.content_key.endswith(rules_key):
            return {}
        if not state.trusts_validators or self._is_to_be_checked(state, now):
            return {}
        sent = {"If-None-Match": state.etag, "If-Modified-Since": state.last_modified}
        return {name: value for name, value in sent.items() if value}

    def is_settled(self, slug: str, key: str) -> bool:
        """Return whether all of this body came to rest before."""
        return not self.replaying and self.polls[slug].state.content_key == key

    def delivery(self, slug: str, key: str, etag: str, last_modified: str) -> Delivery:
        """Return the account of a body that is about to be read."""
        return Delivery(
            slug,
            key,
            etag=etag,
            last_modified=last_modified,
            at_rest=self._delivered,
            id=uuid.uuid4().hex,
        )

    def read(
        self,
        slug: str,
        entries: Sequence[Entry],
        at: datetime,
        hints: PollHints = NO_HINTS,
        *,
        conditional: bool = False,
    ) -> None:
        """Note a body that was read, and plan the next poll.

        Args:
            conditional: whether it came in answer to validators; one that did not
                may prove an earlier "not modified" wrong.
        """
        one = self.polls[slug]
        moments = [entry.published_at or at for entry in _new_entries(one, entries)]
        withheld = not conditional and _was_withheld(one.state, moments)
        trusts = one.state.trusts_validators and not withheld
        if one.state.trusts_validators and not trusts:
            logger.warning("%s says that nothing changed when something did", slug)
        one.told = frozenset(told_key(entry.url) for entry in entries)
        one.state = replace(one.state, whole_at=at, trusts_validators=trusts)
        self._answered(one, moments, at, hints, whole_at=at, trusts_validators=trusts)

    def unchanged(
        self, slug: str, at: datetime, hints: PollHints = NO_HINTS, *, whole: bool
    ) -> None:
        """Note an answer without anything new; `whole` tells the same body from a 304."""
        one = self.polls[slug]
        self.stats.inc_value("tge/polls/same_body" if whole else "tge/polls/not_modified")
        whole_at = at if whole else one.state.whole_at
        one.state = replace(one.state, whole_at=whole_at)
        self._answered(one, [], at, hints, whole_at=whole_at, not_modified=1)

    def failed(self, slug: str, error: str, at: datetime, not_before_at: datetime | None) -> None:
        """Note a poll that failed, and plan the next one: later each time, but never never."""
        one = self.polls[slug]
        one.state = replace(
            one.state, polled_at=at, consecutive_failures=one.state.consecutive_failures + 1
        )
        record = self._record(
            one, polls=1, last_error=error, last_error_at=at, consecutive_failures=1
        )
        self._plan(one, at, PollHints(not_before_at=not_before_at), record)

    def stale(self, now: datetime) -> list[str]:
        """Return the sources that answer, but have told nothing for much longer than usual."""
        return [slug for slug, one in self.polls.items() if is_stale(one.history, now)]

    def _answered(
        self,
        one: SourcePolls,
        moments: Sequence[datetime],
        at: datetime,
        hints: PollHints,
        **learnt: Any,
    ) -> None:
        first = one.history.polls == 0
        one.history = observed(one.history, moments, polled_at=at, first=first)
        changed_at = at if moments else one.state.changed_at
        one.state = replace(one.state, polled_at=at, changed_at=changed_at, consecutive_failures=0)
        record = self._record(one, polls=1, last_success_at=at, changed_at=changed_at, **learnt)
        self._plan(one, at, hints, record)
        self._say_if_stale(one, at)

    def _plan(
        self, one: SourcePolls, now: datetime, hints: PollHints, record: SourceHealth
    ) -> None:
        slug = one.source.slug
        at = next_poll_at(
            one.history,
            now=now,
            hints=hints,
            bounds=self.bounds,
            priority=one.source.tier,
            expected_event=slug in self._sources_near_event(now),
            failures=one.state.consecutive_failures,
            jitter=random.random(),  # noqa: S311
        )
        one.state = replace(one.state, next_poll_at=at, history=one.history.to_json())
        self.clock.schedule(slug, at)
        if self.replaying:
            record = replace(record, polls=0, not_modified=0, changed_at=None)
        else:
            record = replace(record, polled_at=now, next_poll_at=at, history=one.state.history)
        self.rows.note(record)

    def _delivered(self, delivery: Delivery) -> None:
        if delivery.handed and self.on_handed_over is not None:
            self.on_handed_over(delivery)
        else:
            self.settle(delivery.body())

    def settle(self, body: DeliveredBody) -> None:
        """Keep the validators of a body of which nothing is left to do."""
        one = self.polls.get(body.slug)
        if self.replaying or one is None:  # another process may know other sources
            return
        unsettled = one.state.unsettled_polls + 1
        again = body.is_wanted_again or unsettled < MOST_UNSETTLED_POLLS
        if not body.settled and again:
            one.state = replace(one.state, unsettled_polls=unsettled)
            self.rows.note(self._record(one, unsettled_polls=unsettled))
        else:
            settled = SettledBody(body.content_key, body.etag, body.last_modified)
            one.state = replace(one.state, unsettled_polls=0, **settled._asdict())
            self.rows.note(self._record(one, settled=settled, unsettled_polls=0))
        if self.on_settled is not None:
            self.on_settled(body.slug, dump_settled(one.state))

    def _record(self, one: SourcePolls, **learnt: Any) -> SourceHealth:
        source = one.source
        return SourceHealth(
            slug=source.slug,
            url=address_of(source),
            owner=source.owner,
            tier=source.tier,
            **learnt,
        )

    def _sources_near_event(self, now: datetime) -> set[str]:
        """Return the sources that told of an event dated within a day; looked up rarely."""
        if self.replaying:
            return set()
        if self._near_event_at is None or now - self._near_event_at > COMING_EVENTS_EVERY:
            self._near_event_at = now
            since, until = ((now + side * AROUND_EVENT).date().isoformat() for side in (-1, 1))
            try:
                self._near_event = sources_of_coming_events(
                    self.store.engine, since=since, until=until
                )
            except DatabaseError as error:
                logger.error("database: events to come are not known: %s", error)
        return self._near_event

    def _is_to_be_checked(self, state: PollState, now: datetime) -> bool:
        """Return whether a source has said "not modified" for so long that it is to prove it."""
        if state.whole_at is None or state.polled_at is None or state.next_poll_at is None:
            return True
        interval = state.next_poll_at - state.polled_at
        return now - state.whole_at > max(TRUSTED_FOR, TRUSTED_POLLS * interval)

    def _say_if_stale(self, one: SourcePolls, now: datetime) -> None:
        if self.replaying or not is_stale(one.history, now):
            return
        if one.said_stale_at is not None and now - one.said_stale_at < SAY_STALE_EVERY:
            return
        one.said_stale_at = now
        usual_s = usual_gap_s(one.history)
        logger.warning(
            "%s answers, but has told nothing new since %s; usual is every %s",
            one.source.slug,
            f"{one.state.changed_at:%Y-%m-%d %H:%M}" if one.state.changed_at else "the first poll",
            in_words(usual_s) if usual_s else "few days",
        )


def poll_bounds(options: Mapping[str, Value]) -> PollBounds:
    """Return the bounds that the options set.

    Raises:
        OptionError: the shortest time is above the longest.
    """
    shortest_s, longest_s = (
        float(options[name]) for name in ("TGE_POLL_SHORTEST_S", "TGE_POLL_LONGEST_S")
    )
    if shortest_s > longest_s:
        raise OptionError(
            f"TGE_POLL_SHORTEST_S={shortest_s:g} is above TGE_POLL_LONGEST_S={longest_s:g}"
        )
    return PollBounds(shortest_s=shortest_s, longest_s=longest_s)


def _polls_of(source: Source, stored: PollState | None) -> SourcePolls:
    """Return a source's polls; what is stored of another address counts for nothing."""
    state = stored if stored is not None and stored.url == address_of(source) else None
    if state is None:
        state = PollState(slug=source.slug, url=address_of(source))
    return SourcePolls(source, state, FeedHistory.from_json(state.history))


def address_of(source: Source) -> str:
    """Return the address that is polled."""
    return source.url if isinstance(source, FeedSource) else source.sitemap or source.listing


def told_key(url: str) -> str:
    """Return 64 bits of a hash of an address: feeds tell hundreds, and workers pass them on."""
    return hashlib.blake2b(url.encode(), digest_size=8).hexdigest()


def _new_entries(one: SourcePolls, entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries that this source had not told at its last poll.

    A process that has not read it yet goes by the dates.
    """
    if one.told is not None:
        return [entry for entry in entries if told_key(entry.url) not in one.told]
    since = one.state.polled_at if one.history.polls else None
    return [
        entry
        for entry in entries
        if since is None or (entry.published_at is not None and entry.published_at > since)
    ]


def _was_withheld(state: PollState, moments: Iterable[datetime]) -> bool:
    """Return whether an entry was published well before a poll that was told of no change."""
    if state.whole_at is None or state.polled_at is None or state.whole_at == state.polled_at:
        return False
    before = state.polled_at - WITHHELD_FOR
    return any(state.whole_at < moment < before for moment in moments)
