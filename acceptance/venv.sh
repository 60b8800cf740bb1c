#!/usr/bin/env bash
# venv.sh DIR FILE... : makes a Python environment in DIR that holds what the
# requirement files of this folder name, unless it is there, and prints its
# interpreter.
set -euo pipefail
cd "$(dirname "$0")"

dir=$1
shift
../.ci/need python3=python3 flock=util-linux
# Debian's python3 comes without the module that puts pip into an environment.
../.ci/need "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')/ensurepip=python3-venv"

mkdir -p "$dir"
exec 9>"$dir.lock"
flock 9 # two runs at once install once
want=$({ python3 -c 'import os, sys; print(os.path.realpath(sys.executable), sys.version)'; cat "$@"; } | sha256sum)
if [ "$(cat "$dir/installed" 2>/dev/null)" != "$want" ]; then
	echo "installing $* into $dir with pip" >&2
	python3 -m venv --clear "$dir"
	"$dir/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir --no-compile \
		--retries 10 "${@/#/--requirement=}" >&2
	echo "$want" >"$dir/installed"
fi
echo "$dir/bin/python"
