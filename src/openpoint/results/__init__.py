"""The common parts of all results: summaries, tables, JSON, JSON Schemas, files."""
