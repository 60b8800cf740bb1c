package transformers

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	iofs "io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"modelfs/providers"
)

// reuse reads the cache of huggingface_hub (hub-docs, docs/hub/local-cache.md):
//
//	models--org--name/refs/<ref>        the commit that the ref meant last
//	models--org--name/trees/<sha>.json  the listing of a commit
//	models--org--name/blobs/<etag>      a file, by its sha256 or git blob sha1
//
// Its writers move blobs in when they are complete. Still none is trusted: its
// digest is checked once, before its first use.
//
// The folder of a snapshot is not read: it may lack files, and a file that is
// absent by mistake makes a loader take other weights in silence.
type reuse struct {
	dir string
	log *slog.Logger

	mu       sync.Mutex
	checked  map[fileID]bool          // whether the file is what its name says
	checking map[fileID]chan struct{} // closed when it is known
}

// quickProof is how long an open waits for a file's digest to be checked. A large
// one is fetched meanwhile, or read when somebody comes back to it.
const quickProof = time.Second

// fileID is one state of one file.
type fileID struct {
	dev, ino uint64
	size     int64
	mtime    time.Time
}

func newReuse(dir string, log *slog.Logger) *reuse {
	return &reuse{dir: dir, log: log, checked: map[fileID]bool{}, checking: map[fileID]chan struct{}{}}
}

// folder is where the cache keeps a repository (file_download.py,
// repo_folder_name).
func (r *reuse) folder(rp repo) string {
	return filepath.Join(r.dir, rp.kind.folder+"--"+strings.ReplaceAll(rp.id, "/", "--"))
}

// reusingModel is a model some of whose files may be in the cache.
type reusingModel struct{ *model }

var _ providers.Opener = reusingModel{}

// Open opens a file of the cache. It fails with errors.ErrUnsupported if the
// cache has it not, or not rightly: it is then read by ReadRange.
func (m reusingModel) Open(ctx context.Context, e providers.Entry) (*os.File, error) {
	f, err := m.p.reuse.open(ctx, m.repo, e)
	if err != nil {
		return nil, m.fail("read", e.Path, err)
	}
	return f, nil
}

func (r *reuse) open(ctx context.Context, rp repo, e providers.Entry) (*os.File, error) {
	if e.Digest == "" {
		return nil, fmt.Errorf("%w: no digest to find the file by", errors.ErrUnsupported)
	}
	path := filepath.Join(r.folder(rp), "blobs", e.Digest.Hex())
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: not in the cache of huggingface_hub: %s", errors.ErrUnsupported, err.Error())
	}
	if err := r.prove(ctx, f, e); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// prove checks that f holds what e describes, the first time that it is seen.
func (r *reuse) prove(ctx context.Context, f *os.File, e providers.Entry) error {
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("%w: %s", errors.ErrUnsupported, err.Error())
	}
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.Mode().IsRegular() || info.Size() != e.Size {
		return fmt.Errorf("%w: the cache of huggingface_hub has not the whole file", errors.ErrUnsupported)
	}
	id := fileID{sys.Dev, sys.Ino, info.Size(), info.ModTime()}
	done := r.proof(id, f.Name(), e)
	quick := time.NewTimer(quickProof)
	defer quick.Stop()
	select {
	case <-done:
	case <-quick.C:
	case <-ctx.Done():
	}
	r.mu.Lock()
	good, known := r.checked[id]
	r.mu.Unlock()
	switch {
	case !known && ctx.Err() != nil:
		return ctx.Err()
	case !known:
		return fmt.Errorf("%w: the file in the cache of huggingface_hub is still being checked", errors.ErrUnsupported)
	case !good:
		return fmt.Errorf("%w: the file in the cache of huggingface_hub is damaged", errors.ErrUnsupported)
	}
	return nil
}

// proof has the file called name checked once, for all who ask and whoever leaves;
// the channel is closed when it is.
func (r *reuse) proof(id fileID, name string, e providers.Entry) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	done := r.checking[id]
	if _, known := r.checked[id]; known || done != nil {
		if done == nil {
			done = make(chan struct{})
			close(done)
		}
		return done
	}
	done = make(chan struct{})
	r.checking[id] = done
	go func() {
		good, err := r.check(name, id, e)
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.checking, id)
		if err == nil { // else the next open tries again
			r.checked[id] = good
		}
		close(done)
	}()
	return done
}

// check reads the file called name, if it is still the one of id.
func (r *reuse) check(name string, id fileID, e providers.Entry) (good bool, err error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	if sys, ok := info.Sys().(*syscall.Stat_t); !ok || sys.Dev != id.dev || sys.Ino != id.ino {
		return false, iofs.ErrNotExist
	}
	good, err = matches(f, e)
	if err == nil && !good {
		r.log.Warn("a file in the cache of huggingface_hub is damaged and not used", "file", name)
	}
	return good, err
}

func matches(f *os.File, e providers.Entry) (bool, error) {
	var h hash.Hash
	switch e.Digest.Algorithm() {
	case "sha256":
		h = sha256.New()
	case "git":
		h = sha1.New()
		fmt.Fprintf(h, "blob %d\x00", e.Size)
	default:
		return false, fmt.Errorf("%w: digest %s", errors.ErrUnsupported, e.Digest)
	}
	content := io.NewSectionReader(f, 0, e.Size)
	if _, err := io.Copy(h, content); err != nil {
		return false, err
	}
	return providers.NewDigest(e.Digest.Algorithm(), fmt.Sprintf("%x", h.Sum(nil))) == e.Digest, nil
}

// resolveCached answers with the commit that the cache remembers for ref, if it
// has that commit's listing; else with why the Hub could not be asked.
func (p *Provider) resolveCached(r repo, ref string, why error) (*model, error) {
	sha := ref
	if !isSHA(ref) {
		if ref == "" {
			ref = defaultRef
		}
		b, err := readSmall(filepath.Join(p.reuse.folder(r), "refs", filepath.FromSlash(ref)), 64)
		if err != nil {
			return nil, why
		}
		sha = strings.TrimSpace(string(b))
		if ref == defaultRef {
			ref = ""
		}
	}
	if !isSHA(sha) {
		return nil, why
	}
	m := p.model(r, ref, info{SHA: sha})
	t := p.reuse.tree(m)
	if t == nil {
		return nil, why
	}
	m.commit.mu.Lock()
	m.commit.tree = t
	m.commit.mu.Unlock()
	p.env.Log.Info("resolved from the cache of huggingface_hub", "name", r.String(), "revision", sha, "reason", why)
	return m, nil
}

// tree reads the listing of a commit, or nothing if there is none that can be
// read (_tree_cache.py, format version 1).
func (r *reuse) tree(m *model) *providers.Tree {
	b, err := readSmall(filepath.Join(r.folder(m.repo), "trees", m.origin.Revision+".json"), maxAnswer)
	if errors.Is(err, iofs.ErrNotExist) {
		return nil
	}
	var t *providers.Tree
	if err == nil {
		t, err = parseTreeFile(b, m.origin)
	}
	if err != nil {
		r.log.Debug("a listing in the cache of huggingface_hub is not used", "name", m.origin.Name, "error", err)
		return nil
	}
	return t
}

func parseTreeFile(b []byte, o providers.Origin) (*providers.Tree, error) {
	var file struct {
		Version int `json:"format_version"`
		Files   map[string]struct {
			Size      *told  `json:"size"`
			BlobID    string `json:"blob_id"`
			LFSSHA256 string `json:"lfs_sha256"`
			LFSSize   *told  `json:"lfs_size"`
		} `json:"files"`
	}
	if err := json.Unmarshal(b, &file); err != nil {
		return nil, err
	}
	if file.Version != 1 || file.Files == nil {
		return nil, fmt.Errorf("format version %d is not known", file.Version)
	}
	var entries []providers.Entry
	for path, f := range file.Files {
		e := providers.Entry{Path: path, Size: size(f.Size), ModTime: o.ModTime, Digest: providers.NewDigest("git", f.BlobID)}
		if f.LFSSHA256 != "" {
			e.Digest = providers.NewDigest("sha256", f.LFSSHA256)
			if f.LFSSize != nil {
				e.Size = size(f.LFSSize)
			}
		}
		if e.Digest == "" || e.Size < 0 {
			return nil, fmt.Errorf("%q has no digest or no size", path)
		}
		entries = append(entries, e)
	}
	return providers.NewTree(entries), nil
}

func readSmall(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s is longer than %d bytes", path, limit)
	}
	return b, err
}
