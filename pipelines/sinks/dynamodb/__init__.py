"""DynamoDB: versions written beside each other, one pointer that says which of them serves."""
