"""Webhooks: what was signed by the right secret is read, whatever else comes is refused by one typed error."""

from __future__ import annotations

import base64
import json
import pickle
import traceback
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunekit.backends.openai import webhooks
from tunekit.backends.openai.webhooks import WebhookError, WebhookEvent, new_secret, receive, sign
from tunekit.errors import SpecError
from tunekit.events import JobState

NOW = 1_764_000_000.0
SECRET, OTHER = new_secret(), new_secret()
EVENT = {
    "id": "evt_1",
    "object": "event",
    "created_at": 1_763_999_990,
    "type": "fine_tuning.job.succeeded",
    "data": {"id": "ftjob-1"},
}
BODY = json.dumps(EVENT).encode()
visible = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40)


def signed(body: bytes = BODY, *, secret: Any = SECRET, at: float = NOW) -> dict[str, str]:
    return sign(body, secret=secret, delivery_id="wh_1", now=at)


def read(headers: Any, body: Any = BODY, *, secret: Any = SECRET, now: float = NOW) -> WebhookEvent:
    return receive(headers, body, secret=secret, now=now)


def test_a_request_without_headers_is_no_webhook() -> None:
    nothings: tuple[Any, ...] = (None, {}, [])
    for nothing in nothings:
        with pytest.raises(WebhookError, match="is there 0 times"):
            read(nothing)


def test_the_reference_vector_of_the_standard() -> None:
    # From the test of the official libraries (standard-webhooks/standard-webhooks, libraries/*/test).
    headers = sign(
        b'{"test": 2432232314}',
        secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        delivery_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        now=1614265330,
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_webhook_of_a_job_is_read() -> None:
    event = read(signed())
    assert event == WebhookEvent(
        delivery_id="wh_1",
        sent_at=NOW,
        type="fine_tuning.job.succeeded",
        id="evt_1",
        created_at=1_763_999_990.0,
        data={"id": "ftjob-1"},
    )
    assert (event.job_id, event.claimed_state) == ("ftjob-1", JobState.SUCCEEDED)


@pytest.mark.parametrize(
    "form",
    [
        lambda headers: {name.title(): value for name, value in headers.items()},
        lambda headers: [(name.encode(), value.encode()) for name, value in headers.items()],
        lambda headers: [*headers.items(), ("host", "example.org"), ("cookie", "a"), ("cookie", "b")],
    ],
    ids=["any case", "ASGI pairs", "other headers"],
)
def test_headers_come_as_frameworks_have_them(form: Any) -> None:
    assert read(form(signed())).job_id == "ftjob-1"


@pytest.mark.parametrize(
    ("body", "job_id", "state"),
    [
        ({"type": "fine_tuning.job.paused", "data": {"id": "j"}}, "j", JobState.PAUSED),
        ({"type": "fine_tuning.job.exploded", "data": {"id": "j"}}, "j", None),
        ({"type": "batch.completed", "data": {"id": "batch_1"}}, "", None),
        ({"type": "", "data": []}, "", None),
        ({"type": "fine_tuning.job.failed", "data": {"id": 7}}, "", None),
        ({"type": "fine_tuning.job.failed", "id": None, "created_at": "soon"}, "", None),
        ({"type": "fine_tuning.job.failed", "created_at": 10**400}, "", None),
    ],
)
def test_what_is_not_known_is_kept(body: dict[str, Any], job_id: str, state: JobState | None) -> None:
    raw = json.dumps(body).encode()
    event = read(signed(raw), raw)
    assert (event.type, event.job_id, event.claimed_state) == (body["type"], job_id, state)
    assert (event.id, event.created_at) == ("", NOW)


def test_a_secret_is_exchanged_without_losing_one() -> None:
    both = signed(secret=[OTHER, SECRET])
    assert read(both, secret=SECRET) == read(both, secret=OTHER) == read(signed(), secret=[OTHER, SECRET])
    with pytest.raises(WebhookError):
        read(both, secret=new_secret())


def test_signatures_of_other_versions_are_passed_over() -> None:
    headers = signed()
    headers["webhook-signature"] = f"v1a,AAAA v2,BBBB nonsense v1,é {headers['webhook-signature']} v1,"
    assert read(headers).job_id == "ftjob-1"
    headers["webhook-signature"] = headers["webhook-signature"].replace("v1,", "v3,")
    with pytest.raises(WebhookError):
        read(headers)


@pytest.mark.parametrize("off_s", [-300, -1, 0, 299, 300])
def test_the_clock_may_be_a_little_off(off_s: float) -> None:
    assert read(signed(), now=NOW + off_s).sent_at == NOW


@pytest.mark.parametrize(
    ("off_s", "says"), [(301, "301 s ago"), (-301, "301 s from now"), (float("nan"), "nan")]
)
def test_a_replay_is_refused_and_so_is_the_future(off_s: float, says: str) -> None:
    with pytest.raises(WebhookError, match=says):
        read(signed(), now=NOW + off_s)


@pytest.mark.parametrize("header", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_each_header_is_there_once(header: str) -> None:
    headers = signed()
    with pytest.raises(WebhookError, match=f"{header} is there 2 times"):
        read([*headers.items(), (header, headers[header])])
    del headers[header]
    with pytest.raises(WebhookError, match=f"{header} is there 0 times"):
        read(headers)


@pytest.mark.parametrize("timestamp", ["", "soon", "-1", "1e9", "١٢٣", "1" * 13, " 1", "1.0", "inf"])
def test_a_timestamp_is_whole_seconds(timestamp: str) -> None:
    with pytest.raises(WebhookError, match="webhook-timestamp is"):
        read({**signed(), "webhook-timestamp": timestamp})


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"{}", b'{"type": 3}', b"\xff", b"[" * 100_000, b"1" * 5000]
)
def test_a_signed_body_that_is_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(WebhookError, match="signed, but no event"):
        read(signed(body), body)


def test_a_huge_body_is_not_looked_at() -> None:
    body = b" " * webhooks.MAX_BODY_BYTES + b"{}"
    with pytest.raises(WebhookError, match="bytes"):
        read(signed(body), body)


def test_a_body_that_was_parsed_already_is_the_hosts_mistake() -> None:
    with pytest.raises(SpecError, match="body is dict"):
        read(signed(), EVENT)


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "whsec_AAAA",
        "whsec_***",
        pytest.param(SECRET[6:], id="without its prefix"),
        [],
        [SECRET, "x"],
        None,
        [None],
        "whsec_" + "é" * 40,
    ],
)
def test_a_wrong_secret_is_said_and_not_shown(secret: Any) -> None:
    for use in (lambda: read(signed(), secret=secret), lambda: signed(secret=secret)):
        with pytest.raises(SpecError) as caught:
            use()
        assert SECRET[6:] not in str(caught.value)


def test_secrets_are_in_no_traceback_no_repr_and_no_pickle() -> None:
    def frames_of(call: Any) -> str:
        try:
            call()
        except (WebhookError, SpecError) as error:
            found = traceback.TracebackException.from_exception(error, capture_locals=True)
            # The frames of this test hold the secret, of course.
            ours = [frame for frame in found.stack if frame.filename == webhooks.__file__]
            assert ours
            return repr([frame.locals for frame in ours]) + str(error) + repr(error)
        raise AssertionError("nothing was raised")

    bare = SECRET.removeprefix("whsec_")
    bad = f"whsec_{bare[:20]}"
    other = sign(BODY, secret=SECRET, delivery_id="other", now=NOW)["webhook-signature"]
    told = frames_of(lambda: read({**signed(), "webhook-id": "other"}))
    assert bare not in told and other not in told  # nor what would have been right
    assert bare not in frames_of(lambda: read(signed(), now=0))
    assert bare[:20] not in frames_of(lambda: read(signed(), secret=bad))
    (key,) = webhooks._keys(SECRET)
    assert bare not in repr(key) and repr(base64.b64decode(bare)) not in repr(key)
    with pytest.raises(TypeError):
        pickle.dumps(key)


# --- properties -----------------------------------------------------------------------------------


@given(delivery_id=visible, body=st.dictionaries(st.text(), st.integers()), at=st.integers(0, 10**11))
def test_what_is_signed_is_received(delivery_id: str, body: dict[str, int], at: int) -> None:
    raw = json.dumps({**body, "type": "t"}).encode()
    event = receive(sign(raw, secret=SECRET, delivery_id=delivery_id, now=at), raw, secret=SECRET, now=at)
    assert (event.delivery_id, event.sent_at, event.type) == (delivery_id, at, "t")


@given(st.data())
def test_no_byte_may_change(data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(BODY) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != BODY[position]))
    with pytest.raises(WebhookError):
        read(signed(), BODY[:position] + bytes([other]) + BODY[position + 1 :])


@given(delivery_id=visible.filter(lambda name: name != "wh_1"), off_s=st.integers(-300, 300).filter(bool))
def test_neither_the_name_nor_the_time_may_change(delivery_id: str, off_s: int) -> None:
    for changed in ({"webhook-id": delivery_id}, {"webhook-timestamp": str(int(NOW) + off_s)}):
        with pytest.raises(WebhookError, match="no signature"):
            read({**signed(), **changed})


@settings(max_examples=300)
@given(
    headers=st.lists(
        st.tuples(
            st.sampled_from(["webhook-id", "Webhook-Timestamp", b"webhook-signature", "x"]),
            st.one_of(st.text(), st.binary(), st.integers().map(str), st.just("v1,AAAA")),
        ),
        max_size=6,
    ),
    body=st.binary() | st.just(BODY),
)
def test_whatever_comes_is_refused_by_the_one_error(headers: list[Any], body: bytes) -> None:
    with pytest.raises(WebhookError) as caught:
        read(headers, body)
    assert caught.value.hint
