package transformers

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"modelfs/providers"
	"modelfs/providers/wire"
)

// link is where a file's bytes are.
type link struct {
	url     *url.URL // nil: on the resolve route itself
	expires time.Time
}

// links remembers links by commit and path. They are secrets: they live in
// memory only.
type links struct {
	mu sync.Mutex
	m  map[string]link
}

// maxLinks bounds the memory for links; a link costs a round trip to get back.
const maxLinks = 4096

func (l *links) get(key string, now time.Time) (link, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k, ok := l.m[key]
	if ok && !now.Before(k.expires) {
		delete(l.m, key)
		return link{}, false
	}
	return k, ok
}

func (l *links) put(key string, k link, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.m == nil {
		l.m = map[string]link{}
	}
	if len(l.m) >= maxLinks {
		for old, k := range l.m {
			if !now.Before(k.expires) {
				delete(l.m, old)
			}
		}
	}
	for old := range l.m {
		if len(l.m) < maxLinks {
			break
		}
		delete(l.m, old)
	}
	l.m[key] = k
}

// drop forgets a link that was refused, unless another caller has already
// replaced it.
func (l *links) drop(key string, refused link) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k, ok := l.m[key]; ok && k.url == refused.url {
		delete(l.m, key)
	}
}

func (m *model) linkKey(path string) string {
	return m.repo.String() + "@" + m.origin.Revision + "/" + path
}

// link finds where the bytes of e are: it asks the resolve route for one byte,
// once for all who want to know. Small files that git holds are on that route
// themselves, so nobody needs to ask.
func (m *model) link(ctx context.Context, e providers.Entry) (link, error) {
	key := m.linkKey(e.Path)
	if k, ok := m.p.links.get(key, m.p.env.Now()); ok {
		return k, nil
	}
	if e.Digest.Algorithm() == "git" {
		return link{}, nil
	}
	return m.p.locate.do(ctx, key, func(ctx context.Context) (link, error) {
		q := question{method: http.MethodGet, url: m.p.hub.fileURL(m.repo, m.origin.Revision, e.Path), n: 1}
		a, err := m.p.hub.query(ctx, q, m.p.hub.pace)
		if err != nil {
			return link{}, err
		}
		return m.took(q.url, a, e)
	})
}

// took closes an answer of the resolve route and remembers where it leads.
func (m *model) took(u *url.URL, a *answer, e providers.Entry) (link, error) {
	if err := m.judge(u, a, e); err != nil {
		return link{}, err
	}
	wire.Discard(a.Response)
	now := m.p.env.Now()
	k := link{url: a.away, expires: now.Add(defaultLife)}
	if a.away != nil {
		k.expires = now.Add(lifetime(a.away.Query(), a.Header.Get("Date"), now))
	}
	m.p.links.put(m.linkKey(e.Path), k, now)
	return k, nil
}

// judge holds the resolve route's own answer to what the listing said of e. On
// an error it has closed the answer.
func (m *model) judge(u *url.URL, a *answer, e providers.Entry) error {
	if a.away == nil && a.StatusCode != http.StatusOK && a.StatusCode != http.StatusPartialContent {
		return pinned(m.p.hub.refusal(u, a.Response))
	}
	var err error
	switch told, tag := a.Header.Get("X-Linked-Size"), etag(a.Header); {
	case isSHA(a.Header.Get("X-Repo-Commit")) && a.Header.Get("X-Repo-Commit") != m.origin.Revision:
		err = fmt.Errorf("%w: the Hub answers for commit %s", providers.ErrStale, a.Header.Get("X-Repo-Commit"))
	case told != "" && told != strconv.FormatInt(e.Size, 10):
		err = fmt.Errorf("%w: the Hub says that the file has %q bytes, its listing says %d", providers.ErrStale, wire.Clip(told), e.Size)
	case differs(tag, e.Digest):
		err = fmt.Errorf("%w: the Hub serves content %s, its listing says %s", providers.ErrStale, tag, e.Digest)
	}
	if err != nil {
		wire.Discard(a.Response)
	}
	return err
}

// etag is the validator of an answer: X-Linked-Etag, which speaks of the file,
// before ETag, which may speak of the answer (file_download.py, _normalize_etag).
func etag(h http.Header) string {
	tag := h.Get("X-Linked-Etag")
	if tag == "" {
		tag = h.Get("ETag")
	}
	return strings.Trim(strings.TrimPrefix(tag, "W/"), `"`)
}

// differs reports whether a tag is a digest of e's kind and another one. A tag
// that is no digest proves nothing.
func differs(tag string, d providers.Digest) bool {
	other := providers.NewDigest(d.Algorithm(), tag)
	return other != "" && other != d
}

const (
	// defaultLife is how long a link is kept that does not say: a guess on the
	// safe side of the hour that the Hub's links live.
	defaultLife = 10 * time.Minute
	maxLife     = time.Hour
	// margin is the time that a request may take to arrive.
	margin = 30 * time.Second
)

// lifetime reads how long a signed link works from its query: CloudFront's
// Expires, or the date and duration of AWS and Google signatures. The server's
// own date is the clock where it sends one. A link that seems dead already is
// kept like one that does not say: the clocks may be wrong, and the network's
// refusal is believed in any case.
func lifetime(q url.Values, date string, now time.Time) time.Duration {
	if server, err := http.ParseTime(date); err == nil {
		now = server
	}
	var end time.Time
	if unix, err := strconv.ParseInt(q.Get("Expires"), 10, 64); err == nil {
		end = time.Unix(unix, 0)
	}
	for _, vendor := range []string{"X-Amz-", "X-Goog-"} {
		at, err := time.Parse("20060102T150405Z", q.Get(vendor+"Date"))
		seconds, serr := strconv.ParseUint(q.Get(vendor+"Expires"), 10, 31)
		if err == nil && serr == nil {
			end = at.Add(time.Duration(seconds) * time.Second)
		}
	}
	life := end.Sub(now)
	if end.IsZero() || life <= 0 {
		return defaultLife
	}
	return min(max(life-margin, life/2), maxLife)
}
