"""The add-on that turns options into components and settings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Self

from scrapy.settings import SETTINGS_PRIORITIES

from tgecrawler import __version__
from tgecrawler.archive.replay import open_index
from tgecrawler.cache.opening import OFF
from tgecrawler.heap import bound_heap, trim_heap
from tgecrawler.options import PREFIX, Value, read_options
from tgecrawler.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scrapy.crawler import Crawler
    from scrapy.settings import BaseSettings, Settings

# Option values are final: they were already weighed against the environment and defaults.
_PRIORITY = SETTINGS_PRIORITIES["cmdline"]
_SHARED_SCHEDULER = "tgecrawler.scheduling.leased_scheduler.LeasedScheduler"


class TGEAddon:
    """Reads the options, loads the configuration, and switches components.

    `runtime` is what the other components work with; see `runtime_of`.
    """

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        self._runtime: Runtime | None = None

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(crawler)

    @property
    def runtime(self) -> Runtime:
        """The loaded runtime; set as soon as the crawler has read its settings."""
        if self._runtime is None:
            raise RuntimeError("the crawler has not applied its add-ons yet")
        return self._runtime

    def update_settings(self, settings: Settings) -> None:
        """Called by Scrapy before any component is built.

        Raises:
            UserError: an option, a configuration file, a spider argument, the archive
                to replay or the Redis to share cannot be used.
        """
        bound_heap()
        options = options_of(settings)
        self._runtime = Runtime.load(options)
        trim_heap()  # loading takes some 20 MB for a moment
        if configure := getattr(self.crawler.spider, "configure", None):
            configure(self._runtime)
        for name, value in options.items():
            settings.set(name, value, priority=_PRIORITY)
        settings.set("USER_AGENT", user_agent(options), priority="addon")
        if options["TGE_CACHE_URL"] == OFF:
            settings.set("HTTPCACHE_ENABLED", False, priority=_PRIORITY)
        if options["TGE_REPLAY"]:
            open_index(str(options["TGE_REPLAY"]))  # a wrong path ends the process here
            _replay_instead_of_network(settings)
        if options["TGE_REDIS_URL"]:
            self._share(settings, options)

    def _share(self, settings: Settings, options: Mapping[str, Value]) -> None:
        """Let a spider work with others on one crawl, once their Redis answers."""
        if getattr(self.crawler.spider, "stores", False):
            from tgecrawler.redis_start import await_redis  # a single process loads no Redis

            await_redis(str(options["TGE_REDIS_URL"]), float(options["TGE_REDIS_WAIT_S"]))
        if getattr(self.crawler.spider, "shares", False):
            settings.set("SCHEDULER", _SHARED_SCHEDULER, priority=_PRIORITY)


def options_of(settings: BaseSettings) -> dict[str, Value]:
    """Return the typed options of a process with these settings.

    Raises:
        OptionError: see `read_options`.
    """
    given = {name: settings[name] for name in settings if name.startswith(PREFIX)}
    return read_options(given, os.environ)


def runtime_of(crawler: Crawler) -> Runtime:
    """Return the runtime of `crawler`, once it has applied its add-ons."""
    addon = crawler.get_addon(TGEAddon)
    if addon is None:
        raise RuntimeError("the add-on tgecrawler.addon.TGEAddon is not in ADDONS")
    return addon.runtime


def user_agent(options: Mapping[str, Value]) -> str:
    """Return who we say we are, with the operator's contact where it is known."""
    contact = str(options["TGE_USER_AGENT_CONTACT"])
    return f"tgecrawler/{__version__}" + (f" (+{contact})" if contact else "")


def _replay_instead_of_network(settings: Settings) -> None:
    """Answer http(s) from the archive; there is no host left to be polite to."""
    handler = "tgecrawler.archive.replay.ReplayDownloadHandler"
    handlers = {**settings.getdict("DOWNLOAD_HANDLERS"), "http": handler, "https": handler}
    settings.set("DOWNLOAD_HANDLERS", handlers, priority=_PRIORITY)
    settings.set("HTTPCACHE_ENABLED", False, priority=_PRIORITY)
    settings.set("DOWNLOAD_DELAY", 0, priority=_PRIORITY)
    settings.set("AUTOTHROTTLE_ENABLED", False, priority=_PRIORITY)
    settings.set(
        "CONCURRENT_REQUESTS_PER_DOMAIN",
        settings.getint("CONCURRENT_REQUESTS"),
        priority=_PRIORITY,
    )
