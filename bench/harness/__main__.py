"""`python -m bench.harness`, as `bench/run` calls it."""

import sys

from bench.harness.main import main

sys.exit(main())
