"""Fuzzers that need more than a test has: other programs, and time."""
