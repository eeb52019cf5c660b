from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.errors import ConfigError
from modelmux.ingress.address import (
    ANY_CID,
    Address,
    FdAddress,
    TcpAddress,
    UnixAddress,
    VsockAddress,
    is_exposed,
    parse_address,
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:3000", TcpAddress("127.0.0.1", 3000)),
        (":3000", TcpAddress("", 3000)),
        ("0.0.0.0:0", TcpAddress("0.0.0.0", 0)),
        ("localhost:80", TcpAddress("localhost", 80)),
        ("my-host.example.com:80", TcpAddress("my-host.example.com", 80)),
        ("[::1]:3000", TcpAddress("::1", 3000)),
        ("[fe80::1%eth0]:3000", TcpAddress("fe80::1%eth0", 3000)),
        ("unix:/run/m.sock", UnixAddress("/run/m.sock")),
        ("unix:///run/m.sock", UnixAddress("/run/m.sock")),
        ("unix:m.sock", UnixAddress("m.sock")),
        ("unix:@name", UnixAddress("name", abstract=True)),
        ("vsock:any:3000", VsockAddress(ANY_CID, 3000)),
        ("vsock:3:3000", VsockAddress(3, 3000)),
        ("fd:3", FdAddress(3)),
    ],
)
def test_an_address_is_understood(text: str, address: Address):
    assert parse_address(text) == address


def test_a_unix_path_may_begin_at_home(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert parse_address("unix:~/m.sock") == UnixAddress("/home/me/m.sock")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("3000", "for all interfaces"),
        ("", "expected one of HOST:PORT"),
        ("::1:3000", "write [::1]:3000"),
        ("[::1:3000", "in brackets"),
        ("[nonsense]:3000", "between the brackets"),
        ("http://127.0.0.1:3000", "not a URL"),
        ("host:", "expected a port"),
        ("host:http", "expected a port"),
        ("host:65536", "expected a port from 0 to 65535"),
        ("host:-1", "expected a port"),
        ("host:" + "9" * 5000, "expected a port"),
        ("ho st:1", "expected a host name"),
        ("*:3000", "write :PORT"),
        ("unix:", "expected a path"),
        ("unix:@", "expected a path"),
        ("unix:/", "expected a path"),
        ("unix:/" + "x" * 107, "at most 107 bytes"),
        ("unix:/a\0b", "without NUL"),
        ("vsock:3000", "expected vsock:CID:PORT"),
        ("vsock:x:3000", "expected a CID"),
        ("fd:-1", "expected a file descriptor"),
        ("fd:", "expected a file descriptor"),
    ],
)
def test_what_is_no_address_is_refused_with_what_would_be_one(text: str, words: str):
    with pytest.raises(ConfigError) as caught:
        parse_address(text)
    assert words in f"{caught.value.message} {caught.value.hint}"


@given(
    st.one_of(
        st.builds(TcpAddress, st.sampled_from(["", "h", "::1", "10.0.0.1"]), st.integers(0, 65535)),
        st.builds(UnixAddress, st.from_regex(r"/[a-z]{1,9}", fullmatch=True), st.just(False)),
        st.builds(UnixAddress, st.from_regex(r"[a-z]{1,9}", fullmatch=True), st.just(True)),
        st.builds(VsockAddress, st.integers(0, ANY_CID), st.integers(0, 2**32 - 1)),
        st.builds(FdAddress, st.integers(0, 99)),
    )
)
def test_an_address_is_written_as_it_is_read(address: Address):
    assert parse_address(str(address)) == address


@given(st.text())
def test_any_text_is_an_address_or_a_config_error(text: str):
    with suppress(ConfigError):
        parse_address(text)


@pytest.mark.parametrize(
    ("text", "exposed"),
    [
        ("127.0.0.1:1", False),
        ("127.9.9.9:1", False),
        ("localhost:1", False),
        ("[::1]:1", False),
        ("[::ffff:127.0.0.1]:1", False),
        ("unix:/s", False),
        ("vsock:any:1", False),
        ("fd:3", False),
        (":1", True),
        ("0.0.0.0:1", True),
        ("[::]:1", True),
        ("192.168.0.1:1", True),
        ("example.com:1", True),
        ("[::ffff:8.8.8.8]:1", True),
    ],
)
def test_an_address_tells_whether_others_can_reach_it(text: str, exposed: bool):
    assert is_exposed(parse_address(text)) is exposed
