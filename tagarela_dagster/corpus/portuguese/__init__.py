"""Rules for Portuguese text: what pages, subtitles, scans and wikis leave in it."""
