"""`modelmux bridge`: a loopback port for programs that cannot dial a socket."""

import click


@click.command("bridge", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--listen", required=True, metavar="127.0.0.1:PORT", help="A port of the loopback.")
@click.option(
    "--to", required=True, metavar="ADDR", help="unix:PATH, unix:@NAME or vsock:CID:PORT."
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def command(listen: str, to: str, command: tuple[str, ...]) -> int:
    """Pass a loopback port on to a unix socket or a vsock; with a COMMAND, as long as it runs."""
    from modelmux import bridge

    return bridge.run(listen, to, command)
