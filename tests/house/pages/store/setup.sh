# Makes what the page takes for given: a Parquet file, and two programs that report changes.
tagcast tags import scores.csv --id user_id --store made
tagcast query everyone --store made --out scores.parquet --columns churn_risk
printf '%s\n' '#!/bin/sh' 'echo "{\"user\": \"u1\", \"tags\": {\"city\": \"Shanghai\", \"age\": null}}"' > bin/tag-changes
printf '%s\n' '#!/bin/sh' 'echo "{\"event\": \"purchase\", \"user\": \"u1\", \"amount\": 12.5}"' > bin/new-events
chmod +x bin/tag-changes bin/new-events
