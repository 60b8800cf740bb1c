// Package zoo serves models from directories of this machine.
//
// # Idea
//
// The roots of a zoo are laid over one another, in order, as one tree, and a model
// is any directory in it. Files are opened where they are and never copied.
//
// A directory may also have a second name: where its marie.json carries a name as
// "_name_or_path", the directory appears there too, unless a real path is there.
//
// # Promises
//
//   - Files of two roots never meet in one directory: the files of a directory come
//     from the first root that has any there. If that is the first root that has
//     the directory at all, its sub-directories come from there alone as well;
//     otherwise the sub-directories of all roots are laid together.
//   - Nothing outside the roots is read, whatever symbolic links say. A link inside
//     its model is served as a link; a link to elsewhere in a root is served as
//     what it points to; any other is listed as it is, for the caller to hide.
//     Pipes, sockets and devices are left out.
//   - A file is held to its modification time, change time, size and inode. A read
//     fails with [providers.ErrStale] as soon as one of them differs, and returns
//     no byte that it has not checked in this way. A program that writes through a
//     memory map shows this only when the kernel updates the times.
//   - A root that does not exist is empty: it may be a disk that is not mounted.
//
// # Terms
//
// root: a directory that the configuration names. place: a real path in a root.
// graft: the second name of a directory. anchor: the real directory whose inside
// a link may point into and still be a link.
package zoo
