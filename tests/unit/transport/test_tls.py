import os
import ssl

import pytest

from modelmux.errors import ConfigError
from modelmux.transport.tls import Tls, context
from tests.unit.transport.certificates import make_authority


def test_a_context_is_made_once():
    assert context(Tls()) is context(Tls())


def test_a_context_checks_certificates_and_names_and_speaks_http_1():
    made = context(Tls())
    assert made.verify_mode is ssl.CERT_REQUIRED
    assert made.check_hostname


def test_without_verification_anybody_is_believed():
    made = context(Tls(verify=False))
    assert made.verify_mode is ssl.CERT_NONE
    assert not made.check_hostname


def test_a_ca_file_replaces_the_systems_authorities(tmp_path):
    authority = make_authority(tmp_path)
    made = context(Tls(ca_file=str(authority.ca_file)))
    assert [ca["serialNumber"] for ca in made.get_ca_certs()] == [
        f"{authority.certificate.serial_number:040X}"[
            -len(made.get_ca_certs()[0]["serialNumber"]) :
        ]
    ]


def test_a_ca_file_that_changed_is_read_again(tmp_path):
    first, second = make_authority(tmp_path), make_authority(tmp_path)
    settings = Tls(ca_file=str(first.ca_file))
    before = context(settings)
    assert context(settings) is before
    first.ca_file.write_bytes(second.ca_file.read_bytes())
    os.utime(first.ca_file, (1, 1))
    assert context(settings) is not before


def test_a_ca_file_that_is_missing_is_a_mistake_of_the_configuration(tmp_path):
    with pytest.raises(ConfigError, match=r"'.*none\.pem' cannot be read: No such file"):
        context(Tls(ca_file=str(tmp_path / "none.pem")))


@pytest.mark.parametrize("text", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nxx\n"])
def test_a_ca_file_without_certificate_is_a_mistake_of_the_configuration(tmp_path, text):
    path = tmp_path / "ca.pem"
    path.write_text(text)
    with pytest.raises(ConfigError, match="holds no certificate"):
        context(Tls(ca_file=str(path)))
