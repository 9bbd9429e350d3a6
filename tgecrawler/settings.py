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

EXTENSIONS = {
    "tgecrawler.extensions.store.Store": 10,  # first: the others write through it at the close
    "tgecrawler.extensions.ledger.EntryLedger": 20,
    "tgecrawler.extensions.health.SourceHealth": 30,
    "tgecrawler.extensions.report.RunReport": 90,  # last: reads what the others counted
    "tgecrawler.extensions.progress.Progress": 95,
}
ITEM_PIPELINES = {
    "pipelines.freshness.FreshnessPipeline": 100,  # cheap, and needs only the date
    "pipelines.relevance.RelevancePipeline": 200,
    "pipelines.event.EventPipeline": 300,
    # only what is relevant is worth a fingerprint, and that says whose token it is about
    "pipelines.dedup.DedupPipeline": 400,
    "pipelines.database.DatabasePipeline": 900,
}
DOWNLOADER_MIDDLEWARES: dict[str, int] = {
    # nearest the downloader, so that a response is archived as it crossed the wire
    "middlewares.archive.ArchiveMiddleware": 950,
}

# Politeness: one connection per host, at least a second apart, slower where the host is slow.
ROBOTSTXT_OBEY = True
CONCURRENT_REQUESTS = 32
CONCURRENT_REQUESTS_PER_DOMAIN = 1
DOWNLOAD_DELAY = 1.0
AUTOTHROTTLE_ENABLED = True
AUTOTHROTTLE_START_DELAY = 1.0
AUTOTHROTTLE_MAX_DELAY = 30.0

# Bounds. A source that cannot be reached costs at most robots.txt and feed, twice each:
# 4 x 12 s and the gaps, so that a cycle without network ends within a minute.
DOWNLOAD_TIMEOUT = 12
DNS_TIMEOUT = 5
RETRY_TIMES = 1
RETRY_GIVE_UP_LOG_LEVEL = "DEBUG"  # the source's own line says it
DOWNLOAD_MAXSIZE = 10 * 1024 * 1024
DOWNLOAD_WARNSIZE = 0

# Safety: nothing but http(s), certificates verified, no way in, nothing leaked.
DOWNLOAD_HANDLERS: dict[str, Any] = {"data": None, "file": None, "ftp": None, "s3": None}
DOWNLOAD_VERIFY_CERTIFICATES = True
TELNETCONSOLE_ENABLED = False
REMOTE_CONTROL_ENABLED = False
COOKIES_ENABLED = False
REFERRER_POLICY = "no-referrer"

# 100 (the default) starts 101 tasks a response and costs a third of the throughput.
CONCURRENT_ITEMS = 8

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
