package zoo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	iofs "io/fs"
	"log/slog"
	"os"
	"path"
	"strings"
	"sync"
	"syscall"
	"time"

	"modelfs/providers"
)

// Limits on what is looked at to find grafts, so that neither a deep tree nor a
// hostile file costs more than a moment.
const (
	manifest      = "marie.json"
	maxManifest   = 1 << 20
	maxGraftDepth = 6
	maxGraftDirs  = 50_000
)

// A graft is a directory with a second name.
type graft struct {
	root *root
	dir  string
}

// A graftIndex is what the roots held when it was built. It is not changed.
type graftIndex struct {
	names map[string]graft
	below map[string]map[string]bool // every beginning of a name → next elements
	built time.Time
}

// covering returns the graft with the longest name that p is or begins with.
func (x *graftIndex) covering(p string) (graft, string) {
	for name := p; name != ""; name = slashed(path.Dir(name)) {
		if g, ok := x.names[name]; ok {
			return g, name
		}
	}
	return graft{}, ""
}

func (x *graftIndex) add(name string, g graft) {
	if _, taken := x.names[name]; taken {
		return
	}
	x.names[name] = g
	for name != "" {
		parent, el := slashed(path.Dir(name)), path.Base(name)
		if x.below[parent] == nil {
			x.below[parent] = map[string]bool{}
		}
		x.below[parent][el] = true
		name = parent
	}
}

// grafts builds the index when it is asked for and older than ttl. A build belongs
// to nobody who waits for it: a large zoo takes longer than one call may.
type grafts struct {
	roots    []*root
	log      *slog.Logger
	now      func() time.Time
	ttl      time.Duration
	patience time.Duration // a call waits this long, and then takes what there is

	mu       sync.Mutex // guards the fields below; not held while building
	index    *graftIndex
	slow     bool          // the last build outlasted patience
	building chan struct{} // closed when the build under way is over; nil without
}

const (
	graftPatience = time.Second
	graftTimeout  = 10 * time.Minute
)

var errLooking = fmt.Errorf("%w: the zoo is still being looked through for names", providers.ErrUnavailable)

func newGrafts(roots []*root, log *slog.Logger, now func() time.Time, ttl time.Duration) *grafts {
	return &grafts{roots: roots, log: log, now: now, ttl: ttl, patience: graftPatience}
}

// get returns an index at most ttl old, or the one before while a build takes its
// time, or errLooking.
func (g *grafts) get(ctx context.Context) (*graftIndex, error) {
	g.mu.Lock()
	x := g.index
	if x != nil && g.now().Sub(x.built).Abs() < g.ttl {
		g.mu.Unlock()
		return x, nil
	}
	if g.building == nil {
		g.building = make(chan struct{})
		go g.build(context.WithoutCancel(ctx), g.building)
	}
	done, slow := g.building, g.slow
	g.mu.Unlock()
	if slow && x != nil {
		return x, nil
	}
	enough := time.NewTimer(g.patience)
	defer enough.Stop()
	select {
	case <-done:
	case <-enough.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.index == nil {
		return nil, errLooking
	}
	return g.index, nil
}

// build makes an index and closes done.
func (g *grafts) build(ctx context.Context, done chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, graftTimeout)
	defer cancel()
	began := time.Now()
	x := &graftIndex{names: map[string]graft{}, below: map[string]map[string]bool{}}
	for _, r := range g.roots {
		if err := g.scan(ctx, r, x); err != nil {
			g.log.Warn("zoo root takes too long to look through; names in manifests are not all known", "root", r.path, "error", err)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	x.built = g.now()
	g.index, g.building, g.slow = x, nil, time.Since(began) > g.patience
	close(done)
}

// scan adds the grafts of one root. Directories that cannot be read have none.
func (g *grafts) scan(ctx context.Context, r *root, x *graftIndex) error {
	o, err := os.OpenRoot(r.path)
	if err != nil {
		return nil // whoever looks for a real path is told
	}
	defer o.Close()
	dirs := 0
	return iofs.WalkDir(o.FS(), ".", func(p string, d iofs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return iofs.SkipDir
		case d.IsDir():
			if dirs++; dirs > maxGraftDirs {
				g.log.Warn("zoo root has too many directories to look for names in all", "root", r.path, "looked at", maxGraftDirs)
				return iofs.SkipAll
			}
			if strings.Count(p, "/") >= maxGraftDepth {
				return iofs.SkipDir
			}
		case d.Name() == manifest && d.Type().IsRegular() && path.Dir(p) != ".":
			name, err := readName(o, p)
			if err != nil {
				g.log.Debug("zoo manifest gives no name", "root", r.path, "path", p, "reason", err)
				return nil
			}
			x.add(name, graft{r, path.Dir(p)})
		}
		return nil
	})
}

// readName returns the name that a manifest carries.
func readName(o *os.Root, p string) (string, error) {
	f, err := o.OpenFile(p, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err != nil {
		return "", err
	}
	return parseName(data)
}

func parseName(data []byte) (string, error) {
	if len(data) > maxManifest {
		return "", fmt.Errorf("longer than %d bytes", maxManifest)
	}
	var m struct {
		Name string `json:"_name_or_path"`
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return "", err
	}
	return m.Name, providers.ValidPath(m.Name)
}
