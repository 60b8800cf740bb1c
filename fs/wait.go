package fs

import (
	"context"
	"time"
)

// grace is how long a request that the kernel interrupts still waits. Go's own
// preemption signals interrupt healthy readers, and a failed read of a mapped file
// kills its process; a killed reader must be gone in a tenth of a second.
const grace = 50 * time.Millisecond

// patient returns a context for waiting on behalf of a request: it ends after
// timeout, or a moment after the kernel has interrupted the request.
func patient(req context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(req), timeout)
	stop := context.AfterFunc(req, func() { time.AfterFunc(grace, cancel) })
	return ctx, func() { stop(); cancel() }
}
