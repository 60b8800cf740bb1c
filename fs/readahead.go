package fs

import "sync"

// Readahead recognises the streams in which one handle is read and says how far
// ahead of each the source should be asked. The kernel reorders the requests of
// one stream and several threads share one descriptor, so a read belongs to the
// stream whose end lies near it, before or behind. A read that continues no stream,
// the first one of a file too, asks for nothing ahead; its successor does.
const (
	streams     = 16
	nearBehind  = 4 << 20  // a late request of the same stream
	nearAhead   = 2 << 20  // a request that overtook others
	firstWindow = 4 << 20  // after the second read of a stream
	maxWindow   = 96 << 20 // keeps every place at a source busy with 8 MiB extents
)

type readahead struct {
	mu      sync.Mutex
	streams [streams]stream
	clock   int64
}

type stream struct {
	next   int64 // where it will go on
	window int64
	used   int64 // clock of its last read; 0 is free
}

// read notes a read and returns how many bytes after it to ask for.
func (r *readahead) read(off, n int64) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clock++
	oldest := &r.streams[0]
	for i := range r.streams {
		s := &r.streams[i]
		if s.used != 0 && off >= s.next-nearBehind && off <= s.next+nearAhead {
			s.used = r.clock
			if end := off + n; end > s.next {
				s.window = min(max(2*s.window, firstWindow), maxWindow)
				s.next = end
			}
			return max(s.next+s.window-(off+n), 0)
		}
		if s.used < oldest.used {
			oldest = s
		}
	}
	*oldest = stream{next: off + n, used: r.clock}
	return 0
}
