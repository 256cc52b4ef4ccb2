"""What all tests share: patience with slow machines, and how hard the random ones try."""

from effort import effort
from hypothesis import settings

# No deadline: a busy machine is no failure of what is tested.
settings.register_profile("perfcore", max_examples=effort(100), deadline=None)
settings.load_profile("perfcore")
