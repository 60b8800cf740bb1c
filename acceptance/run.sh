#!/usr/bin/env bash
# run.sh [PART...] : lets real clients read models over a real mount, and compares every
# byte. It installs what it needs, prints one line for each check, leaves nothing
# mounted and nothing running, and fails if a check fails. README.md says what is run.
set -euo pipefail
cd "$(dirname "$0")/.."

.ci/need fusermount3=fuse3 git=git rsync=rsync tar=tar find=findutils fio=fio python3=python3
cache=${XDG_CACHE_HOME:-$HOME/.cache}/modelfs-acceptance
python=$(acceptance/venv.sh "$cache/venv" hub.txt readers.txt)
gateway=$cache/versitygw-v1.8.0
[ -x "$gateway" ] || .ci/tool versitygw github.com/versity/versitygw/cmd/versitygw v1.8.0 "$gateway"
[ -x bin/modelfs ] || make --no-print-directory build

# mounts DIR prints the mount points below DIR, the last one first.
mounts() { awk -v dir="$1/" 'index($5, dir) == 1 {print $5}' /proc/self/mountinfo | tac; }

work=$(realpath "$(mktemp -d)") run='' ended=''
clean() {
	status=$?
	trap - EXIT
	if [ -n "$run" ]; then
		# The run has a process group of its own, and so this ends all that it started.
		kill -KILL -- "-$run" 2>/dev/null || true
		wait "$run" 2>/dev/null || true
	fi
	for point in $(mounts "$work"); do
		if [ -n "$ended" ]; then # not cut short
			echo "FAIL - left mounted: $point"
			status=1
		fi
		bin/modelfs umount --lazy "$point" || umount --lazy "$point"
	done
	rm -rf --one-file-system "$work"
	exit "$status"
}
trap clean EXIT
trap 'exit 130' INT TERM HUP

go build -o "$work/hubserver" ./testdata/hub/cmd/hubserver

limit=${ACCEPTANCE_LIMIT:-420}
# Each check has a deadline. This one is for what no signal but KILL can end: a
# reader that waits for a page of a file that never comes.
set -m
timeout --kill-after=10 "$limit" "$python" -B acceptance/main.py \
	--modelfs bin/modelfs --hubserver "$work/hubserver" --versitygw "$gateway" --work "$work" "$@" </dev/null &
run=$!
set +m
status=0
wait "$run" || status=$?
ended=yes
[ "$status" != 124 ] || echo "FAIL - the run: got no end after $limit s, want one"
exit "$status"
