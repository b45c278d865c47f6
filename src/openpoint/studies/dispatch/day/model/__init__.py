"""The mathematical model of dispatch over a day, and the methods that use its structure."""
