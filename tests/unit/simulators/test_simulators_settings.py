"""Settings of the simulators: what they refuse to start with."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.simulators.settings import Settings, SettingsError

GOOD = {"PASSPORT_SIMULATORS_FOLDER": "somewhere"}


def test_a_folder_is_enough():
    found = Settings.from_environment(GOOD)
    assert (found.public_url, found.bind) == ("https://localhost:9003", "127.0.0.1:9003")
    assert found.clients_file == Path("somewhere/clients.json")
    assert found.clock_file is None


@pytest.mark.parametrize("bind", ["127.0.0.1:1", "localhost:1", "[::1]:1", "fd://3"])
def test_it_listens_where_only_this_machine_reaches_it(bind):
    assert Settings.from_environment({**GOOD, "PASSPORT_SIMULATORS_BIND": bind}).bind == bind


def test_in_a_container_it_listens_on_the_containers_network():
    found = Settings.from_environment(
        {**GOOD, "PASSPORT_SIMULATORS_BIND": "0.0.0.0:9444", "PASSPORT_SIMULATORS_IN_CONTAINER": "true"}
    )
    assert found.bind == "0.0.0.0:9444"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"PASSPORT_SIMULATORS_FOLDER": ""}, "FOLDER"),
        ({"PASSPORT_SIMULATORS_BIND": "0.0.0.0:9003"}, "loopback only"),
        ({"PASSPORT_SIMULATORS_BIND": ":9003"}, "loopback only"),
        ({"PASSPORT_SIMULATORS_BIND": "simulators.example:9003"}, "loopback only"),
        ({"PASSPORT_SIMULATORS_PUBLIC_URL": "http://localhost:9003"}, "PUBLIC_URL"),
        ({"PASSPORT_SIMULATORS_PUBLIC_URL": "https://localhost:9003/"}, "PUBLIC_URL"),
        ({"PASSPORT_SIMULATORS_PUBLIC_URL": "https://"}, "PUBLIC_URL"),
    ],
)
def test_it_refuses_and_names_the_setting(changes, said):
    with pytest.raises(SettingsError, match=said):
        Settings.from_environment({**GOOD, **changes})
