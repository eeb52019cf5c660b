"""Where callers come in: listeners, identity, the HTTP surface."""
