package web

import (
	"errors"
	"io"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"modelfs/providers"
)

func TestReadIndex(t *testing.T) {
	sum := sumOf("x")
	for _, c := range []struct{ name, in, want string }{
		{"empty", `[]`, ""},
		{"all", `[{"path":"a/b","size":1,"sha256":"` + sum + `","mtime":"2026-01-31T12:00:00Z"}]`, "a/b 1 sha256:" + sum + " 2026-01-31"},
		{"upper case", `[{"path":"f","size":0,"sha256":"` + strings.ToUpper(sum) + `"}]`, "f 0 sha256:" + sum},
		{"path only", `[{"path":"f"}]`, "f -1"},
		{"size without sum", `[{"path":"f","size":3}]`, "f -1"},
		{"more", ` [ {"path":"f","md5":"?","more":{"x":[1]}} , {"path":"../g"} ] ` + "\n", "f -1, ../g -1"},
		{"hostile paths", `[{"path":"/etc/passwd"},{"path":"a\u0000b"}]`, "/etc/passwd -1, a\x00b -1"},
	} {
		entries, err := readIndex(strings.NewReader(c.in))
		if got := described(entries); err != nil || got != c.want {
			t.Errorf("%s: got %q, %v; want %q", c.name, got, err, c.want)
		}
	}
	for _, in := range []string{
		``, `{}`, `null`, `"f"`, `[{"path":""}]`, `[{}]`, `[{"path":"f","size":-1}]`, `[{"path":"f","size":1.5}]`, `[{"path":"f","size":1e30}]`,
		`[{"path":"f","sha256":"12"}]`, `[{"path":"f","mtime":"yesterday"}]`, `[{"path":"f"}] x`, `[{"path":"f"}]]`, `["f"]`, `[{"path":1}]`, `[,]`,
	} {
		if got, err := readIndex(strings.NewReader(in)); !errors.Is(err, errFormat) {
			t.Errorf("%s: got %v, %v; want that it is no index", in, got, err)
		}
	}
	// One that ends early is no list of another kind.
	for _, in := range []string{`[`, `[{"path":"f"}`, `[{"path":"f"},`, `[{"pa`} {
		if got, err := readIndex(strings.NewReader(in)); !errors.Is(err, providers.ErrUnavailable) || errors.Is(err, errFormat) {
			t.Errorf("%s: got %v, %v; want that it ends early", in, got, err)
		}
	}
}

func described(entries []providers.Entry) string {
	var out []string
	for _, e := range entries {
		s := e.Path + " " + strconv.FormatInt(e.Size, 10)
		if e.Digest != "" {
			s += " " + string(e.Digest)
		}
		if !e.ModTime.IsZero() {
			s += " " + e.ModTime.Format("2006-01-02")
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

func TestReadSums(t *testing.T) {
	sum := sumOf("x")
	for _, c := range []struct{ name, in, want string }{
		{"text", sum + "  a/b", "a/b"},
		{"binary", sum + " *a b\n", "a b"},
		{"several", sum + "  f\n\n# comment\n" + sum + "  g\r\n", "f|g"},
		{"found", sum + "  ./d/f\n", "d/f"},
		{"tag", "SHA256 (a (1).bin) = " + sum + "\n", "a (1).bin"},
		{"tag escaped", `\SHA256 (a\nb) = ` + sum, "a\nb"},
		{"escaped", `\` + sum + `  a\\b\nc\rd`, "a\\b\nc\rd"},
		{"not escaped", sum + `  a\nb`, `a\nb`},
		{"blanks", sum + "    f", "  f"},
		{"hostile", sum + "  ../../etc/passwd", "../../etc/passwd"},
	} {
		entries, err := readSums(strings.NewReader(c.in))
		var got []string
		for _, e := range entries {
			if got = append(got, e.Path); e.Digest.Hex() != sum || e.Size != providers.SizeUnknown {
				t.Errorf("%s: got %+v, want sum %s and no size", c.name, e, sum)
			}
		}
		if s := strings.Join(got, "|"); err != nil || s != c.want {
			t.Errorf("%s: got %q, %v; want %q", c.name, s, err, c.want)
		}
	}
	for _, in := range []string{
		"", "\n# only a comment\n", sum, sum + "  ", sum + " f", sum[:40] + "  f", sum + "\tf", "<!doctype html>", strings.Repeat("z", 64) + "  f",
		`\` + sum + `  a\tb`, `\` + sum + `  a\`, "MD5 (f) = " + sum[:32], "SHA256 (f) = 12", "SHA256 (f)", sum + "  f\nnonsense\n",
		sum + "  " + strings.Repeat("x", 70<<10), sum + "  ./",
	} {
		if got, err := readSums(strings.NewReader(in)); !errors.Is(err, errFormat) {
			t.Errorf("%.80q: got %v, %v; want that it is no list of sums", in, got, err)
		}
	}
}

// Pages as the servers write them, and what else a page may hold.
func TestReadPage(t *testing.T) {
	for _, c := range []struct{ name, page, in, want string }{
		{"nginx", "http://h/m/", `<html>
<head><title>Index of /m/</title></head>
<body>
<h1>Index of /m/</h1><hr><pre><a href="../">../</a>
<a href="sub/">sub/</a>                                               31-Jan-2026 12:00                   -
<a href="a%20b%23c.bin">a b#c.bin</a>                                 31-Jan-2026 12:00            10485760
<a href="a%3Ab">a:b</a>                                               31-Jan-2026 12:00                   1
</pre><hr></body>
</html>`, "sub/ a b#c.bin a:b"},
		{"apache", "http://h/m/", `<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">
<html><body><table>
<tr><th valign="top"><img src="/icons/blank.gif" alt="[ICO]"></th><th><a href="?C=N;O=D">Name</a></th></tr>
<tr><td valign="top"><img src="/icons/back.gif" alt="[PARENTDIR]"></td><td><a href="/">Parent Directory</a></td></tr>
<tr><td><a href="sub/">sub/</a></td></tr><tr><td><a href="x&amp;y.bin">x&amp;y.bin</a></td></tr><tr><td><a href="./a:b">a:b</a></td></tr>
</table></body></html>`, "sub/ x&y.bin a:b"},
		{"python", "http://h/", `<!DOCTYPE HTML><html lang="en"><body><h1>Directory listing for /</h1><hr><ul>
<li><a href="%C3%BCn%C3%AF/">ünï/</a></li>
<li><a href="link/">link@</a></li>
<li><a href="f.bin">f.bin</a></li></ul></body></html>`, "ünï/ link/ f.bin"},
		{"absolute", "https://h/m/", `<a href="/m/f"><A HREF='https://h/m/g'><a href=h>`, "f g h"},
		{"elsewhere", "https://h/m/", `<a href="/n/f"><a href="https://o/m/g"><a href="//o/m/h"><a href="http://h/m/i"><a href="https://h:8443/m/j">`, ""},
		{"not children", "http://h/m/", `<a href="a/b"><a href="a/../../f"><a href="."><a href="./"><a href=".."><a href="/m"><a href="#top"><a href=""><a>`, ""},
		{"not paths", "http://h/m/", `<a href="mailto:a@b"><a href="javascript:x()"><a href="f?download=1"><a href="f?"><a href="%zz"><a href="data:f">`, ""},
		{"escaped slash", "http://h/m/", `<a href="a%2Fb"><a href="..%2F..%2Fetc%2Fpasswd"><a href="%2e%2e%2fx">`, ""},
		{"not links", "http://h/m/", `<link href="f"><img src="g"><!-- <a href="h"> --><script>"<a href='i'>"</script><area href="j">`, ""},
		{"twice", "http://h/m/", `<a href="f"><img></a><a href="f">f</a><a href="f#part">`, "f"},
		{"control bytes", "http://h/m/", `<a href="a%0Ab"><a href="a%00b">`, "a\nb a\x00b"},
		{"no end", "http://h/m/", `<a href="f">f</a><a href="g`, "f"},
	} {
		at, err := url.Parse(c.page)
		if err != nil {
			t.Fatal(err)
		}
		entries, err := readPage(strings.NewReader(c.in), at, "")
		if got := paths(entries); err != nil || got != c.want {
			t.Errorf("%s: got %q, %v; want %q", c.name, got, err, c.want)
		}
	}
	at := &url.URL{Scheme: "http", Host: "h", Path: "/m/d/"}
	if got, err := readPage(strings.NewReader(`<a href="f"><a href="e/">`), at, "d/"); err != nil || paths(got) != "d/f d/e/" {
		t.Errorf("in a directory: got %s, %v; want d/f d/e/", paths(got), err)
	}
	if _, err := readPage(strings.NewReader("<a href='"+strings.Repeat("x", 2<<20)+"'>"), at, ""); !errors.Is(err, errFormat) {
		t.Errorf("a tag of two megabytes: got %v, want that it is no page", err)
	}
}

// A list without end is one error, and not the memory of this machine.
func TestEndless(t *testing.T) {
	for name, parse := range map[string]func(io.Reader) ([]providers.Entry, error){
		"index.json": readIndex, "SHA256SUMS": readSums,
		"page": func(r io.Reader) ([]providers.Entry, error) {
			return readPage(r, &url.URL{Scheme: "http", Host: "h", Path: "/"}, "")
		},
	} {
		for kind, part := range map[string]string{
			"lines":  "\n",
			"blanks": " ",
			"text":   "x",
			"tags":   "<b>",
		} {
			in := &limited{r: &repeat{part: "[" + part}, left: 4 << 20}
			if got, err := parse(in); !errors.Is(err, providers.ErrUnavailable) {
				t.Errorf("%s of endless %s: got %d entries, %v; want ErrUnavailable", name, kind, len(got), err)
			}
		}
	}
	many := io.MultiReader(strings.NewReader("["), &repeat{part: `{"path":"f"},`})
	if _, err := readIndex(many); !errors.Is(err, errFormat) {
		t.Errorf("endless files: got %v, want a limit", err)
	}
	if _, err := readSums(&repeat{part: sumOf("x") + "  f\n"}); !errors.Is(err, errFormat) {
		t.Errorf("endless sums: got %v, want a limit", err)
	}
}

// repeat is part without end.
type repeat struct {
	part string
	at   int
}

func (r *repeat) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		c := copy(p[n:], r.part[r.at:])
		n += c
		r.at = (r.at + c) % len(r.part)
	}
	return n, nil
}
