"""Reranking in the words of each API, one module an API."""
