"""`modelmux isolate`: a program with no network but the gateway."""

from typing import TypedDict

import click
from typing_extensions import Unpack

from modelmux.isolate.options import BACKENDS, Backend, Options


class _Said(TypedDict):
    model: str
    allow_model: tuple[str, ...]
    budget_calls: int | None
    key: str
    tags: str
    workdir: str
    read_only: bool
    hide: tuple[str, ...]
    backend: Backend
    image: str
    log: str
    control: str
    config: str
    quiet: bool


@click.command("isolate", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--model", default="", metavar="M", help="What programs inside use by default.")
@click.option(
    "--allow-model",
    multiple=True,
    metavar="M",
    help="A name or glob that may be asked for, and --model; may be repeated. Without: all.",
)
@click.option(
    "--budget-calls",
    type=click.IntRange(min=0),
    metavar="N",
    help="Calls that may be made in all.",
)
@click.option("--key", default="", metavar="NAME", help="Calls count as this key's of [[keys]].")
@click.option("--tags", default="", metavar="K=V,…", help="Labels of every call.")
@click.option("--workdir", default="", metavar="DIR", help="The folder that may be written to.")
@click.option("--read-only", is_flag=True, help="Not even that folder may be written to.")
@click.option(
    "--hide", multiple=True, metavar="PATH", help="A file or folder to hide; may be repeated."
)
@click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    default="userns",
    help="What isolates: our own, bubblewrap, or a container.",
)
@click.option("--image", default="", metavar="NAME", help="The container's image, with docker.")
@click.option("--log", default="", metavar="FILE", help="Write calls and names to FILE, as JSON.")
@click.option("--control", default="", metavar="PATH", help="The gateway's, where several run.")
@click.option("-c", "--config", default="", metavar="PATH", help="Start a gateway with this.")
@click.option("--quiet", is_flag=True, help="No summary at the end.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def command(command: tuple[str, ...], **said: Unpack[_Said]) -> int:
    """Run COMMAND with no network but the gateway: `modelmux isolate [OPTIONS] -- COMMAND …`."""
    from modelmux.isolate import wrapper

    return wrapper.main(
        Options(
            command,
            model=said["model"],
            allow_models=said["allow_model"],
            budget_calls=said["budget_calls"],
            key=said["key"],
            tags=said["tags"],
            workdir=said["workdir"],
            read_only=said["read_only"],
            hide=said["hide"],
            backend=said["backend"],
            image=said["image"],
            log=said["log"],
            control=said["control"],
            config=said["config"],
            quiet=said["quiet"],
        )
    )
