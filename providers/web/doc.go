// Package web reads models from plain https:// folders.
//
// # Idea
//
// A site of the configuration is a model: a folder on a web server, and what is
// below it. What is in the folder is learned from what the folder offers: index.json,
// else SHA256SUMS, else the page that Apache, nginx and Python write for a directory.
// Without any of them the folder cannot be listed, but a file whose path is known can
// be read.
//
// # Formats
//
// index.json is an array with one object for each file of the site. Only path is
// needed; what else an object holds is ignored:
//
//	[{"path": "onnx/model.onnx", "size": 1048576,
//	  "sha256": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
//	  "mtime": "2026-01-31T12:00:00Z"}]
//
// SHA256SUMS is what sha256sum writes, with or without --tag. Both name files by
// their path below the folder, and what they do not name is not there. Of a page only
// the links to direct children count.
//
// # Promises
//
// A site has no revisions: each file is held to its own validator, its ETag or the
// time of its last change. A range is asked for with it, and the answer is believed
// only if it bears it too. Where an index states a digest, that names the content, and
// the validator is taken from the server while the index still says so.
//
// Sizes are what the server says of each file, and are listed only where an index
// states them with a digest: one without the other could not be held to anything.
//
// A server that knows no ranges is remembered as one, and asked for whole files.
//
// # Limits
//
// Times on the web have whole seconds. A file that is written twice in one second, to
// the same length, on a server whose validators are times (nginx's are), looks
// unchanged; a digest in an index tells.
package web
