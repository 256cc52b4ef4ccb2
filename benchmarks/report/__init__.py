"""Every figure beside the rivals', from one JSON of results: ``python -m benchmarks.report --help``."""
