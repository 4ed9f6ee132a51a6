"""Fixtures of the results' tests: the tables' small results folder (`project`), and a copy to change (`own_copy`)."""

from tests.tables.conftest import built, own_copy, project  # noqa: F401
