"""`python -m mixminus` is the command `mixminus`."""

import sys

from mixminus.cli import main

sys.exit(main())
