# What the experiments of this folder share: runs that are done once, results that are appended. Sourced, from the root.
#
#   experiment NAME          starts or continues the experiment whose files stand under runs/NAME
#   train RUN OVERRIDE...    trains runs/NAME/RUN from $config unless it is done; a stopped run goes on from its checkpoint
#   begin STEP RUN OVERRIDE...   the first STEP steps of such a run, under the schedule of the whole
#   result RUN KEY           a figure of a finished run, from results.jsonl
#   speed NAME ROUND RUN OVERRIDE...   measures NAME's tokens a second once, in a short run from RUN's weights
. launch/environment.sh

say() { printf '%s  %s\n' "$(date +%H:%M:%S)" "$*"; }

# All values of KEY in the JSON lines of standard input; the last one in a file, and their sum.
values_of() { grep -o "\"$1\": *[-0-9.e+]*" | sed 's/.*: *//'; }
last_of() { values_of "$2" <"$1" | tail -n 1; }
sum_of() { values_of "$2" <"$1" | awk '{ s += $1 } END { printf "%.1f", s }'; }

experiment() {
  root=runs/$1
  results=$root/results.jsonl
  bin=build/release/bin
  for program in moe-train moe-upcycle; do
    [ -x $bin/$program ] || { echo "$1: $bin/$program is missing; build the release preset first" >&2; exit 69; }
  done
  [ -f runs/quickstart/data/train.idx ] ||
    { echo "$1: the quickstart's data is missing; run ./launch/quickstart once" >&2; exit 69; }
  mkdir -p "$root"
  touch "$results"
  exec 9>"$root/lock"
  flock -n 9 || { echo "$1: is running already in $root" >&2; exit 73; }
}

# The processor as /proc/cpuinfo names it, and the best instructions it has for us.
cpu_name() {
  local isa
  isa=$(grep -m1 -ow -e avx512_bf16 /proc/cpuinfo || grep -m1 -ow -e avx512f /proc/cpuinfo || echo avx2)
  echo "$(grep -m1 'model name' /proc/cpuinfo | sed 's/.*: //') ($isa)"
}

is_done() { grep -q "\"run\": *\"$1\"" "$results"; }

result() { grep "\"run\": *\"$1\"" "$results" | tail -n 1 | values_of "$2"; }
# RUN's held-out loss at STEP, where it evaluated.
loss_at() { grep "\"step\": $2," "$root/$1/metrics.jsonl" 2>/dev/null | values_of eval_loss; }

# The processors and the commits of all finished runs.
distinct() { grep -o "\"$1\": *\"[^\"]*\"" "$results" | sed 's/.*": *"//; s/"$//' | sort -u | paste -sd, - | sed 's/,/, /g'; }
cpus() { distinct cpu; }
commits() { distinct commit; }

# One line a finished run; nothing is ever rewritten.
append_result() {
  local metrics=$root/$1/metrics.jsonl
  printf '{"run": "%s", "tokens": %s, "training_seconds": %s, "first_loss": %s, "eval_loss": %s, "commit": "%s", "cpu": "%s"}\n' \
    "$1" "$(last_of "$metrics" tokens)" "$(sum_of "$metrics" step_seconds)" \
    "$(values_of loss <"$metrics" | head -n 1)" "$(last_of "$metrics" eval_loss)" \
    "$(git rev-parse --short HEAD 2>/dev/null || echo unknown)" \
    "$(cpu_name)" >>"$results"
}

train() {
  local run=$1
  shift
  if is_done "$run"; then
    say "$run: done, held-out loss $(result "$run" eval_loss)"
    return
  fi
  say "$run: training"
  local launcher=()
  [ "${ranks:-1}" -gt 1 ] && launcher=(mpirun -np "$ranks" --bind-to none --oversubscribe)
  "${launcher[@]}" $bin/moe-train "$config" "output=$root" "name=$run" "$@" >"$root/$run.log" 2>&1 || {
    local code=$?
    tail -n 20 "$root/$run.log" >&2
    echo "$run: moe-train ended with $code; the same command goes on from its last checkpoint" >&2
    exit $code
  }
  append_result "$run"
  say "$run: held-out loss $(result "$run" eval_loss) after $(result "$run" training_seconds) s"
}

# What is asked of a beginning is its held-out loss at STEP, where the run evaluates; then it is stopped.
begin() {
  local step=$1 run=$2 pid loss
  shift 2
  is_done "$run" && return
  say "$run: the first $step steps"
  rm -rf "${root:?}/$run"
  $bin/moe-train "$config" "output=$root" "name=$run" checkpoint.interval=0 "$@" >"$root/$run.log" 2>&1 &
  pid=$!
  until loss=$(loss_at "$run" "$step") && [ -n "$loss" ]; do
    kill -0 $pid 2>/dev/null || { tail -n 20 "$root/$run.log" >&2; echo "$run: moe-train ended before step $step" >&2; exit 70; }
    sleep 1
  done
  kill $pid
  wait $pid || true
  printf '{"run": "%s", "step": %s, "eval_loss": %s}\n' "$run" "$step" "$loss" >>"$results"
  say "$run: held-out loss $loss at step $step"
}

# One line of speeds.jsonl a measurement; called in turns over what is compared, since a machine's speed drifts over hours.
speed() {
  local name=$1 round=$2 from=$3 rate
  shift 3
  touch "$root/speeds.jsonl"
  grep -q "\"name\": \"$name\", \"round\": $round," "$root/speeds.jsonl" && return
  rm -rf "$root/speed"
  $bin/moe-train "$config" "output=$root" name=speed "checkpoint.init_from=$root/$from" checkpoint.resume=never checkpoint.interval=0 \
    training.steps=16 eval.interval=0 eval.final=false "$@" >"$root/speed.log" 2>&1 ||
    { tail -n 20 "$root/speed.log" >&2; echo "speed of $name: moe-train failed" >&2; exit 70; }
  rate=$(values_of tokens_per_second <"$root/speed/metrics.jsonl" | tail -n 13 | median)
  printf '{"name": "%s", "round": %s, "tokens_per_second": %s}\n' "$name" "$round" "$rate" >>"$root/speeds.jsonl"
  rm -rf "$root/speed"
  say "speed of $name, round $round: $rate tokens/s"
}
# The rounds' figures of NAME.
speeds() { grep "\"name\": \"$1\"," "$root/speeds.jsonl" | values_of tokens_per_second; }
median() { sort -n | awk '{ v[NR] = $1 } END { if (NR) print (NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2) }'; }

# append_history BENCH FIGURES: one line of tests/bench/history.jsonl, as the other benches write it; FIGURES are members of
# a JSON object.
append_history() {
  PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=tests/bench python3 -c \
    'import json, sys; from bench_common import append_history; append_history(sys.argv[1], json.loads(sys.argv[2]))' "$1" "{$2}"
}

# curve NAME: the metrics files of all runs NAME or NAME-s<seed>, comma separated.
curve() {
  local file files=()
  for file in "$root/$1/metrics.jsonl" "$root/$1"-s[0-9]*/metrics.jsonl; do
    [ -f "$file" ] && files+=("$file")
  done
  (IFS=,; echo "${files[*]}")
}

# The first token count at which the mean held-out loss of the runs $1 is at most $2, where all of them evaluated.
tokens_to_reach() {
  local files
  files=$(curve "$1" | tr ',' ' ')
  # shellcheck disable=SC2086
  grep -h '"eval_loss"' $files |
    sed 's/.*"tokens": *\([0-9]*\).*"eval_loss": *\([-0-9.e+]*\).*/\1 \2/' |
    awk -v all="$(wc -w <<<"$files")" '{ sum[$1] += $2; n[$1]++ } END { for (t in sum) if (n[t] == all) print t, sum[t] / n[t] }' | sort -n |
    awk -v goal="$2" '$2 <= goal { if (before != "" && loss > $2) printf "%.0f\n", before + ($1 - before) * (loss - goal) / (loss - $2); else print $1; found = 1; exit }
                      { before = $1; loss = $2 } END { if (!found) print "never" }'
}
