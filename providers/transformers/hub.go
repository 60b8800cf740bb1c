package transformers

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"modelfs/providers"
	"modelfs/providers/wire"
)

// hub speaks HTTP with the endpoint and with the content networks that it
// names.
type hub struct {
	endpoint *url.URL
	mirror   bool   // the endpoint is not the public Hub
	offline  string // the variable that forbids the network
	client   *wire.Client
	tokens   tokens
	limits   limits
	pace     pace
	log      *slog.Logger
	now      func() time.Time

	mu     sync.Mutex
	warned map[string]bool // topics of X-HF-Warning that were logged
}

func newHub(env providers.Env, c Config) (*hub, error) {
	base := c.Endpoint
	if base == "" {
		base = env.Getenv("HF_ENDPOINT")
	}
	if base == "" {
		base = publicHub
	}
	endpoint, err := parseEndpoint(base)
	if err != nil {
		return nil, fmt.Errorf("endpoint or HF_ENDPOINT: %w", err)
	}
	h := &hub{
		endpoint: endpoint,
		mirror:   !canonical[strings.ToLower(endpoint.Hostname())],
		offline:  offline(env.Getenv),
		tokens:   tokens{file: c.TokenFile, getenv: env.Getenv, log: env.Log},
		limits:   limits{until: map[string]time.Time{}},
		pace:     defaultPace,
		log:      env.Log,
		now:      env.Now,
		warned:   map[string]bool{},
	}
	h.client, err = wire.New(wire.Options{Home: endpoint, CAFile: c.CAFile, Authorize: h.authorize})
	return h, err
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
