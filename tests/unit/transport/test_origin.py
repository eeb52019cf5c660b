import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.errors import ConfigError
from modelmux.transport.origin import Origin, parse


@pytest.mark.parametrize(
    ("url", "origin", "authority", "shown"),
    [
        (
            "https://api.openai.com/v1",
            Origin(host="api.openai.com", port=443, is_tls=True, path="/v1"),
            "api.openai.com",
            "https://api.openai.com",
        ),
        (
            "http://127.0.0.1:11434",
            Origin(host="127.0.0.1", port=11434),
            "127.0.0.1:11434",
            "http://127.0.0.1:11434",
        ),
        ("http://box/", Origin(host="box", port=80), "box", "http://box"),
        ("HTTP://Box:80/a/b/", Origin(host="box", port=80, path="/a/b"), "box", "http://box"),
        ("http://box:443", Origin(host="box", port=443), "box:443", "http://box:443"),
        (
            "https://[::1]:8443/x",
            Origin(host="::1", port=8443, is_tls=True, path="/x"),
            "[::1]:8443",
            "https://[::1]:8443",
        ),
        (
            "unix:/run/llm.sock",
            Origin(host="localhost", socket_path="/run/llm.sock"),
            "localhost",
            "unix:/run/llm.sock",
        ),
        (
            "unix:/run/llm.sock:/v1/",
            Origin(host="localhost", socket_path="/run/llm.sock", path="/v1"),
            "localhost",
            "unix:/run/llm.sock",
        ),
        (
            "http://unix:/run/llm.sock:/",
            Origin(host="localhost", socket_path="/run/llm.sock"),
            "localhost",
            "unix:/run/llm.sock",
        ),
        (
            "unix:///run/llm.sock",
            Origin(host="localhost", socket_path="/run/llm.sock"),
            "localhost",
            "unix:/run/llm.sock",
        ),
        (
            "unix:@llm:/v1",
            Origin(host="localhost", socket_path="@llm", path="/v1"),
            "localhost",
            "unix:@llm",
        ),
        (
            "vsock:42:8000",
            Origin(host="localhost", port=8000, cid=42),
            "localhost",
            "vsock:42:8000",
        ),
        (
            "http://vsock:2:80:/v1/",
            Origin(host="localhost", port=80, cid=2, path="/v1"),
            "localhost",
            "vsock:2:80",
        ),
    ],
)
def test_an_origin_is_what_its_url_says(url, origin, authority, shown):
    assert parse(url) == origin
    assert origin.authority == authority
    assert str(origin) == shown


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.openai.com",
        "ftp://host",
        "http://",
        "https:///v1",
        "http://host:99999",
        "http://host:0",
        "http://host:port",
        "http://[::1",
        "http://host/a?b=c",
        "http://host/a#b",
        "http://ho st/",
        "http://host/a\nb",
        "http://bücher.example/",
        "http://" + "a" * 64 + ".example",
        "http://a..example",
        "unix:",
        "unix:relative.sock",
        "vsock:",
        "vsock:any:80",
        "vsock:2:80:v1",
        "vsock:4294967295:80",
        "vsock:2:99999999999",
        "unix:@",
        "unix:/",
        "unix:/a\0b",
        "unix:/" + "a" * 107,
    ],
)
def test_what_is_no_origin_is_refused_with_a_hint(url):
    with pytest.raises(ConfigError) as caught:
        parse(url)
    assert caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    "url",
    [
        "https://user:hunter2@host/v1",
        "ftp://user:hunter2@host/v1",
        "http://user:hunter2@[::1",
        "http://host/v1?key=hunter2",
        "https://user:hunter2@/v1",
        "https://user:hunter2@ho\u2100st/v1",
    ],
)
def test_a_secret_in_a_url_is_in_no_message(url):
    with pytest.raises(ConfigError) as caught:
        parse(url)
    assert "hunter2" not in caught.value.message + caught.value.hint


@given(st.text(max_size=30))
def test_no_text_makes_the_parser_raise_anything_else(rest):
    for scheme in ("", "http://", "https://host", "unix:/"):
        try:
            origin = parse(scheme + rest)
        except ConfigError:
            continue
        assert origin.host
