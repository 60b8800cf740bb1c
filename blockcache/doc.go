// Package blockcache keeps the bytes of remote files on a local disk, block by
// block, and hands them out only after they have been checked.
//
// # Idea
//
// A content object is the bytes of one file at one revision. It has a [Key]: its
// size, the digest that the source states for it, and the source that sends it.
// Each object has one data file of its full size, sparse until it is complete,
// and records in a Badger index that tell which blocks are there and what their
// checksums are. A [Reader] is one use of an object: it is asked for ranges, and
// what is missing is fetched through the function that came with it. A source that
// has no ranges answers ErrWhole to the first of them; one stream then brings the
// whole object, and serves everybody.
//
// An object passes through two states. While it is incomplete its blocks
// belong to the source that sent them: two sources that claim the same digest
// fill two files. Once every block is present, checked, and the whole matches
// its digest, the object is sealed: its file becomes read-only, is named by the
// digest, and from then on serves every source that states that digest.
// [Reader.Sealed] gives out that file for passthrough.
//
// # Promises
//
//   - No byte leaves the cache unchecked. A block fetched now was checked for
//     length on arrival; a block from disk is checked against its CRC-32C the
//     first time this process reads it, be it one that it wrote itself, and again
//     whenever its file was touched by anybody else; a file of one block is checked
//     against its digest before its first byte; a complete object against its digest
//     before it is sealed, and what the disk gives back of it against the checksums
//     of what arrived.
//   - A sealed file that was touched, or that the power may have taken before it
//     was written, is used as an incomplete one until it was checked again.
//   - The index is a hint. A record that is lost, stale or brought back from an
//     older copy costs a fetch and nothing else.
//   - Losing the cache, its index or its disk costs speed. A block that cannot be
//     stored is served from memory.
//   - One fetch serves everybody who waits for it, and belongs to the cache: a
//     reader that gives up does not take it along.
//   - MaxSize and MinFree are kept at all times, whoever fills the disk, as far as
//     evicting what nobody uses can do it; objects in use are not evicted. A file that
//     can never be kept whole evicts nothing.
//   - A full disk ends nothing: data stops above a floor of its own, and the index
//     above a lower one, since it is written through mapped files.
//
// # Memory and disk
//
// A block is received into memory, given to its waiters, written past the page cache
// (direct I/O, where the file system has it) and kept in memory for a while for
// readers who follow. Copying into the page cache costs more than a fast disk, and
// would hold a model in memory twice. What is no longer in memory is answered from
// the data file by splice. Both shares of memory are bounded by Options.
//
// # Terms
//
// A block is BlockSize aligned bytes (the last one may be short), the unit of
// presence and checksums. An extent is a run of blocks fetched by one request. A
// flight is one block on its way. FORMAT.md is the format on disk.
package blockcache
