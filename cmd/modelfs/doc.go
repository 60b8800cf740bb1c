// Modelfs shows models from every source as plain, read-only files.
//
// # Synopsis
//
//	modelfs mount [--daemon] [MOUNTPOINT]
//	modelfs umount [--lazy] MOUNTPOINT
//	modelfs config init|check|show [FILE]
//	modelfs version
//	modelfs completion bash|zsh|fish
//	modelfs help [COMMAND]
//
// # Description
//
// After modelfs mount /models, any program that opens a plain file path can
// load any model from any source:
//
//	/models/zoo/<directory>/config.json
//	/models/s3/<bucket>/<prefix>/model.gguf
//	/models/transformers/<organisation>/<repository>@<revision>/model.safetensors
//
// Bytes arrive when they are read, stay in a local cache, are checked for a
// newer version on open, and are never wrong.
//
// # Commands
//
// mount serves until it is unmounted, or until SIGINT, SIGTERM or SIGHUP tells it
// to stop; it then lets no new reader in, and unmounts. A second signal detaches
// the mount at once, under readers that are left. MOUNTPOINT is a directory that
// exists; without it, mountpoint: of the configuration is used. Under systemd it
// says when it is ready (Type=notify). Flags override the configuration:
//
//	--daemon            return when the mount answers, and serve in the background
//	--log-file FILE     where the background process logs; else
//	                    /var/log/modelfs.log for root, for other users
//	                    $XDG_STATE_HOME/modelfs/modelfs.log
//	--cache-dir DIR     cache.dir
//	--cache-size SIZE   cache.max_size, such as 200GiB or 50%
//	--ttl DURATION      freshness.ttl, such as 10s; 0s asks the source at every open
//	--allow-other       access.allow_other: let other users read
//	--debug             log.level: debug
//
// umount detaches a mount of modelfs, also one whose process has died. It refuses
// to touch any other mount. If a process holds the mount, it says which; --lazy
// detaches it now and lets them finish.
//
// config init writes a file with every setting, commented out, and never over
// one that is there. config check reads the configuration and reports every
// problem with its line. config show prints what is in effect, with secrets
// masked. FILE is the same as --config FILE.
//
// version prints version, commit and the Go release, and so does --version.
//
// # Options of all commands
//
//	--config FILE       read this configuration
//	--json              print data as JSON (version, config check, config show)
//	-h, --help          help of a command
//
// # Exit status
//
// 0 on success, 1 when the command failed, 2 when it was called in a wrong way or
// the configuration is wrong. Data goes to standard output, everything else to
// standard error.
//
// # Files and environment
//
// The configuration is the first of: --config FILE, $MODELFS_CONFIG,
// $XDG_CONFIG_HOME/modelfs/config.yaml (~/.config if unset),
// /etc/modelfs/config.yaml. Without any, the defaults serve. The cache is in
// /var/cache/modelfs for root, else in $XDG_CACHE_HOME/modelfs (~/.cache).
// Sources read the variables and files of their own ecosystems, such as
// MODELFS_ZOO, HF_TOKEN and AWS_PROFILE; see docs/sources.
package main
