"""Credentials: what is shown to a provider, and how it is got."""
