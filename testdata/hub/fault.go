package hub

import (
	"bytes"
	"compress/gzip"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"time"
)

// A Fault is a way to misbehave. Those that change a body take the honest
// answer, so they are for files that fit in memory.
type Fault struct {
	// Status answers with this status, Header and Body instead of the truth.
	Status int
	Body   string
	// Header is set on the answer, over the honest one; an empty value deletes.
	Header map[string]string
	// Hang holds the answer back for so long, or until the request ends.
	Hang time.Duration
	// Drop cuts the connection without an answer.
	Drop bool
	// IgnoreRange answers 200 with the whole file.
	IgnoreRange bool
	// Cut sends the head and that many bytes of the body, then cuts the
	// connection; Stall sends as many and then nothing until the request ends.
	Cut, Stall int
	// Extra appends so many bytes to the body.
	Extra int
	// Chunked leaves out the Content-Length.
	Chunked bool
	// Flip inverts a bit of every byte.
	Flip bool
	// Gzip compresses the body, with a weak etag and no length.
	Gzip bool
	// Replace serves this in place of the content, with ranges.
	Replace []byte
}

type injected struct {
	left  int // negative: without end
	match Match
	fault Fault
}

// Inject lets the next n requests that match suffer f; a negative n is all.
func (s *Server) Inject(n int, match Match, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &injected{n, match, f})
}

// Heal ends all faults.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// faultFor takes the first fault that is for r. Server.mu is held.
func (s *Server) faultFor(r Request) *Fault {
	for _, in := range s.faults {
		if in.left != 0 && in.match(r) {
			in.left--
			return &in.fault
		}
	}
	return nil
}

func (f *Fault) serve(s *Server, w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
	if f.Hang > 0 {
		select {
		case <-time.After(f.Hang):
		case <-r.Context().Done():
		case <-s.closing:
		}
	}
	if f.Drop {
		panic(http.ErrAbortHandler)
	}
	if f.IgnoreRange {
		r = r.Clone(r.Context())
		r.Header.Del("Range")
	}
	if f.Replace != nil {
		next = func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.Replace))
		}
	}
	honest := httptest.NewRecorder()
	if f.Status == 0 {
		next(honest, r)
	} else {
		honest.Code = f.Status
		honest.Body = bytes.NewBufferString(f.Body)
	}
	f.send(s, w, r, honest)
}

// send writes the honest answer with the fault in it.
func (f *Fault) send(s *Server, w http.ResponseWriter, r *http.Request, honest *httptest.ResponseRecorder) {
	body := append(honest.Body.Bytes(), make([]byte, f.Extra)...)
	if f.Flip {
		for i := range body {
			body[i] ^= 1
		}
	}
	maps.Copy(w.Header(), honest.Header())
	if f.Gzip {
		body = compress(body)
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("ETag", "W/"+w.Header().Get("ETag"))
	}
	if r.Method != http.MethodHead {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	for k, v := range f.Header {
		w.Header().Set(k, v)
		if v == "" {
			w.Header().Del(k)
		}
	}
	if f.Gzip || f.Chunked {
		w.Header().Del("Content-Length")
	}
	w.WriteHeader(honest.Code)
	part := f.Cut + f.Stall
	if part == 0 || part > len(body) {
		part = len(body)
	}
	if _, err := w.Write(body[:part]); err != nil {
		return // the client has left
	}
	if f.Gzip || f.Chunked || f.Cut > 0 || f.Stall > 0 {
		if err := http.NewResponseController(w).Flush(); err != nil {
			return
		}
	}
	if f.Stall > 0 {
		select {
		case <-r.Context().Done():
		case <-s.closing:
		}
	}
	if f.Cut > 0 || f.Stall > 0 {
		panic(http.ErrAbortHandler)
	}
}

func compress(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		panic(err)
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}
