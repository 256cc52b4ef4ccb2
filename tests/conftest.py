"""What all tests share: patience with slow machines, and how hard the random ones try."""

import pytest
from effort import effort
from hypothesis import settings

# No deadline: a busy machine is no failure of what is tested.
settings.register_profile("perfcore", max_examples=effort(100), deadline=None)
settings.load_profile("perfcore")


@pytest.fixture(scope="session", autouse=True)
def a_cache_directory_of_its_own(tmp_path_factory):
    """What is stored where the user's caches are by default is this run's own, in subprocesses too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("user-cache")))
        yield
