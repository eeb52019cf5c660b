"""How frames are cut out of bytes. Knows no API."""
