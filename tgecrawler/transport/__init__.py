"""From a request to bytes: one guarded client for a whole crawl."""
