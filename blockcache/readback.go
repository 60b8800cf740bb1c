package blockcache

import (
	"context"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// readBack reads what this process has only written, as a disk may lose what it was
// given: direct writes are not in the page cache, so that the disk itself answers. It
// gives way to readers, and leaves the page cache as it was. It is false if a block is
// lost; then the check begins again.
func (o *object) readBack(ctx context.Context, p []byte) bool {
	if o.n > extentBlocks {
		select {
		case o.c.readBack <- struct{}{}: // one large object at a time
			defer func() { <-o.c.readBack }()
		case <-ctx.Done():
			return false
		}
		defer idlePriority()()
	}
	for b := range o.n {
		o.mu.Lock()
		verified := o.verified.has(b)
		o.mu.Unlock()
		if verified {
			continue
		}
		if b%extentBlocks == 0 {
			o.giveWay(ctx)
		}
		if ctx.Err() != nil {
			return false
		}
		if !o.recheck(b, p[:blockLen(o.key.Size, b)]) {
			o.mu.Lock()
			o.again = true
			o.mu.Unlock()
			return false
		}
		if o.n > extentBlocks {
			// Only advice, and pages not yet written stay.
			_ = unix.Fadvise(int(o.part.Fd()), b*BlockSize, BlockSize, unix.FADV_DONTNEED)
		}
	}
	return true
}

// giveWay waits a moment while blocks are fetched, which have to be written: few disks
// have a scheduler that knows priorities. It does not wait where a strict reader does.
func (o *object) giveWay(ctx context.Context) {
	const step, patience = 10 * time.Millisecond, 100 * time.Millisecond
	for waited := time.Duration(0); waited < patience; waited += step {
		if o.c.stats.inFlight.Load() == 0 || o.filling.Load() > 0 {
			return
		}
		select {
		case <-time.After(step):
		case <-ctx.Done():
			return
		}
	}
}

// idlePriority has the disk serve this goroutine after all others, where its scheduler
// knows priorities, until the returned function is called.
func idlePriority() (end func()) {
	const process, idle = 1, 3 << 13 // IOPRIO_WHO_PROCESS; IOPRIO_CLASS_IDLE
	set := func(prio uintptr) error {
		if _, _, no := unix.Syscall(unix.SYS_IOPRIO_SET, process, 0, prio); no != 0 {
			return no
		}
		return nil
	}
	runtime.LockOSThread()
	if set(idle) != nil {
		return runtime.UnlockOSThread
	}
	return func() {
		if set(0) == nil { // else the thread ends with its goroutine
			runtime.UnlockOSThread()
		}
	}
}
