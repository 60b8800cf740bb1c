// Package mount puts the parts together and keeps a mount alive: configuration to
// providers, cache and file system; mounting, telling that it is ready, draining
// and unmounting.
//
// [Run] is all that a command calls. [Serve] is the part below it that mounts a
// ready file system, with the kernel set up for large reads; tests use it too.
package mount
