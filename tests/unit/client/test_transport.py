from pathlib import Path

import httpx
import httpx2
import pytest

from modelmux.client import async_http_transport, http_transport


def test_each_library_gets_a_transport_of_its_own(tmp_path: Path):
    address = f"unix:{tmp_path}/s"
    assert isinstance(http_transport(address), httpx2.HTTPTransport)
    assert isinstance(http_transport(address, "httpx"), httpx.HTTPTransport)
    assert isinstance(async_http_transport(address), httpx2.AsyncHTTPTransport)
    assert isinstance(async_http_transport(address, "httpx"), httpx.AsyncHTTPTransport)


@pytest.mark.parametrize("make", [http_transport, async_http_transport])
def test_what_is_no_address_is_told_so(make: object):
    assert callable(make)
    with pytest.raises(ValueError, match="expected unix:/path"):
        make("http://127.0.0.1:3000")


def test_a_vsock_that_nobody_listens_on_is_httpxs_error():
    client = httpx.Client(transport=http_transport("vsock:1:4000000000", "httpx"), timeout=0.2)
    with client, pytest.raises((httpx.ConnectError, httpx.ConnectTimeout), match="vsock"):
        client.get("http://modelmux/v1/models")


def test_a_vsock_that_nobody_listens_on_is_httpx2s_error():
    client = httpx2.Client(transport=http_transport("vsock:1:4000000000"), timeout=0.2)
    with client, pytest.raises((httpx2.ConnectError, httpx2.ConnectTimeout), match="vsock"):
        client.get("http://modelmux/v1/models")
