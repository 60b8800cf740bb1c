package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"net/url"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"modelfs/providers"
	"modelfs/providers/wire"
)

// page lists a directory by the page that the server writes for it.
func (s *site) page(ctx context.Context, dir string) ([]providers.Entry, error) {
	if dir != "" {
		dir += "/"
	}
	at := s.at(dir)
	resp, err := s.ask(ctx, wire.Request{URL: at}) //nolint:bodyclose // Discard does
	if err != nil {
		return nil, err
	}
	defer wire.Discard(resp)
	switch kind := resp.Header.Get("Content-Type"); {
	case resp.Request.URL.Path != at.Path:
		// As to a page where a user signs in.
		return nil, fmt.Errorf("%w: it leads to another one", errPage)
	case !wire.IsPage(strings.ToLower(kind)):
		return nil, fmt.Errorf("%w: the folder is no page but %q", errUnlisted, wire.Clip(kind))
	}
	return readPage(&limited{r: resp.Body, left: maxList}, resp.Request.URL, dir)
}

// maxToken bounds one tag, and the text between two.
const maxToken = 1 << 20

// readPage returns what the links of a page name directly below it. dir is empty or
// ends in a slash.
func readPage(r io.Reader, page *url.URL, dir string) ([]providers.Entry, error) {
	var entries []providers.Entry
	seen := map[string]bool{}
	z := html.NewTokenizer(r)
	z.SetMaxBuf(maxToken)
	for {
		switch z.Next() {
		case html.ErrorToken:
			switch err := z.Err(); {
			case errors.Is(err, io.EOF):
				return entries, nil
			case errors.Is(err, html.ErrBufferExceeded):
				return nil, fmt.Errorf("%w: the page has a tag of more than %d bytes", errFormat, maxToken)
			default:
				return nil, err
			}
		case html.StartTagToken:
			name, isDir, ok := child(page, href(z))
			if !ok || seen[name] {
				continue
			}
			if seen[name] = true; len(seen) > maxEntries {
				return nil, fmt.Errorf("%w: the page has more than %d links", errFormat, maxEntries)
			}
			e := providers.Entry{Path: dir + name, Size: providers.SizeUnknown}
			if isDir {
				e.Mode, e.Size = iofs.ModeDir, 0
			}
			entries = append(entries, e)
		}
	}
}

// href is where a tag leads; empty if it is no link.
func href(z *html.Tokenizer) string {
	name, more := z.TagName()
	if atom.Lookup(name) != atom.A {
		return ""
	}
	for more {
		var key, value []byte
		key, value, more = z.TagAttr()
		if string(key) == "href" {
			return string(value)
		}
	}
	return ""
}

// child returns the name that a link has directly below its page. Links with a query
// sort the page; all others that are not children lead away.
func child(page *url.URL, href string) (name string, isDir, ok bool) {
	if href == "" {
		return "", false, false
	}
	u, err := page.Parse(href)
	if err != nil || wire.Origin(u) != wire.Origin(page) || u.RawQuery != "" || u.ForceQuery || u.Opaque != "" {
		return "", false, false
	}
	name, below := strings.CutPrefix(u.Path, page.Path)
	name, isDir = strings.CutSuffix(name, "/")
	return name, isDir, below && name != "" && !strings.Contains(name, "/")
}
