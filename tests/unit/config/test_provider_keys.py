import pytest

from modelmux.config import provider_keys
from modelmux.config.schema import Provider
from modelmux.errors import ConfigError
from modelmux.provider import catalog
from modelmux.provider.auth.aws import AwsCredential, AwsStatic
from modelmux.provider.auth.entra import EntraCredential
from modelmux.provider.auth.gcp import ApplicationDefault, KeyFile, KeyJson
from modelmux.provider.auth.static import NoCredential, StaticCredential


def provider(type_: str, **more: object) -> Provider:
    return Provider(name="p", type=type_, **more)  # type: ignore[arg-type]


def kinds(type_: str, **more: object) -> list[type]:
    row = catalog.load().provider(type_)
    return [type(each) for each in provider_keys.credentials(provider(type_, **more), row)]


@pytest.mark.parametrize(
    ("type_", "more", "expected"),
    [
        ("openai", {"api_keys": ("a", "b")}, [StaticCredential, StaticCredential]),
        ("openai", {"auth": "passthrough"}, [NoCredential]),
        ("openai", {"headers": {"authorization": "Bearer x"}}, [NoCredential]),
        ("vllm", {}, [NoCredential]),
        ("bedrock", {"api_key": "k"}, [StaticCredential]),
        ("bedrock", {"access_key_id": "a", "secret_access_key": "b"}, [AwsStatic]),
        ("bedrock", {}, [AwsCredential]),
        ("bedrock", {"role_arn": "arn"}, [AwsCredential]),
        (
            "bedrock",
            {"access_key_id": "a", "secret_access_key": "b", "role_arn": "arn"},
            [AwsCredential],
        ),
        ("azure", {"api_key": "k"}, [StaticCredential]),
        ("azure", {}, [EntraCredential]),
        ("azure_foundry", {"tenant_id": "t"}, [EntraCredential]),
    ],
)
def test_what_is_said_of_a_provider_is_what_it_is_shown(
    type_: str, more: dict[str, object], expected: list[type]
):
    assert kinds(type_, **more) == expected


def test_a_provider_that_needs_a_key_says_so():
    with pytest.raises(ConfigError, match="expected an api_key, got none"):
        kinds("openai")


def test_half_of_amazons_keys_is_none():
    with pytest.raises(ConfigError, match="got one of them"):
        kinds("bedrock", access_key_id="a")


@pytest.mark.parametrize(
    ("type_", "more", "signs"),
    [
        ("bedrock", {"region": "us-east-1"}, True),
        ("bedrock", {"region": "us-east-1", "api_key": "k"}, False),
        ("bedrock", {"region": "us-east-1", "auth": "passthrough"}, False),
        ("openai", {"api_key": "k"}, False),
    ],
)
def test_only_amazons_own_keys_sign(type_: str, more: dict[str, object], signs: bool):
    row = catalog.load().provider(type_)
    found = provider_keys.signer(provider(type_, **more), row, lambda: 0.0)
    assert (found is not None) == signs


def test_a_signature_names_a_region():
    with pytest.raises(ConfigError, match="region is not set"):
        provider_keys.signer(provider("bedrock"), catalog.load().provider("bedrock"), lambda: 0.0)


@pytest.mark.parametrize(
    ("type_", "caller", "shown"),
    [
        ("openai", {"authorization": "Bearer a"}, b"authorization: Bearer a\r\n"),
        ("openai", {"x-api-key": "a"}, b"authorization: Bearer a\r\n"),
        ("anthropic", {"x-api-key": "a"}, b"x-api-key: a\r\n"),
        ("anthropic", {"authorization": "Bearer a"}, b"authorization: Bearer a\r\n"),
        ("azure", {"x-api-key": "a"}, b"api-key: a\r\n"),
        ("openai", {}, b""),
    ],
)
def test_a_callers_own_key_goes_where_the_provider_looks(
    type_: str, caller: dict[str, str], shown: bytes
):
    assert provider_keys.passthrough(catalog.load().provider(type_))(caller) == shown


def test_googles_credentials_come_from_where_it_is_said():
    assert isinstance(provider_keys.google_source(provider("vertex")), ApplicationDefault)
    file = provider("vertex", service_account_file="f")
    assert isinstance(provider_keys.google_source(file), KeyFile)
    json = provider("vertex", service_account_json="{}")
    assert isinstance(provider_keys.google_source(json), KeyJson)
