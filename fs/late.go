package fs

import (
	"sync"
	"time"

	"modelfs/blockcache"
)

// lateTime is how long a read that met its deadline is not waited for again.
const lateTime = time.Second

// late remembers which blocks were waited for in vain. The kernel repeats a readahead
// that failed, page by page; it must not wait its whole deadline again.
type late struct {
	mu     sync.Mutex
	blocks map[int64]time.Time // until when
}

// note remembers a range.
func (l *late) note(now time.Time, off int64, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.blocks == nil || len(l.blocks) > 1024 {
		l.blocks = map[int64]time.Time{}
	}
	for b := off / blockcache.BlockSize; b <= (off+int64(n)-1)/blockcache.BlockSize; b++ {
		l.blocks[b] = now.Add(lateTime)
	}
}

// was reports whether a part of a range is remembered.
func (l *late) was(now time.Time, off int64, n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for b := off / blockcache.BlockSize; b <= (off+int64(n)-1)/blockcache.BlockSize; b++ {
		until, ok := l.blocks[b]
		if ok && now.Before(until) {
			return true
		}
		delete(l.blocks, b)
	}
	return false
}
