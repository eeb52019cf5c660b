"""The neutral model: what every wire decodes to and encodes from. No I/O, no API's names."""
