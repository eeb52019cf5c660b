"""Bytes to where targets live and back: HTTP/1.1 over TCP, TLS and unix sockets."""
