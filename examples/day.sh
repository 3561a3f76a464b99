#!/bin/sh
# A day in the shell: from a folder of photos and a few labels to a clean, split, exported training set, and back.
# sh examples/day.sh [FOLDER]    FOLDER must not exist; after each step the database is asked (set -e ends the day)
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
folder=${1:-$(mktemp -d)/day}
python=${PYTHON:-python}
evenset=${EVENSET:-evenset}  # may be "python -m evenset"
photos="$python $here/photos.py"
day=evenset-day

step() {
    printf '\n%s\n' "$1"
}

check() {
    $photos check "$day" "$1"
}

step "Load: photos, of which some have a label"
$photos make "$folder"
$photos load "$folder" "$day"
before=$($photos state "$day")
check 'len(dataset) == 233 and dataset.count("ground_truth") == 130'

step "Check the images"
$evenset check-dataset "$day" --label-field ground_truth --quiet
check 'dataset.count_values("check.problems")["unreadable"] == 1'
check 'dataset.count_values("check.problems")["exact duplicate"] == 2'

step "Find wrong labels, and decide on each: a person would look at the view, here truth.csv does"
$evenset find-mistakes "$day" --label-field ground_truth --quiet
check 'dataset.count_values("mistake.is_issue")[True] >= 4'
$photos decide "$folder" "$day" "mistake: mistakes" mistake > "$folder/mistakes.csv"
$evenset review-labels "$day" mistake --from "$folder/mistakes.csv" --quiet
check 'not dataset.count_values("mistake.is_issue").get(True)'

step "Label the rest, look at a draw of what is accepted, and accept"
$evenset auto-label "$day" --label-field ground_truth --target-precision 0.9 --quiet
check 'dataset.count_values("auto_label.status")["accepted"] > 50'
$evenset audit-labels "$day" auto_label --size 20 --quiet
$photos decide "$folder" "$day" "auto_label: audit" auto_label > "$folder/audit.csv"
$evenset review-labels "$day" auto_label --from "$folder/audit.csv" --quiet
$evenset audit-labels "$day" auto_label --quiet
check 'dataset.count("ground_truth") == 130 + 20'
$evenset review-labels "$day" auto_label --action accept --status accepted --quiet
check 'not dataset.count_values("auto_label.status").get("accepted")'

step "Decide what is left to review"
$photos decide "$folder" "$day" "auto_label: review" auto_label > "$folder/review.csv"
if test "$(wc -l < "$folder/review.csv")" -gt 1; then
    $evenset review-labels "$day" auto_label --from "$folder/review.csv" --quiet
fi
check 'dataset.count("ground_truth") == len(dataset)'

step "Even out the classes by augmented copies"
$evenset balance-classes "$day" --label-field ground_truth --source augment --quiet
check 'len(dataset.match_tags("synthetic")) > 0'

step "Split, with copies on one side"
$evenset split-dataset "$day" --label-field ground_truth --quiet
check 'not {"val", "test"} & {*dataset.match_tags("synthetic").distinct("tags")}'
check 'min(map(dataset.count_sample_tags().get, ("train", "val", "test"))) >= 20'

step "Export"
$evenset export-dataset "$day" --folder "$folder/export" --label-field ground_truth \
    --labels "labelled, reviewed, accepted" --include-synthetic --quiet
test -f "$folder/export/labels.csv" && test -f "$folder/export/README.md"
check 'len(dataset.list_runs()) >= 10'

step "All of this was runs; they are undone, and the dataset is as it was"
$evenset list-runs "$day"
$evenset delete-run "$day" --all --yes
test "$($photos state "$day")" = "$before"
$python -c "import fiftyone; fiftyone.delete_dataset('$day')"
printf '\nThe training set is in %s\n' "$folder/export"
