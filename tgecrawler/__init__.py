"""tgecrawler hears of token generation events within minutes and without noise."""

__version__ = "0.1.0"
