package providertest

import (
	"encoding/base64"
	"errors"
	"fmt"
	iofs "io/fs"
	"strings"
	"testing"

	"modelfs/providers"
)

// testCredentials asks everything, and holds that no secret is in what comes back, in
// the log, or at a host that it is not for.
func testCredentials(t *testing.T, f *fixture) {
	if len(f.Secrets) == 0 && f.Leaked == nil {
		t.Log("does not apply: the source has no credentials")
		return
	}
	m := f.model(t)
	f.silentAbout(t, "origin", fmt.Sprintf("%+v", m.Origin()))
	if at, ok := providers.As[providers.Endpointer](f.Provider); ok {
		f.silentAbout(t, "endpoint", at.Endpoint())
	}
	if d, ok := providers.As[providers.Describer](m); ok {
		facts, err := d.Describe(t.Context())
		f.silentAbout(t, "facts", fmt.Sprint(facts), err)
	}
	for e, err := range providers.Walk(t.Context(), m) {
		f.silentAbout(t, "listing", fmt.Sprintf("%+v", e), err)
	}
	for p := range f.Files {
		e, err := providers.Stat(t.Context(), m, p)
		f.silentAbout(t, "stat "+p, fmt.Sprintf("%+v", e), err)
		if err == nil && e.Size > 0 {
			_, err = read(t.Context(), m, e, 0, e.Size)
			f.silentAbout(t, "read "+p, "", err, m.Check(t.Context(), e))
		}
	}
	_, err := f.Provider.Resolve(t.Context(), f.Absent, "")
	f.silentAbout(t, "absent name", "", err)
	_, err = f.Provider.Resolve(t.Context(), f.Name, "no-such-ref")
	f.silentAbout(t, "absent ref", "", err)
	_, err = providers.Stat(t.Context(), m, "absent")
	f.silentAbout(t, "absent file", "", err)
	if f.Down != nil {
		f.Down(t)
		_, err = f.Provider.Resolve(t.Context(), f.Name, f.Ref)
		f.silentAbout(t, "source that is down", "", err)
	}
	if f.Logged != nil {
		f.silentAbout(t, "log", f.Logged())
	}
	if f.Leaked != nil {
		for _, leak := range f.Leaked() {
			t.Errorf("a credential came elsewhere: %s", leak)
		}
	}
}

// silentAbout holds that neither text nor errors hold a secret, as it is or as HTTP
// writes it.
func (f *fixture) silentAbout(t *testing.T, what, text string, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			text += "\n" + err.Error() + "\n" + providers.Remedy(err)
		}
	}
	for _, secret := range f.Secrets {
		if strings.Contains(text, secret) || strings.Contains(text, base64.StdEncoding.EncodeToString([]byte(secret))) {
			t.Errorf("%s: a secret is in %q", what, text)
		}
	}
}

// testRefused holds that credentials which are refused are said to be, and that this is
// not taken for absence.
func testRefused(t *testing.T, f *fixture) {
	if f.Refuse == nil {
		t.Log("does not apply: the source refuses nobody")
		return
	}
	m, p := f.model(t), f.big()
	e := entry(t, m, p)
	f.Refuse(t)
	_, resolved := f.Provider.Resolve(t.Context(), f.Name, f.Ref)
	_, got := read(t.Context(), m, e, 0, e.Size)
	for what, err := range map[string]error{"resolve": resolved, "check": m.Check(t.Context(), e), "read": got} {
		f.fails(t, what, err, iofs.ErrPermission)
		if errors.Is(err, iofs.ErrNotExist) {
			t.Errorf("%s: %v says that something is absent", what, err)
		}
		f.silentAbout(t, what, "", err)
	}
}
