"""Compare: cases of one study side by side."""
