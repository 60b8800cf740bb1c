package web

import (
	"context"
	"fmt"

	"modelfs/providers"
)

// An index knows digests and no validators, so for an entry from its listing the
// server is asked, once, for the validator that the file has while the index states
// this digest.

// maxLearned bounds what is remembered of such entries.
const maxLearned = 8192

// learn returns the pin of e, and whether it was known already.
func (m *model) learn(ctx context.Context, e providers.Entry) (p pin, known bool, err error) {
	m.mu.Lock()
	p, known = m.learned[learnKey(e)]
	m.mu.Unlock()
	if known {
		return p, true, nil
	}
	is, err := m.stat(ctx, e.Path)
	if err != nil {
		return pin{}, false, err
	}
	if is.Digest != e.Digest || is.Size != e.Size {
		return pin{}, false, fmt.Errorf("%w: the index says otherwise now", providers.ErrStale)
	}
	if p, err = parsePin(is.Validator); err != nil {
		return pin{}, false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.learned == nil || len(m.learned) >= maxLearned {
		m.learned = map[string]pin{}
	}
	m.learned[learnKey(e)] = p
	return p, false, nil
}

func (m *model) unlearn(e providers.Entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.learned, learnKey(e))
}

func learnKey(e providers.Entry) string { return string(e.Digest) + "/" + e.Path }
