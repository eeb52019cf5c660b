"""Benchmarks of the gateway, measured beside nginx in the same run: see `bench/README.md`."""
