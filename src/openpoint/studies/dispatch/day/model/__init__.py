"""The mathematical model of dispatch over a day, and the methods that know it."""
