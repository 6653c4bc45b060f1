"""Repurchase, publication."""

OBJECT = "Next_Order__c"
EXTERNAL_ID = "External_Id__c"
NAMESPACE = "repurchase"
