"""What all results share: summaries, tables, JSON, JSON Schemas, files."""
