"""The command `otel-ext`; one module a subcommand, loaded when it is called."""
