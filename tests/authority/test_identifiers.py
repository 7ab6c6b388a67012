"""Identifiers have the form of the real ones, and secrets are as long as they have to be."""

import re
import string

from gateway.authority.identifiers import digest, new_id, new_secret


def test_an_identifier_is_its_prefix_and_27_characters():
    assert all(re.fullmatch(r"sess_[0-9A-Za-z]{27}", new_id("sess")) for _ in range(100))


def test_a_secret_has_43_characters_of_which_none_is_left_out():
    secrets = [new_secret("dvb_") for _ in range(500)]
    assert all(re.fullmatch(r"dvb_[0-9A-Za-z]{43}", secret) for secret in secrets)
    for position in (4, -1):
        assert len({secret[position] for secret in secrets}) > 55
    assert set("".join(secret[4:] for secret in secrets)) == set(string.ascii_letters + string.digits)


def test_no_two_are_alike():
    assert len({new_secret() for _ in range(1000)}) == 1000


def test_a_digest_is_made_of_any_text():
    assert digest("\ud800") != digest("a")
