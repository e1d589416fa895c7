"""`python -m agri_assets` is the `agri-assets` command."""

import sys

from agri_assets.cli.main import main

sys.exit(main())
