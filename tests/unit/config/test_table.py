from modelmux.config.table import Secret, Table


class Mine(Table, frozen=True):
    """A table."""

    name: str
    key: Secret = ""


def test_a_table_does_not_show_its_secrets():
    shown = repr(Mine(name="a", key="s3cret-value"))
    assert "name='a'" in shown
    assert "s3cret-value" not in shown
