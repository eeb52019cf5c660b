import errno
import socket
import ssl

import pytest

from modelmux.transport.failure import reason


def refused_certificate() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] …")
    error.verify_message = "certificate has expired"
    return error


def broken_handshake() -> ssl.SSLError:
    error = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)")
    error.reason = "WRONG_VERSION_NUMBER"
    return error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (None, "it closed the connection"),
        (ConnectionResetError(), "it closed the connection"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed"), "connection refused"),
        (FileNotFoundError(errno.ENOENT, "x"), "no such file or directory"),
        (TimeoutError(errno.ETIMEDOUT, "x"), "connection timed out"),
        (refused_certificate(), "its certificate was refused: certificate has expired"),
        (broken_handshake(), "TLS failed: WRONG_VERSION_NUMBER"),
        (
            socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
            "the name does not resolve: Name or service not known",
        ),
        (OSError("Multiple exceptions: …"), "multiple exceptions: …"),
        (RuntimeError(), "RuntimeError"),
    ],
)
def test_a_failure_has_a_reason_in_words(error, said):
    assert reason(error) == said
