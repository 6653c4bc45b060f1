#!/usr/bin/env bash
# Give the emulated Salesforce the accounts of the lake, as a real org would have them. Only the emulator's
# own container may use its control address, only the scheduler's reads the lake: a pipe joins the two.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

read_accounts='
import json, sys
from pipelines.io.lake import Lake
from pipelines.settings import Settings

rows = Lake.of(Settings.load()).read("raw/churn_accounts", columns=["account_id", "account_name"]).to_pylist()
names = {row["account_id"]: row["account_name"] for row in rows}
json.dump([{"Millrace_Account_Id__c": key, "Name": name} for key, name in names.items()], sys.stdout)
'
post_accounts='
import sys, urllib.request

url = "https://127.0.0.1:8443/_emulator/records/Account?key=Millrace_Account_Id__c"
print(urllib.request.urlopen(urllib.request.Request(url, sys.stdin.buffer.read()), timeout=120).read().decode())
'
docker compose exec -T airflow-scheduler python -c "$read_accounts" |
  docker compose exec -T salesforce-emulator python -c "$post_accounts"
