import pytest

from modelmux.client.address import Unix, Vsock, is_local, parse


@pytest.mark.parametrize(
    ("address", "place", "path"),
    [
        ("unix:/run/a.sock", Unix("/run/a.sock"), ""),
        ("unix:///run/a.sock", Unix("/run/a.sock"), ""),
        ("unix:./a.sock", Unix("./a.sock"), ""),
        ("unix:/run/a b%20c.sock", Unix("/run/a b c.sock"), ""),
        ("unix:/run/a.sock:/v1/", Unix("/run/a.sock"), "/v1"),
        ("unix:@agent", Unix("\0agent"), ""),
        ("vsock:2:3000", Vsock(2, 3000), ""),
        ("vsock://2:3000/v1", Vsock(2, 3000), "/v1"),
    ],
)
def test_an_address_is_a_place_and_a_path(address: str, place: Unix | Vsock, path: str):
    assert is_local(address)
    assert parse(address) == (place, path)


@pytest.mark.parametrize(
    "address", ["unix:", "unix:@", "unix:a.sock", "vsock:2", "vsock:any:1", "http://x", ""]
)
def test_what_is_no_address_is_told_so(address: str):
    with pytest.raises(ValueError, match="expected unix:/path"):
        parse(address)


def test_urls_are_not_local():
    assert not is_local("http://127.0.0.1:3000/v1")
