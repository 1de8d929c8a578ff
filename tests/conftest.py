"""Shared by all tests: the fixtures of the real servers, the order, and the profile of the property tests."""

import os

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.scheduling", "tests.servers.fixtures"]

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "60"))

settings.register_profile("bounded", max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("bounded")
