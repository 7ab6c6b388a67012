"""Where events may be posted to, and with which secrets."""

import base64

import pytest

from gateway.authority.webhooks.endpoints import Endpoint, new_signing_secret, read_signing_secret, read_url
from gateway.authority.webhooks.events import EventType
from gateway.core.instance import InstanceKind
from gateway.errors import ConfigurationError
from tests.authority.webhooks.webhooks_kit import post_at


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:3000/api/webhooks",
        "http://localhost:3000",
        "http://[::1]:3000/",
        "https://example.com/hook?tenant=1",
        "http://10.0.0.7/hook",
        "http://receiver:8080/",
    ],
)
def test_any_http_url_will_do_in_development(url):
    assert read_url(url, InstanceKind.DEVELOPMENT, "URL") == url


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "it is no http or https URL"),
        ("/hook", "it is no http or https URL"),
        ("ftp://example.com/", "it is no http or https URL"),
        ("file:///etc/passwd", "it is no http or https URL"),
        ("https://", "it is no http or https URL"),
        ("https://example.com/" + "x" * 2048, "it is no http or https URL"),
        ("http://example.com:99999999/", "it is no URL"),
        ("https://ada:password@example.com/", "it has a user name, a password or a fragment"),
        ("https://example.com/#part", "it has a user name, a password or a fragment"),
        ("https://example.com/a b", "it has characters that do not stand in a URL"),
        ("https://example.com/é", "it has characters that do not stand in a URL"),
        ("https://example.com/\r\nX: y", "it is no URL"),
    ],
)
def test_other_urls_are_refused_and_no_password_is_shown(url, problem):
    with pytest.raises(ConfigurationError) as error:
        read_url(url, InstanceKind.DEVELOPMENT, "URL")
    (fault,) = error.value.faults
    assert problem in fault.problem
    assert "password@" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "is_allowed"),
    [
        ("http://example.com/", False),
        ("http://10.0.0.7/", False),
        ("https://example.com/", True),
        ("http://127.0.0.1/", True),
        ("http://localhost/", True),
    ],
)
def test_a_production_instance_posts_over_https_or_to_its_own_machine(url, is_allowed):
    if is_allowed:
        assert read_url(url, InstanceKind.PRODUCTION, "URL") == url
    else:
        with pytest.raises(ConfigurationError, match="use https"):
            read_url(url, InstanceKind.PRODUCTION, "URL")


def test_a_secret_is_made_anew_each_time_and_hidden():
    first, second = new_signing_secret(), new_signing_secret()
    assert first != second
    assert read_signing_secret(f"{first.reveal()}\n", "--secret-file") == first
    assert repr(first) == "Secret(whsec_…)"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        "whsec_***",
        "whsec_" + base64.b64encode(b"x" * 23).decode(),
        "whsec_" + base64.b64encode(b"x" * 65).decode(),
        base64.b64encode(b"x" * 32).decode(),
        "whsec_é",
    ],
)
def test_what_is_no_secret_is_refused_and_not_shown(text):
    with pytest.raises(ConfigurationError) as error:
        read_signing_secret(text, "--secret-file")
    hidden = text.removeprefix("whsec_")
    assert not hidden or hidden not in str(error.value)


def test_ensuring_an_endpoint_keeps_its_secret_unless_one_is_given_and_enables_it():
    post = post_at("http://127.0.0.1:1/hook")
    endpoints = post.outbox.endpoints
    endpoints.disable(post.endpoint.id, "it answered 410 Gone")
    assert endpoints.ensure(post.endpoint.url, None, 5) == post.endpoint
    given = new_signing_secret()
    assert endpoints.ensure(post.endpoint.url, given, 5).secret == given
    added = endpoints.ensure("http://127.0.0.1:2/hook", None, 5)
    assert endpoints.all() == [endpoints.find(post.endpoint.id), added]
    post.database.close()


def test_an_endpoint_wants_what_it_subscribes_to_and_without_a_subscription_everything():
    some = Endpoint.new("http://127.0.0.1/", 0, event_types=[EventType.SESSION_ENDED, EventType.SESSION_ENDED])
    assert [each for each in EventType if some.wants(each)] == [EventType.SESSION_ENDED]
    assert all(Endpoint.new("http://127.0.0.1/", 0).wants(each) for each in EventType)


def test_the_label_of_an_endpoint_has_no_path_and_no_query():
    endpoint = Endpoint.new("https://example.com:8443/secret?token=secret", 0)
    assert endpoint.label == f"{endpoint.id} (https://example.com:8443)"
