package blockcache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
)

// extentBlocks is how many blocks one request asks for at most.
const extentBlocks = 8

// gate bounds the requests of one source. Fetches ahead may take three quarters
// of it, so that somebody who waits finds a place.
type gate struct {
	all   chan struct{}
	ahead chan struct{}
}

func (c *Cache) gate(source string) *gate {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.gates[source]
	if g == nil {
		g = &gate{all: make(chan struct{}, c.opts.Streams), ahead: make(chan struct{}, max(1, c.opts.Streams*3/4))}
		c.gates[source] = g
	}
	return g
}

// extent is a run of flights fetched by one request.
type extent struct {
	first   int64
	flights []*flight
	ahead   bool // nobody waits for it yet

	// A whole stream brings all of the object. Its flights are nil for blocks
	// that nobody misses, and those before next are past; o.mu guards both.
	whole bool
	next  int64
}

// want makes sure that blocks first to last are stored or on their way, and
// begins to fetch what lies ahead of them. It returns the flights to wait for,
// joined; nil if all blocks are stored.
func (o *object) want(first, last, ahead int64, src Source) (map[int64]*flight, error) {
	o.mu.Lock()
	waits, extents, err := o.plan(first, last, ahead)
	o.mu.Unlock()
	if err != nil {
		return nil, err
	}
	o.c.stats.hits.Add(last - first + 1 - int64(len(waits)))
	gate := o.c.gate(src.Name)
	for _, x := range extents {
		o.launch(x, gate, src)
	}
	return waits, nil
}

// plan finds what is missing and puts it into flights and extents. o.mu is held.
func (o *object) plan(first, last, ahead int64) (waits map[int64]*flight, extents []*extent, err error) {
	if o.broken != nil {
		return nil, nil, o.broken
	}
	for b := first; b <= last; b++ {
		if f, ok := o.failed[b]; ok {
			if o.c.now().Before(f.until) {
				return nil, nil, f.err
			}
			delete(o.failed, b)
		}
	}
	if o.whole {
		waits, extents = o.planWhole(first, last)
		return waits, extents, nil
	}
	end := o.reach(last, ahead)
	var x *extent
	for b := first; b <= end; b++ {
		fl := o.flights[b]
		missing := fl == nil && !o.have.has(b) && !o.c.recent.has(o, b)
		if missing {
			fl = &flight{done: make(chan struct{})}
			o.flights[b] = fl
			if x == nil || len(x.flights) == extentBlocks || x.ahead != (b > last) && len(x.flights) >= extentBlocks/2 {
				x = &extent{first: b, ahead: b > last}
				extents = append(extents, x)
			}
			x.flights = append(x.flights, fl)
		} else {
			x = nil
		}
		if b <= last && fl != nil {
			waits = fl.join(waits, b)
		}
	}
	return waits, extents, nil
}

// join adds the flight of block b to those that a reader waits for.
func (fl *flight) join(waits map[int64]*flight, b int64) map[int64]*flight {
	if waits == nil {
		waits = map[int64]*flight{}
	}
	waits[b] = fl
	if fl.buf != nil {
		fl.buf.refs.Add(1)
	} else {
		fl.joined++
	}
	return waits
}

// reach returns the last block to fetch for a reader that is at block last and will
// go on for ahead bytes. Extents end at multiples of their size, so that a window
// that slides on asks for whole ones. Everybody's blocks ahead have to find room in
// memory, and what cannot be stored is not worth fetching early. o.mu is held.
func (o *object) reach(last, ahead int64) int64 {
	if ahead <= 0 || o.passing > 0 {
		return last
	}
	share := int64(o.c.opts.Recent) / max(1, o.c.active.Load())
	blocks := min((ahead+BlockSize-1)/BlockSize, max(share, extentBlocks/2))
	return min((last+blocks)/extentBlocks*extentBlocks+extentBlocks-1, o.n-1)
}

// launch starts the request of an extent. One that is only ahead is dropped when
// its source has no place for it: it is wanted again soon enough.
func (o *object) launch(x *extent, g *gate, src Source) {
	if x.ahead {
		select {
		case g.ahead <- struct{}{}:
		default:
			o.drop(x)
			return
		}
	}
	o.c.stats.inFlight.Add(int64(len(x.flights)))
	end := func() {
		o.c.stats.inFlight.Add(-int64(len(x.flights)))
		if x.ahead {
			<-g.ahead
		}
	}
	started := o.start(func(ctx context.Context) {
		defer end()
		useless := o.noRanges
		if x.whole {
			useless = nil
		}
		select {
		case g.all <- struct{}{}:
			defer func() { <-g.all }()
		case <-useless:
			o.drop(x)
			return
		case <-ctx.Done():
			o.fail(x.first, x.flights, ErrClosed)
			return
		}
		done, err := 0, error(nil)
		defer func() {
			if p := recover(); p != nil { // its waiters must not wait for ever
				err = fmt.Errorf("panic: %v", p)
				o.c.log.Error("a fetch panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			}
			if ctx.Err() != nil && err != nil {
				err = ErrClosed
			}
			o.endWhole(x)
			switch {
			case errors.Is(err, ErrWhole) && !x.whole:
				o.becomeWhole(x)
			case err != nil:
				o.fail(x.first+int64(done), x.flights[done:], err)
			}
			o.advance()
		}()
		err = o.stream(ctx, x, src, &done)
	})
	if !started {
		end()
		o.endWhole(x)
		o.fail(x.first, x.flights, ErrClosed)
	}
}

// drop undoes the flights of an extent that will not be fetched now. Whoever
// joined one meanwhile is told to ask again.
func (o *object) drop(x *extent) { o.fail(x.first, x.flights, errLost) }

// fail ends flights with an error, which is remembered for a moment: the kernel
// asks again for each page of a failed read.
func (o *object) fail(first int64, flights []*flight, err error) {
	until := o.c.now().Add(failureMemory)
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, fl := range flights {
		if fl == nil {
			continue
		}
		b := first + int64(i)
		if fl.joined > 0 && !errors.Is(err, ErrClosed) && err != errLost { //nolint:errorlint // our own sentinel, unwrapped
			o.failed[b] = failure{err, until}
		}
		delete(o.flights, b)
		if fl.buf == nil { // not given to its waiters yet
			fl.err = err
			close(fl.done)
		}
	}
}

// stream fetches an extent and lands its blocks one by one, counting them in done.
func (o *object) stream(ctx context.Context, x *extent, src Source, done *int) error {
	off := x.first * BlockSize
	end := min((x.first+int64(len(x.flights)))*BlockSize, o.key.Size)
	body, err := src.Fetch(ctx, off, end-off)
	if err != nil {
		return err
	}
	defer func() {
		if err := body.Close(); err != nil {
			o.c.log.Debug("close body", "error", err)
		}
	}()
	if x.whole {
		return o.streamWhole(ctx, x, body, src, done)
	}
	for i, fl := range x.flights {
		if _, err := o.receive(ctx, x.first+int64(i), fl, body, src); err != nil {
			return err
		}
		*done++
	}
	return nil
}

// receive reads one block from body, checks it, answers its waiters and stores it,
// if it can.
func (o *object) receive(ctx context.Context, b int64, fl *flight, body io.Reader, src Source) (stored bool, err error) {
	buf := o.c.pool.get(blockLen(o.key.Size, b))
	defer buf.release()
	if n, err := io.ReadFull(body, buf.data); err != nil {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		return false, fmt.Errorf("%d of %d bytes of block %d arrived: %w", n, len(buf.data), b, err)
	}
	o.c.stats.misses.Add(1)
	o.c.stats.fetched.Add(int64(len(buf.data)))
	if o.n == 1 {
		if err := o.checkWhole(ctx, buf, src); err != nil {
			return false, err
		}
	}
	sum := checksum(buf.data)
	if o.known && sum != o.checksum(b) {
		o.c.stats.corrupt.Add(1)
		return false, fmt.Errorf("%w: block %d is not what was there before", ErrCorrupt, b)
	}
	o.publish(b, fl, buf)
	stored = o.store(b, buf.data)
	o.settle(b, buf, sum, stored)
	return stored, nil
}

// checksum is the recorded one of a block.
func (o *object) checksum(b int64) uint32 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.crc[b]
}

// checkWhole holds an object of one block to its digest before anybody sees it;
// on a mismatch it is fetched once more.
func (o *object) checkWhole(ctx context.Context, buf *buffer, src Source) error {
	for try := 0; ; try++ {
		h, want := newHash(o.key.Digest, o.key.Size)
		if h == nil {
			return nil
		}
		h.Write(buf.data)
		if sumHex(h) == want {
			return nil
		}
		o.c.stats.corrupt.Add(1)
		if try == 1 {
			o.c.log.Error("content does not match its digest", "source", o.key.label(), "digest", o.key.Digest)
			o.c.mu.Lock()
			o.c.rejects.add(o.key.partial(), 2, o.c.now().Add(rejectTime))
			o.c.mu.Unlock()
			return fmt.Errorf("%w (%s), twice", ErrCorrupt, o.key.Digest)
		}
		body, err := src.Fetch(ctx, 0, o.key.Size)
		if err != nil {
			return err
		}
		_, err = io.ReadFull(body, buf.data)
		if cerr := body.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return err
		}
	}
}

// publish gives a block to those who wait for it; it stays in flight until settled.
func (o *object) publish(b int64, fl *flight, buf *buffer) {
	o.mu.Lock()
	buf.refs.Add(fl.joined)
	fl.buf = buf
	o.landing++
	o.progress.Add(1)
	delete(o.failed, b)
	close(fl.done)
	o.mu.Unlock()
}

// settle ends a flight: its block is stored, or at least in memory for a while.
func (o *object) settle(b int64, buf *buffer, sum uint32, stored bool) {
	o.c.recent.put(o, b, buf)
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.flights, b)
	o.landing--
	if stored {
		o.passing = 0
		o.have.set(b)
		o.verified.unset(b)
		o.crc[b] = sum
		o.dirty[uint32(b/groupBlocks)] = true
		return
	}
	o.passing++
}
