"""What all tests share: generated examples are the same in every run, so that a change is judged by what it changes.

To look for new examples: `HYPOTHESIS_PROFILE=search python -m nox -s tests`.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
