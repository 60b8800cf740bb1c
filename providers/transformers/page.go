package transformers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"modelfs/providers"
	"modelfs/providers/wire"
)

// page asks for one page, hands its rows to add and returns the next page's URL.
func (h *hub) page(ctx context.Context, u *url.URL, add func(treeRow) error) (*url.URL, error) {
	a, err := h.query(ctx, question{method: http.MethodGet, url: u}, h.pace)
	if err != nil {
		return nil, err
	}
	if err := h.ok(u, a); err != nil {
		return nil, err
	}
	defer wire.Discard(a.Response)
	if err := decodeRows(a.Body, add); err != nil {
		return nil, err
	}
	to := nextLink(a.Header.Values("Link"))
	if to == "" {
		return nil, nil
	}
	next, err := h.next(a.Request.URL, to)
	if err == nil && !h.client.Home(next) {
		err = fmt.Errorf("%w: the listing goes on at another host, %q", providers.ErrUnavailable, next.Host)
	}
	return next, err
}

// treeRow is one element of a tree answer (hf_api.py, RepoFile and RepoFolder).
type treeRow struct {
	Type string `json:"type"`
	OID  string `json:"oid"`
	Size *told  `json:"size"`
	Path string `json:"path"`
	LFS  *struct {
		OID  string `json:"oid"`
		Size *told  `json:"size"`
	} `json:"lfs"`
}

// told is a size that a row tells. What is none is an unknown one: a row that is
// wrong must not take the others along.
type told int64

// UnmarshalJSON never fails.
func (n *told) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil || v < 0 {
		v = providers.SizeUnknown
	}
	*n = told(v)
	return nil
}

// decodeRows streams an array, so that a page costs no second copy of itself.
func decodeRows(body io.Reader, add func(treeRow) error) error {
	limited := &io.LimitedReader{R: body, N: maxAnswer}
	d := json.NewDecoder(limited)
	if t, err := d.Token(); err != nil {
		return broken(err, limited)
	} else if t != json.Delim('[') {
		return broken(errors.New("no array"), limited)
	}
	for d.More() {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return broken(err, limited)
		}
		var row treeRow
		if err := json.Unmarshal(raw, &row); err != nil {
			continue // of other types than the protocol's: no file can be made of it
		}
		if err := add(row); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return broken(err, limited)
	}
	return nil
}

// entry is the file that a row describes. Directories follow from the files,
// and what is neither is skipped. A path that cannot be one is kept for the
// caller to hide and count.
//
// A symbolic link of git is listed, and served, as a small file that holds its
// target.
func (row treeRow) entry(o providers.Origin) (providers.Entry, bool) {
	if row.Type != "file" {
		return providers.Entry{}, false
	}
	e := providers.Entry{Path: row.Path, Size: size(row.Size), ModTime: o.ModTime}
	if row.LFS == nil {
		e.Digest = providers.NewDigest("git", row.OID)
	} else {
		// The outer size and oid may be those of the pointer.
		e.Size = size(row.LFS.Size)
		e.Digest = providers.NewDigest("sha256", row.LFS.OID)
	}
	if e.Digest == "" {
		e.Validator = o.Name + "@" + o.Revision
	}
	return e, true
}

func size(n *told) int64 {
	if n == nil || *n < 0 {
		return providers.SizeUnknown
	}
	return int64(*n)
}

// nextLink finds the target of rel="next" in Link headers (RFC 8288).
func nextLink(headers []string) string {
	for _, header := range headers {
		for header != "" {
			_, rest, ok := strings.Cut(header, "<")
			if !ok {
				break
			}
			target, params, ok := strings.Cut(rest, ">")
			if !ok {
				break
			}
			// The parameters end where the next target begins.
			params, header, _ = strings.Cut(params, "<")
			if header != "" {
				header = "<" + header
			}
			for param := range strings.FieldsFuncSeq(params, func(r rune) bool { return r == ';' || r == ',' }) {
				k, v, _ := strings.Cut(strings.TrimSpace(param), "=")
				if strings.EqualFold(k, "rel") && strings.EqualFold(strings.Trim(v, `"`), "next") {
					return target
				}
			}
		}
	}
	return ""
}
