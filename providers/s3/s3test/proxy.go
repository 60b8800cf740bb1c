package s3test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// Proxy stands before a server and does to its answers what networks and broken
// servers do. Signatures stay valid: the host that the client signed is kept.
type Proxy struct {
	URL string

	server *http.Server
	done   chan struct{}
	base   *http.Transport
	total  Pacer
	failed error // why Serve ended; read after done

	mu       sync.Mutex
	hook     func(*http.Request) *Fault
	shape    Shape
	requests []Request
}

// Shape slows all answers down. Zero fields do nothing.
type Shape struct {
	Latency time.Duration // before the first byte of each answer
	PerConn int64         // bytes per second of one connection
	Total   int64         // bytes per second of all
}

// Fault is what happens to one answer. Zero fields do nothing.
type Fault struct {
	Delay  time.Duration              // before the request is passed on
	Reply  *Reply                     // instead of the server's answer
	Edit   func(*http.Response) error // changes the answer's header, or its body
	Rewire func(*http.Request)        // changes the request that is passed on
	Cut    int64                      // drops the connection after so many bytes of body
	Stall  int64                      // after so many bytes of body, nothing more comes
	Flip   int64                      // flips a bit of this byte of body, counted from 1
	Pace   int64                      // bytes per second of this body
}

// Reply is a whole answer.
type Reply struct {
	Status int
	Header http.Header
	Body   string
}

// Request is what a proxy remembers of one request.
type Request struct {
	Method, Path string
	Query        url.Values
	Header       http.Header
}

// NewProxy starts a proxy before the server at target.
func NewProxy(target string) (*Proxy, error) {
	to, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		URL:  "http://" + l.Addr().String(),
		done: make(chan struct{}),
		base: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true, ReadBufferSize: copySize, WriteBufferSize: copySize},
	}
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host
			if f := faultOf(r.In.Context()); f != nil && f.Rewire != nil {
				f.Rewire(r.Out)
			}
		},
		Transport:      p.base,
		ModifyResponse: p.answer,
		BufferPool:     &buffers{},
		FlushInterval:  -1, // what has come is passed on, so that a stalled body has a beginning
		ErrorLog:       discard,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	p.server = &http.Server{
		Handler:  http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.serve(w, r, forward) }),
		ErrorLog: discard,
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, new(Pacer))
		},
	}
	go func() {
		defer close(p.done)
		if err := p.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			p.failed = err
		}
	}()
	return p, nil
}

// Close ends the proxy and drops its connections. It may be called again.
func (p *Proxy) Close() error {
	err := p.server.Close()
	<-p.done
	p.base.CloseIdleConnections()
	return errors.Join(err, p.failed)
}

// Hook sets what is asked about each request; nil is no fault.
func (p *Proxy) Hook(hook func(*http.Request) *Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hook = hook
}

// Shape sets how slow the proxy is.
func (p *Proxy) Shape(s Shape) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shape = s
}

// Requests returns all requests since the last Reset.
func (p *Proxy) Requests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Request(nil), p.requests...)
}

// Count returns how many of them match.
func (p *Proxy) Count(match func(Request) bool) int {
	n := 0
	for _, r := range p.Requests() {
		if match(r) {
			n++
		}
	}
	return n
}

// Reset forgets the requests.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = nil
}

type (
	connKey  struct{}
	faultKey struct{}
	shapeKey struct{}
)

func faultOf(ctx context.Context) *Fault {
	f, _ := ctx.Value(faultKey{}).(*Fault)
	return f
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request, forward http.Handler) {
	p.mu.Lock()
	p.requests = append(p.requests, Request{r.Method, r.URL.Path, r.URL.Query(), r.Header.Clone()})
	hook, shape := p.hook, p.shape
	p.mu.Unlock()
	var fault *Fault
	if hook != nil {
		fault = hook(r)
	}
	if fault == nil {
		fault = &Fault{}
	}
	if !Sleep(r.Context(), fault.Delay+shape.Latency) {
		return
	}
	if fault.Reply != nil {
		fault.Reply.write(w, r)
		return
	}
	ctx := context.WithValue(context.WithValue(r.Context(), faultKey{}, fault), shapeKey{}, shape)
	forward.ServeHTTP(w, r.WithContext(ctx))
}

func (a *Reply) write(w http.ResponseWriter, r *http.Request) {
	for k, v := range a.Header {
		w.Header()[k] = v
	}
	if w.Header().Get("Content-Length") == "" && r.Method != http.MethodHead {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.Body)))
	}
	w.WriteHeader(a.Status)
	if r.Method != http.MethodHead {
		// A client that has gone away needs no answer.
		_, _ = io.WriteString(w, a.Body)
	}
}

// answer puts faults and slowness into a response.
func (p *Proxy) answer(resp *http.Response) error {
	ctx := resp.Request.Context()
	fault, shape := faultOf(ctx), ctx.Value(shapeKey{}).(Shape)
	if fault.Edit != nil {
		if err := fault.Edit(resp); err != nil {
			return err
		}
	}
	conn, _ := ctx.Value(connKey{}).(*Pacer)
	resp.Body = &faultyBody{
		ReadCloser: resp.Body, ctx: ctx, fault: *fault,
		paces: []pace{{&p.total, shape.Total}, {conn, shape.PerConn}, {new(Pacer), fault.Pace}},
	}
	return nil
}

// SetBody gives resp another body of known length, for Fault.Edit.
func SetBody(resp *http.Response, body []byte) error {
	err := resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.ContentLength = int64(len(body))
	resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return err
}
