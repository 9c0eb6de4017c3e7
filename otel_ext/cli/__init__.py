"""The command `otel-ext`: one module per subcommand, imported when it is called."""
