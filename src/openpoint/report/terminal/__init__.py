"""A result in the terminal: lines and rows that a study hands over, printed by one renderer."""
