"""The agri-assets command: one subcommand per file."""
