"""The configuration: what it can say, where it comes from, and what is built of it."""
