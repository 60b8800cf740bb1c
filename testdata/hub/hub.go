// Package hub is a strict Hugging Face Hub for tests: the read API, the resolve
// routes and a content network on a second listener, over repositories that a
// test pushes.
//
// # Promises
//
// It is as strict as the service, or stricter. A revision is one path segment.
// Commits, trees and blobs have the ids that git would give them, large files
// are named by their sha256. The content network answers only signed, unexpired
// links, and refuses and records every request that carries a token or a
// cookie. Every request of both listeners is recorded.
//
// # Terms
//
// A push makes a new commit on a branch from a whole set of files. A file is
// stored in git or, like large and binary ones on the real service, in LFS. A
// [Fault] is a misbehaviour that a test asks for with [Server.Inject].
//
// Nothing here is fit for anything but tests: all state is in memory, and the
// control calls are open to everybody who reaches the listener.
package hub

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// Server is a Hub and its content network. Its methods may be called at any
// time from any goroutine.
type Server struct {
	// URL and CDNURL are the addresses of the two listeners, without a
	// trailing slash.
	URL, CDNURL string

	hub, cdn *http.Server
	serving  sync.WaitGroup
	closing  chan struct{}
	secret   []byte
	shape    shape

	mu         sync.Mutex
	settings   Settings
	repos      map[string]*repo  // by kind and lower case id: "models/org/name"
	renamed    map[string]string // lower case key → canonical id
	tokens     map[string]grants
	contents   map[string]*blob // LFS content by sha256
	dir        string
	generation int // links signed before the present generation are refused
	quota      map[string]*quota
	faults     []*injected
	requests   []Request
	violations []string
	clock      time.Time // date of the latest commit
}

// Settings change how the server behaves towards every request.
type Settings struct {
	// PageSize is the number of entries on a page of a tree; 0 is 1000.
	PageSize int
	// LinkLife is how long a signed link works; 0 is an hour.
	LinkLife time.Duration
	// Canonical replaces the server's own address in Link headers, as a mirror
	// leaves them: "https://huggingface.co".
	Canonical string
	// NoResolveCache makes git files answer on the resolve route itself,
	// instead of redirecting to /api/resolve-cache.
	NoResolveCache bool
	// NoLinked leaves out X-Linked-Etag and X-Linked-Size.
	NoLinked bool
	// NoErrorCode leaves out X-Error-Code and X-Error-Message.
	NoErrorCode bool
	// Inline serves LFS files on the resolve route, as some mirrors do.
	Inline bool
	// NoAuthors makes the listing of an author's models answer 404.
	NoAuthors bool
	// Prefix is a path below which the Hub lives: "/hf".
	Prefix string
	// Rows are added to every tree as they are; see [Row].
	Rows []Row
}

// New starts a server on two free loopback ports. It panics if there are none.
func New() *Server {
	s, err := Listen("127.0.0.1:0", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	return s
}

// Listen starts a server on the two addresses.
func Listen(addr, cdnAddr string) (*Server, error) {
	var listening net.ListenConfig
	hubListener, err := listening.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}
	cdnListener, err := listening.Listen(context.Background(), "tcp", cdnAddr)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("hub: %w", err), hubListener.Close())
	}
	s := &Server{
		URL:      "http://" + hubListener.Addr().String(),
		CDNURL:   "http://" + cdnListener.Addr().String(),
		closing:  make(chan struct{}),
		secret:   make([]byte, 32),
		repos:    map[string]*repo{},
		renamed:  map[string]string{},
		tokens:   map[string]grants{},
		contents: map[string]*blob{},
		quota:    map[string]*quota{},
		clock:    time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	rand.Read(s.secret) // never fails, see crypto/rand
	s.hub = s.serve(hubListener, s.recorded("hub", s.serveHub))
	s.cdn = s.serve(cdnListener, s.recorded("cdn", s.serveCDN))
	return s, nil
}

func (s *Server) serve(l net.Listener, h http.Handler) *http.Server {
	server := &http.Server{Handler: h, ConnContext: s.shape.perConn, ReadHeaderTimeout: time.Minute}
	s.serving.Go(func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			panic(err)
		}
	})
	return server
}

// ServeHTTP is the Hub's side, for tests that need it behind TLS or a gateway.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.recorded("hub", s.serveHub).ServeHTTP(w, r)
}

// Close stops both listeners and cuts every connection.
func (s *Server) Close() error {
	close(s.closing)
	err := errors.Join(s.hub.Close(), s.cdn.Close())
	s.serving.Wait()
	return err
}

// Set changes the settings.
func (s *Server) Set(change func(*Settings)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.settings)
}

func (s *Server) set() Settings {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.settings
}
