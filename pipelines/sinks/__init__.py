"""Sinks: where outbound rows are delivered, and the ledger of every row's fate."""
