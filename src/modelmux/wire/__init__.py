"""Wires: API formats as pure codecs. None knows another; `wire.registry` knows them all."""
