"""A report as data, and its page as HTML."""
