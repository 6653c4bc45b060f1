"""The Salesforce sink: Bulk API 2.0 upserts and deletes with a ledger."""
