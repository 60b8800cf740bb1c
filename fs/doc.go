// Package fs is the file system: it turns the kernel's lookups, opens and reads
// into questions to providers and blocks of the cache.
//
// # From lookup to bytes
//
//	Lookup   root.go, namespace.go: the first elements name a model; it is resolved
//	         once, its absence remembered. dir.go: the rest is looked up in the
//	         model's listing.
//	Inode    attr.go: the number is made of protocol, name, path and content identity.
//	Open     file.go: the model is asked whether its ref still means the same revision
//	         (model.go). If the content is another one, ESTALE: the kernel looks the path
//	         up again and meets the new inode.
//	Read     handle.go: a range goes to the block cache with a guess of what follows
//	         (readahead.go). A sealed object needs no read: the kernel has its file.
//
// # Promises
//
// SEMANTICS.md states them; semantics_test.go replays them on a real mount.
//
// # Terms
//
// A model is a name at a ref; a snapshot is what it meant when last asked. A
// content is one file's bytes as an inode sees them. A listing is what a source
// told of one directory. The mode of an inode is how it is open now: cached (reads
// come here) or passthrough (reads go to the data file); the kernel refuses an
// inode both at once, so a content that changes mode gets the next variant,
// which is another inode.
//
// # Rules
//
// No notification is ever sent to the kernel; freshness rests on ESTALE at open
// and on timeouts. No request waits under a lock. A request that the kernel
// interrupts stops waiting; what it waited for goes on.
package fs
