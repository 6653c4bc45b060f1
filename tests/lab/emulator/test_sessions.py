from __future__ import annotations

import pytest
import requests
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import SalesforceAuthenticationFailed, SalesforceExpiredSession
from simple_salesforce.login import SalesforceLogin

from pipelines.lab.emulator import Credentials, Emulator


def test_login_answers_a_session_for_the_host_that_was_asked(org: Emulator, sf: Salesforce) -> None:
    """SOAP API Developer Guide, "login()": LoginResult carries serverUrl and sessionId."""
    assert sf.sf_instance == org.instance
    assert sf.query("SELECT COUNT() FROM Account")["totalSize"] == 0


@pytest.mark.parametrize("wrong", ["username", "password", "security_token"])
def test_a_wrong_login_is_the_documented_fault(org: Emulator, wrong: str) -> None:
    """SOAP API Developer Guide, "API Fault Element": LoginFault with exceptionCode INVALID_LOGIN."""
    who = {
        "username": org.credentials.username,
        "password": org.credentials.password,
        "security_token": org.credentials.security_token,
    }
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(org.ca_bundle)
        with pytest.raises(
            SalesforceAuthenticationFailed, match=r"INVALID_LOGIN.*Invalid username, password"
        ):
            SalesforceLogin(**(who | {wrong: "no"}), scratch_url=org.url, session=session)


def test_characters_that_xml_escapes_are_fine_in_a_password(connect) -> None:
    with Emulator(credentials=Credentials("a&b@example.com", "<p&q>'\"", "t")) as emulator:
        assert connect(emulator).session_id


def test_an_ended_session_is_refused_as_documented(org: Emulator, sf: Salesforce) -> None:
    """REST API Developer Guide, "Status Codes and Error Responses": 401, INVALID_SESSION_ID."""
    org.control.reset()
    with pytest.raises(SalesforceExpiredSession) as caught:
        sf.query("SELECT Id FROM Account")
    assert caught.value.content == [
        {"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}
    ]


def test_secrets_are_not_in_the_representation() -> None:
    assert "hunter2" not in repr(Credentials("u", "hunter2", "hunter2"))
