#!/usr/bin/env bash
# Asks tagcast and other engines the same questions in one run, and prints how many times longer each other engine takes.
#
#   benches/against.sh BENCH DATA [ENGINE MODE]...
#
# BENCH has gen_users.py and peers.py; DATA is a folder with room for 5 GB, in which files are made that are not there yet. Engines:
# polars memory (unless others are named), duckdb native|memory|parquet, datafusion ipc|parquet, chdb native|parquet.
# Needs Python 3 with venv. N= and E= make smaller data.
set -euo pipefail
here="$(cd "$(dirname "$0")/.." && pwd)"
if [ $# -lt 2 ] || [ ! -f "$1/peers.py" ]; then
  sed -n '2,8p' "$0" | cut -c3-
  exit 2
fi
bench="$(cd "$1" && pwd)"; mkdir -p "$2"; data="$(cd "$2" && pwd)"; shift 2
[ $# -gt 0 ] || set -- polars memory
export DATA="$data"

python="$data/venv/bin/python"
if [ ! -x "$python" ]; then
  python3 -m venv "$data/venv"
  "$data/venv/bin/pip" install -q numpy pyarrow duckdb polars datafusion chdb
fi
[ -f "$data/events.parquet" ] || "$python" "$bench/gen_users.py" >&2

program="$data/program"
(cd "$here" && cargo build -q --release)
tagcast="$here/target/release/tagcast"
if [ ! -f "$program/.tagcast/manifest.json" ]; then
  mkdir -p "$program"
  cp "$here/benches/questions/tags.campaign" "$program/"
  touch "$program/tagcast.toml"
  "$python" - "$data" <<'PY'
import sys, pyarrow.parquet as pq, pyarrow.compute as pc
folder = sys.argv[1]
events = pq.read_table(f"{folder}/events.parquet")
pq.write_table(events.filter(pc.equal(events["type"], "purchase")).select(["user_id", "ts", "amount"]), f"{folder}/purchase.parquet")
PY
  time "$tagcast" tags import "$data/users.parquet" --id user_id --minor-units --program "$program"
  time "$tagcast" events import purchase "$data/purchase.parquet" --id user_id --at ts --minor-units --program "$program"
fi

lines="$(mktemp)"; trap 'rm -f "$lines"' EXIT
(cd "$here" && TAGCAST_BENCH_PROGRAM="$program" cargo bench -q --bench against 2>/dev/null | grep '^{' | tee "$lines")
while [ $# -ge 2 ]; do
  "$python" "$bench/peers.py" "$1" "$2" | grep '^{' | tee -a "$lines"
  shift 2
done
for _ in 1 2 3; do
  /usr/bin/env time -f "cold %e s" "$tagcast" query --program "$program" --now 2026-05-27 'region == "Shanghai" and coupon_rate > 0.3' --count || true
done

"$python" - "$lines" <<'PY'
import json, sys
# Bytes of the columns that a question reads, a user; Q4 also reads an instant and an amount an event.
BYTES = {"Q1": 5, "Q2": 22, "Q3": 15}
lines = [json.loads(line) for line in open(sys.argv[1])]
ours = {l["q"]: l for l in lines if l["engine"] == "tagcast" and l["mode"] == "first"}
again = {l["q"]: l for l in lines if l["engine"] == "tagcast" and l["mode"] == "again"}
speed = next(l["gb_per_s"] for l in lines if l["engine"] == "memory")
print(f"memory: {speed} GB/s")
for q, l in ours.items():
    limit = f", {l['med_ms'] / (BYTES[q] * 10 / speed):.1f} times what reading its columns takes" if q in BYTES else ""
    print(f"{q}: tagcast {l['med_ms']} ms (least {l['min_ms']}){limit}; asked again {again[q]['med_ms']} ms")
    for other in (o for o in lines if o["engine"] not in ("tagcast", "memory") and o["q"].rstrip("b") == q):
        same = "" if other["result"] == l["result"] else "  ANSWERS DIFFER"
        print(f"    {other['engine']} {other['mode']} {other['q']}: {other['med_ms']} ms = {other['med_ms'] / l['med_ms']:.1f} times{same}")
PY
