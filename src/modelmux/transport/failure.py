"""What the operating system and OpenSSL say, in words for a message."""

import os
import socket
import ssl


def reason(error: Exception | None) -> str:
    """Why a connection failed, in lower case; None is a clean end of the stream."""
    if error is None:
        return "it closed the connection"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate was refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error}"
    if isinstance(error, socket.gaierror):
        return f"the name does not resolve: {error.strerror}"
    if isinstance(error, OSError) and error.errno:
        return _lower_first(os.strerror(error.errno))
    if isinstance(error, ConnectionResetError):
        # What asyncio raises, without a word, when a TLS handshake meets the end of the stream.
        return "it closed the connection"
    return _lower_first(str(error)) or type(error).__name__


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
