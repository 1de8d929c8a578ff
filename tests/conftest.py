"""Shared by all tests: the fixtures of the real servers and the profile of the property tests."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.servers.fixtures"]

settings.register_profile("bounded", max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("bounded")
