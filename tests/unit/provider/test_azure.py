import pytest

from modelmux.provider import azure

RESOURCE = "https://res.openai.azure.com"


@pytest.mark.parametrize(
    "written",
    [
        RESOURCE,
        f"{RESOURCE}/",
        f"{RESOURCE}/openai",
        f"{RESOURCE}/openai/v1",
        f"{RESOURCE}/openai/v1/chat/completions",
        f"{RESOURCE}/openai/deployments/d/chat/completions?api-version=2024-10-21",
        f"{RESOURCE}/anthropic",
        f"{RESOURCE}/anthropic/v1/messages",
        f"{RESOURCE}/api/projects/p",
        f"{RESOURCE}/api/projects/p/openai/v1/",
    ],
)
def test_a_resource_is_found_in_any_of_its_urls(written: str):
    assert azure.resource(written) == RESOURCE


def test_a_path_before_it_is_meant():
    assert azure.resource("https://apim.example/team/openai/v1") == "https://apim.example/team"
