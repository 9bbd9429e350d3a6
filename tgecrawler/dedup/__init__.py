"""Where the fingerprints of recent mentions are, and which of them say the same."""
