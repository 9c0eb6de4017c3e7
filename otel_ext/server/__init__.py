"""The server of `otel-ext serve`: takes records, stores them, and answers what a viewer asks."""
