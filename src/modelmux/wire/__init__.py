"""Wires: API formats as pure codecs. A wire joins by being named in `WIRES`."""
