"""How Hypothesis works here: no deadline, since a busy machine is no fault of the code; and in CI always the
same examples, so that a change is judged by what it changes. Everywhere else it goes on looking."""

import os

from hypothesis import settings

settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")
