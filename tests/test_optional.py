"""A package is imported without what it can do without."""

import importlib
import json.tool
import sys

import pytest

from daemon_programs import optional


def test_package_is_missing_only_meanwhile() -> None:
    with optional.without("tabnanny"), pytest.raises(ImportError):
        importlib.import_module("tabnanny")
    assert importlib.import_module("tabnanny")


def test_package_that_is_loaded_already_stays() -> None:
    with optional.without("json.tool"):
        assert importlib.import_module("json.tool") is json.tool
    assert sys.modules["json.tool"] is json.tool
