"""What is said of a key in an SSH agent that cannot be used, and of an agent that does not answer."""

from __future__ import annotations

import base64
import hashlib
import socket
from pathlib import Path

import pytest

from keyturn.errors import KeyturnError
from keyturn.signing.agent import Agent, AgentError, AgentKey, choose, open_agent_key


def agent_key(blob: bytes, comment: str = "work") -> AgentKey:
    return AgentKey(kind="ssh-ed25519", blob=blob, comment=comment)


def fingerprint(blob: bytes) -> str:
    return f"SHA256:{base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip('=')}"


def test_a_fault_of_the_agent_may_leave_nothing_to_do() -> None:
    assert AgentError("is gone").to_dict() == {
        "reason": "agent-protocol",
        "what": "the SSH agent is gone",
        "where": "",
        "todo": "",
    }


@pytest.mark.parametrize("wanted", ["", "SHA256:short"])
def test_what_names_no_key_is_answered_with_the_form(wanted: str) -> None:
    with pytest.raises(KeyturnError) as caught:
        open_agent_key(f"ssh-agent:{wanted}", wanted, Agent(""))

    assert caught.value.to_dict() == {
        "reason": "key-uri",
        "what": "names no key in the SSH agent",
        "where": "ssh-agent:",
        "todo": "Write ssh-agent:SHA256:FINGERPRINT as `ssh-add -l` shows it, or ssh-agent:COMMENT.",
    }


def test_a_comment_of_two_keys_is_answered_with_both() -> None:
    marks = sorted(fingerprint(blob) for blob in (b"a", b"b"))
    with pytest.raises(KeyturnError) as caught:
        choose([agent_key(b"a"), agent_key(b"b")], "work", uri="ssh-agent:work")

    assert caught.value.to_dict() == {
        "reason": "key-ambiguous",
        "what": f"2 keys in the SSH agent have this comment: {marks[0]}, {marks[1]}",
        "where": "ssh-agent:work",
        "todo": "Name the one that you mean by its fingerprint: ssh-agent:SHA256:...",
    }


def test_a_key_that_is_not_there_is_named_by_its_uri() -> None:
    with pytest.raises(KeyturnError) as caught:
        choose([agent_key(b"a")], "home", uri="ssh-agent:home")

    assert (caught.value.reason, caught.value.where) == ("key-missing", "ssh-agent:home")


def test_an_agent_that_is_not_there_is_named_with_the_reason(tmp_path: Path) -> None:
    place = tmp_path / "agent"
    with pytest.raises(AgentError) as caught:
        Agent(str(place)).keys()

    assert caught.value.what == (
        f"the SSH agent does not answer at SSH_AUTH_SOCK={place}: No such file or directory"
    )


def test_a_fault_without_a_name_is_told_by_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = socket.socketpair(socket.AF_UNIX)

    def refuse(connection: socket.socket, data: bytes) -> None:
        raise OSError("no number, no name")

    monkeypatch.setattr(socket.socket, "sendall", refuse)
    monkeypatch.setattr(Agent, "_connected", lambda agent, seconds: here)
    with pytest.raises(AgentError) as caught:
        Agent("there").keys()
    there.close()

    assert caught.value.what == "the SSH agent went away without an answer: no number, no name"


class InPieces:
    """A connection that gives a message byte by byte, and as much as it is asked for afterwards."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def settimeout(self, seconds: float) -> None:
        pass

    def sendall(self, data: bytes) -> None:
        pass

    def recv(self, size: int) -> bytes:
        taken = size if len(self.data) < 7 else 1
        piece, self.data = self.data[:taken], self.data[taken:]
        return piece

    def __enter__(self) -> InPieces:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def test_a_message_that_comes_in_pieces_is_read_to_its_end_and_no_further(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    message = bytes([12, 0, 0, 0, 0])
    connection = InPieces(len(message).to_bytes(4, "big") + message + b"more")
    monkeypatch.setattr(Agent, "_connected", lambda agent, seconds: connection)
    with pytest.raises(AgentError) as caught:
        Agent("there").keys()

    assert caught.value.reason == "agent-empty"
    assert connection.data == b"more"


def test_a_key_whose_use_was_declined_is_answered_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    held = agent_key(b"a")
    monkeypatch.setattr(Agent, "_exchange", lambda agent, request, seconds: b"\x05")
    monkeypatch.setattr(Agent, "keys", lambda agent: (held,))
    with pytest.raises(AgentError) as caught:
        Agent("there").sign(held, b"payload")

    assert caught.value.reason == "agent-refused"
    assert caught.value.todo.startswith("Confirm when it asks.")
