"""Wiring: which components run, in what order, and why there.

What an operator may change is not here but in ``options.py``; the add-on turns
those options into settings.
"""

from __future__ import annotations

from typing import Any

BOT_NAME = "tgecrawler"
SPIDER_MODULES = ["tgecrawler.spiders"]
COMMANDS_MODULE = "tgecrawler.commands"
ADDONS = {"tgecrawler.addon.TGEAddon": 500}

EXTENSIONS: dict[str, int | None] = {
    "tgecrawler.extensions.store.Store": 10,  # first: the others write through it at the close
    "tgecrawler.extensions.ledger.EntryLedger": 20,
    "tgecrawler.extensions.health.SourceHealth": 30,
    "tgecrawler.extensions.source_rows.SourceRows": 40,
    "tgecrawler.extensions.announcer.Announcer": 50,  # after the store, whose rows it tells of
    "tgecrawler.extensions.report.RunReport": 90,  # last: reads what the others counted
    "tgecrawler.extensions.progress.Progress": 95,
    "tgecrawler.extensions.collector.Collector": 99,  # sets aside what all of them have loaded
    # off as it is, but a component without None is imported all the same, with an SSH server
    "scrapy.extensions.telnet.TelnetConsole": None,
    "scrapy.extensions.remote_control.RemoteControl": None,
}
ITEM_PIPELINES = {
    "pipelines.freshness.FreshnessPipeline": 100,  # cheap, and needs only the date
    "pipelines.relevance.RelevancePipeline": 200,
    "pipelines.event.EventPipeline": 300,
    # only what is relevant is worth a fingerprint, and that says whose token it is about
    "pipelines.dedup.DedupPipeline": 400,
    "pipelines.database.DatabasePipeline": 900,
}
_SCRAPYS = "scrapy.downloadermiddlewares"
DOWNLOADER_MIDDLEWARES: dict[str, int | None] = {
    # before anything is asked on a request's behalf, and again for each redirect
    "middlewares.guard.GuardMiddleware": 50,
    "middlewares.robots.RobotsMiddleware": 100,
    f"{_SCRAPYS}.robotstxt.RobotsTxtMiddleware": None,
    f"{_SCRAPYS}.offsite.OffsiteMiddleware": None,  # any host may be a source's or an article's
    f"{_SCRAPYS}.httpauth.HttpAuthMiddleware": None,  # no spider has a password
    "middlewares.retry.RetryMiddleware": 550,
    f"{_SCRAPYS}.retry.RetryMiddleware": None,
    "middlewares.meta_refresh.QuickMetaRefreshMiddleware": 580,
    f"{_SCRAPYS}.redirect.MetaRefreshMiddleware": None,
    "middlewares.compression.CompressionMiddleware": 590,
    f"{_SCRAPYS}.httpcompression.HttpCompressionMiddleware": None,
    "middlewares.redirect.UnreferredRedirectMiddleware": 600,
    f"{_SCRAPYS}.redirect.RedirectMiddleware": None,
    f"{_SCRAPYS}.cookies.CookiesMiddleware": None,  # takes a second HTTP client along
    # behind the cache on the way back: what a 304 stands for is archived, still compressed
    "middlewares.archive.ArchiveMiddleware": 895,
    "middlewares.tiered_cache.TieredCacheMiddleware": 900,
    f"{_SCRAPYS}.httpcache.HttpCacheMiddleware": None,
    # nearest the network: a page from the cache asks no host, and tells nothing about one
    "middlewares.politeness.PolitenessMiddleware": 950,
}
# Each one costs three asynchronous generators a response, and these would find nothing to do.
_SPIDERS = "scrapy.spidermiddlewares"
SPIDER_MIDDLEWARES: dict[str, int | None] = {
    f"{_SPIDERS}.referer.RefererMiddleware": None,  # no request bears a referrer
    f"{_SPIDERS}.urllength.UrlLengthMiddleware": None,  # resolve_url bounds addresses
    f"{_SPIDERS}.depth.DepthMiddleware": None,  # no spider follows links from page to page
    f"{_SPIDERS}.metacopy.MetaCopyDetectionMiddleware": None,  # warns of a mistake in spiders
}
HTTPCACHE_ENABLED = True
HTTPCACHE_STORAGE = "tgecrawler.cache.http.TieredCacheStorage"
HTTPCACHE_POLICY = "tgecrawler.cache.http.TieredCachePolicy"

# Politeness: one connection per host, at least a second apart, slower where the host is slow.
ROBOTSTXT_OBEY = True
CONCURRENT_REQUESTS_PER_DOMAIN = 1
DOWNLOAD_DELAY = 1.0
DOWNLOAD_DELAY_JITTER = 0.0  # half of it would be below the gap
AUTOTHROTTLE_ENABLED = True
AUTOTHROTTLE_START_DELAY = 1.0
AUTOTHROTTLE_MAX_DELAY = 30.0
# Hosts that are asked at the same time. Those that wait for their host's turn count as well:
# with fewer, some hundred slow or resting hosts would hold up all the others.
CONCURRENT_REQUESTS = 512

# Bounds; how long a fetch may take is in transport/deadlines.py, and what is tried again
# in domain/retrying.py.
DNS_TIMEOUT = 5
RETRY_GIVE_UP_LOG_LEVEL = "DEBUG"  # the source's own line says it
DOWNLOAD_MAXSIZE = 10 * 1024 * 1024
DOWNLOAD_WARNSIZE = 0

# Safety: nothing but http(s), certificates verified, no way in, nothing leaked.
_HANDLER = "tgecrawler.transport.handler.GuardedDownloadHandler"
DOWNLOAD_HANDLERS: dict[str, Any] = {
    "http": _HANDLER,
    "https": _HANDLER,
    "data": None,
    "file": None,
    "ftp": None,
    "s3": None,
}
HTTPPROXY_ENABLED = False  # behind a proxy, nobody here could tell where a name leads
DOWNLOAD_VERIFY_CERTIFICATES = True
TELNETCONSOLE_ENABLED = False
REMOTE_CONTROL_ENABLED = False
COOKIES_ENABLED = False
REFERRER_POLICY = "no-referrer"

# 100 (the default) starts 101 tasks a response and costs a third of the throughput.
CONCURRENT_ITEMS = 8
ASYNCIO_EVENT_LOOP = "uvloop.Loop"

FEED_EXPORTERS = {
    "json": "tgecrawler.exports.AlertJsonExporter",
    "jsonl": "tgecrawler.exports.AlertJsonLinesExporter",
    "jl": "tgecrawler.exports.AlertJsonLinesExporter",
    "csv": "tgecrawler.exports.AlertCsvExporter",
}
FEED_EXPORT_ENCODING = "utf-8"

LOG_LEVEL = "INFO"
LOG_FORMATTER = "tgecrawler.logformat.QuietLogFormatter"
STATS_DUMP = False  # the run report is the summary
LOGSTATS_INTERVAL = 0
