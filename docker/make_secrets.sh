#!/usr/bin/env bash
# Make the secret files that compose.yaml mounts. Files that exist are kept: run it again after an
# upgrade to get those that are new.
#
#   docker/make_secrets.sh [FOLDER]        default: docker/secrets, which git ignores
#
# The folder is 0700: on this host only its owner gets to the files. The files themselves are 0444,
# because compose mounts a secret file with the host's owner and mode, and the containers' users
# (50000, and 999 in PostgreSQL) must be able to read theirs.
set -euo pipefail

folder="${1:-$(dirname "${BASH_SOURCE[0]}")/secrets}"
umask 077
mkdir -p "$folder"
chmod 0700 "$folder"

before=$(find "$folder" -type f | wc -l)
put() { # put NAME: standard input becomes the file, in one step, unless it exists
  local path="$folder/$1"
  if [[ -e "$path" ]]; then
    cat >/dev/null
    return
  fi
  cat >"$path.new"
  chmod 0444 "$path.new"
  mv "$path.new" "$path"
}
random() { head -c "$1" /dev/urandom; }
hex() { random "$1" | od -An -vtx1 | tr -d ' \n'; }

hex 24 | put postgres_password
hex 24 | put airflow_db_password
hex 24 | put mlflow_db_password
# psycopg is named because a plain postgresql:// means another driver to older libraries.
printf 'postgresql+psycopg://airflow:%s@postgres:5432/airflow' "$(<"$folder/airflow_db_password")" | put airflow_db_url
printf 'postgresql+psycopg://mlflow:%s@postgres:5432/mlflow' "$(<"$folder/mlflow_db_password")" | put mlflow_db_url

random 32 | base64 | tr '+/' '-_' | tr -d '\n' | put airflow_fernet_key
hex 64 | put airflow_jwt_secret
hex 32 | put airflow_secret_key
printf '{"admin": "%s", "viewer": "%s"}\n' "$(hex 12)" "$(hex 12)" | put airflow_passwords

# Losing this key makes every pseudonym of the lake meaningless: back it up apart from the lake.
hex 32 | put millrace_pseudonym_key

# Of the emulator. For a real org write the integration user's into these three files.
printf 'integration@millrace.example' | put millrace_salesforce__username
hex 16 | put millrace_salesforce__password
hex 12 | put millrace_salesforce__security_token

# For DynamoDB Local, which checks none. For AWS write the keys of a user that may use the table, or
# nothing at all where the instance has a role.
printf '[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n' "$(hex 10)" "$(hex 20)" | put aws_credentials

echo "$(($(find "$folder" -type f | wc -l) - before)) secret files made in $folder"
