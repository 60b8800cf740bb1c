package zoo

import (
	"context"

	"modelfs/providers"
)

// Check implements [providers.Model]. There are no revisions: the answer is for e
// alone, and costs a look at the file.
func (m *Model) Check(ctx context.Context, e providers.Entry) error {
	now, err := m.stat(ctx, e.Path)
	switch {
	case err != nil && absent(err):
		err = providers.ErrChanged
	case err == nil && !same(now, e):
		err = providers.ErrChanged
	}
	return m.zoo.error("check", m.name, e.Path, err)
}

func same(a, b providers.Entry) bool {
	return a.Mode.Type() == b.Mode.Type() && a.Validator == b.Validator && a.Target == b.Target
}
